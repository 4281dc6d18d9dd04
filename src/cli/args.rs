//! The command line as a whole: what every command takes, and the commands. Knows no meaning.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, ValueEnum};

use super::command::Command;
use super::config::Progress;
use super::exit::Exit;

/// Frequent, cheap, encrypted snapshots of every home directory on a machine
///
/// `homekeep backup` saves every home under /home (run by root), or your own (run by anyone else). It
/// creates an encrypted repository and its key on first use.
#[derive(Debug, Parser)]
#[command(name = "homekeep", version, after_long_help = Exit::table())]
#[command(subcommand_required = true, arg_required_else_help = true, args_override_self = true)]
#[command(max_term_width = 100)]
pub struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub global: GlobalArguments,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes, before or after its name.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArguments {
    /// The repository's folder [env: HOMEKEEP_REPO] [default: /var/lib/homekeep/repository for root, else
    /// ~/.local/share/homekeep/repository]
    #[arg(short, long, global = true, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// What opens it.
    #[command(flatten)]
    pub secret: SecretArguments,
    /// Where the index is kept, on a local disk [env: HOMEKEEP_CACHE_DIR] [default: /var/cache/homekeep for
    /// root, else ~/.cache/homekeep]
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// The configuration file [env: HOMEKEEP_CONFIG] [default: /etc/homekeep/homekeep.toml for root, else
    /// ~/.config/homekeep/homekeep.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Answer in JSON, one object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: all problems, and each home
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Show progress: on a terminal, also in a log, or never
    #[arg(long, global = true, value_name = "WHEN")]
    pub progress: Option<ProgressArgument>,
}

/// What opens the repository: one of these.
#[derive(Debug, Default, Args)]
pub struct SecretArguments {
    /// The file with the key [env: HOMEKEEP_KEY_FILE] [default: /etc/homekeep/key for root, else
    /// ~/.config/homekeep/key]
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// A file with the passphrase [env: HOMEKEEP_PASSWORD_FILE; the passphrase itself: HOMEKEEP_PASSWORD]
    #[arg(long, global = true, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// A shell command that prints the passphrase [env: HOMEKEEP_PASSWORD_COMMAND]
    #[arg(long, global = true, value_name = "COMMAND")]
    pub password_command: Option<String>,
}

/// [`Progress`] as a flag's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressArgument {
    /// On a terminal
    Auto,
    /// Also in a log
    Always,
    /// Not at all
    Never,
}

impl From<ProgressArgument> for Progress {
    fn from(argument: ProgressArgument) -> Self {
        match argument {
            ProgressArgument::Auto => Self::Auto,
            ProgressArgument::Always => Self::Always,
            ProgressArgument::Never => Self::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_fits_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in [
            "homekeep -r /r --key-file /k --cache-dir /c --json snapshots",
            "homekeep snapshots --repo /r --key-file /k --cache-dir /c --json",
            "homekeep --repo=/r snapshots --key-file /k --cache-dir /c --json",
        ] {
            let global = Arguments::try_parse_from(line.split(' ')).unwrap().global;
            assert_eq!(global.repo.as_deref(), Some("/r".as_ref()), "{line}");
            assert_eq!(global.secret.key_file.as_deref(), Some("/k".as_ref()), "{line}");
            assert_eq!(global.cache_dir.as_deref(), Some("/c".as_ref()), "{line}");
            assert!(global.json, "{line}");
        }
    }
}
