//! What ends a copy. What is lost in the source is a problem in the report instead.

use crate::engine::rewrite::RewriteError;
use crate::repo::RepoError;

/// Why a copy ended early. The snapshots that were copied until then stand.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Both are one.
    #[error(
        "both repositories are the same, or one is a plain copy of the other: such a copy is brought up to \
         date with rsync or the like. `homekeep init` makes a repository of its own"
    )]
    SameRepository,
    /// The repository that is copied from.
    #[error(transparent)]
    Source(RepoError),
    /// The repository that is copied into.
    #[error(transparent)]
    Target(RepoError),
    /// Someone asked to stop.
    #[error("interrupted; what was copied so far stands, and the next run goes on from there")]
    Interrupted,
    /// Prunes of the target were always faster.
    #[error("a prune took away what the copy relied on, {0} times in a row; run it again when no prune runs")]
    Outrun(usize),
    /// A thread panicked.
    #[error("a thread of the copy panicked; this is a bug")]
    Panicked,
}

impl From<RewriteError> for CopyError {
    fn from(error: RewriteError) -> Self {
        match error {
            RewriteError::Source(error) => Self::Source(error),
            RewriteError::Target(error) => Self::Target(error),
            RewriteError::Interrupted => Self::Interrupted,
            RewriteError::Panicked => Self::Panicked,
        }
    }
}
