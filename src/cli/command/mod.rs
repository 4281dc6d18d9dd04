//! The commands: a file each. To add one, add its module, its variant and its arm here.

mod backup;
mod cat;
mod completions;
mod init;
mod key;
mod man;
mod restore;
mod snapshots;

use clap::Subcommand;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a repository, and its key file if that is missing
    Init(init::InitArguments),
    /// Take a snapshot of every home under /home (as root), of your own home, or of the homes named
    #[command(visible_alias = "snapshot")]
    Backup(Box<backup::BackupArguments>),
    /// List snapshots
    #[command(visible_alias = "list")]
    Snapshots(snapshots::SnapshotsArguments),
    /// Bring homes, directories or files back
    Restore(Box<restore::RestoreArguments>),
    /// List, add, remove and change what opens the repository
    Key(key::KeyArguments),
    /// Print an object of the repository, for debugging
    Cat(cat::CatArguments),
    /// Print completions for a shell
    Completions(completions::CompletionsArguments),
    /// Print the manual page, or write the pages of all commands
    Man(man::ManArguments),
}

impl Command {
    /// Does it.
    pub fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Init(arguments) => init::run(context, &arguments),
            Self::Backup(arguments) => backup::run(context, &arguments),
            Self::Snapshots(arguments) => snapshots::run(context, &arguments),
            Self::Restore(arguments) => restore::run(context, &arguments),
            Self::Key(arguments) => key::run(context, &arguments),
            Self::Cat(arguments) => cat::run(context, &arguments),
            Self::Completions(arguments) => completions::run(context, &arguments),
            Self::Man(arguments) => man::run(context, &arguments),
        }
    }
}
