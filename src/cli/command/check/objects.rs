//! What `check` answers in JSON. docs/json.md describes the fields.

use std::time::Duration;

use serde::Serialize;

use crate::cli::json::{lossy, raw, rfc3339};
use crate::cli::output::Output;
use crate::cli::text;
use crate::codec::SnapshotId;
use crate::engine::Kind;
use crate::engine::check::{CheckReport, Finding, Intact, Loss, LostSnapshot, SampleFailure};

#[derive(Serialize)]
struct LossObject {
    message_type: &'static str,
    source: String,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_bytes: Option<String>,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    size: u64,
    bytes_lost: u64,
    /// Newest first.
    snapshots: Vec<String>,
    /// Null when no snapshot has a version that is whole.
    intact_snapshot_id: Option<String>,
    intact_time: Option<String>,
}

#[derive(Serialize)]
struct LostSnapshotObject {
    message_type: &'static str,
    snapshot_id: String,
    time: String,
    object: String,
}

#[derive(Serialize)]
struct ObjectFinding {
    message_type: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    message: String,
}

#[derive(Serialize)]
struct Unrestored {
    message_type: &'static str,
    code: &'static str,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_bytes: Option<String>,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    snapshot_id: String,
    message: String,
}

#[derive(Serialize)]
struct Summary {
    message_type: &'static str,
    damaged: bool,
    snapshots: u64,
    homes: u64,
    objects: u64,
    bytes: u64,
    objects_read: u64,
    bytes_read: u64,
    bytes_unpacked: u64,
    chunks_verified: u64,
    files_restored: u64,
    bytes_restored: u64,
    unrestored: usize,
    losses: u64,
    snapshots_incomplete: Vec<String>,
    snapshots_lost: usize,
    damaged_objects: usize,
    foreign_objects: usize,
    temporaries: u64,
    temporary_bytes: u64,
    orphans: u64,
    orphan_bytes: u64,
    /// Seconds.
    total_duration: f64,
}

/// Tells all of it.
pub fn tell(output: &Output, report: &CheckReport, elapsed: Duration) {
    report.findings.iter().for_each(|finding| output.object(&finding_object(finding)));
    for name in &report.foreign {
        let message = format!("{name} is no object of a repository");
        output.object(&ObjectFinding {
            message_type: "note",
            code: "foreign_object",
            object: Some(name.clone()),
            message,
        });
    }
    report.lost_snapshots.iter().for_each(|lost| output.object(&lost_snapshot(lost)));
    report.losses.iter().for_each(|loss| output.object(&loss_object(loss)));
    let failures = report.sample.iter().flat_map(|sample| &sample.failures);
    failures.for_each(|failure| output.object(&unrestored(failure)));
    output.object(&summary(report, elapsed));
}

fn finding_object(finding: &Finding) -> ObjectFinding {
    ObjectFinding {
        message_type: if finding.matters { "error" } else { "note" },
        code: "damaged_object",
        object: finding.error.object().map(|name| name.to_string()),
        message: text::chain(&finding.error),
    }
}

fn lost_snapshot(lost: &LostSnapshot) -> LostSnapshotObject {
    LostSnapshotObject {
        message_type: "lost_snapshot",
        snapshot_id: lost.id.to_hex(),
        time: rfc3339(lost.time_ms),
        object: lost.object.clone(),
    }
}

fn loss_object(loss: &Loss) -> LossObject {
    let intact = match loss.intact {
        Intact::In { id, time_ms } => Some((id, time_ms)),
        Intact::Nowhere | Intact::Unknown => None,
    };
    LossObject {
        message_type: "loss",
        source: loss.source.clone(),
        user: lossy(&loss.user),
        user_bytes: raw(&loss.user),
        path: lossy(loss.path.as_bytes()),
        path_bytes: raw(loss.path.as_bytes()),
        kind: if loss.kind == Kind::Directory { "dir" } else { "file" },
        size: loss.size,
        bytes_lost: loss.bytes_lost,
        snapshots: ids(&loss.snapshots),
        intact_snapshot_id: intact.map(|(id, _)| id.to_hex()),
        intact_time: intact.map(|(_, time_ms)| rfc3339(time_ms)),
    }
}

fn unrestored(failure: &SampleFailure) -> Unrestored {
    Unrestored {
        message_type: "error",
        code: "unrestored",
        user: lossy(&failure.user),
        user_bytes: raw(&failure.user),
        path: lossy(failure.path.as_bytes()),
        path_bytes: raw(failure.path.as_bytes()),
        snapshot_id: failure.snapshot.to_hex(),
        message: failure.reason.clone(),
    }
}

fn summary(report: &CheckReport, elapsed: Duration) -> Summary {
    let read = report.read.unwrap_or_default();
    let sample = report.sample.as_ref();
    Summary {
        message_type: "summary",
        damaged: report.is_damaged(),
        snapshots: report.snapshots,
        homes: report.homes,
        objects: report.objects,
        bytes: report.bytes,
        objects_read: read.objects,
        bytes_read: read.bytes,
        bytes_unpacked: read.raw_bytes,
        chunks_verified: read.chunks,
        files_restored: sample.map_or(0, |sample| sample.files),
        bytes_restored: sample.map_or(0, |sample| sample.bytes),
        unrestored: sample.map_or(0, |sample| sample.failures.len()),
        losses: report.losses.len() as u64 + report.losses_more,
        snapshots_incomplete: ids(&report.incomplete),
        snapshots_lost: report.lost_snapshots.len(),
        damaged_objects: report.findings.len(),
        foreign_objects: report.foreign.len(),
        temporaries: report.temporaries,
        temporary_bytes: report.temporary_bytes,
        orphans: report.orphans,
        orphan_bytes: report.orphan_bytes,
        total_duration: elapsed.as_millis() as f64 / 1000.0,
    }
}

fn ids(snapshots: &[SnapshotId]) -> Vec<String> {
    snapshots.iter().map(|id| id.to_hex()).collect()
}
