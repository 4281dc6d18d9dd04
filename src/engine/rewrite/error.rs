//! What ends a rewrite. What is lost in the source is a problem of a home instead.

use crate::repo::RepoError;

/// Why a rewrite ended early.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// The source does not answer.
    #[error(transparent)]
    Source(RepoError),
    /// The target does not answer, or takes nothing.
    #[error(transparent)]
    Target(RepoError),
    /// Someone asked to stop.
    #[error("interrupted; what was stored so far is used by the next run")]
    Interrupted,
    /// A thread panicked.
    #[error("a thread panicked; this is a bug")]
    Panicked,
}

impl RewriteError {
    /// Damage of the source, which costs what it is about; any other of its errors ends the run.
    pub(super) fn unless_damage(error: RepoError) -> Result<RepoError, Self> {
        if error.is_damage() { Ok(error) } else { Err(Self::Source(error)) }
    }
}

/// Why a file has no content in the target.
#[derive(Debug)]
pub enum ContentError {
    /// It cannot be read in the source; others go on.
    Lost(RepoError),
    /// The run is over.
    Fatal(RewriteError),
}

impl ContentError {
    /// An error of the source.
    pub fn source(error: RepoError) -> Self {
        RewriteError::unless_damage(error).map_or_else(Self::Fatal, Self::Lost)
    }

    /// An error of the target.
    pub fn target(error: RepoError) -> Self {
        Self::Fatal(RewriteError::Target(error))
    }
}

impl From<RepoError> for ContentError {
    /// What a reader says on its own account.
    fn from(error: RepoError) -> Self {
        Self::source(error)
    }
}
