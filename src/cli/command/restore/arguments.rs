//! What `restore` takes. Knows spellings, not what they come to.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use crate::cli::choose::FilterArguments;
use crate::cli::command::Age;
use crate::cli::config::Overwrite as Configured;
use crate::engine::restore::{Overwrite, SecretsWanted};
use crate::files::metadata::SetuidPolicy;

/// Bring homes, directories or files back
///
/// `restore ID --target DIR` makes DIR/USER for each home; `restore ID:USER[/path] --target DIR` puts the
/// contents into DIR; --in-place puts everything where it was. `latest` means, for each home, the newest state
/// that really holds it: one in which it was missing or had shrunk, as on a machine that was just set up, is
/// passed over. Nothing is deleted without --delete, and a restore that was interrupted goes on where it ended
/// when it is run again.
///
/// `restore --all-homes` brings everyone of one source back, where they were or below --target, and tells of each
/// home what came of it. What is wrong with one stops no other. Homes of users who have no account here are left
/// alone, unless --create-users, --wait-for-users or --stage-users says otherwise.
#[derive(Debug, Default, Args)]
#[command(group(
    ArgGroup::new("where").required(true).multiple(true).args(["target", "in_place", "all_homes"])
))]
pub struct RestoreArguments {
    /// What to bring back: `latest`, `latest~2`, an id or its beginning, or a time (`@yesterday`,
    /// `@2026-11-20T10:00`, `@2h ago`), with `:USER` or `:USER/path` for a part of it [default: latest]
    #[arg(value_name = "SPEC[:USER[/path]]")]
    pub spec: Option<OsString>,
    /// Bring it back into this directory, which is made if it is missing
    #[arg(short, long, value_name = "DIR", conflicts_with = "in_place")]
    pub target: Option<PathBuf>,
    /// Bring it back where it was
    #[arg(long)]
    pub in_place: bool,
    /// End with code 0 whatever happens, once the command line is understood: for scripts whose failure would
    /// keep a machine from starting. What happened is told as ever, and its code beside it
    #[arg(long)]
    pub best_effort: bool,
    /// Only what matches (repeatable; the syntax of --exclude)
    #[arg(short, long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub include: Vec<String>,
    /// Nothing that matches, a line as in a .gitignore file (repeatable)
    #[arg(short, long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub exclude: Vec<String>,
    /// Everyone.
    #[command(flatten)]
    pub everyone: EveryoneArguments,
    /// Which snapshots count.
    #[command(flatten)]
    pub filter: FilterArguments,
    /// How it is brought back.
    #[command(flatten)]
    pub how: HowArguments,
}

/// Bringing everyone back.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Everyone")]
pub struct EveryoneArguments {
    /// Bring back every user's home of one source: that of --source, or this machine's, or the only one there is
    #[arg(long, conflicts_with = "user")]
    pub all_homes: bool,
    /// Make accounts for users who have none here, with the numbers they had if those are free, and a locked password
    #[arg(long, requires = "all_homes", conflicts_with = "numeric_ids")]
    pub create_users: bool,
    /// Look for missing accounts until so long after the start (10m unless it is said), and bring each home back
    /// when its account is there
    #[arg(long, requires = "all_homes", value_name = "DURATION")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "10m")]
    pub wait_for_users: Option<Age>,
    /// Put homes of users without an account into `.homekeep-staged` beside the others, which only root may enter;
    /// the same command moves them into place once there is one
    #[arg(long, requires = "all_homes")]
    pub stage_users: bool,
}

/// How a tree is brought back.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "How it comes back")]
pub struct HowArguments {
    /// What to do with a file that is there and differs [default: replace it, unless it was modified after the
    /// snapshot was taken]
    #[arg(long, value_name = "WHEN")]
    pub overwrite: Option<OverwriteArgument>,
    /// Remove what stands in the restored directories and is not in the snapshot
    #[arg(long)]
    pub delete: bool,
    /// Tell what would change, a line for each change, and change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Read every file back afterwards and compare it with the snapshot
    #[arg(long)]
    pub verify: bool,
    /// Give what belonged to OLD to NEW: names or numbers, @ before a group (repeatable)
    #[arg(long, value_name = "OLD=NEW", value_delimiter = ',')]
    pub owner_map: Vec<String>,
    /// Go by the numbers of owners, not by their names
    #[arg(long, visible_alias = "numeric-owner")]
    pub numeric_ids: bool,
    /// Everything belongs to whoever runs this, as it does without root anyway
    #[arg(long)]
    pub no_owner: bool,
    /// Bring setuid and setgid bits back on files of others than the home's owner too
    #[arg(long, value_name = "WHEN")]
    pub setuid: Option<SetuidArgument>,
    /// Bring device files back
    #[arg(long)]
    pub devices: bool,
    /// Leave out what is in the vault: keys, tokens, passwords
    #[arg(long, conflicts_with = "only_secrets")]
    pub without_secrets: bool,
    /// Bring back what is in the vault, and nothing else
    #[arg(long, conflicts_with = "delete")]
    pub only_secrets: bool,
    /// Threads that write [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
}

/// What to do with a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OverwriteArgument {
    /// Replace what differs, but keep what was modified after the snapshot was taken
    UnlessModified,
    /// Replace everything
    Always,
    /// Replace what differs in kind, size or modification time
    IfChanged,
    /// Replace what is older than the snapshot's
    IfNewer,
    /// Keep everything
    Never,
}

/// Which setuid bits come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SetuidArgument {
    /// Those that the home's owner could have set
    Own,
    /// All of them: whoever can write snapshots is trusted like root
    Always,
}

impl HowArguments {
    /// Whether secrets come back, and whether anything else does.
    pub fn secrets(&self) -> SecretsWanted {
        match (self.without_secrets, self.only_secrets) {
            (true, _) => SecretsWanted::Without,
            (_, true) => SecretsWanted::Only,
            _ => SecretsWanted::With,
        }
    }
}

impl From<OverwriteArgument> for Overwrite {
    fn from(argument: OverwriteArgument) -> Self {
        match argument {
            OverwriteArgument::UnlessModified => Self::UnlessModifiedSince,
            OverwriteArgument::Always => Self::Always,
            OverwriteArgument::IfChanged => Self::IfChanged,
            OverwriteArgument::IfNewer => Self::IfNewer,
            OverwriteArgument::Never => Self::Never,
        }
    }
}

impl From<Configured> for OverwriteArgument {
    fn from(configured: Configured) -> Self {
        match configured {
            Configured::UnlessModified => Self::UnlessModified,
            Configured::Always => Self::Always,
            Configured::IfChanged => Self::IfChanged,
            Configured::IfNewer => Self::IfNewer,
            Configured::Never => Self::Never,
        }
    }
}

impl From<SetuidArgument> for SetuidPolicy {
    fn from(argument: SetuidArgument) -> Self {
        match argument {
            SetuidArgument::Own => Self::OwnFiles,
            SetuidArgument::Always => Self::Always,
        }
    }
}
