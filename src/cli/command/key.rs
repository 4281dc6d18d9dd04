//! `key`: the ways into a repository. Knows slots and where new secrets come from.

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::args::SecretArguments;
use crate::cli::config::RepositoryConfig;
use crate::cli::context::{Context, host_name};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::rfc3339;
use crate::cli::open;
use crate::cli::secret::SecretSource;
use crate::cli::table::{self, Align};
use crate::cli::text;
use crate::format::{Slot, SlotKind};
use crate::keys::{Cost, Secret};
use crate::repo::{KeySlot, Repository};

/// Digits of an id that are shown.
const SHORT: usize = 8;

/// List, add, remove and change what opens the repository
#[derive(Debug, Args)]
pub struct KeyArguments {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// List the keys
    List,
    /// Add a key file or a passphrase
    Add(NewSecret),
    /// Remove a key
    Remove {
        /// Its id, or the first digits
        id: String,
    },
    /// Replace the key that is in use by another key file or passphrase
    Passwd(NewSecret),
}

/// A new key. Without one of the first three, a passphrase is asked for.
#[derive(Debug, Default, Args)]
struct NewSecret {
    /// A key file; made when it is missing
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<std::path::PathBuf>,
    /// A file with the new passphrase
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<std::path::PathBuf>,
    /// A command that prints the new passphrase
    #[arg(long, value_name = "COMMAND")]
    new_password_command: Option<String>,
    /// Whom or what it is for
    #[arg(long, value_name = "TEXT", value_parser = label)]
    label: Option<String>,
}

#[derive(Serialize)]
struct KeyObject {
    id: String,
    short_id: String,
    /// `key-file` or `passphrase`.
    kind: &'static str,
    created: String,
    label: String,
    /// It is the one that opened the repository now.
    current: bool,
}

#[derive(Serialize)]
struct Changed<'a> {
    message_type: &'static str,
    id: &'a str,
}

/// Does what the subcommand says.
pub fn run(context: &Context, arguments: &KeyArguments) -> Result<Exit, CliError> {
    let repository = open::open(context)?;
    match &arguments.command {
        KeyCommand::List => list(context, &repository)?,
        KeyCommand::Add(new) => {
            let slot = add(context, &repository, new)?;
            tell(context, "key_added", "added key", &slot);
        }
        KeyCommand::Remove { id } => {
            let slot = remove(context, &repository, id)?;
            tell(context, "key_removed", "removed key", &slot);
        }
        KeyCommand::Passwd(new) => {
            let slot = replace(context, &repository, new)?;
            tell(context, "key_changed", "the key in use is replaced by key", &slot);
        }
    }
    Ok(Exit::Done)
}

fn list(context: &Context, repository: &Repository) -> Result<(), CliError> {
    let current = current(context, repository)?;
    let slots = repository.slots()?;
    let is_current = |slot: &KeySlot| current.as_ref() == Some(slot);
    if context.output.is_json() {
        let objects: Vec<_> = slots.iter().map(|slot| object(slot, is_current(slot))).collect();
        context.output.object(&objects);
        return Ok(());
    }
    let row = |slot: &KeySlot| {
        vec![
            if is_current(slot) { "*".into() } else { String::new() },
            short(slot),
            kind(slot).to_owned(),
            text::local_time(jiff::Timestamp::from_second(slot.slot.created_s).unwrap_or_default()),
            text::name(slot.slot.label.as_bytes()),
        ]
    };
    let header = ["", "id", "kind", "created", "label"].map(|title| (title, Align::Left));
    context.output.line(&table::render(&header, slots.iter().map(row).collect()));
    Ok(())
}

fn add(context: &Context, repository: &Repository, new: &NewSecret) -> Result<KeySlot, CliError> {
    let flags = SecretArguments {
        key_file: new.new_key_file.clone(),
        password_file: new.new_password_file.clone(),
        password_command: new.new_password_command.clone(),
    };
    let source = SecretSource::find(&flags, &RepositoryConfig::default(), None, &|_| None)?;
    let (secret, key_file) = source.read_or_create(&context.output)?;
    let label = new.label.clone().unwrap_or_else(|| format!("added on {}", host_name()));
    let slot = repository.add_slot(&secret, Cost::DEFAULT, &label)?;
    if let Some(key_file) = key_file {
        open::tell_of_key(&context.output, &key_file);
    }
    Ok(slot)
}

/// Checked before a key file is made for it.
fn label(text: &str) -> Result<String, String> {
    match text.len() <= Slot::MAX_LABEL_LEN {
        true => Ok(text.into()),
        false => Err(format!("longer than {} bytes", Slot::MAX_LABEL_LEN)),
    }
}

fn remove(context: &Context, repository: &Repository, id: &str) -> Result<KeySlot, CliError> {
    let slots = repository.slots()?;
    let mut found = slots.into_iter().filter(|slot| slot.hash.to_hex().starts_with(id));
    let slot = match (found.next(), found.next()) {
        (Some(slot), None) => slot,
        (Some(_), Some(_)) => return Err(CliError::Ambiguous { what: "key", id: id.into() }),
        (None, _) => return Err(CliError::Unknown { what: "key", id: id.into() }),
    };
    if repository.slots()?.len() > 1 && current(context, repository)?.as_ref() == Some(&slot) {
        let message = "this is the key in use; open the repository with another one to remove it";
        return Err(CliError::Usage(message.into()));
    }
    repository.remove_slot(&slot.hash)?;
    Ok(slot)
}

/// The new key stands before the old one goes: interrupted in between, both open the repository.
fn replace(context: &Context, repository: &Repository, new: &NewSecret) -> Result<KeySlot, CliError> {
    let old = current(context, repository)?;
    let slot = add(context, repository, new)?;
    if let Some(old) = old {
        repository.remove_slot(&old.hash)?;
    }
    Ok(slot)
}

/// The slot that opened the repository.
fn current(context: &Context, repository: &Repository) -> Result<Option<KeySlot>, CliError> {
    let secret: Secret = context.secret.read(&context.output)?;
    Ok(repository.slot_of(&secret)?)
}

fn tell(context: &Context, message_type: &'static str, words: &str, slot: &KeySlot) {
    let output = &context.output;
    if output.is_json() {
        output.object(&Changed { message_type, id: &slot.hash.to_hex() });
    } else if !output.is_quiet() {
        output.line(&format!("{words} {}", short(slot)));
    }
}

fn object(slot: &KeySlot, current: bool) -> KeyObject {
    KeyObject {
        id: slot.hash.to_hex(),
        short_id: short(slot),
        kind: kind(slot),
        created: rfc3339(slot.slot.created_s.saturating_mul(1000)),
        label: slot.slot.label.clone(),
        current,
    }
}

fn short(slot: &KeySlot) -> String {
    slot.hash.to_hex()[..SHORT].to_owned()
}

fn kind(slot: &KeySlot) -> &'static str {
    match slot.slot.kind {
        SlotKind::KeyFile => "key-file",
        SlotKind::Passphrase { .. } => "passphrase",
    }
}
