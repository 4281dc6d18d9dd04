//! Secrets apart from everything else: per user one JSON document, kept by a provider outside of the repository.

pub mod command;
pub mod databricks;
pub mod directory;
mod names;
mod provider;
mod settings;
mod words;

pub use provider::{Grant, Listing, Provider, ProviderError, Stamp, Written};
pub use settings::{DEFAULT_CALLS_PER_SECOND, ProviderSettings, open};
