//! What ends a prune. Whatever it is, nothing that a snapshot needs is gone.

use crate::format::{ObjectName, ShortHash};
use crate::index::IndexError;
use crate::repo::RepoError;

/// Why a prune ended early.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Snapshots that were there at an earlier prune are gone, and nobody recorded that they were deleted.
    #[error(
        "{} snapshots that an earlier prune saw are gone, and no record says that they were deleted: \
         the store may list too little. Look at it, then go on with --force-prune",
        .0.len()
    )]
    Vanished(Vec<ShortHash>),
    /// Snapshots that this machine knew are gone, and nobody recorded that they were deleted.
    #[error(
        "gone without a record that they were deleted, so that what only they need would go: {}. \
         Bring these commits back from a copy, or give them up with --force-prune",
        .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Gone(Vec<ObjectName>),
    /// There would be no snapshot left.
    #[error(
        "no snapshot is left that anything is kept for, and {segments} segments would go. If that is what you want, \
         say --force-prune"
    )]
    NothingLeft {
        /// How many segments there are.
        segments: usize,
    },
    /// Most of the repository belongs to no snapshot.
    #[error(
        "{orphans} of {all} segments belong to no snapshot, forgotten or not: the store may list too little. \
         Look at it, then go on with --force-prune"
    )]
    ManyOrphans {
        /// How many belong to none.
        orphans: usize,
        /// How many there are.
        all: usize,
    },
    /// A commit cannot be read, so it is unknown what it needs.
    #[error(
        "what a snapshot needs is unknown, so nothing is deleted. Bring its commit back from a copy, or give it up with --force-prune"
    )]
    DamagedCommit(#[source] RepoError),
    /// Someone asked to stop.
    #[error("interrupted; the next prune goes on from here")]
    Interrupted,
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The local index.
    #[error(transparent)]
    Index(#[from] IndexError),
}
