//! `vault get`, `set`, `remove` and `export`: the commands that handle values. A value is never an argument, and is
//! printed only when that is asked for.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{ExportArguments, GetArguments, ItemArguments, SetArguments, document};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::text;
use crate::files::metadata::EntryMeta;
use crate::files::place::{IfMissing, Place, PlaceError, Placement};
use crate::vault::{MAX_VALUE_LEN, Vault, path_of_item};

/// The source of secrets that nobody's file has.
const BY_HAND: &str = "set by hand";
/// Providers take no longer names.
const MAX_USER_LEN: usize = 255;

#[derive(Serialize)]
struct Changed<'a> {
    message_type: &'static str,
    user: &'a str,
    item: &'a str,
}

/// Writes a value to a new file, or prints it.
pub fn get(context: &Context, vault: &Vault, arguments: &GetArguments) -> Result<Exit, CliError> {
    let of = &arguments.of;
    let document = document(vault, &of.user)?;
    let value = vault.open(&document, &of.item, arguments.version)?.ok_or_else(|| of.not_there(vault))?;
    match &arguments.output {
        Some(path) => write_new(path, &value.bytes)?,
        None => context.output.write(&value.bytes),
    }
    Ok(Exit::Done)
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = written.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => {
            CliError::Usage(format!("{} exists already, and is not written over", path.display()))
        }
        _ => CliError::Write { path: path.into(), source },
    })
}

/// Stores a value from a file, a terminal or standard input.
pub fn set(context: &Context, vault: &Vault, arguments: &SetArguments) -> Result<Exit, CliError> {
    let of = &arguments.of;
    if !is_name(&of.item) || !is_name(&of.user) || of.user.len() > MAX_USER_LEN {
        let text =
            "names of users (up to 255 bytes) and secrets are not empty and have no control characters";
        return Err(CliError::Usage(text.into()));
    }
    let value = read_value(arguments)?;
    if value.is_empty() {
        return Err(CliError::Usage("the value is empty; `vault remove` removes a secret".into()));
    }
    vault.set(&of.user, BY_HAND, &of.item, &value)?;
    tell(context, of, "secret_set", "stored");
    Ok(Exit::Done)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(char::is_control)
}

/// The one line end of `echo TOKEN |` is no part of the token. What has several lines, such as a key, is taken as it is.
fn without_line_end(value: &mut Vec<u8>) {
    if value.iter().filter(|byte| **byte == b'\n').count() == 1 && value.ends_with(b"\n") {
        value.pop();
    }
}

fn read_value(arguments: &SetArguments) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let read = |from: &mut dyn Read| {
        let mut value = Zeroizing::new(Vec::with_capacity(64 << 10));
        from.take(MAX_VALUE_LEN as u64 + 1).read_to_end(&mut value)?;
        Ok::<_, io::Error>(value)
    };
    let value = match &arguments.from_file {
        Some(path) => std::fs::File::open(path)
            .and_then(|mut file| read(&mut file))
            .map_err(|source| CliError::File { flag: "--from-file", path: path.clone(), source })?,
        None if io::stdin().is_terminal() => {
            let typed = rpassword::prompt_password("The value (it is not shown): ");
            Zeroizing::new(typed.map_err(crate::cli::secret::SecretError::Prompt)?.into_bytes())
        }
        None => {
            let mut value = read(&mut io::stdin().lock()).map_err(|source| CliError::File {
                flag: "standard input",
                path: "-".into(),
                source,
            })?;
            without_line_end(&mut value);
            value
        }
    };
    match value.len() > MAX_VALUE_LEN {
        true => Err(CliError::Usage(format!("the value has more than {MAX_VALUE_LEN} bytes"))),
        false => Ok(value),
    }
}

/// Removes an item.
pub fn remove(context: &Context, vault: &Vault, of: &ItemArguments) -> Result<Exit, CliError> {
    if !vault.remove(&of.user, &of.item)? {
        return Err(of.not_there(vault));
    }
    tell(context, of, "secret_removed", "removed");
    Ok(Exit::Done)
}

fn tell(context: &Context, of: &ItemArguments, message_type: &'static str, word: &str) {
    let output = &context.output;
    if output.is_json() {
        output.object(&Changed { message_type, user: &of.user, item: &of.item });
    } else if !output.is_quiet() {
        output.line(&format!(
            "{word} {} of {}",
            text::name(of.item.as_bytes()),
            text::name(of.user.as_bytes())
        ));
    }
}

/// Writes every item, as it is now, to a file of its name below a folder. Nothing that is there is written over.
pub fn export(context: &Context, vault: &Vault, arguments: &ExportArguments) -> Result<Exit, CliError> {
    let document = document(vault, &arguments.user)?;
    let fail = |error: PlaceError| CliError::Write {
        path: arguments.target.clone(),
        source: io::Error::other(text::chain(&error)),
    };
    let target = Place::open_target(&arguments.target, IfMissing::Create).map_err(fail)?;
    let mut failed = 0;
    for item in document.items.keys() {
        let written = match vault.open(&document, item, None) {
            Ok(Some(value)) => {
                write_below(&target, &path_of_item(item), &value.bytes).map_err(|e| text::chain(&e))
            }
            Ok(None) => continue,
            Err(error) => Err(text::chain(&error)),
        };
        match written {
            Ok(()) if context.output.is_quiet() => {}
            Ok(()) => context.output.line(&text::name(item.as_bytes())),
            Err(why) => {
                failed += 1;
                context.output.warn(&format!("{item}: {why}"));
            }
        }
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Problems })
}

/// Names come out of the vault: they lead to nothing outside of the folder, and follow no link.
fn write_below(target: &Place, path: &[u8], bytes: &[u8]) -> Result<(), PlaceError> {
    let mut names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let name = names.pop().unwrap_or_default();
    let mut place = target.clone();
    for directory in names {
        place = place.make_directory(directory)?.0;
    }
    let now = Timestamp::now();
    let meta =
        EntryMeta { owner: None, mode: 0o600, mtime_s: now.as_second(), mtime_ns: 0, xattrs: Vec::new() };
    let file = place.create_file(name, Placement::New)?;
    file.write_at(bytes, 0)?;
    file.finish(&meta).map(drop)
}
