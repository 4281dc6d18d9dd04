//! What is told about a prune.

use serde::Serialize;

use crate::cli::output::Output;
use crate::cli::text::{self, count};
use crate::engine::prune::{Amount, PruneOptions, PruneReport};

/// Tells all of it.
pub fn tell(output: &Output, report: &PruneReport, options: &PruneOptions) {
    if output.is_json() {
        return output.object(&Summary::of(report, options));
    }
    for error in report.damaged.iter().chain(&report.repack_problem) {
        output.warn(&text::chain(error));
    }
    for id in &report.incomplete {
        output.warn(&format!("the snapshot {} is damaged; all that it names is kept", id.short_hex()));
    }
    if !output.is_quiet() {
        lines(report, options).iter().for_each(|line| output.line(line));
    }
}

fn amount(amount: Amount) -> String {
    format!("{} in {}", text::size(amount.bytes), count(amount.objects, "object", "objects"))
}

fn lines(report: &PruneReport, options: &PruneOptions) -> Vec<String> {
    let mut lines = Vec::new();
    let would = |done: &str, would: &str| if options.dry_run { would.to_string() } else { done.to_string() };
    let mut say = |what: String, of: Amount, why: &str| {
        if of.objects > 0 {
            lines.push(format!("{what} {}{why}", amount(of)));
        }
    };
    say(would("repacked", "would repack"), report.repacked, "");
    if !options.dry_run {
        say("wrote".into(), report.written, " for that");
    }
    say(
        would("found", "would delete"),
        report.unneeded,
        if options.dry_run { "" } else { " that no snapshot needs" },
    );
    say("deleted".into(), report.deleted, "");
    say("condemned".into(), report.waiting, ", to be deleted by a later prune when the grace period is over");
    say("left alone".into(), report.young, ", which a backup that still runs may be about to name");
    lines.push(format!(
        "{} {}, {} wasted in segments that are partly needed",
        count(report.snapshots as u64, "snapshot", "snapshots"),
        would("kept", "would be kept"),
        text::size(report.bytes_unused)
    ));
    lines
}

/// The same for programs.
#[derive(Debug, Serialize)]
struct Summary {
    message_type: &'static str,
    dry_run: bool,
    snapshots: usize,
    incomplete: Vec<String>,
    before: Sum,
    unneeded: Sum,
    young: Sum,
    deleted: Sum,
    waiting: Sum,
    repacked: Sum,
    written: Sum,
    snapshots_republished: usize,
    bytes_unused: u64,
    marks_removed: usize,
    index_images_removed: usize,
    temporary_files_removed: usize,
    damaged: Vec<String>,
    repack_problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct Sum {
    objects: u64,
    bytes: u64,
}

impl From<Amount> for Sum {
    fn from(Amount { objects, bytes }: Amount) -> Self {
        Self { objects, bytes }
    }
}

impl Summary {
    fn of(report: &PruneReport, options: &PruneOptions) -> Self {
        Self {
            message_type: "prune",
            dry_run: options.dry_run,
            snapshots: report.snapshots,
            incomplete: report.incomplete.iter().map(ToString::to_string).collect(),
            before: report.before.into(),
            unneeded: report.unneeded.into(),
            young: report.young.into(),
            deleted: report.deleted.into(),
            waiting: report.waiting.into(),
            repacked: report.repacked.into(),
            written: report.written.into(),
            snapshots_republished: report.republished,
            bytes_unused: report.bytes_unused,
            marks_removed: report.marks_removed,
            index_images_removed: report.images_removed,
            temporary_files_removed: report.temporaries_removed,
            damaged: report.damaged.iter().map(|error| text::chain(error)).collect(),
            repack_problem: report.repack_problem.as_ref().map(|error| text::chain(error)),
        }
    }
}
