//! The commands: a file each. To add one, add its module, its variant and its arm here.

mod backup;
mod cat;
mod check;
mod completions;
mod copy;
mod diff;
mod dump;
mod find;
mod forget;
mod init;
mod key;
mod ls;
mod man;
mod prune;
mod repair;
mod restore;
mod snapshots;
mod stats;
mod undo;
mod usage;
mod vault;

pub use prune::{Age, Unused};

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
    /// List the homes of a snapshot, or a directory in one of them
    Ls(ls::LsArguments),
    /// Search all snapshots, or one, for names, kinds, sizes and times
    Find(Box<find::FindArguments>),
    /// Show what differs between two snapshots
    Diff(diff::DiffArguments),
    /// Print a file of a snapshot, or a directory as a tar archive
    Dump(dump::DumpArguments),
    /// Bring homes, directories or files back
    Restore(Box<restore::RestoreArguments>),
    /// Forget snapshots: all that a policy does not keep, or those that are named
    Forget(Box<forget::ForgetArguments>),
    /// Delete what no snapshot needs, and repack what is mostly not needed
    Prune(prune::PruneArguments),
    /// Take back that snapshots were forgotten, until a prune has deleted what they need
    Undo(undo::UndoArguments),
    /// Copy snapshots from another repository into this one
    Copy(Box<copy::CopyArguments>),
    /// Say who uses what, what is shared, what a folder or a snapshot costs, and how it grows
    Usage(Box<usage::UsageArguments>),
    /// Count what snapshots hold
    Stats(stats::StatsArguments),
    /// Check that everything that was saved comes back
    Check(check::CheckArguments),
    /// Make the best of damage
    Repair(repair::RepairArguments),
    /// List, add, remove and change what opens the repository
    Key(key::KeyArguments),
    /// List, show, set and remove secrets, which are kept apart from everything else
    Vault(vault::VaultArguments),
    /// Print an object of the repository, for debugging
    Cat(cat::CatArguments),
    /// Print completions for a shell
    Completions(completions::CompletionsArguments),
    /// Print the manual page, or write the pages of all commands
    Man(man::ManArguments),
}

impl Command {
    /// Whether it is to end well whatever happens.
    pub fn is_best_effort(&self) -> bool {
        matches!(self, Self::Restore(arguments) if arguments.best_effort)
    }

    /// Does it.
    pub fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Init(arguments) => init::run(context, &arguments),
            Self::Backup(arguments) => backup::run(context, &arguments),
            Self::Snapshots(arguments) => snapshots::run(context, &arguments),
            Self::Ls(arguments) => ls::run(context, &arguments),
            Self::Find(arguments) => find::run(context, &arguments),
            Self::Diff(arguments) => diff::run(context, &arguments),
            Self::Dump(arguments) => dump::run(context, &arguments),
            Self::Restore(arguments) => restore::run(context, &arguments),
            Self::Forget(arguments) => forget::run(context, &arguments),
            Self::Prune(arguments) => prune::run(context, &arguments),
            Self::Undo(arguments) => undo::run(context, &arguments),
            Self::Copy(arguments) => copy::run(context, &arguments),
            Self::Usage(arguments) => usage::run(context, &arguments),
            Self::Stats(arguments) => stats::run(context, &arguments),
            Self::Check(arguments) => check::run(context, &arguments),
            Self::Repair(arguments) => repair::run(context, &arguments),
            Self::Key(arguments) => key::run(context, &arguments),
            Self::Vault(arguments) => vault::run(context, &arguments),
            Self::Cat(arguments) => cat::run(context, &arguments),
            Self::Completions(arguments) => completions::run(context, &arguments),
            Self::Man(arguments) => man::run(context, &arguments),
        }
    }
}
