//! What is told at the end of a restore: problems, owners that do not exist here, and one line.

use std::iter::Sum;
use std::time::Duration;

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::problems;
use crate::cli::text::{self, count};
use crate::engine::restore::RestoreReport;

/// What a restore came to.
pub struct Outcome {
    /// What the engine says.
    pub report: RestoreReport,
    /// Homes that were to be there and are not.
    pub homes_missing: usize,
    /// Objects of the repository that cannot be read.
    pub damaged: usize,
    /// The snapshots it came from, newest first.
    pub snapshots: Vec<String>,
    /// Whether nothing was done.
    pub is_dry_run: bool,
    /// How long it took.
    pub elapsed: Duration,
}

#[derive(Serialize)]
struct Summary<'o> {
    message_type: &'static str,
    dry_run: bool,
    snapshot_ids: &'o [String],
    /// Homes or parts of them.
    trees: u64,
    #[serde(flatten)]
    counts: Counts,
    homes_missing: usize,
    damaged_objects: usize,
    /// The code that the command ends with, but for --best-effort.
    exit_code: u8,
    /// Seconds.
    total_duration: f64,
}

/// What was done, in numbers: of one restore or home, or of several together.
#[derive(Debug, Default, Serialize)]
pub struct Counts {
    pub files_restored: u64,
    pub directories_restored: u64,
    pub bytes_restored: u64,
    pub unchanged: u64,
    pub kept: u64,
    pub kept_newer: u64,
    pub deleted: u64,
    pub verified: u64,
    /// What is less than it should be.
    pub problems: usize,
}

impl From<&RestoreReport> for Counts {
    fn from(report: &RestoreReport) -> Self {
        Self {
            files_restored: report.restored,
            directories_restored: report.directories,
            bytes_restored: report.bytes,
            unchanged: report.unchanged,
            kept: report.kept,
            kept_newer: report.kept_newer,
            deleted: report.deleted,
            verified: report.verified,
            problems: report.problems.iter().filter(|problem| problem.kind.is_loss()).count(),
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            files_restored: sum.files_restored + one.files_restored,
            directories_restored: sum.directories_restored + one.directories_restored,
            bytes_restored: sum.bytes_restored + one.bytes_restored,
            unchanged: sum.unchanged + one.unchanged,
            kept: sum.kept + one.kept,
            kept_newer: sum.kept_newer + one.kept_newer,
            deleted: sum.deleted + one.deleted,
            verified: sum.verified + one.verified,
            problems: sum.problems + one.problems,
        })
    }
}

#[derive(Serialize)]
struct OwnerNote<'o> {
    message_type: &'static str,
    code: &'static str,
    message: &'o str,
}

/// Tells all of it.
pub fn tell(output: &Output, outcome: &Outcome) {
    let report = &outcome.report;
    if output.is_json() {
        problems::tell_programs(output, &report.problems);
        for message in &report.owner_notes {
            output.object(&OwnerNote { message_type: "note", code: "owner", message });
        }
        output.object(&outcome.summary());
        return;
    }
    problems::tell(output, &report.problems);
    report.owner_notes.iter().for_each(|note| output.note(note));
    if !output.is_quiet() {
        output.line(&outcome.line());
    }
}

impl Outcome {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self.report.is_complete() && self.homes_missing == 0 && self.damaged == 0 {
            true => Exit::Done,
            false => Exit::Problems,
        }
    }

    fn summary(&self) -> Summary<'_> {
        let report = &self.report;
        Summary {
            message_type: "summary",
            dry_run: self.is_dry_run,
            snapshot_ids: &self.snapshots,
            trees: report.trees,
            counts: Counts::from(report),
            homes_missing: self.homes_missing,
            damaged_objects: self.damaged,
            exit_code: self.exit().code(),
            total_duration: self.elapsed.as_millis() as f64 / 1000.0,
        }
    }

    fn line(&self) -> String {
        let report = &self.report;
        let snapshots = match &self.snapshots[..] {
            [only] => format!("snapshot {}", only.get(..8).unwrap_or(only)),
            several => count(several.len() as u64, "snapshot", "snapshots"),
        };
        format!(
            "{} from {snapshots}: {}, {}, {}{}; {}",
            if self.is_dry_run { "would restore" } else { "restored" },
            count(report.restored, "file", "files"),
            count(report.directories, "directory", "directories"),
            text::size(report.bytes),
            self.others(),
            text::duration(self.elapsed)
        )
    }

    /// What was not simply written.
    fn others(&self) -> String {
        let report = &self.report;
        let losses = Counts::from(report).problems;
        let parts = [
            (report.unchanged, "unchanged"),
            (
                report.kept_newer,
                "kept because modified after the snapshot (--overwrite always replaces them)",
            ),
            (report.kept - report.kept_newer.min(report.kept), "kept"),
            (report.deleted, "deleted"),
            (report.verified, "verified"),
            (losses as u64, if losses == 1 { "problem" } else { "problems" }),
            (
                self.homes_missing as u64,
                if self.homes_missing == 1 { "home missing" } else { "homes missing" },
            ),
        ];
        let parts: Vec<_> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if parts.is_empty() { String::new() } else { format!("; {}", parts.join(", ")) }
    }
}
