//! What `backup` takes. Knows spellings, not what they come to.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::cli::ByteSize;

/// Names for levels, beside the numbers.
const LEVELS: [(&str, i32); 4] = [("fastest", 1), ("auto", 3), ("better", 7), ("max", 19)];

/// Take a snapshot of every home under /home (as root), of your own home, or of the homes named
///
/// Each home is one user's, called by its directory's name. A user's file or directory that cannot be read is
/// reported, and the rest is saved. The default repository is created on first use.
#[derive(Debug, Default, Args)]
pub struct BackupArguments {
    /// Homes to save, in place of those under /home
    #[arg(value_name = "PATH", conflicts_with = "homes")]
    pub paths: Vec<PathBuf>,
    /// Save every directory in DIR, each as one user's home
    #[arg(long, value_name = "DIR")]
    pub homes: Option<PathBuf>,
    /// Of these homes, save only this user's (repeatable)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub user: Vec<String>,
    /// Create the repository first, if there is none
    #[arg(long)]
    pub init: bool,
    /// Tell what would be done, and write nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Tag the snapshot (repeatable, or separated by commas)
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub tag: Vec<String>,
    /// The logical machine that the homes belong to, whatever the host is called today
    /// [env: HOMEKEEP_SOURCE] [default: DB_CLUSTER_NAME, else the host's name]
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// The host's name in the snapshot
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Write a snapshot although nothing changed
    #[arg(long)]
    pub always: bool,
    /// Read every file, also those that look unchanged
    #[arg(long, visible_alias = "force")]
    pub verify_unchanged: bool,
    /// Threads that read, and threads that compress [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// zstd level, -7 (fast) to 19 (small), or fastest (1), auto (3), better (7), max (19)
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true, value_parser = level)]
    pub compression: Option<i32>,
    /// Save live SQLite databases as plain bytes, not as SQLite's own copy
    #[arg(long)]
    pub no_sqlite_copy: bool,
    /// This user's home is meant to be smaller, or gone (repeatable)
    #[arg(long, value_name = "USER", value_delimiter = ',')]
    pub confirm: Vec<String>,
    /// Mark a home that lost more than N percent of its files and bytes; 100 marks none [default: 75]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub shrink_percent: Option<u8>,
    /// Write metrics of the run to FILE, for the textfile collector of Prometheus' node exporter
    #[arg(long, value_name = "FILE")]
    pub prometheus: Option<PathBuf>,
    /// What to leave out.
    #[command(flatten)]
    pub rules: RuleArguments,
}

/// What to leave out.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What to leave out")]
pub struct RuleArguments {
    /// Leave out what matches, as in a .gitignore (repeatable)
    #[arg(short, long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub exclude: Vec<String>,
    /// The same, whatever the case
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub iexclude: Vec<String>,
    /// Leave out what a pattern in FILE matches (repeatable)
    #[arg(long, value_name = "FILE")]
    pub exclude_file: Vec<PathBuf>,
    /// Of directories with a CACHEDIR.TAG, save only the tag
    #[arg(long)]
    pub exclude_caches: bool,
    /// Of directories with a file of this name (that begins so), save only the file (repeatable)
    #[arg(long, value_name = "NAME[:HEADER]")]
    pub exclude_if_present: Vec<String>,
    /// Leave out larger files (bytes, or with K, M, G, T)
    #[arg(long, value_name = "SIZE")]
    pub exclude_larger_than: Option<ByteSize>,
    /// Stay on each home's file system (the default)
    #[arg(short = 'x', long, overrides_with = "cross_file_systems")]
    pub one_file_system: bool,
    /// Enter other file systems mounted in a home
    #[arg(long, overrides_with = "one_file_system")]
    pub cross_file_systems: bool,
    /// Save also what the built-in rules leave out
    #[arg(long)]
    pub no_default_excludes: bool,
    /// Print what this command line leaves out, and do nothing
    #[arg(long, action = ArgAction::SetTrue)]
    pub list_excludes: bool,
    /// Heed .gitignore files too
    #[arg(long)]
    pub git_ignore: bool,
    /// The name of a directory's own list [default: .homekeepignore]
    #[arg(long, value_name = "NAME")]
    pub ignore_file_name: Option<String>,
}

/// Reads a level.
pub fn level(text: &str) -> Result<i32, String> {
    let named = LEVELS.iter().find(|(name, _)| *name == text).map(|(_, level)| *level);
    let number = text.parse().ok().filter(|level| (-7..=19).contains(level));
    named.or(number).ok_or_else(|| "not a level: a number from -7 to 19, fastest, auto, better or max".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_number_or_has_a_name() {
        for (text, expected) in [("fastest", 1), ("auto", 3), ("max", 19), ("-7", -7), ("19", 19)] {
            assert_eq!(level(text), Ok(expected));
        }
        for text in ["off", "20", "-8", ""] {
            assert!(level(text).is_err(), "{text}");
        }
    }
}
