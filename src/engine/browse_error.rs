//! What can go wrong while looking into a snapshot. Every variant names the path it happened at.

use std::io;

use super::{HomePath, Kind};
use crate::repo::RepoError;

/// Why something in a snapshot could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum BrowseError {
    /// The snapshot has nothing of that name.
    #[error("there is no {path} in this snapshot; the nearest directory that exists is {nearest}")]
    NotFound {
        /// What was asked for.
        path: HomePath,
        /// The deepest directory on the way to it that is there.
        nearest: HomePath,
    },
    /// The path goes on below something that holds nothing.
    #[error("{path} is {kind}, not a directory")]
    NotDirectory {
        /// What was taken for a directory.
        path: HomePath,
        /// What it is.
        kind: Kind,
    },
    /// Only a file has bytes.
    #[error("{path} is {kind}, not a file")]
    NotFile {
        /// What was taken for a file.
        path: HomePath,
        /// What it is.
        kind: Kind,
    },
    /// The name was saved without the bytes.
    #[error("{path} was a hard link to another user's file: the snapshot has its name, not its content")]
    WithoutContent {
        /// The file.
        path: HomePath,
    },
    /// It is a secret.
    #[error("{path} is in the vault, not in the repository: `homekeep vault get` brings it")]
    InVault {
        /// The file.
        path: HomePath,
    },
    /// The repository does not give it back.
    #[error("cannot read {path}")]
    Read {
        /// The file or directory.
        path: HomePath,
        /// Why.
        source: RepoError,
    },
    /// The output takes no more.
    #[error("cannot write the output")]
    Write(#[from] io::Error),
}

impl BrowseError {
    /// For `map_err`: a failure of the repository, at `path`.
    pub(super) fn at(path: &HomePath) -> impl FnOnce(RepoError) -> Self {
        |source| Self::Read { path: path.clone(), source }
    }
}
