//! What repairs did, as values.

use crate::codec::SnapshotId;
use crate::engine::Problem;
use crate::format::{ObjectName, SnapshotRecord};
use crate::repo::RepoError;

/// What came of one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It lacks nothing.
    Whole,
    /// It lacks nothing, and what it needs was found elsewhere than it said: it was published again, or would be.
    Renewed,
    /// It was published again without what is lost, or would be.
    Repaired,
    /// Nothing of it is left. It was not touched.
    Lost,
    /// Nothing of it is left, and it was forgotten, or would be.
    Forgotten,
}

/// One snapshot's part of the report.
#[derive(Debug, Clone)]
pub struct SnapshotRepair {
    /// The snapshot.
    pub id: SnapshotId,
    /// When it was taken: milliseconds since 1970.
    pub time_ms: i64,
    /// The logical machine of its homes.
    pub source: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What is lost.
    pub problems: Vec<Problem>,
}

/// What became of damaged segments.
#[derive(Debug, Default)]
pub struct Salvaged {
    /// The segments.
    pub segments: Vec<ObjectName>,
    /// Chunks that were read and verified, and lie in sound segments now.
    pub chunks: u64,
    /// Bytes of the objects that were written for them.
    pub bytes_stored: u64,
    /// How many these are.
    pub objects: u64,
}

/// What repairing snapshots did.
#[derive(Debug, Default)]
pub struct SnapshotsReport {
    /// What became of damaged segments.
    pub salvaged: Salvaged,
    /// The snapshots that were asked for, oldest first.
    pub snapshots: Vec<SnapshotRepair>,
    /// Objects that cannot be read.
    pub damaged: Vec<RepoError>,
}

/// What repairing segments did.
#[derive(Debug, Default)]
pub struct SegmentsReport {
    /// What became of them.
    pub salvaged: Salvaged,
    /// Snapshots that were published again, because what they need lies elsewhere now.
    pub renewed: Vec<SnapshotId>,
    /// Snapshots that lack something.
    pub incomplete: Vec<SnapshotId>,
    /// Objects that cannot be read.
    pub damaged: Vec<RepoError>,
}

impl SnapshotRepair {
    pub(super) fn new(record: &SnapshotRecord, outcome: Outcome, problems: Vec<Problem>) -> Self {
        let SnapshotRecord { id, time_ms, source, .. } = record;
        Self { id: *id, time_ms: *time_ms, source: source.clone(), outcome, problems }
    }
}

impl SnapshotsReport {
    /// Whether nothing is lost.
    pub fn is_complete(&self) -> bool {
        let is_whole = |s: &SnapshotRepair| matches!(s.outcome, Outcome::Whole | Outcome::Renewed);
        self.damaged.is_empty() && self.snapshots.iter().all(is_whole)
    }
}

impl SegmentsReport {
    /// Whether nothing is lost.
    pub fn is_complete(&self) -> bool {
        self.damaged.is_empty() && self.incomplete.is_empty()
    }
}
