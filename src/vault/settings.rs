//! Which provider there is and what it needs to know, as plain data; and opening it. Knows no configuration file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::command::CommandProvider;
use super::databricks::{DatabricksProvider, DatabricksSettings, Environment, Patience};
use super::directory::DirectoryProvider;
use super::provider::{Provider, ProviderError};

/// What keeps the documents.
#[derive(Debug, Clone, PartialEq)]
pub enum ProviderSettings {
    /// A folder on this machine or a mount.
    Directory {
        /// The folder; it is created by the first put.
        path: PathBuf,
    },
    /// A program of somebody else, by the protocol in docs/vault-command.md.
    Command {
        /// The program; without a `/` it is looked for in `PATH`.
        program: PathBuf,
        /// How long one call may take.
        timeout: Duration,
    },
    /// The secret scopes of a Databricks workspace. Who asks, by which proxy and with whose certificates, is for the
    /// environment and `~/.databrickscfg` to say.
    Databricks {
        /// The name of the first scope, and the beginning of the others' names.
        scope: String,
        /// The profile in `~/.databrickscfg`; where none is named, the environment counts, then the default profile.
        profile: Option<String>,
        /// The workspace's address, where neither the profile nor `DATABRICKS_HOST` says it.
        host: Option<String>,
        /// `users`, where the workspace's plan demands that everybody manages new scopes.
        initial_manage_principal: Option<String>,
        /// The most calls in a second, of all threads together.
        calls_per_second: u32,
    },
}

/// What [`ProviderSettings::Databricks`] has in `calls_per_second` unless told otherwise.
pub const DEFAULT_CALLS_PER_SECOND: u32 = 15;

/// The provider that the settings describe. Opening asks nobody; what is wrong elsewhere shows with the first call.
pub fn open(settings: &ProviderSettings) -> Result<Arc<dyn Provider>, ProviderError> {
    Ok(match settings {
        ProviderSettings::Directory { path } => Arc::new(DirectoryProvider::new(path)?),
        ProviderSettings::Command { program, timeout } => Arc::new(CommandProvider::new(program, *timeout)?),
        ProviderSettings::Databricks { scope, profile, host, initial_manage_principal, calls_per_second } => {
            let settings = DatabricksSettings {
                scope: scope.clone(),
                profile: profile.clone(),
                host: host.clone(),
                initial_manage_principal: initial_manage_principal.clone(),
                calls_per_second: *calls_per_second,
            };
            let environment = Environment::of_process();
            Arc::new(DatabricksProvider::new(&settings, &environment, Patience::default())?)
        }
    })
}
