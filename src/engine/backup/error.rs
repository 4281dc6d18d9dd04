//! What ends a whole backup run. A single file's trouble is a problem in the report instead.

use std::io;
use std::path::PathBuf;

use crate::files::rules::RuleError;
use crate::format::SnapshotRecord;
use crate::index::IndexError;
use crate::repo::RepoError;

/// Why a run ended without a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The place of the homes cannot be read.
    #[error("cannot read {path}")]
    Homes {
        /// The place.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A path that names no user.
    #[error("{0} has no last component to call the user by; name a home's own directory")]
    NoUser(PathBuf),
    /// Two paths name one user.
    #[error("{0} is the second home with this name in one run; save them in runs with different --source")]
    SameUser(PathBuf),
    /// There is nothing to save, and never was.
    #[error("there is no home in {0}")]
    NoHomes(String),
    /// A user was asked for who has no home here.
    #[error("{} has no home among those of this run", String::from_utf8_lossy(.0))]
    NoSuchUser(Vec<u8>),
    /// A text is longer than any in a snapshot record.
    #[error(
        "the {what} has {length} bytes, and a snapshot keeps no more than {max}",
        max = SnapshotRecord::MAX_TEXT_LEN
    )]
    LongText {
        /// What it is.
        what: &'static str,
        /// Its bytes.
        length: usize,
    },
    /// More tags than a snapshot record has.
    #[error("{0} tags are given, and a snapshot keeps no more than {max}", max = SnapshotRecord::MAX_TAGS)]
    ManyTags(usize),
    /// A pattern cannot be used.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The local index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The local index spoke of a tree that the repository lacks.
    #[error("the local index does not fit the repository")]
    StaleIndex,
    /// Prunes condemned again and again what the run relied on.
    #[error(
        "other programs pruned the repository {0} times while this run went on; no snapshot is called safe. Run it again"
    )]
    Outrun(u32),
    /// Someone asked to stop.
    #[error("interrupted; what was stored so far is used by the next run")]
    Interrupted,
    /// A thread panicked.
    #[error("a thread of the walk panicked; this is a bug")]
    Panicked,
}
