//! `copy`: from the command line to snapshots in a second repository. Knows how the first is named.

mod arguments;
mod report;
mod source;

use std::sync::Arc;

use jiff::Timestamp;

pub use arguments::CopyArguments;

use super::snapshots;
use crate::cli::busy::BusyLock;
use crate::cli::context::Context;
use crate::cli::effort;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::open;
use crate::cli::progress::Progress;
use crate::cli::synced::Synced;
use crate::engine::Meter;
use crate::engine::copy::{CopyOptions, copy};
use crate::engine::select::refuse_unknown_users;

/// Copies snapshots.
pub fn run(context: &Context, arguments: &CopyArguments) -> Result<Exit, CliError> {
    let mut from = source::open(context, &arguments.from)?;
    let mut to = open::open(context)?;
    let options = options(context, arguments, &from)?;
    let _lock = BusyLock::take(to.cache())?;
    let meter = Arc::new(Meter::interrupted_by(context.interrupt.deferred()));
    let progress = Progress::start(context, "copying", &meter);
    let mut tell = |snapshot: &_| report::tell_snapshot(&context.output, snapshot);
    let result = copy(&mut from.repository, &mut to, &options, &meter, &mut tell);
    progress.finish();
    let report = result?;
    report::tell(&context.output, &report, arguments.dry_run);
    Ok(if report.is_complete() { from.exit() } else { Exit::Problems })
}

fn options(context: &Context, arguments: &CopyArguments, from: &Synced) -> Result<CopyOptions, CliError> {
    let filter = arguments.which.filter.filter();
    refuse_unknown_users(&filter, &from.summaries)?;
    let wanted = snapshots::select(&from.summaries, &arguments.which, &filter, Timestamp::now())?;
    // What is written here is written like a backup.
    let config = &context.config.backup;
    let jobs = arguments.jobs.or(config.read_concurrency);
    Ok(CopyOptions {
        snapshots: wanted.iter().map(|summary| summary.id).collect(),
        users: filter.users,
        level: effort::level(arguments.compression.or(config.compression_level)),
        threads: effort::threads(jobs),
        dry_run: arguments.dry_run,
    })
}
