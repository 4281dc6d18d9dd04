//! Why nothing, or not everything, was forgotten.

use crate::repo::RepoError;

/// Why forgetting ended early.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// A policy that keeps nothing.
    #[error("no rule says what to keep, so that everything else would go: give one, such as --keep-daily 7")]
    NoRule,
    /// Nothing would be left.
    #[error("this would forget every snapshot of {0}")]
    Everything(String),
    /// Someone asked to stop.
    #[error("interrupted; {done} of {wanted} snapshots were forgotten, and the next run goes on")]
    Interrupted {
        /// How many were.
        done: usize,
        /// How many there were to forget.
        wanted: usize,
    },
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepoError),
}
