//! `[vault]` of the configuration file: what is a secret, and where secrets are kept.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;

use crate::files::rules::SecretOptions;

/// `[vault]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct VaultConfig {
    /// What keeps the secrets.
    pub provider: Option<ProviderKind>,
    /// Of `directory`: where.
    pub path: Option<PathBuf>,
    /// Of `command`: the program, and arguments that come before the verb.
    pub program: Option<Vec<String>>,
    /// Of `command`: how many seconds a call may take.
    pub timeout: Option<NonZeroU32>,
    /// Of `databricks`: the first scope; more are called NAME-2, NAME-3, ….
    pub scope: Option<String>,
    /// Of `databricks`: the workspace.
    pub host: Option<String>,
    /// Of `databricks`: the profile in `~/.databrickscfg`.
    pub profile: Option<String>,
    /// Of `databricks`: who may manage new scopes; only `users` is allowed, and needed without the Premium plan.
    pub initial_manage_principal: Option<String>,
    /// Of `databricks`: how many calls a second are made at most.
    pub calls_per_second: Option<NonZeroU32>,
    /// What is a secret, beside the defaults; `!` takes out.
    pub rules: Option<Vec<String>>,
    /// Whether the default rules hold.
    pub default_rules: Option<bool>,
    /// Whether a file that begins like a private key is a secret wherever it is.
    pub look_at_content: Option<bool>,
    /// A key that opens what another repository's key sealed.
    pub key_file: Option<PathBuf>,
}

/// What keeps secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// A directory.
    Directory,
    /// Databricks Secrets.
    Databricks,
    /// A program.
    Command,
    /// Nothing: secrets are stored as ordinary data.
    #[serde(rename = "none")]
    Nothing,
}

impl VaultConfig {
    /// What counts as a secret.
    pub fn secrets(&self) -> SecretOptions {
        let defaults = SecretOptions::default();
        SecretOptions {
            defaults: self.default_rules.unwrap_or(defaults.defaults),
            rules: self.rules.clone().unwrap_or_default(),
            by_content: self.look_at_content.unwrap_or(defaults.by_content),
        }
    }
}
