//! What every command works with: flags, environment and configuration, merged once.

use std::ffi::OsString;
use std::io::IsTerminal;

use super::args::GlobalArguments;
use super::config::{Caller, Config, ConfigLocation, Progress};
use super::error::CliError;
use super::interrupt::Interrupt;
use super::locate::Places;
use super::output::{Format, Output, Verbosity};
use super::secret::SecretSource;

/// The surroundings of a command.
pub struct Context {
    /// The configuration file.
    pub config: Config,
    /// Where everything is.
    pub places: Places,
    /// What opens the repository.
    pub secret: SecretSource,
    /// Whoever runs this.
    pub caller: Caller,
    /// What is said, and to whom.
    pub output: Output,
    /// How progress is shown.
    pub progress: Progress,
    /// The signals.
    pub interrupt: Interrupt,
}

impl Context {
    /// Merges everything that was said.
    pub fn new(global: &GlobalArguments, interrupt: Interrupt) -> Result<Self, CliError> {
        let caller = caller();
        let location = ConfigLocation::find(global.config.as_deref(), caller, variable);
        let config = location.map(|location| Config::load(&location)).transpose()?.unwrap_or_default();
        let (repo, cache) = (global.repo.as_deref(), global.cache_dir.as_deref());
        let places = Places::find(repo, cache, &config.repository, caller, &variable)?;
        let secret =
            SecretSource::find(&global.secret, &config.repository, places.key_file.as_deref(), &variable)?;
        let output = Output::new(format(global, &config), verbosity(global, &config));
        let progress =
            global.progress.map(Progress::from).or(config.output.progress).unwrap_or(Progress::Auto);
        Ok(Self { config, places, secret, caller, output, progress, interrupt })
    }
}

/// An environment variable; an empty one is unset.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// This host's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether someone watches.
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

fn caller() -> Caller {
    if rustix::process::geteuid().is_root() { Caller::Root } else { Caller::User }
}

fn format(global: &GlobalArguments, config: &Config) -> Format {
    if global.json || config.output.json == Some(true) { Format::Json } else { Format::Human }
}

fn verbosity(global: &GlobalArguments, config: &Config) -> Verbosity {
    if global.verbose > 0 {
        return Verbosity::Verbose;
    }
    match (global.quiet || config.output.quiet == Some(true), config.output.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, Some(1..)) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    }
}
