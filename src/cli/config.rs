//! The configuration file: whatever a flag can say, said once. Knows no flag and no default.
//!
//! Every field is an `Option`: a flag comes before the environment, the environment before this
//! file, and what nobody says has the default that the command documents.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::ByteSize;
use super::command::{Age, Unused};
use super::quota::QuotaConfig;
use super::vault::VaultConfig;
use crate::engine::forget::{Grouping, Rule, Within};

/// Names a configuration file; `--config` comes before it.
pub const CONFIG_VARIABLE: &str = "HOMEKEEP_CONFIG";
/// Where root's is.
const SYSTEM_FILE: &str = "/etc/homekeep/homekeep.toml";

/// All that a configuration file says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which repository, and what opens it.
    pub repository: RepositoryConfig,
    /// What is saved, and how.
    pub backup: BackupConfig,
    /// How it is brought back.
    pub restore: RestoreConfig,
    /// Which snapshots stay.
    pub forget: ForgetConfig,
    /// How space is given back.
    pub prune: PruneConfig,
    /// What is copied into the repository.
    pub copy: CopyConfig,
    /// What is a secret, and where secrets are kept.
    pub vault: VaultConfig,
    /// How much anyone should use.
    pub quota: QuotaConfig,
    /// What is said meanwhile.
    pub output: OutputConfig,
}

/// `[repository]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RepositoryConfig {
    /// Its location.
    pub repo: Option<String>,
    /// A file that holds a key.
    pub key_file: Option<PathBuf>,
    /// A file that holds the passphrase.
    pub password_file: Option<PathBuf>,
    /// A command that prints the passphrase.
    pub password_command: Option<String>,
    /// Where the index is kept on this machine.
    pub cache_dir: Option<PathBuf>,
}

/// `[backup]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BackupConfig {
    /// Directories to save, or patterns for them.
    pub homes: Option<Vec<String>>,
    /// What a machine's snapshots continue, whatever the machine is called today.
    pub source: Option<String>,
    /// The name to record for the machine.
    pub host: Option<String>,
    /// Tags of every snapshot.
    pub tags: Option<Vec<String>>,
    /// Patterns to leave out.
    pub exclude: Option<Vec<String>>,
    /// The same, whatever their case.
    pub iexclude: Option<Vec<String>>,
    /// Files of patterns.
    pub exclude_file: Option<Vec<PathBuf>>,
    /// Leave out what is tagged as a cache.
    pub exclude_caches: Option<bool>,
    /// Leave out directories that hold such a file.
    pub exclude_if_present: Option<Vec<String>>,
    /// Leave out larger files.
    pub exclude_larger_than: Option<ByteSize>,
    /// Leave out what programs make again.
    pub default_excludes: Option<bool>,
    /// Heed `.gitignore` files.
    pub git_ignore: Option<bool>,
    /// The name of a directory's own list.
    pub ignore_file_name: Option<String>,
    /// Stay on each home's file system.
    pub one_file_system: Option<bool>,
    /// The zstd level.
    #[serde(deserialize_with = "within::<_, i32, -7, 19>")]
    pub compression_level: Option<i32>,
    /// Write a snapshot though nothing changed.
    pub always: Option<bool>,
    /// A home that lost more of its files and of its bytes, in percent, is marked.
    #[serde(deserialize_with = "within::<_, u8, 1, 100>")]
    pub shrink_percent: Option<u8>,
    /// Save SQLite databases as of one instant.
    pub sqlite_copy: Option<bool>,
    /// How many files are read at a time.
    pub read_concurrency: Option<NonZeroUsize>,
    /// A file for metrics of the run.
    pub prometheus: Option<PathBuf>,
}

/// `[restore]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RestoreConfig {
    /// What happens to a file that is there.
    pub overwrite: Option<Overwrite>,
    /// The name of an owner in the snapshot, and who owns it here.
    pub owner_map: Option<BTreeMap<String, String>>,
    /// Go by the numbers of owners, not by their names.
    pub numeric_ids: Option<bool>,
    /// Read back and compare what was written.
    pub verify: Option<bool>,
}

/// `[forget]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ForgetConfig {
    /// The newest.
    pub keep_last: Option<u32>,
    /// One of each minute.
    pub keep_minutely: Option<u32>,
    /// One of each hour.
    pub keep_hourly: Option<u32>,
    /// One of each day.
    pub keep_daily: Option<u32>,
    /// One of each week.
    pub keep_weekly: Option<u32>,
    /// One of each month.
    pub keep_monthly: Option<u32>,
    /// One of each year.
    pub keep_yearly: Option<u32>,
    /// All that are at most so much older than the newest.
    #[serde(deserialize_with = "parsed")]
    pub keep_within: Option<Within>,
    /// All with such tags.
    pub keep_tag: Option<Vec<String>>,
    /// Of which snapshots each.
    #[serde(deserialize_with = "parsed")]
    pub group_by: Option<Grouping>,
}

/// `[prune]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PruneConfig {
    /// How much may be wasted in segments that are partly needed.
    pub max_unused: Option<Unused>,
    /// How much is moved into new segments at most.
    pub max_repack_size: Option<ByteSize>,
    /// How long what is condemned waits.
    pub grace: Option<Age>,
    /// How old a segment is that no snapshot names, before it goes.
    pub min_age: Option<Age>,
}

