//! Where the repository, its key and its cache are: what was said, or else these defaults.
//!
//! | | root | others |
//! | --- | --- | --- |
//! | repository | `/var/lib/homekeep/repository` | `$XDG_DATA_HOME/homekeep/repository`, usually `~/.local/share/…` |
//! | key file | `/etc/homekeep/key` | `$XDG_CONFIG_HOME/homekeep/key`, usually `~/.config/…` |
//! | cache | `/var/cache/homekeep` | `$XDG_CACHE_HOME/homekeep`, usually `~/.cache/…` |
//!
//! A flag comes before the environment, the environment before the configuration file, and that before the default.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::config::{Caller, RepositoryConfig};
use super::error::CliError;

/// Looks up an environment variable; empty ones are unset.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The variables that name the repository; the first that is set counts.
pub const REPOSITORY_VARIABLES: [&str; 2] = ["HOMEKEEP_REPO", "HOMEKEEP_REPOSITORY"];
/// The variable that names the cache.
pub const CACHE_VARIABLE: &str = "HOMEKEEP_CACHE_DIR";

/// Who said where something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A flag, the environment or the configuration.
    Named,
    /// Nobody.
    Default,
}

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The repository's folder.
    pub repository: PathBuf,
    /// Who named it. Only in the default place a repository is created without being asked for.
    pub repository_origin: Origin,
    /// The key file that is used when no secret is named; none for a caller without a home.
    pub key_file: Option<PathBuf>,
    /// The folder of all repositories' caches.
    pub cache: PathBuf,
}

impl Places {
    /// Finds the places.
    pub fn find(
        repository: Option<&Path>,
        cache: Option<&Path>,
        config: &RepositoryConfig,
        caller: Caller,
        variables: Variables<'_>,
    ) -> Result<Self, CliError> {
        let defaults = Defaults { caller, variables };
        let from_environment =
            || REPOSITORY_VARIABLES.iter().find_map(|name| variables(name)).map(PathBuf::from);
        let named = repository
            .map(Path::to_path_buf)
            .or_else(from_environment)
            .or_else(|| config.repo.as_ref().map(PathBuf::from));
        let repository_origin = if named.is_some() { Origin::Named } else { Origin::Default };
        let repository = match named {
            Some(path) => folder(path, "--repo")?,
            None => defaults.path("XDG_DATA_HOME", ".local/share", "/var/lib", "repository")?,
        };
        let cache = cache
            .map(Path::to_path_buf)
            .or_else(|| variables(CACHE_VARIABLE).map(PathBuf::from))
            .or_else(|| config.cache_dir.clone());
        let cache = match cache {
            Some(path) => path,
            None => defaults.path("XDG_CACHE_HOME", ".cache", "/var/cache", "")?,
        };
        let key_file = defaults.path("XDG_CONFIG_HOME", ".config", "/etc", "key").ok();
        Ok(Self { repository, repository_origin, key_file, cache })
    }
}

/// The defaults of one caller.
struct Defaults<'a> {
    caller: Caller,
    variables: Variables<'a>,
}

impl Defaults<'_> {
    fn path(&self, xdg: &str, below_home: &str, system: &str, name: &str) -> Result<PathBuf, CliError> {
        let base = match self.caller {
            Caller::Root => Some(PathBuf::from(system)),
            Caller::User => {
                // By the XDG rules, a relative directory is to be ignored.
                let xdg = (self.variables)(xdg).map(PathBuf::from).filter(|path| path.is_absolute());
                xdg.or_else(|| Some(PathBuf::from((self.variables)("HOME")?).join(below_home)))
            }
        };
        let base = base.ok_or_else(|| {
            CliError::Usage("HOME is not set: name the places with --repo, --key-file and --cache-dir".into())
        })?;
        let folder = base.join("homekeep");
        Ok(if name.is_empty() { folder } else { folder.join(name) })
    }
}

/// A repository is a folder; what looks like an address must not become one's name.
pub fn folder(path: PathBuf, flag: &'static str) -> Result<PathBuf, CliError> {
    let text = path.to_string_lossy();
    if text.contains("://") {
        return Err(CliError::Usage(format!(
            "{text:?} is not a folder; this version keeps repositories in folders"
        )));
    }
    std::path::absolute(&path).map_err(|source| CliError::File { flag, path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(flag: Option<&str>, config: &RepositoryConfig, caller: Caller, set: &[(&str, &str)]) -> Places {
        let variables = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into());
        Places::find(flag.map(Path::new), None, config, caller, &variables).unwrap()
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let none = RepositoryConfig::default();
        let root = find(None, &none, Caller::Root, &[]);
        assert_eq!(root.repository, Path::new("/var/lib/homekeep/repository"));
        assert_eq!(root.key_file.as_deref(), Some(Path::new("/etc/homekeep/key")));
        assert_eq!(root.cache, Path::new("/var/cache/homekeep"));
        assert_eq!(root.repository_origin, Origin::Default);
        let ann = find(None, &none, Caller::User, &[("HOME", "/home/ann"), ("XDG_CACHE_HOME", "/fast")]);
        assert_eq!(ann.repository, Path::new("/home/ann/.local/share/homekeep/repository"));
        assert_eq!(ann.key_file.as_deref(), Some(Path::new("/home/ann/.config/homekeep/key")));
        assert_eq!(ann.cache, Path::new("/fast/homekeep"));
    }

    #[test]
    fn a_flag_comes_before_the_environment_and_that_before_the_configuration() {
        let config = RepositoryConfig { repo: Some("/config".into()), ..RepositoryConfig::default() };
        let repository = |flag, set: &[_]| find(flag, &config, Caller::Root, set).repository;
        let set = [("HOMEKEEP_REPOSITORY", "/other"), ("HOMEKEEP_REPO", "/environment")];
        assert_eq!(repository(Some("/flag"), &set), Path::new("/flag"));
        assert_eq!(repository(None, &set), Path::new("/environment"));
        assert_eq!(repository(None, &set[..1]), Path::new("/other"));
        assert_eq!(repository(None, &[]), Path::new("/config"));
    }

    #[test]
    fn an_address_is_no_folder_and_no_home_is_no_default() {
        let none = RepositoryConfig::default();
        let address = Places::find(Some(Path::new("s3://x")), None, &none, Caller::Root, &|_| None);
        assert!(matches!(address, Err(CliError::Usage(_))));
        let homeless = Places::find(None, None, &none, Caller::User, &|_| None);
        assert!(matches!(homeless, Err(CliError::Usage(_))));
    }
}
