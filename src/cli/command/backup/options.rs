//! What a backup is told: flags, environment and configuration, merged. Knows the defaults.

use std::ffi::OsString;
use std::path::Path;

use super::arguments::{BackupArguments, RuleArguments};
use crate::cli::config::{BackupConfig, Caller};
use crate::cli::context::{Context, host_name, variable};
use crate::cli::effort;
use crate::cli::error::CliError;
use crate::cli::homes::{self, Named};
use crate::cli::locate::Variables;
use crate::engine::backup::BackupOptions;
use crate::files::rules::{PatternFile, RuleOptions};

const DEFAULT_SHRINK_PERCENT: u8 = 75;

/// All that was said.
pub fn options(context: &Context, arguments: &BackupArguments) -> Result<BackupOptions, CliError> {
    let config = &context.config.backup;
    let named = Named {
        paths: &arguments.paths,
        folder: arguments.homes.as_deref(),
        patterns: config.homes.as_deref(),
    };
    let bytes = |names: &[String]| names.iter().map(|name| name.clone().into_bytes()).collect();
    let jobs = arguments.jobs.or(config.read_concurrency);
    let lost = arguments.shrink_percent.or(config.shrink_percent).unwrap_or(DEFAULT_SHRINK_PERCENT);
    Ok(BackupOptions {
        sqlite_program: crate::files::live_sqlite::OWN_PROGRAM.into(),
        homes: homes::select(named, context.caller)?,
        users: bytes(&arguments.user),
        source: source(arguments, config, &variable),
        host: arguments.host.clone().or_else(|| config.host.clone()).unwrap_or_else(host_name),
        tags: if arguments.tag.is_empty() {
            config.tags.clone().unwrap_or_default()
        } else {
            arguments.tag.clone()
        },
        rules: rules(&arguments.rules, config)?,
        secrets: context.config.vault.secrets(),
        vault: None,
        level: effort::level(arguments.compression.or(config.compression_level)),
        threads: effort::threads(jobs),
        always: arguments.always || config.always == Some(true),
        dry_run: arguments.dry_run,
        cross_file_systems: cross_file_systems(&arguments.rules, config),
        verify_unchanged: arguments.verify_unchanged,
        sqlite_copies: !arguments.no_sqlite_copy && config.sqlite_copy != Some(false),
        confirmed: bytes(&arguments.confirm),
        shrink_percent: u64::from(100 - lost.min(100)),
        is_privileged: context.caller == Caller::Root,
        never: context
            .secret
            .file()
            .into_iter()
            .chain([&*context.places.repository])
            .map(Into::into)
            .collect(),
    })
}

/// The source of this machine's backups, as far as flags do not name another.
pub fn own_source(context: &Context) -> String {
    source(&BackupArguments::default(), &context.config.backup, &variable)
}

/// The cluster's name outlives the hosts that bear it.
fn source(arguments: &BackupArguments, config: &BackupConfig, variables: Variables<'_>) -> String {
    let text = |name: &str| variables(name).map(|value: OsString| value.to_string_lossy().into_owned());
    arguments
        .source
        .clone()
        .or_else(|| text("HOMEKEEP_SOURCE"))
        .or_else(|| config.source.clone())
        .or_else(|| text("DB_CLUSTER_NAME"))
        .unwrap_or_else(host_name)
}

fn cross_file_systems(arguments: &RuleArguments, config: &BackupConfig) -> bool {
    arguments.cross_file_systems || (config.one_file_system == Some(false) && !arguments.one_file_system)
}

/// Patterns of flags come behind those of the configuration, and so decide over them.
pub fn rules(arguments: &RuleArguments, config: &BackupConfig) -> Result<RuleOptions, CliError> {
    let both = |config: &Option<Vec<String>>, flags: &[String]| {
        config.iter().flatten().chain(flags).cloned().collect::<Vec<String>>()
    };
    let files = config.exclude_file.iter().flatten().chain(&arguments.exclude_file);
    let size = arguments.exclude_larger_than.or(config.exclude_larger_than);
    let name = arguments.ignore_file_name.clone().or_else(|| config.ignore_file_name.clone());
    let usual = RuleOptions::default();
    Ok(RuleOptions {
        excludes: both(&config.exclude, &arguments.exclude),
        iexcludes: both(&config.iexclude, &arguments.iexclude),
        exclude_files: files.map(|path| pattern_file(path)).collect::<Result<_, _>>()?,
        exclude_caches: arguments.exclude_caches || config.exclude_caches == Some(true),
        exclude_if_present: both(&config.exclude_if_present, &arguments.exclude_if_present),
        exclude_larger_than: size.map(|size| size.0),
        default_excludes: !arguments.no_default_excludes && config.default_excludes != Some(false),
        ignore_file_name: name.or(usual.ignore_file_name),
        git_ignore: arguments.git_ignore || config.git_ignore == Some(true),
    })
}

fn pattern_file(path: &Path) -> Result<PatternFile, CliError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(PatternFile { path: path.into(), bytes }),
        Err(source) => Err(CliError::File { flag: "--exclude-file", path: path.into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_named_by_flag_environment_configuration_cluster_or_host() {
        let flag = BackupArguments { source: Some("flag".into()), ..BackupArguments::default() };
        let none = BackupArguments::default();
        let config = BackupConfig { source: Some("config".into()), ..BackupConfig::default() };
        let environment = |name: &str| match name {
            "HOMEKEEP_SOURCE" => Some("environment".into()),
            _ => Some("cluster".into()),
        };
        let cluster = |name: &str| (name == "DB_CLUSTER_NAME").then(|| "cluster".into());
        assert_eq!(source(&flag, &config, &environment), "flag");
        assert_eq!(source(&none, &config, &environment), "environment");
        assert_eq!(source(&none, &config, &cluster), "config");
        assert_eq!(source(&none, &BackupConfig::default(), &cluster), "cluster");
        assert_eq!(source(&none, &BackupConfig::default(), &|_| None), host_name());
    }

    #[test]
    fn patterns_of_flags_come_behind_those_of_the_configuration() {
        let arguments = RuleArguments { exclude: vec!["!keep".into()], ..RuleArguments::default() };
        let config = BackupConfig { exclude: Some(vec!["*".into()]), ..BackupConfig::default() };
        assert_eq!(rules(&arguments, &config).unwrap().excludes, ["*", "!keep"]);
    }

    #[test]
    fn the_flag_to_stay_on_a_file_system_overrules_the_configuration() {
        let config = BackupConfig { one_file_system: Some(false), ..BackupConfig::default() };
        let stay = RuleArguments { one_file_system: true, ..RuleArguments::default() };
        assert!(cross_file_systems(&RuleArguments::default(), &config));
        assert!(!cross_file_systems(&stay, &config));
        assert!(!cross_file_systems(&RuleArguments::default(), &BackupConfig::default()));
    }

    #[test]
    fn a_file_of_patterns_must_be_there() {
        let arguments = RuleArguments { exclude_file: vec!["/nowhere".into()], ..RuleArguments::default() };
        let missing = rules(&arguments, &BackupConfig::default());
        assert!(matches!(missing, Err(CliError::File { flag: "--exclude-file", .. })));
    }
}
