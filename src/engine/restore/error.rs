//! What ends a whole restore. A single file's trouble is a problem in the report instead.

use std::path::PathBuf;

use super::RestoreTarget;
use crate::files::place::PlaceError;
use crate::files::rules::RuleError;
use crate::index::IndexError;
use crate::repo::RepoError;

/// Why a restore ended early.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The target cannot be used.
    #[error("cannot restore into {path}")]
    Target {
        /// The target.
        path: PathBuf,
        /// Why.
        source: PlaceError,
    },
    /// No room in the target.
    #[error("no space left in {0}. Free some and run the same command again: it goes on where it ended")]
    Full(RestoreTarget),
    /// A home's recorded place cannot be used.
    #[error("the snapshot gives no usable place for the home of {0:?}; restore it with --target")]
    NoPlace(String),
    /// The folder for homes of users without an account is not for root alone.
    #[error("{0} is there, and others than whoever runs this may enter it or own it; move it away")]
    Staging(PathBuf),
    /// The mark on a home that comes back cannot be set.
    #[error("cannot write into the cache, {path}")]
    Marker {
        /// The cache.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A pattern cannot be used.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The local index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Someone asked to stop.
    #[error("interrupted; run the same command again to go on")]
    Interrupted,
    /// A thread panicked.
    #[error("a thread of the restore panicked; this is a bug")]
    Panicked,
}
