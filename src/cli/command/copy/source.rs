//! The repository that is copied from: where it is, and what opens it. Flags come before the environment, and
//! that before the configuration; there is no default.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::arguments::FromArguments;
use crate::cli::args::SecretArguments;
use crate::cli::config::{CopyConfig, RepositoryConfig};
use crate::cli::context::{Context, variable};
use crate::cli::error::CliError;
use crate::cli::locate::{self, Variables};
use crate::cli::open;
use crate::cli::secret::{SecretError, SecretSource};
use crate::cli::synced::Synced;
use crate::engine::copy::CopyError;
use crate::repo::RepoError;

/// Opens it, and reads what its index lacks.
pub fn open(context: &Context, flags: &FromArguments) -> Result<Synced, CliError> {
    let config = &context.config.copy;
    let place = place(flags, config, &variable)?;
    let secret = secret(flags, config, &variable)?;
    let repository = open::open_at(context, &place, &secret).map_err(of_source)?;
    Synced::of(context, repository).map_err(of_source)
}

/// Says of which of the two repositories an error speaks.
fn of_source(error: CliError) -> CliError {
    match error {
        CliError::Repository(RepoError::Absent(place)) => CliError::NoSource(place),
        CliError::Repository(error) => CopyError::Source(error).into(),
        CliError::Secret(SecretError::Nothing) => SecretError::NothingForSource.into(),
        error => error,
    }
}

fn place(flags: &FromArguments, config: &CopyConfig, variables: Variables<'_>) -> Result<PathBuf, CliError> {
    let from_environment = || variables("HOMEKEEP_FROM_REPO").map(PathBuf::from);
    let named = flags.from_repo.clone().or_else(from_environment);
    match named.or_else(|| config.from_repo.as_ref().map(PathBuf::from)) {
        Some(path) => locate::folder(path, "--from-repo"),
        None => Err(CliError::Usage("name the repository to copy from with --from-repo".into())),
    }
}

/// The secret is found as the main repository's is, under names of its own.
fn secret(
    flags: &FromArguments,
    config: &CopyConfig,
    variables: Variables<'_>,
) -> Result<SecretSource, CliError> {
    let flags = SecretArguments {
        key_file: flags.from_key_file.clone(),
        password_file: flags.from_password_file.clone(),
        password_command: flags.from_password_command.clone(),
    };
    let config = RepositoryConfig {
        key_file: config.from_key_file.clone(),
        password_file: config.from_password_file.clone(),
        password_command: config.from_password_command.clone(),
        ..RepositoryConfig::default()
    };
    let from =
        |name: &str| -> Option<OsString> { variables(&name.replacen("HOMEKEEP_", "HOMEKEEP_FROM_", 1)) };
    let no_default: Option<&Path> = None;
    SecretSource::find(&flags, &config, no_default, &from).map_err(|error| match error {
        CliError::Usage(_) => CliError::Usage(
            "give one of --from-key-file, --from-password-file and --from-password-command".into(),
        ),
        error => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::locate::Origin;

    fn find(flags: &FromArguments, config: &CopyConfig, set: &[(&str, &str)]) -> (PathBuf, SecretSource) {
        let variables = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into());
        (place(flags, config, &variables).unwrap(), secret(flags, config, &variables).unwrap())
    }

    #[test]
    fn a_flag_comes_before_the_environment_and_that_before_the_configuration() {
        let key_file = |path: &str| SecretSource::KeyFile(path.into(), Origin::Named);
        let config = CopyConfig {
            from_repo: Some("/config".into()),
            from_key_file: Some("/config-key".into()),
            ..CopyConfig::default()
        };
        let flags = FromArguments {
            from_repo: Some("/flag".into()),
            from_key_file: Some("/flag-key".into()),
            ..FromArguments::default()
        };
        let set = [
            ("HOMEKEEP_FROM_REPO", "/environment"),
            ("HOMEKEEP_FROM_KEY_FILE", "/environment-key"),
            ("HOMEKEEP_REPO", "/main"),
            ("HOMEKEEP_KEY_FILE", "/main-key"),
        ];
        let none = FromArguments::default();
        assert_eq!(find(&flags, &config, &set), ("/flag".into(), key_file("/flag-key")));
        assert_eq!(find(&none, &config, &set), ("/environment".into(), key_file("/environment-key")));
        // What opens the main repository is not tried on the other.
        assert_eq!(find(&none, &config, &set[2..]), ("/config".into(), key_file("/config-key")));
    }

    #[test]
    fn nothing_is_copied_from_a_repository_that_nobody_named() {
        let place = place(&FromArguments::default(), &CopyConfig::default(), &|_| None);
        assert!(matches!(place, Err(CliError::Usage(_))));
        let secret = secret(&FromArguments::default(), &CopyConfig::default(), &|_| None);
        assert_eq!(secret.unwrap(), SecretSource::Prompt);
    }
}
