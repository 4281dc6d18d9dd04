//! What keeps the vault's documents: one contract for every provider, and kills in the middle of a put.

pub mod contract;
mod kills;

use std::sync::Arc;
use std::time::Duration;

use homekeep::vault::{ProviderSettings, open};

use crate::{databricks, vault_command};
use contract::Place;

#[test]
fn a_directory_keeps_the_contract() {
    contract::check(|| {
        let folder = tempfile::tempdir().unwrap();
        let settings = ProviderSettings::Directory { path: folder.path().join("vault") };
        Place { open: Box::new(move || open(&settings).unwrap()), guard: Box::new(folder) }
    });
}

#[test]
fn a_program_keeps_the_contract() {
    contract::check(|| {
        let site = vault_command::Site::example();
        let settings =
            ProviderSettings::Command { program: site.program.clone(), timeout: Duration::from_secs(60) };
        Place { open: Box::new(move || open(&settings).unwrap()), guard: Box::new(Arc::new(site)) }
    });
}

#[test]
fn the_scopes_of_a_workspace_keep_the_contract() {
    for keys_fold_case in [false, true] {
        contract::check(|| {
            let rules = databricks::workspace::Rules { keys_fold_case, ..Default::default() };
            let server = Arc::new(databricks::server::Server::with(rules));
            let guard = Box::new(Arc::clone(&server));
            Place { open: Box::new(move || Arc::new(databricks::provider(&server))), guard }
        });
    }
}
