//! `repair snapshots`: publishes what is left of damaged snapshots.

use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{options, salvaged_line};
use crate::cli::busy::BusyLock;
use crate::cli::command::snapshots::{WhichArguments, select};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::rfc3339;
use crate::cli::output::Output;
use crate::cli::problems;
use crate::cli::progress::Progress;
use crate::cli::synced::Indexed;
use crate::cli::text::{self, count};
use crate::engine::Meter;
use crate::engine::repair::{Outcome, SnapshotRepair, SnapshotsReport, repair_snapshots};

/// Publish snapshots that lost something again, without it
///
/// A repaired snapshot keeps its id, names what it lost here, counts it among its problems, and `homekeep snapshots`
/// shows how much was lost. What the homes or a second repository still have is better stored again first, by
/// `homekeep backup` or `homekeep copy`: a repaired snapshot does not get back what was left out.
#[derive(Debug, Args)]
pub struct SnapshotsArguments {
    /// Which snapshots.
    #[command(flatten)]
    which: WhichArguments,
    /// Tell what would be done, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Forget snapshots of which nothing is left
    #[arg(long)]
    forget: bool,
}

/// What came of one snapshot, in JSON.
#[derive(Serialize)]
struct SnapshotObject {
    message_type: &'static str,
    snapshot_id: String,
    time: String,
    source: String,
    /// `whole`, `renewed`, `repaired`, `lost` or `forgotten`.
    outcome: &'static str,
    lost: usize,
}

/// The end of the run, in numbers.
#[derive(Serialize)]
struct Summary {
    message_type: &'static str,
    dry_run: bool,
    snapshots_whole: usize,
    snapshots_renewed: usize,
    snapshots_repaired: usize,
    snapshots_lost: usize,
    snapshots_forgotten: usize,
    /// Files, directories and parts of listings, in all snapshots.
    lost: usize,
    segments_damaged: usize,
    chunks_salvaged: u64,
    damaged_objects: usize,
}

/// Repairs them.
pub fn run(context: &Context, arguments: &SnapshotsArguments) -> Result<Exit, CliError> {
    let mut indexed = Indexed::open(context)?;
    let mut options = options(context, arguments.dry_run);
    options.forget = arguments.forget;
    let summaries = indexed.repository.summaries()?;
    let filter = arguments.which.filter.filter();
    let wanted = select(&summaries, &arguments.which, &filter, Timestamp::now())?;
    options.snapshots = Some(wanted.iter().map(|snapshot| snapshot.id).collect());
    let _lock = BusyLock::take(indexed.repository.cache())?;
    let meter = Arc::new(Meter::interrupted_by(context.interrupt.deferred()));
    let progress = Progress::start(context, "repairing", &meter);
    let mut tell = |repair: &SnapshotRepair| tell_snapshot(&context.output, repair, arguments.dry_run);
    let result = repair_snapshots(&mut indexed.repository, &options, &meter, &mut tell);
    progress.finish();
    let report = result?;
    tell_end(&context.output, &report, arguments.dry_run);
    Ok(if report.is_complete() { Exit::Done } else { Exit::Problems })
}

fn tell_snapshot(output: &Output, repair: &SnapshotRepair, dry_run: bool) {
    if output.is_json() {
        problems::tell_programs(output, &repair.problems);
        output.object(&SnapshotObject {
            message_type: "snapshot",
            snapshot_id: repair.id.to_hex(),
            time: rfc3339(repair.time_ms),
            source: repair.source.clone(),
            outcome: word(repair.outcome),
            lost: repair.problems.len(),
        });
        return;
    }
    problems::tell(output, &repair.problems);
    if let Some(line) = line(repair, dry_run).filter(|_| !output.is_quiet()) {
        output.line(&line);
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Whole => "whole",
        Outcome::Renewed => "renewed",
        Outcome::Repaired => "repaired",
        Outcome::Lost => "lost",
        Outcome::Forgotten => "forgotten",
    }
}

/// Words for people; none for what lacks nothing.
fn line(repair: &SnapshotRepair, dry_run: bool) -> Option<String> {
    let time = text::local_time(Timestamp::from_millisecond(repair.time_ms).unwrap_or_default());
    let source = text::name(repair.source.as_bytes());
    let what = format!("snapshot {} of {time} ({source})", repair.id.short_hex());
    let done = |done: &str, would: &str| format!("{} {what}", if dry_run { would } else { done });
    Some(match repair.outcome {
        Outcome::Whole => return None,
        Outcome::Renewed => format!("{}: it lacks nothing", done("published", "would publish")),
        Outcome::Repaired => {
            let lost = count(repair.problems.len() as u64, "file or directory", "files and directories");
            format!("{} without {lost}", done("repaired", "would repair"))
        }
        Outcome::Lost => format!("nothing is left of {what}; --forget forgets it"),
        Outcome::Forgotten => format!("{}: nothing is left of it", done("forgot", "would forget")),
    })
}

fn tell_end(output: &Output, report: &SnapshotsReport, dry_run: bool) {
    for error in &report.damaged {
        output.warn(&text::chain(error));
    }
    let number = |outcome| report.snapshots.iter().filter(|s| s.outcome == outcome).count();
    let summary = Summary {
        message_type: "summary",
        dry_run,
        snapshots_whole: number(Outcome::Whole),
        snapshots_renewed: number(Outcome::Renewed),
        snapshots_repaired: number(Outcome::Repaired),
        snapshots_lost: number(Outcome::Lost),
        snapshots_forgotten: number(Outcome::Forgotten),
        lost: report.snapshots.iter().map(|s| s.problems.len()).sum(),
        segments_damaged: report.salvaged.segments.len(),
        chunks_salvaged: report.salvaged.chunks,
        damaged_objects: report.damaged.len(),
    };
    if output.is_json() {
        output.object(&summary);
    } else if !output.is_quiet() {
        if let Some(line) = salvaged_line(&report.salvaged) {
            output.line(&line);
        }
        let whole = count(summary.snapshots_whole as u64, "snapshot lacks", "snapshots lack");
        output.line(&format!("{whole} nothing; {} repaired", summary.snapshots_repaired));
    }
}
