//! What ends an account before it is through. Damage does not.

use crate::engine::BrowseError;
use crate::index::IndexError;
use crate::repo::RepoError;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The local index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A snapshot cannot be looked into.
    #[error(transparent)]
    Browse(#[from] BrowseError),
    /// Someone asked to stop.
    #[error("interrupted before the end, so there are no figures; run the same command again")]
    Interrupted,
}
