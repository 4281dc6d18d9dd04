//! The provider for Databricks against a workspace on this machine that keeps the documented rules, limits and faults.

mod access;
mod failing;
mod placing;
pub mod script;
mod sdk;
pub mod server;
mod tls;
pub mod workspace;

use std::time::Duration;

use homekeep::vault::databricks::{DatabricksProvider, DatabricksSettings, Environment, Patience};
use homekeep::vault::{Provider, ProviderError};

use crate::vault_providers::contract::document;
use server::Server;

/// As fast as it goes.
pub fn settings() -> DatabricksSettings {
    DatabricksSettings {
        scope: "homekeep".into(),
        profile: None,
        host: None,
        initial_manage_principal: None,
        calls_per_second: 100_000,
    }
}

/// As impatient as a test.
pub fn hasty() -> Patience {
    Patience {
        budget: Duration::from_secs(20),
        call: Duration::from_secs(10),
        step: Duration::from_millis(1),
        longest_pause: Duration::from_millis(5),
        tries_to_connect: 3,
    }
}

/// One who does not try again.
pub fn impatient() -> Patience {
    Patience { budget: Duration::ZERO, ..hasty() }
}

/// The administrator's provider.
pub fn provider(server: &Server) -> DatabricksProvider {
    provider_as(&server.environment())
}

pub fn provider_as(environment: &Environment) -> DatabricksProvider {
    DatabricksProvider::new(&settings(), environment, hasty()).unwrap()
}

fn users(provider: &dyn Provider) -> Vec<String> {
    provider.list().unwrap().into_keys().collect()
}

fn put(provider: &dyn Provider, user: &str, fill: &str) {
    provider.put(user, &document(user, fill, 0)).unwrap();
}

/// The error's words, which have nothing secret in them.
fn words(error: &ProviderError) -> String {
    let text = format!("{error} {error:?}");
    assert!(!text.contains("canary"), "{text}");
    text
}
