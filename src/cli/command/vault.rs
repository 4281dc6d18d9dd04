//! `vault`: secrets, which are kept apart from everything else. A file for listing, one for values, one for upkeep.

mod list;
mod rules;
mod upkeep;
mod value;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::vault;
use crate::vault::{Document, Vault, Version};

/// List, show, set and remove secrets, which are kept apart from everything else
///
/// Secrets are what `homekeep vault rules` names: private keys, tokens, passwords. A backup puts them into the vault,
/// sealed, one document per user; a restore puts them back. No command prints a value unless told to.
#[derive(Debug, Args)]
pub struct VaultArguments {
    #[command(subcommand)]
    command: VaultCommand,
}

#[derive(Debug, Subcommand)]
enum VaultCommand {
    /// Show what counts as a secret
    Rules,
    /// List who has secrets, or what a user has
    List {
        /// Whose
        user: Option<String>,
    },
    /// Show the versions of one secret
    Show(ItemArguments),
    /// Write a secret's value to a file, or print it
    Get(GetArguments),
    /// Store a secret that is in no file, such as a token
    Set(SetArguments),
    /// Remove a secret with all its versions
    Remove(ItemArguments),
    /// Open every value, and tell what does not open and who may read the vault
    Verify(UsersArguments),
    /// Seal every value anew, with the repository's key
    Rotate(UsersArguments),
    /// Write all of a user's secrets, as they are now, to files
    Export(ExportArguments),
    /// Write a key that opens the vault without the repository
    Key {
        /// The new file
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct ItemArguments {
    /// Whose
    user: String,
    /// The secret's name: for a file, its path in the home
    item: String,
}

#[derive(Debug, Args)]
struct GetArguments {
    #[command(flatten)]
    of: ItemArguments,
    /// This version, by its id in `vault show`, and not the newest
    #[arg(long, value_name = "VERSION", value_parser = version)]
    version: Option<Version>,
    /// A new file for the value, which only you can read
    #[arg(short, long, value_name = "FILE", required_unless_present = "print")]
    output: Option<PathBuf>,
    /// Print the value
    #[arg(long, conflicts_with = "output")]
    print: bool,
}

/// Without --from-file, the value is asked for on a terminal, and else read from standard input: a single line
/// without its end, several lines as they are.
#[derive(Debug, Args)]
struct SetArguments {
    #[command(flatten)]
    of: ItemArguments,
    /// The file that has the value
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct UsersArguments {
    /// Whose; everyone's if nobody is named
    users: Vec<String>,
}

#[derive(Debug, Args)]
struct ExportArguments {
    /// Whose
    user: String,
    /// A folder for the files; it is made if it is missing
    #[arg(short, long, value_name = "DIR")]
    target: PathBuf,
}

fn version(text: &str) -> Result<Version, String> {
    text.parse().map_err(|()| "a version has 16 digits, as `vault show` prints them".to_string())
}

/// Does what the subcommand says.
pub fn run(context: &Context, arguments: &VaultArguments) -> Result<Exit, CliError> {
    match &arguments.command {
        VaultCommand::Rules => rules::run(context),
        VaultCommand::List { user: None } => list::users(context, &*vault::require(context)?),
        VaultCommand::List { user: Some(user) } => list::items(context, &*vault::require(context)?, user),
        VaultCommand::Show(of) => list::versions(context, &*vault::require(context)?, of),
        VaultCommand::Get(get) => value::get(context, &*vault::require(context)?, get),
        VaultCommand::Set(set) => value::set(context, &*vault::require(context)?, set),
        VaultCommand::Remove(of) => value::remove(context, &*vault::require(context)?, of),
        VaultCommand::Export(export) => value::export(context, &*vault::require(context)?, export),
        VaultCommand::Verify(users) => upkeep::verify(context, &*vault::require(context)?, &users.users),
        VaultCommand::Rotate(users) => upkeep::rotate(context, &*vault::require(context)?, &users.users),
        VaultCommand::Key { file } => upkeep::key(context, file),
    }
}

/// A user's document, which has to be there.
fn document(vault: &Vault, user: &str) -> Result<Document, CliError> {
    vault.read(user)?.ok_or_else(|| not_there(vault, format!("secrets of {user:?}")))
}

fn not_there(vault: &Vault, what: String) -> CliError {
    CliError::NotInVault { location: vault.provider().location(), what }
}

impl ItemArguments {
    fn not_there(&self, vault: &Vault) -> CliError {
        not_there(vault, format!("secret {:?} of {:?}", self.item, self.user))
    }
}
