//! What ends a repair. What was repaired until then stands.

use crate::engine::rewrite::RewriteError;
use crate::index::IndexError;
use crate::repo::RepoError;

/// Why a repair ended early.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The local index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Prunes were always faster.
    #[error(
        "a prune took away what the repair relied on, {0} times in a row; run it again when no prune runs"
    )]
    Outrun(usize),
    /// Someone asked to stop.
    #[error("interrupted; the next repair goes on from here")]
    Interrupted,
    /// A thread panicked.
    #[error("a thread of the repair panicked; this is a bug")]
    Panicked,
}

impl From<RewriteError> for RepairError {
    fn from(error: RewriteError) -> Self {
        match error {
            RewriteError::Source(error) | RewriteError::Target(error) => Self::Repository(error),
            RewriteError::Interrupted => Self::Interrupted,
            RewriteError::Panicked => Self::Panicked,
        }
    }
}
