//! What a copy did, as values.

use jiff::Timestamp;

use crate::codec::SnapshotId;
use crate::engine::Problem;
use crate::format::SnapshotRecord;
use crate::repo::RepoError;

/// What came of one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the target now.
    Copied {
        /// Bytes of files that the target did not have.
        bytes_new: u64,
        /// Bytes of the objects that were added.
        bytes_stored: u64,
        /// How many they are.
        objects: u64,
    },
    /// It would be copied.
    Planned,
    /// It was there already.
    Present,
    /// It was forgotten in the target, which is not undone by a copy.
    Forgotten,
    /// Another snapshot has its id there. Nothing was done.
    Conflict,
    /// Nothing of it can be read in the source, so there is nothing to copy.
    Lost,
    /// It was forgotten in the source meanwhile, and is partly gone.
    Vanished,
}

/// One snapshot's part of the report.
#[derive(Debug, Clone)]
pub struct SnapshotReport {
    /// The snapshot.
    pub id: SnapshotId,
    /// When it was taken: milliseconds since 1970.
    pub time_ms: i64,
    /// The logical machine of its homes.
    pub source: String,
    /// Homes that were copied, or would be.
    pub homes: usize,
    /// What came of it.
    pub outcome: Outcome,
    /// What could not be read in the source. The copy lacks it.
    pub problems: Vec<Problem>,
}

impl SnapshotReport {
    pub(super) fn new(record: &SnapshotRecord) -> Self {
        let SnapshotRecord { id, time_ms, source, .. } = record;
        let (source, outcome) = (source.clone(), Outcome::Present);
        Self { id: *id, time_ms: *time_ms, source, homes: 0, outcome, problems: Vec::new() }
    }

    pub(super) fn ended(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }
}

/// What a copy did.
#[derive(Debug)]
pub struct CopyReport {
    /// The snapshots that were asked for, oldest first.
    pub snapshots: Vec<SnapshotReport>,
    /// Objects of the target that could not be read.
    pub damaged: Vec<RepoError>,
    /// Why an image of the index that was due could not be published; the copies are not affected.
    pub index_problem: Option<RepoError>,
    /// When the run began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
}

impl CopyReport {
    pub(super) fn new(started: Timestamp, damaged: Vec<RepoError>) -> Self {
        Self { snapshots: Vec::new(), damaged, index_problem: None, started, finished: started }
    }

    /// Whether everything that was asked for is in the target, as it is in the source.
    pub fn is_complete(&self) -> bool {
        let is_missing = |outcome| matches!(outcome, Outcome::Conflict | Outcome::Lost | Outcome::Vanished);
        self.damaged.is_empty()
            && !self.snapshots.iter().any(|s| is_missing(s.outcome) || !s.problems.is_empty())
    }
}
