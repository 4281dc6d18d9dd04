//! `backup`: from the command line to a snapshot and what is told about it.

mod arguments;
mod excludes;
mod options;
mod prometheus;
mod report;

use std::collections::HashMap;
use std::sync::Arc;

pub use arguments::{BackupArguments, level};
pub use options::own_source;

use crate::cli::busy::BusyLock;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::locate::Origin;
use crate::cli::open::{self, Created};
use crate::cli::progress::Progress;
use crate::cli::quota::{self, Measure, Over};
use crate::cli::report_file::ReportFile;
use crate::cli::text;
use crate::cli::vault;
use crate::engine::Meter;
use crate::engine::backup::{BackupOptions, BackupReport, backup};
use crate::engine::usage::last_known;
use crate::repo::{RepoError, Repository};

/// Takes a snapshot.
pub fn run(context: &Context, arguments: &BackupArguments) -> Result<Exit, CliError> {
    if arguments.rules.list_excludes {
        return excludes::list(context, &arguments.rules);
    }
    let options = options::options(context, arguments)?;
    let named = arguments.prometheus.as_ref().or(context.config.backup.prometheus.as_ref());
    let metrics =
        named.map(|path| ReportFile::open(path, prometheus::METRICS)).filter(|_| !arguments.dry_run);
    let mut repository = open_or_create(context, arguments)?;
    let options = BackupOptions { vault: vault::open(context, &repository)?, ..options };
    let _lock = BusyLock::take(repository.cache())?;
    let meter = Arc::new(Meter::interrupted_by(context.interrupt.deferred()));
    let progress = Progress::start(context, "saving", &meter);
    let result = backup(&mut repository, &options, &meter);
    progress.finish();
    let report = result?;
    let over = over_quota(context, &repository, &options.source, &report);
    let written =
        metrics.map(|file| write_metrics(&file?, &repository, &options.source, &report, over.len()));
    report::tell(&context.output, &report, over);
    // The snapshot stands, whatever came of the metrics.
    let is_written = match written.transpose() {
        Ok(_) => true,
        Err(error) => {
            context.output.warn(&format!("there are no metrics of this run: {}", text::chain(&error)));
            false
        }
    };
    Ok(if report.is_complete() && is_written { Exit::Done } else { Exit::Problems })
}

fn write_metrics(
    file: &ReportFile,
    repository: &Repository,
    source: &str,
    report: &BackupReport,
    over_quota: usize,
) -> Result<(), CliError> {
    let amiss = prometheus::amiss(report);
    let last_saved = match amiss.is_empty() {
        true => HashMap::new(),
        false => prometheus::last_saved(&repository.summaries()?, source, amiss),
    };
    file.write(&prometheus::metrics(report, source, over_quota, &last_saved))
}

/// Only in the default place, or when told to, a missing repository is made: elsewhere it may be on
/// a disk that is not mounted, and a new one in its place would hide that.
fn open_or_create(context: &Context, arguments: &BackupArguments) -> Result<Repository, CliError> {
    let may_create = arguments.init || context.places.repository_origin == Origin::Default;
    match open::open(context) {
        Err(CliError::Repository(RepoError::Absent(_))) if may_create && !arguments.dry_run => {
            let Created { repository, key_file } = open::create(context)?;
            tell_of_creation(context);
            if let Some(key_file) = key_file {
                open::tell_of_key(&context.output, &key_file);
            }
            Ok(repository)
        }
        result => result,
    }
}

fn tell_of_creation(context: &Context) {
    let output = &context.output;
    let place = context.places.repository.display().to_string();
    output.note(&format!("created a repository in {place}"));
    if context.places.repository_origin == Origin::Default {
        output.warn(&format!(
            "{} is on this machine's own disk: to survive the machine's loss, copy it elsewhere, or point --repo \
             at a mount",
            text::safe(&place)
        ));
    }
}

/// Who is over the quota now: by this run, or, where the store counts, by the last account on this machine. That
/// there is none, or that it cannot be read, is no backup's problem.
fn over_quota(context: &Context, repository: &Repository, source: &str, report: &BackupReport) -> Vec<Over> {
    let quota = &context.config.quota;
    if !quota.is_set() {
        return Vec::new();
    }
    let homes = report.homes.iter().map(|home| &home.record);
    let over = match quota.measure() {
        Measure::Logical => quota.over(homes.map(|home| (&home.user[..], home.bytes))),
        Measure::Stored => {
            let known = last_known(repository).unwrap_or_default();
            let is_here = |user: &[u8]| report.homes.iter().any(|home| home.record.user == user);
            let known = known.iter().filter(|(of, user, _)| of == source && is_here(user));
            quota.over(known.map(|(_, user, stored)| (&user[..], stored.fair())))
        }
    };
    if !context.output.is_json() {
        quota::tell(&context.output, quota.measure(), &over);
    }
    over
}
