//! What can go wrong with a vault.

use super::document::DocumentError;
use super::provider::ProviderError;
use super::secret::{UnsealError, Version};
use crate::keys::KeyError;

/// Why something was not read from or put into a vault. No variant ever has a value's bytes.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The provider could not.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// What the provider has is not what homekeep wrote.
    #[error(
        "the secrets of {user} in {location} cannot be read: {source}. Nothing is written over them; bring them back from a copy, \
         or move them away"
    )]
    Document {
        /// Whose.
        user: String,
        /// Where.
        location: String,
        /// What is wrong.
        source: DocumentError,
    },
    /// The document is sealed with a secret that is not at hand.
    #[error(
        "the secrets of {user} in {location} are sealed with another key ({id}): open the repository that they were saved with, \
         or name that key with key-file in [vault]"
    )]
    OtherSecret {
        /// Whose.
        user: String,
        /// Where.
        location: String,
        /// Names the secret.
        id: String,
    },
    /// Others write the same document all the time.
    #[error("the secrets of {user} in {location} are being written by somebody else all the time; try again")]
    Contended {
        /// Whose.
        user: String,
        /// Where.
        location: String,
    },
    /// A value does not open.
    #[error("{item:?} of {user} (version {version}) does not open: {source}")]
    Unseal {
        /// Whose.
        user: String,
        /// Which item.
        item: String,
        /// Which version.
        version: Version,
        /// Why.
        source: UnsealError,
    },
    /// It would not fit.
    #[error(
        "the secrets of {user} would take more than the {limit} bytes that {location} keeps for one user. {advice}"
    )]
    TooLarge {
        /// Whose.
        user: String,
        /// Where.
        location: String,
        /// Bytes that a document may have.
        limit: usize,
        /// The largest items, and what to do.
        advice: String,
    },
    /// No random bytes.
    #[error(transparent)]
    Key(#[from] KeyError),
}