/// `[copy]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CopyConfig {
    /// The location of the repository that is copied from.
    pub from_repo: Option<String>,
    /// A file that holds its key.
    pub from_key_file: Option<PathBuf>,
    /// A file that holds its passphrase.
    pub from_password_file: Option<PathBuf>,
    /// A command that prints its passphrase.
    pub from_password_command: Option<String>,
}

/// `[output]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct OutputConfig {
    /// For programs.
    pub json: Option<bool>,
    /// Only problems.
    pub quiet: Option<bool>,
    /// How much more than usual.
    pub verbose: Option<u8>,
    /// Whether progress is shown.
    pub progress: Option<Progress>,
}

/// What a restore does with a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overwrite {
    /// It is replaced if it differs, unless it was modified after the snapshot.
    UnlessModified,
    /// It is replaced.
    Always,
    /// It is replaced if its content differs.
    IfChanged,
    /// It is replaced if the snapshot's is newer.
    IfNewer,
    /// It stays.
    Never,
}

/// When progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// On a terminal.
    Auto,
    /// Also in a log.
    Always,
    /// Not at all.
    Never,
}

/// Where a configuration file is, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigLocation {
    /// Someone named it: it has to be there.
    Named(PathBuf),
    /// Where one would be, if there is one.
    Usual(PathBuf),
}

/// Who runs the program: root's configuration is the machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Root.
    Root,
    /// Anyone else.
    User,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was named is not there.
    #[error("there is no configuration file {}; {CONFIG_VARIABLE} or --config names it", .path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read the configuration file {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It says something that means nothing here.
    #[error("{}:{line}: `{key}`: {message}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// With its section.
        key: String,
        /// What is wrong.
        message: String,
    },
}

impl ConfigLocation {
    /// The file that `--config` names, or else the environment, or else the usual one. Empty variables are unset.
    pub fn find(
        flag: Option<&Path>,
        caller: Caller,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Option<Self> {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(named) = flag.map(Path::to_path_buf).or_else(|| path(CONFIG_VARIABLE)) {
            return Some(Self::Named(named));
        }
        if caller == Caller::Root {
            return Some(Self::Usual(SYSTEM_FILE.into()));
        }
        // By the XDG rules, a relative directory is to be ignored.
        let xdg = path("XDG_CONFIG_HOME").filter(|directory| directory.is_absolute());
        let directory = xdg.or_else(|| path("HOME").map(|home| home.join(".config")))?;
        Some(Self::Usual(directory.join("homekeep/homekeep.toml")))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Named(path) | Self::Usual(path) => path,
        }
    }
}

impl Config {
    /// Reads the file; without one at the usual place, nothing is configured.
    pub fn load(location: &ConfigLocation) -> Result<Self, ConfigError> {
        let path = location.path();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => match location {
                ConfigLocation::Named(_) => Err(ConfigError::NotFound { path: path.into() }),
                ConfigLocation::Usual(_) => Ok(Self::default()),
            },
            Err(source) => Err(ConfigError::Read { path: path.into(), source }),
        }
    }

    /// Reads a file's text; `path` is for messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let position = error.span().map_or(0, |span| span.start);
            // The error's own text quotes the line, and people put passwords where they do not belong.
            ConfigError::Invalid {
                path: path.into(),
                line: before(text, position).matches('\n').count() + 1,
                key: key(text, position),
                message: error.message().replace('\n', ", "),
            }
        })
    }
}

impl ForgetConfig {
    /// How many snapshots a rule keeps.
    pub fn count(&self, rule: Rule) -> Option<u32> {
        match rule {
            Rule::Last => self.keep_last,
            Rule::Minutely => self.keep_minutely,
            Rule::Hourly => self.keep_hourly,
            Rule::Daily => self.keep_daily,
            Rule::Weekly => self.keep_weekly,
            Rule::Monthly => self.keep_monthly,
            Rule::Yearly => self.keep_yearly,
        }
    }
}

