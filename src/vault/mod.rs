//! Secrets apart from everything else: per user one JSON document, kept by a provider outside of the repository.

mod provider;

pub use provider::{Listing, Provider, ProviderError, Stamp, Written};
