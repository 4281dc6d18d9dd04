//! `repair segments`: moves what can be read out of damaged segments.

use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::{options, salvaged_line};
use crate::cli::busy::BusyLock;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::open;
use crate::cli::output::Output;
use crate::cli::progress::Progress;
use crate::cli::text::{self, count};
use crate::engine::Meter;
use crate::engine::repair::{SegmentsReport, repair_segments};

/// Store again what can be read of damaged segments, so that nothing depends on them
///
/// Snapshots that lack nothing are published again and no longer name the damaged segments. The others are for
/// `homekeep repair snapshots`.
#[derive(Debug, Args)]
pub struct SegmentsArguments {
    /// Tell what would be done, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// The end of the run, in JSON.
#[derive(Serialize)]
struct Summary {
    message_type: &'static str,
    dry_run: bool,
    segments: Vec<String>,
    chunks_salvaged: u64,
    data_added_packed: u64,
    objects_added: u64,
    snapshots_renewed: Vec<String>,
    snapshots_incomplete: Vec<String>,
    damaged_objects: usize,
}

/// Repairs them.
pub fn run(context: &Context, arguments: &SegmentsArguments) -> Result<Exit, CliError> {
    let mut repository = open::open(context)?;
    let _lock = BusyLock::take(repository.cache())?;
    let meter = Arc::new(Meter::interrupted_by(context.interrupt.deferred()));
    let progress = Progress::start(context, "repairing", &meter);
    let result = repair_segments(&mut repository, &options(context, arguments.dry_run), &meter);
    progress.finish();
    let report = result?;
    tell(&context.output, &report, arguments.dry_run);
    Ok(if report.is_complete() { Exit::Done } else { Exit::Problems })
}

fn tell(output: &Output, report: &SegmentsReport, dry_run: bool) {
    for error in &report.damaged {
        output.warn(&text::chain(error));
    }
    if output.is_json() {
        return output.object(&Summary {
            message_type: "summary",
            dry_run,
            segments: report.salvaged.segments.iter().map(ToString::to_string).collect(),
            chunks_salvaged: report.salvaged.chunks,
            data_added_packed: report.salvaged.bytes_stored,
            objects_added: report.salvaged.objects,
            snapshots_renewed: report.renewed.iter().map(|id| id.to_hex()).collect(),
            snapshots_incomplete: report.incomplete.iter().map(|id| id.to_hex()).collect(),
            damaged_objects: report.damaged.len(),
        });
    }
    let incomplete = report.incomplete.len() as u64;
    if incomplete > 0 {
        let lack = count(incomplete, "snapshot lacks", "snapshots lack");
        output.warn(&format!("{lack} something; `homekeep repair snapshots` publishes what is left"));
    }
    if !output.is_quiet() {
        let nothing =
            || "no segment is known to be damaged; `homekeep check --read-data` finds out".to_owned();
        output.line(&salvaged_line(&report.salvaged).unwrap_or_else(nothing));
        let renewed = count(report.renewed.len() as u64, "snapshot", "snapshots");
        output.line(&format!("{} {renewed} again", if dry_run { "would publish" } else { "published" }));
    }
}
