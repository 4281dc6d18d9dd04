//! Which provider there is and what it needs to know, as plain data; and opening it. Knows no configuration file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::command::CommandProvider;
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
}

/// The provider that the settings describe. Opening asks nobody; what is wrong elsewhere shows with the first call.
pub fn open(settings: &ProviderSettings) -> Result<Arc<dyn Provider>, ProviderError> {
    Ok(match settings {
        ProviderSettings::Directory { path } => Arc::new(DirectoryProvider::new(path)?),
        ProviderSettings::Command { program, timeout } => Arc::new(CommandProvider::new(program, *timeout)?),
    })
}
