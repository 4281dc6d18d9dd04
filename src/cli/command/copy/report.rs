//! What is told about a copy: each snapshot when it is done, and one line at the end.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::json::rfc3339;
use crate::cli::output::Output;
use crate::cli::problems;
use crate::cli::text::{self, count};
use crate::engine::copy::{CopyReport, Outcome, SnapshotReport};

/// What came of one snapshot, in JSON.
#[derive(Serialize)]
struct SnapshotObject {
    message_type: &'static str,
    snapshot_id: String,
    time: String,
    source: String,
    /// `copied`, `planned`, `present`, `forgotten`, `conflict`, `lost` or `vanished`.
    outcome: &'static str,
    homes: usize,
    data_added: u64,
    data_added_packed: u64,
    objects_added: u64,
    problems: usize,
}

/// The end of the run, in numbers.
#[derive(Serialize)]
struct Summary {
    message_type: &'static str,
    dry_run: bool,
    snapshots_copied: usize,
    snapshots_present: usize,
    snapshots_forgotten: usize,
    snapshots_failed: usize,
    data_added: u64,
    data_added_packed: u64,
    objects_added: u64,
    problems: usize,
    damaged_objects: usize,
    /// Seconds.
    total_duration: f64,
}

/// Tells of a snapshot that is done.
pub fn tell_snapshot(output: &Output, report: &SnapshotReport) {
    if output.is_json() {
        problems::tell_programs(output, &report.problems);
        output.object(&snapshot_object(report));
        return;
    }
    problems::tell(output, &report.problems);
    match (line(report), is_failure(report.outcome)) {
        (Some(line), true) => output.warn(&line),
        (Some(line), false) if !output.is_quiet() => output.line(&line),
        _ => {}
    }
}

/// Tells of the whole run.
pub fn tell(output: &Output, report: &CopyReport, dry_run: bool) {
    let summary = Summary::of(report, dry_run);
    for error in &report.damaged {
        output.warn(&format!("{}. What needs it is copied again", text::chain(error)));
    }
    if let Some(error) = &report.index_problem {
        output
            .warn(&format!("the index could not be published; a later run does it: {}", text::chain(error)));
    }
    if output.is_json() {
        output.object(&summary);
    } else if !output.is_quiet() {
        output.line(&summary.line());
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Copied { .. } => "copied",
        Outcome::Planned => "planned",
        Outcome::Present => "present",
        Outcome::Forgotten => "forgotten",
        Outcome::Conflict => "conflict",
        Outcome::Lost => "lost",
        Outcome::Vanished => "vanished",
    }
}

fn is_failure(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Conflict | Outcome::Lost | Outcome::Vanished)
}

/// Bytes that were new, bytes stored and objects.
fn cost(outcome: Outcome) -> (u64, u64, u64) {
    match outcome {
        Outcome::Copied { bytes_new, bytes_stored, objects } => (bytes_new, bytes_stored, objects),
        _ => (0, 0, 0),
    }
}

/// Words for people; none for what was there already.
fn line(report: &SnapshotReport) -> Option<String> {
    let time = text::local_time(Timestamp::from_millisecond(report.time_ms).unwrap_or_default());
    let source = text::name(report.source.as_bytes());
    let what = format!("snapshot {} of {time} ({source})", report.id.short_hex());
    let homes = count(report.homes as u64, "home", "homes");
    Some(match report.outcome {
        Outcome::Copied { bytes_new, .. } => {
            format!("copied {what}: {homes}, {} new{}", text::size(bytes_new), lacks(report))
        }
        Outcome::Planned => format!("would copy {what}: {homes}"),
        Outcome::Present => return None,
        Outcome::Forgotten => format!("left out {what}: it was forgotten here"),
        Outcome::Conflict => format!("did not copy {what}: another snapshot has its id here"),
        Outcome::Lost => format!("did not copy {what}: nothing of it can be read"),
        Outcome::Vanished => format!("did not copy {what}: it was forgotten there meanwhile"),
    })
}

fn lacks(report: &SnapshotReport) -> String {
    match report.problems.len() as u64 {
        0 => String::new(),
        lost => format!(
            "; without {} that cannot be read",
            count(lost, "file or directory", "files and directories")
        ),
    }
}

fn snapshot_object(report: &SnapshotReport) -> SnapshotObject {
    let (data_added, data_added_packed, objects_added) = cost(report.outcome);
    SnapshotObject {
        message_type: "snapshot",
        snapshot_id: report.id.to_hex(),
        time: rfc3339(report.time_ms),
        source: report.source.clone(),
        outcome: word(report.outcome),
        homes: report.homes,
        data_added,
        data_added_packed,
        objects_added,
        problems: report.problems.len(),
    }
}

impl Summary {
    fn of(report: &CopyReport, dry_run: bool) -> Self {
        let number = |is: fn(Outcome) -> bool| report.snapshots.iter().filter(|s| is(s.outcome)).count();
        let costs = report.snapshots.iter().map(|s| cost(s.outcome));
        let (data_added, data_added_packed, objects_added) =
            costs.fold((0, 0, 0), |sum, cost| (sum.0 + cost.0, sum.1 + cost.1, sum.2 + cost.2));
        let duration = report.finished.as_millisecond() - report.started.as_millisecond();
        Self {
            message_type: "summary",
            dry_run,
            snapshots_copied: number(|o| matches!(o, Outcome::Copied { .. } | Outcome::Planned)),
            snapshots_present: number(|o| o == Outcome::Present),
            snapshots_forgotten: number(|o| o == Outcome::Forgotten),
            snapshots_failed: number(is_failure),
            data_added,
            data_added_packed,
            objects_added,
            problems: report.snapshots.iter().map(|s| s.problems.len()).sum(),
            damaged_objects: report.damaged.len(),
            total_duration: duration.max(0) as f64 / 1000.0,
        }
    }

    fn line(&self) -> String {
        let copied = count(self.snapshots_copied as u64, "snapshot", "snapshots");
        let present = format!("{} here already", self.snapshots_present);
        if self.dry_run {
            return format!("would copy {copied}; {present}; nothing stored");
        }
        let time = text::duration(Duration::from_secs_f64(self.total_duration));
        let mut line = format!(
            "copied {copied}; {present}; {} new; stored {} in {}, {time}",
            text::size(self.data_added),
            text::size(self.data_added_packed),
            count(self.objects_added, "object", "objects")
        );
        if self.snapshots_failed > 0 {
            line += &format!("; {} could not be copied", self.snapshots_failed);
        }
        line
    }
}
