//! Secrets apart from everything else: per user one JSON document, kept by a provider outside of the repository.
//!
//! Values are sealed here, under keys that the repository's key leads to; the provider sees names and sizes. What a
//! document holds, and what that hides from whom, stands in docs/vault.md and docs/security.md.

pub mod command;
pub mod databricks;
pub mod directory;
mod document;
mod documents;
mod error;
mod item;
mod names;
mod provider;
mod secret;
mod settings;
mod unopened;
mod words;

pub use document::{Document, DocumentError, Item, Stored};
pub use documents::{Found, Updated, Value, Vault};
pub use error::VaultError;
pub use item::{item_of_path, path_of_item};
pub use provider::{Grant, Listing, Provider, ProviderError, Stamp, Written};
pub use secret::{MAX_VALUE_LEN, UnsealError, VaultSecret, Version};
pub use settings::{DEFAULT_CALLS_PER_SECOND, ProviderSettings, open};
pub use unopened::UnopenedProvider;
