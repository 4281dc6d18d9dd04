//! What `copy` takes. Knows spellings, not what they come to.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use crate::cli::command::backup::level;
use crate::cli::command::snapshots::WhichArguments;

/// Copy snapshots from another repository into this one, which has a key and a place of its own
///
/// Snapshots that are here already are not copied again, and what did not change since the last copy is not
/// read. A copy has its snapshot's id. Create the repository first, with `homekeep init`.
#[derive(Debug, Default, Args)]
pub struct CopyArguments {
    /// Which repository, and what opens it.
    #[command(flatten)]
    pub from: FromArguments,
    /// Which snapshots.
    #[command(flatten)]
    pub which: WhichArguments,
    /// Tell what would be copied, and write nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Threads that read, and threads that compress [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// zstd level, -7 (fast) to 19 (small), or fastest (1), auto (3), better (7), max (19)
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true, value_parser = level)]
    pub compression: Option<i32>,
}

/// The repository that is copied from.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Where from")]
pub struct FromArguments {
    /// The folder of the repository to copy from [env: HOMEKEEP_FROM_REPO]
    #[arg(long, value_name = "DIR")]
    pub from_repo: Option<PathBuf>,
    /// The file with its key [env: HOMEKEEP_FROM_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    pub from_key_file: Option<PathBuf>,
    /// A file with its passphrase [env: HOMEKEEP_FROM_PASSWORD_FILE; the passphrase itself:
    /// HOMEKEEP_FROM_PASSWORD]
    #[arg(long, value_name = "FILE")]
    pub from_password_file: Option<PathBuf>,
    /// A shell command that prints its passphrase [env: HOMEKEEP_FROM_PASSWORD_COMMAND]
    #[arg(long, value_name = "COMMAND")]
    pub from_password_command: Option<String>,
}