/// The key that stands in the line of `position`, or the last one before it, with its section.
fn key(text: &str, position: usize) -> String {
    let rest_of_line = text.get(position..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let mut key = None;
    for line in before(text, position + rest_of_line.len()).lines().rev().map(str::trim) {
        if let Some((section, _)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            return key.map_or(section.into(), |key| format!("{section}.{key}"));
        }
        if key.is_none() && !line.starts_with('#') {
            key = line.split_once('=').map(|(key, _)| key.trim());
        }
    }
    key.unwrap_or_default().into()
}

fn before(text: &str, end: usize) -> &str {
    text.get(..end).unwrap_or(text)
}

/// A number from `FIRST` to `LAST`.
fn within<'de, D, N, const FIRST: i64, const LAST: i64>(deserializer: D) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<i64>,
{
    let number = i64::deserialize(deserializer)?;
    let fitting = Some(number).filter(|number| (FIRST..=LAST).contains(number));
    match fitting.and_then(|number| N::try_from(number).ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(serde::de::Error::custom(format!("{number} is not between {FIRST} and {LAST}"))),
    }
}

/// What a text says.
fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: std::fmt::Display>,
{
    String::deserialize(deserializer)?.parse().map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../examples/homekeep.toml");

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("c.toml"), text).map_err(|error| error.to_string())
    }

    /// In the example an option is a line `#key = …`, a remark a line `# words`.
    fn uncommented() -> String {
        let is_option = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
        EXAMPLE
            .lines()
            .map(|line| Some(line).filter(is_option).map_or(line, |line| &line[1..]))
            .fold(String::new(), |text, line| text + line + "\n")
    }

    #[test]
    fn the_example_says_nothing_until_it_is_uncommented() {
        assert_eq!(parse(EXAMPLE), Ok(Config::default()));
    }

    #[test]
    fn the_example_uncommented_says_everything() {
        let config = parse(&uncommented()).unwrap();
        let said = format!("{config:?}");
        assert!(!said.contains("None"), "the example lacks an option: {said}");
        assert_eq!(config.backup.exclude_larger_than, Some(ByteSize(4 << 30)));
        assert_eq!(config.restore.overwrite, Some(Overwrite::UnlessModified));
    }

    #[test]
    fn an_error_names_file_line_and_key() {
        let cases = [
            (
                "[backup]\n\nexlude = []\n",
                "c.toml:3: `backup.exlude`: unknown field `exlude`, expected one of",
            ),
            (
                "[backup]\nalways = 1\n",
                "c.toml:2: `backup.always`: invalid type: integer `1`, expected a boolean",
            ),
            ("[backup]\n# x = 1\ntags = [\n  \"a\",\n  1,\n]\n", "c.toml:5: `backup.tags`: invalid type"),
            (
                "[backup]\nexclude-larger-than = \"5X\"\n",
                "c.toml:2: `backup.exclude-larger-than`: \"5X\" is not",
            ),
            (
                "[backup]\ncompression-level = 20\n",
                "c.toml:2: `backup.compression-level`: 20 is not between -7",
            ),
            ("[backup]\nread-concurrency = 0\n", "c.toml:2: `backup.read-concurrency`: invalid value"),
            ("[restore]\noverwrite = \"no\"\n", "c.toml:2: `restore.overwrite`: unknown variant `no`"),
            ("[forget]\nkeep-daily = -1\n", "c.toml:2: `forget.keep-daily`: invalid value"),
            ("[forget]\nkeep-within = \"2h30m\"\n", "c.toml:2: `forget.keep-within`: \"2h30m\": m stands"),
            ("[forget]\ngroup-by = \"path\"\n", "c.toml:2: `forget.group-by`: snapshots are grouped by"),
            ("repo = \"/x\"\n", "c.toml:1: `repo`: unknown field `repo`"),
            ("[backups]\n", "c.toml:1: `backups`: unknown field `backups`"),
            ("[output]\njson = \"é\n", "c.toml:2: `output.json`: "),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_a_secret() {
        let error = parse("[repository]\npassword = \"hunter2\"\n").unwrap_err();
        assert!(error.contains("repository.password") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_flag_comes_before_the_environment_and_that_before_the_usual_place() {
        let variable = |name: &str| match name {
            CONFIG_VARIABLE => Some("/named".into()),
            _ => None,
        };
        let named = |path: &str| Some(ConfigLocation::Named(path.into()));
        assert_eq!(ConfigLocation::find(Some(Path::new("/flag")), Caller::User, variable), named("/flag"));
        assert_eq!(ConfigLocation::find(None, Caller::Root, variable), named("/named"));
    }

    #[test]
    fn the_usual_place_is_the_machines_for_root_and_the_homes_for_others() {
        let find = |caller, xdg: &'static str| {
            ConfigLocation::find(None, caller, move |name| match name {
                "XDG_CONFIG_HOME" => Some(xdg.into()),
                "HOME" => Some("/home/ann".into()),
                _ => None,
            })
        };
        let usual = |path: &str| Some(ConfigLocation::Usual(path.into()));
        assert_eq!(find(Caller::Root, "/x"), usual(SYSTEM_FILE));
        assert_eq!(find(Caller::User, "/x"), usual("/x/homekeep/homekeep.toml"));
        for unset in ["", "relative"] {
            assert_eq!(find(Caller::User, unset), usual("/home/ann/.config/homekeep/homekeep.toml"));
        }
        assert_eq!(ConfigLocation::find(None, Caller::User, |_| None), None);
    }

    #[test]
    fn only_a_file_that_was_named_has_to_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("homekeep.toml");
        assert_eq!(Config::load(&ConfigLocation::Usual(path.clone())).unwrap(), Config::default());
        let named = ConfigLocation::Named(path.clone());
        assert!(matches!(Config::load(&named), Err(ConfigError::NotFound { .. })));
        std::fs::write(&path, "[output]\nquiet = true\n").unwrap();
        assert_eq!(Config::load(&named).unwrap().output.quiet, Some(true));
        let directory = ConfigLocation::Usual(directory.path().into());
        assert!(matches!(Config::load(&directory), Err(ConfigError::Read { .. })));
    }
}
