//! A provider that could not be opened: whatever it is asked for, it says why. So a vault that is not configured as it has to
//! be costs secrets, each of which is a problem then, and nobody's home.

use super::provider::{Listing, Provider, ProviderError, Written};

/// What stands in for a provider.
#[derive(Debug)]
pub struct UnopenedProvider {
    why: String,
}

impl UnopenedProvider {
    /// Stands in for one that could not be opened for this reason.
    pub fn new(error: &ProviderError) -> Self {
        Self { why: error.to_string() }
    }

    fn fail<T>(&self) -> Result<T, ProviderError> {
        Err(ProviderError::Configuration(self.why.clone()))
    }
}

impl Provider for UnopenedProvider {
    fn list(&self) -> Result<Listing, ProviderError> {
        self.fail()
    }

    fn get(&self, _user: &str) -> Result<Option<Vec<u8>>, ProviderError> {
        self.fail()
    }

    fn put(&self, _user: &str, _document: &[u8]) -> Result<Written, ProviderError> {
        self.fail()
    }

    fn delete(&self, _user: &str) -> Result<(), ProviderError> {
        self.fail()
    }

    fn max_len(&self) -> usize {
        0
    }

    fn location(&self) -> String {
        "the vault, which could not be opened".into()
    }
}
