//! What ends a check before it is through. Damage does not.

use std::io;
use std::path::PathBuf;

use crate::engine::BrowseError;
use crate::engine::restore::RestoreError;
use crate::index::IndexError;
use crate::keys::KeyError;
use crate::repo::RepoError;

/// Why a check ended early.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The local index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// No random numbers.
    #[error(transparent)]
    Random(#[from] KeyError),
    /// A snapshot cannot be looked into.
    #[error(transparent)]
    Browse(#[from] BrowseError),
    /// Files of the sample cannot be restored at all.
    #[error("cannot restore a sample")]
    Restore(#[source] RestoreError),
    /// The scratch folder cannot be used.
    #[error("cannot use {path} for restoring a sample; name another cache folder with --cache-dir")]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A thread panicked.
    #[error("a thread of the check panicked; this is a bug")]
    Panicked,
    /// Someone asked to stop.
    #[error("interrupted before the end, so nothing can be said; run the same command again")]
    Interrupted,
}
