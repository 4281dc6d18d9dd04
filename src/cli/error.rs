//! What ends a command, how it is said, and which exit code it has.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::config::ConfigError;
use super::exit::Exit;
use super::output::{Format, complain, complain_object};
use super::secret::SecretError;
use super::text;
use crate::engine::BrowseError;
use crate::engine::backup::BackupError;
use crate::engine::check::CheckError;
use crate::engine::copy::CopyError;
use crate::engine::find::QueryError;
use crate::engine::forget::ForgetError;
use crate::engine::prune::PruneError;
use crate::engine::repair::RepairError;
use crate::engine::restore::RestoreError;
use crate::engine::select::SelectError;
use crate::engine::usage::UsageError;
use crate::format::{FormatError, SegmentError};
use crate::index::IndexError;
use crate::keys::{KeyError, KeyFileError};
use crate::repo::RepoError;
use crate::store::StoreError;
use crate::vault::{DocumentError, ProviderError, VaultError};

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line makes no sense in a way the parser cannot see.
    #[error("{0}")]
    Usage(String),
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that a flag names cannot be read.
    #[error("cannot read {path} ({flag})", path = .path.display())]
    File {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key or passphrase cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The folder for a new repository holds other things.
    #[error("{} is not empty; a new repository wants a folder of its own", .0.display())]
    Occupied(PathBuf),
    /// Objects of a repository without its descriptor.
    #[error("{} holds objects of a repository, but its file `format` is gone; nothing was written", .0.display())]
    Headless(PathBuf),
    /// Another program keeps its repository there.
    #[error("{} holds a repository of another program (restic, rustic or borg)", .0.display())]
    OtherProgram(PathBuf),
    /// Another backup or prune runs.
    #[error("another {0} is running on this machine")]
    Busy(&'static str),
    /// The lock against a second backup cannot be had.
    #[error("cannot lock {}", .path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No snapshot, key or object has an id that begins so.
    #[error("no {what} has an id that begins with {id:?}")]
    Unknown {
        /// The kind of thing.
        what: &'static str,
        /// As it was given.
        id: String,
    },
    /// Several have.
    #[error("more than one {what} has an id that begins with {id:?}; give more digits")]
    Ambiguous {
        /// The kind of thing.
        what: &'static str,
        /// As it was given.
        id: String,
    },
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The repair.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// There is nothing to copy from.
    #[error("there is no repository in {0} to copy from; name the right place with --from-repo")]
    NoSource(String),
    /// The copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// What was typed means no snapshot, home or path.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A snapshot does not show what was asked for.
    #[error(transparent)]
    Browse(BrowseError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Something the vault does not have.
    #[error("{location} has no {what}")]
    NotInVault {
        /// Where.
        location: String,
        /// Whose, and what.
        what: String,
    },
    /// The prune.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// The check.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The account of who uses what.
    #[error(transparent)]
    Account(#[from] UsageError),
    /// The restore.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// Forgetting.
    #[error(transparent)]
    Forget(#[from] ForgetError),
    /// What to search for.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Bytes that are no text were to go to a terminal.
    #[error("this is no text, and standard output is a terminal")]
    Terminal,
    /// Whoever read the bytes closed the pipe before all were written.
    #[error("the output was closed before all was written")]
    PipeClosed,
    /// The results cannot be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// Something else stands where a file of results was to be.
    #[error("{} is there and is no {what} of homekeep's; it was left alone: name another file, or move it away", .path.display())]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// What would have been replaced.
        what: &'static str,
    },
    /// A file of results cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[derive(Serialize)]
struct ExitError<'a> {
    message_type: &'static str,
    code: u8,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl CliError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Config(_) | Self::Query(_) | Self::Terminal => Exit::Usage,
            Self::PipeClosed => Exit::PipeClosed,
            Self::Secret(_) => Exit::NoKey,
            Self::Headless(_) => Exit::Damaged,
            Self::OtherProgram(_) => Exit::Foreign,
            Self::Busy(_) => Exit::Busy,
            Self::NoSource(_) => Exit::NoRepository,
            Self::Repository(error) => repository_exit(error),
            Self::Backup(error) => backup_exit(error),
            Self::Copy(error) => copy_exit(error),
            Self::Repair(error) => repair_exit(error),
            Self::Select(SelectError::Spec(_) | SelectError::Time(_) | SelectError::Path(_)) => Exit::Usage,
            Self::Browse(BrowseError::Read { source, .. }) => repository_exit(source),
            Self::Prune(error) => prune_exit(error),
            Self::Vault(error) => vault_exit(error),
            Self::Restore(error) => restore_exit(error),
            Self::Forget(error) => forget_exit(error),
            Self::Check(error) => check_exit(error),
            Self::Account(error) => account_exit(error),
            Self::File { .. }
            | Self::Occupied(_)
            | Self::Lock { .. }
            | Self::Unknown { .. }
            | Self::Ambiguous { .. }
            | Self::Select(_)
            | Self::Browse(_)
            | Self::NotInVault { .. }
            | Self::Output(_)
            | Self::OtherFile { .. }
            | Self::Write { .. } => Exit::Failed,
        }
    }

    /// Removes the local index if it is the one at fault: what it says stands in the repository too.
    pub fn discard_damaged_index(&self, caches: &Path) {
        if let Some(error) = self.index_error() {
            error.discard_damaged(caches);
        }
    }

    fn index_error(&self) -> Option<&IndexError> {
        let error = match self {
            Self::Backup(BackupError::Index(error))
            | Self::Restore(RestoreError::Index(error))
            | Self::Account(UsageError::Index(error)) => return Some(error),
            Self::Repository(error)
            | Self::Backup(BackupError::Repository(error))
            | Self::Restore(RestoreError::Repository(error))
            | Self::Account(UsageError::Repository(error))
            | Self::Prune(PruneError::Repository(error))
            | Self::Check(CheckError::Repository(error))
            | Self::Forget(ForgetError::Repository(error))
            | Self::Repair(RepairError::Repository(error))
            | Self::Browse(BrowseError::Read { source: error, .. }) => error,
            _ => return None,
        };
        if let RepoError::Index(error) = error { Some(error) } else { None }
    }

    /// What to try next, where the message does not say it.
    fn hint(&self) -> Option<&'static str> {
        match self {
            error if error.index_error().is_some_and(IndexError::is_damage) => {
                Some("run the same command again: the index is damaged, was removed, and is made anew")
            }
            Self::Secret(SecretError::KeyFile(KeyFileError::Missing(_))) => Some(
                "without its key nobody can read a repository: look for the copy you put away. A passphrase is \
                 given by --password-file, --password-command or HOMEKEEP_PASSWORD",
            ),
            Self::Occupied(_) | Self::OtherProgram(_) => Some("name an empty or new folder with --repo"),
            Self::Headless(_) => Some("bring the file back from a copy of the repository"),
            Self::Busy(_) => Some("wait for it to end; no lock needs to be removed"),
            Self::Unknown { what: "snapshot", .. }
            | Self::Select(SelectError::NoSuchId(_) | SelectError::TooOld { .. }) => {
                Some("`homekeep snapshots` lists them")
            }
            Self::Select(SelectError::NoSnapshots { is_filtered: true }) => {
                Some("`homekeep snapshots` lists what there is")
            }
            Self::Select(SelectError::NoSnapshots { is_filtered: false }) => {
                Some("`homekeep backup` takes one")
            }
            Self::Select(SelectError::Ambiguous { .. }) => Some("give more digits"),
            Self::Write { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                Some("--force writes over it")
            }
            Self::NotInVault { .. } => {
                Some("`homekeep vault list` lists users, `homekeep vault list USER` what they have")
            }
            Self::Terminal => Some("name a file with -o, or use --force"),
            Self::Unknown { what: "key", .. } => Some("`homekeep key list` lists them"),
            Self::Forget(ForgetError::Everything(_) | ForgetError::NoRule) => {
                Some("if that is what you want, say so with --allow-forget-all")
            }
            Self::Backup(BackupError::NoHomes(_)) => {
                Some("name the homes: `homekeep backup PATH…`, or `homekeep backup --homes DIR`")
            }
            Self::Copy(CopyError::Source(RepoError::Key(_))) => {
                Some("--from-key-file, --from-password-file or --from-password-command name another")
            }
            Self::Backup(BackupError::Repository(error))
            | Self::Copy(CopyError::Source(error) | CopyError::Target(error))
            | Self::Repair(RepairError::Repository(error))
            | Self::Repository(error)
            | Self::Prune(PruneError::Repository(error))
            | Self::Restore(RestoreError::Repository(error))
            | Self::Forget(ForgetError::Repository(error))
            | Self::Check(CheckError::Repository(error))
            | Self::Account(UsageError::Repository(error))
            | Self::Browse(BrowseError::Read { source: error, .. }) => repository_hint(error),
            _ => None,
        }
    }

    /// Whether there is no error: whoever read the results closed the pipe.
    pub fn is_seen_enough(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Says the error, with its causes, once.
    pub fn report(&self, format: Format) {
        // Whoever closed the pipe knows; `cat` says nothing either.
        if !matches!(self, Self::PipeClosed) {
            say(format, self.exit(), &text::chain(self), self.hint());
        }
    }
}

impl From<BrowseError> for CliError {
    fn from(error: BrowseError) -> Self {
        match error {
            BrowseError::Write(error) => Self::Output(error),
            error => Self::Browse(error),
        }
    }
}

/// Says why the program ends.
pub fn say(format: Format, exit: Exit, message: &str, hint: Option<&str>) {
    match format {
        Format::Human => {
            complain(&format!("homekeep: error: {}", text::safe(message)));
            if let Some(hint) = hint {
                complain(&format!("homekeep: hint: {hint}"));
            }
        }
        Format::Json => {
            complain_object(&ExitError { message_type: "exit_error", code: exit.code(), message, hint });
        }
    }
}

fn backup_exit(error: &BackupError) -> Exit {
    match error {
        BackupError::Interrupted => Exit::Interrupted,
        BackupError::Rule(_)
        | BackupError::NoUser(_)
        | BackupError::SameUser(_)
        | BackupError::LongText { .. }
        | BackupError::ManyTags(_) => Exit::Usage,
        BackupError::Repository(error) => repository_exit(error),
        _ => Exit::Failed,
    }
}

fn vault_exit(error: &VaultError) -> Exit {
    match error {
        VaultError::Provider(ProviderError::Configuration(_)) => Exit::Usage,
        VaultError::OtherSecret { .. } => Exit::WrongKey,
        VaultError::Document { source: DocumentError::Format(_), .. } => Exit::Newer,
        VaultError::Document { .. } | VaultError::Unseal { .. } => Exit::Damaged,
        _ => Exit::Failed,
    }
}

fn prune_exit(error: &PruneError) -> Exit {
    match error {
        PruneError::Interrupted => Exit::Interrupted,
        PruneError::Repository(error) => repository_exit(error),
        PruneError::DamagedCommit(_) | PruneError::Vanished(_) | PruneError::Gone(_) => Exit::Damaged,
        _ => Exit::Failed,
    }
}

fn repair_exit(error: &RepairError) -> Exit {
    match error {
        RepairError::Interrupted => Exit::Interrupted,
        RepairError::Repository(error) => repository_exit(error),
        RepairError::Index(_) | RepairError::Outrun(_) | RepairError::Panicked => Exit::Failed,
    }
}

fn copy_exit(error: &CopyError) -> Exit {
    match error {
        CopyError::SameRepository => Exit::Usage,
        CopyError::Interrupted => Exit::Interrupted,
        CopyError::Source(error) | CopyError::Target(error) => repository_exit(error),
        CopyError::Outrun(_) | CopyError::Panicked => Exit::Failed,
    }
}

fn restore_exit(error: &RestoreError) -> Exit {
    match error {
        RestoreError::Interrupted => Exit::Interrupted,
        RestoreError::Rule(_) => Exit::Usage,
        RestoreError::Repository(error) => repository_exit(error),
        _ => Exit::Failed,
    }
}

fn forget_exit(error: &ForgetError) -> Exit {
    match error {
        ForgetError::NoRule => Exit::Usage,
        ForgetError::Everything(_) => Exit::Failed,
        ForgetError::Interrupted { .. } => Exit::Interrupted,
        ForgetError::Repository(error) => repository_exit(error),
    }
}

fn account_exit(error: &UsageError) -> Exit {
    match error {
        UsageError::Repository(error) | UsageError::Browse(BrowseError::Read { source: error, .. }) => {
            repository_exit(error)
        }
        UsageError::Interrupted => Exit::Interrupted,
        UsageError::Index(_) | UsageError::Browse(_) => Exit::Failed,
    }
}

fn check_exit(error: &CheckError) -> Exit {
    match error {
        CheckError::Interrupted => Exit::Interrupted,
        CheckError::Repository(error) => repository_exit(error),
        CheckError::Restore(error) => restore_exit(error),
        _ => Exit::Failed,
    }
}

fn repository_exit(error: &RepoError) -> Exit {
    match error {
        RepoError::Absent(_) => Exit::NoRepository,
        RepoError::Key(KeyError::Wrong | KeyError::OtherKind) | RepoError::WrongOrDamagedSlot(_) => {
            Exit::WrongKey
        }
        RepoError::Key(KeyError::Cost(_)) | RepoError::NoSlots => Exit::Damaged,
        RepoError::Forged(_) | RepoError::Segment { source: SegmentError::ForeignKey, .. } => Exit::Foreign,
        RepoError::Format { source, .. }
        | RepoError::Segment { source: SegmentError::Format(source), .. } => format_exit(source),
        RepoError::Segment { .. } | RepoError::Damaged { .. } | RepoError::MissingChunk(_) => Exit::Damaged,
        RepoError::Store(StoreError::NotFound { .. } | StoreError::Short { .. }) => Exit::Damaged,
        RepoError::Maintained(_) => Exit::Newer,
        RepoError::LongLabel(_) => Exit::Usage,
        _ => Exit::Failed,
    }
}

fn format_exit(error: &FormatError) -> Exit {
    match error {
        FormatError::Version { .. } | FormatError::Feature(_) => Exit::Newer,
        FormatError::Magic(_) => Exit::Foreign,
        FormatError::Malformed { .. } | FormatError::NotCanonical(_) => Exit::Damaged,
    }
}

fn repository_hint(error: &RepoError) -> Option<&'static str> {
    match repository_exit(error) {
        Exit::WrongKey => Some("--key-file, --password-file or --password-command name another"),
        Exit::Damaged => Some("bring the object back from a copy of the repository, under the same name"),
        Exit::Foreign => Some("look whether --repo names the right place"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_of_trouble_has_a_code_of_its_own() {
        let format = |source| RepoError::Format { name: "format".into(), source };
        let name = crate::format::ObjectName::descriptor();
        let cases = [
            (RepoError::Absent("/x".into()), Exit::NoRepository),
            (RepoError::Key(KeyError::Wrong), Exit::WrongKey),
            (RepoError::WrongOrDamagedSlot(name.clone()), Exit::WrongKey),
            (RepoError::Damaged { name: name.clone(), reason: "x".into() }, Exit::Damaged),
            (RepoError::Forged(name.clone()), Exit::Foreign),
            (format(FormatError::Magic("the descriptor")), Exit::Foreign),
            (format(FormatError::Feature("x".into())), Exit::Newer),
            (format(FormatError::NotCanonical("descriptor")), Exit::Damaged),
            (RepoError::Maintained(name), Exit::Newer),
            (RepoError::Stopped, Exit::Failed),
        ];
        for (error, exit) in cases {
            assert_eq!(CliError::from(error).exit(), exit);
        }
        let missing = SecretError::from(KeyFileError::Missing("/x".into()));
        assert_eq!(CliError::from(missing).exit(), Exit::NoKey);
        assert_eq!(CliError::from(BackupError::Interrupted).exit(), Exit::Interrupted);
        assert_eq!(CliError::from(BackupError::ManyTags(65)).exit(), Exit::Usage);
    }
}
