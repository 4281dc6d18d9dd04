//! What `usage` takes.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::choose::FilterArguments;

/// Say who uses what, what is shared, what a folder or a snapshot costs, and how it grows
///
/// Without arguments, a row for each user: the bytes and files of the newest state, the bytes in the store that only this
/// user needs, those that others need too, and a fair part of them; then every byte of the store, by what it is
/// for. docs/usage.md defines each figure.
#[derive(Debug, Args)]
pub struct UsageArguments {
    /// A user, with a path if you like: what the folders of the home cost. Or snapshots: what forgetting all of them would
    /// free
    #[arg(value_name = "USER[/PATH]|SNAPSHOT")]
    pub what: Vec<OsString>,
    /// What a row is [default: user; path for a user that is named]
    #[arg(long, value_name = "WHAT")]
    pub by: Option<By>,
    /// Tell growth since this time, too, or with `--by time` only what is newer: `yesterday`, `2026-11-01`, `3 days ago`
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only the first N rows, or entries of a folder; with --html, look into the N largest homes [default there: 8]
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// By which column rows are sorted, by its name in CSV
    #[arg(long, value_name = "COLUMN")]
    pub sort: Option<String>,
    /// How many names below the folder are shown
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub depth: usize,
    /// Answer in CSV; totals are left out
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Write a page to FILE, in place of the tables: charts, tables and what needs attention, to be looked at in a browser, mailed or
    /// printed. An older one is replaced; anything else that is there stays
    #[arg(long, value_name = "FILE", conflicts_with_all = ["what", "by", "csv", "sort"])]
    pub html: Option<PathBuf>,
    /// Write metrics to FILE, in place of the tables, for the textfile collector of Prometheus' node exporter
    #[arg(long, value_name = "FILE", conflicts_with_all = ["what", "by", "csv", "sort"])]
    pub prometheus: Option<PathBuf>,
    /// Which homes count.
    #[command(flatten)]
    pub filter: FilterArguments,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// A user
    User,
    /// A snapshot: what forgetting it alone would free
    Snapshot,
    /// A folder or file of the newest state of a home
    Path,
    /// Files with the same extension, in the newest states of all homes
    Type,
    /// Files of about the same age, in the newest states of all homes
    Age,
    /// A moment, newest first: what homes and the store came to then
    Time,
}
