//! Which of the objects that are not as they should be matter: those by which something is lost.

use std::collections::HashSet;

use super::CheckError;
use super::report::{CheckReport, LostSnapshot};
use crate::codec::{ChunkId, SnapshotId};
use crate::format::{CommitName, ObjectName};
use crate::index::{SegmentRow, Summary};
use crate::repo::{Reached, RepoError, Repository};

/// Objects whose end, or all of them, cannot be read: nothing in them can be found without a local index.
#[derive(Debug, Default)]
pub struct Unreadable(HashSet<ObjectName>);

impl Unreadable {
    /// Adds what bringing the index up to date, or reading, has complained of.
    pub fn add(&mut self, error: &RepoError) {
        self.0.extend(error.object());
    }

    /// Snapshots whose commits are among them. One that is forgotten is missed by nobody, nor is one of
    /// which another commit can be read.
    fn snapshots(&self, repository: &Repository, known: &[Summary]) -> Vec<LostSnapshot> {
        let readable: HashSet<SnapshotId> = known
            .iter()
            .filter(|snapshot| !self.0.contains(&snapshot.name))
            .map(|snapshot| snapshot.id)
            .collect();
        let commits = self.0.iter().filter_map(|name| CommitName::parse(name).ok());
        let is_missed =
            |commit: &CommitName| !readable.contains(&commit.id) && !repository.is_forgotten(&commit.id);
        let mut lost: Vec<LostSnapshot> = commits
            .filter(is_missed)
            .map(|commit| LostSnapshot {
                id: commit.id,
                time_ms: commit.time.as_millisecond(),
                object: commit.to_object_name().to_string(),
            })
            .collect();
        lost.sort_by(|a, b| (b.time_ms, &b.object).cmp(&(a.time_ms, &a.object)));
        lost
    }
}

/// Decides for each finding whether something is lost by it.
pub fn weigh(
    repository: &Repository,
    snapshots: &[Summary],
    reached: &Reached,
    unreadable: &Unreadable,
    report: &mut CheckReport,
) -> Result<(), CheckError> {
    report.lost_snapshots = unreadable.snapshots(repository, snapshots);
    let mut culprits: HashSet<SegmentRow> = HashSet::new();
    let mut is_anything_nowhere = false;
    for chunk in reached.damage().keys() {
        let rows = places(repository, chunk)?;
        is_anything_nowhere |= rows.is_empty();
        culprits.extend(rows);
    }
    for finding in &mut report.findings {
        let Some(object) = finding.error.object() else { continue };
        let hash = object.promised_hash();
        let row = hash.map(|hash| repository.catalog().segment_of(&hash)).transpose()?.flatten();
        finding.matters |= match row {
            Some(row) => culprits.contains(&row),
            // What was in it is not known any more: it may be what is nowhere else.
            None => is_anything_nowhere && is_segment(&object),
        };
        finding.matters |= report.lost_snapshots.iter().any(|lost| lost.object == object.as_str());
    }
    Ok(())
}

fn places(repository: &Repository, chunk: &ChunkId) -> Result<Vec<SegmentRow>, CheckError> {
    Ok(repository.catalog().locate_all(chunk)?.into_iter().map(|place| place.segment).collect())
}

fn is_segment(object: &ObjectName) -> bool {
    ["segments/", CommitName::PREFIX].iter().any(|folder| object.as_str().starts_with(folder))
}
