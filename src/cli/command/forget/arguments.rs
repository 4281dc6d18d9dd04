//! What `forget` takes.

use std::ffi::OsString;

use clap::Args;

use crate::cli::choose::FilterArguments;
use crate::cli::command::prune::PruneLimits;
use crate::engine::forget::{Grouping, Rule, Within};

/// Forget snapshots: all that a policy does not keep, or those that are named
///
/// A snapshot is forgotten whole, with all homes in it. A policy never forgets the newest snapshot that holds a
/// user's home, nor the last one before that home shrank or went missing. Nothing is deleted yet.
#[derive(Debug, Default, Args)]
#[command(mut_group("PruneLimits", |limits| limits.requires("prune")))]
pub struct ForgetArguments {
    /// Forget these: ids, or their beginnings
    #[arg(value_name = "ID", conflicts_with_all = ["KeepArguments", "ConcernedArguments"])]
    pub ids: Vec<String>,
    /// What stays.
    #[command(flatten)]
    pub keep: KeepArguments,
    /// Which snapshots it is about.
    #[command(flatten)]
    pub concerned: ConcernedArguments,
    /// Show what would stay and go, and why, and change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Forget what is named although it holds the newest state of a home
    #[arg(long, requires = "ids", conflicts_with_all = ["KeepArguments", "ConcernedArguments"])]
    pub force: bool,
    /// Forget although nothing stays of a source, or without a rule that says what stays
    #[arg(long)]
    pub allow_forget_all: bool,
    /// Then delete what no snapshot needs, as `prune` does; not in a dry run
    #[arg(long, help_heading = "Pruning")]
    pub prune: bool,
    /// How.
    #[command(flatten, next_help_heading = "Pruning")]
    pub limits: PruneLimits,
}

/// What stays. A snapshot stays if any of these keeps it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What stays")]
pub struct KeepArguments {
    /// The newest N
    #[arg(long, value_name = "N")]
    pub keep_last: Option<u32>,
    /// The newest of each of the N newest minutes that have one
    #[arg(long, value_name = "N")]
    pub keep_minutely: Option<u32>,
    /// The newest of each of the N newest hours that have one
    #[arg(long, value_name = "N")]
    pub keep_hourly: Option<u32>,
    /// The newest of each of the N newest days that have one; days begin where this machine's time zone says
    #[arg(long, value_name = "N")]
    pub keep_daily: Option<u32>,
    /// The newest of each of the N newest weeks that have one; weeks begin on Monday
    #[arg(long, value_name = "N")]
    pub keep_weekly: Option<u32>,
    /// The newest of each of the N newest months that have one
    #[arg(long, value_name = "N")]
    pub keep_monthly: Option<u32>,
    /// The newest of each of the N newest years that have one
    #[arg(long, value_name = "N")]
    pub keep_yearly: Option<u32>,
    /// All that are at most so much older than the newest: 2y5m7d3h (years, months, days, hours), 90min
    #[arg(long, value_name = "DURATION")]
    pub keep_within: Option<Within>,
    /// All with this tag; with all of TAG,TAG (repeatable)
    #[arg(long, value_name = "TAG")]
    pub keep_tag: Vec<String>,
    /// Keep so many of each group: source, host, tags, user, in any combination [default: source]
    #[arg(long, value_name = "WORD,…")]
    pub group_by: Option<Grouping>,
}

/// Which snapshots a policy is about; others stay.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Which snapshots")]
pub struct ConcernedArguments {
    /// Only snapshots that hold no other homes than this user's (repeatable)
    #[arg(long, value_name = "USER", value_delimiter = ',')]
    pub user: Vec<OsString>,
    /// Only of this logical machine (repeatable)
    #[arg(long, value_name = "NAME")]
    pub source: Vec<String>,
    /// Only made by this host (repeatable)
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// Only with this tag; with all of TAG,TAG; repeated, with any
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
}

impl KeepArguments {
    /// How many a rule keeps.
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

impl ConcernedArguments {
    /// The same words as other commands take, with another meaning of users.
    pub fn filter(&self) -> FilterArguments {
        FilterArguments {
            user: self.user.clone(),
            source: self.source.clone(),
            host: self.host.clone(),
            tag: self.tag.clone(),
        }
    }
}
