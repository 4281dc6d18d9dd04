//! `[vault]` of the configuration file: what is a secret, and where secrets are kept; and opening that.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::context::Context;
use super::error::CliError;
use super::secret::SecretError;
use super::text;
use crate::files::rules::SecretOptions;
use crate::keys::KeyFile;
use crate::repo::{RepoError, Repository};
use crate::vault::{
    DEFAULT_CALLS_PER_SECOND, Provider, ProviderSettings, UnopenedProvider, Vault, VaultSecret,
};

/// `[vault]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct VaultConfig {
    /// What keeps the secrets.
    pub provider: Option<ProviderKind>,
    /// Of `directory`: where.
    pub path: Option<PathBuf>,
    /// Of `command`: the program.
    pub program: Option<PathBuf>,
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

/// How long a program may take unless the configuration says otherwise.
const TIMEOUT_S: u32 = 60;
/// What the name of the default directory ends in: it is beside the repository, not in it.
const SUFFIX: &str = ".vault";

/// The vault that belongs to a repository; none if the configuration says that there is none.
pub fn open(context: &Context, repository: &Repository) -> Result<Option<Arc<Vault>>, CliError> {
    let own = VaultSecret::new(*repository.keys().vault_secret());
    let extra = extra_secret(context)?;
    Ok(provider(context)?.map(|provider| {
        let secrets = [own].into_iter().chain(extra).collect();
        Arc::new(Vault::new(provider, secrets))
    }))
}

/// The same for a restore: a vault that cannot be opened costs the secrets, each of which is a problem then, and
/// nobody's home.
pub fn open_to_restore(context: &Context, repository: &Repository) -> Option<Arc<Vault>> {
    open(context, repository).unwrap_or_else(|error| {
        let why = text::chain(&error);
        context.output.warn(&format!("the vault cannot be opened, and secrets do not come back: {why}"));
        None
    })
}

/// The vault for a command that needs one. Where the repository is gone, a key of the vault's own opens it.
pub fn require(context: &Context) -> Result<Arc<Vault>, CliError> {
    let none = || CliError::Usage("there is no vault: the configuration says provider = \"none\"".into());
    match super::open::open(context) {
        Ok(repository) => open(context, &repository)?.ok_or_else(none),
        Err(CliError::Repository(RepoError::Absent(place))) => {
            let absent = RepoError::Absent(place);
            let secret = extra_secret(context)?.ok_or(CliError::Repository(absent))?;
            let provider = provider(context)?.ok_or_else(none)?;
            Ok(Arc::new(Vault::new(provider, vec![secret])))
        }
        Err(error) => Err(error),
    }
}

fn extra_secret(context: &Context) -> Result<Option<VaultSecret>, CliError> {
    let Some(path) = &context.config.vault.key_file else { return Ok(None) };
    let file = KeyFile::read(path).map_err(SecretError::from)?;
    Ok(Some(VaultSecret::new(*file.secret)))
}

/// One that cannot be opened says so whenever it is asked.
fn provider(context: &Context) -> Result<Option<Arc<dyn Provider>>, CliError> {
    let settings = settings(&context.config.vault, &context.places.repository)?;
    let open = |settings: ProviderSettings| {
        crate::vault::open(&settings).unwrap_or_else(|error| Arc::new(UnopenedProvider::new(&error)))
    };
    Ok(settings.map(open))
}

fn settings(config: &VaultConfig, repository: &Path) -> Result<Option<ProviderSettings>, CliError> {
    let missing = |key: &str| CliError::Usage(format!("[vault] needs {key} for this provider"));
    Ok(match config.provider.unwrap_or(ProviderKind::Directory) {
        ProviderKind::Nothing => None,
        ProviderKind::Directory => {
            let path = config.path.clone().unwrap_or_else(|| {
                let mut path = repository.as_os_str().to_owned();
                path.push(SUFFIX);
                path.into()
            });
            Some(ProviderSettings::Directory { path })
        }
        ProviderKind::Command => Some(ProviderSettings::Command {
            program: config.program.clone().ok_or_else(|| missing("program"))?,
            timeout: Duration::from_secs(config.timeout.map_or(TIMEOUT_S, NonZeroU32::get).into()),
        }),
        ProviderKind::Databricks => Some(ProviderSettings::Databricks {
            scope: config.scope.clone().ok_or_else(|| missing("scope"))?,
            profile: config.profile.clone(),
            host: config.host.clone(),
            initial_manage_principal: config.initial_manage_principal.clone(),
            calls_per_second: config.calls_per_second.map_or(DEFAULT_CALLS_PER_SECOND, NonZeroU32::get),
        }),
    })
}
