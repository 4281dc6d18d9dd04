//! Which snapshots there are, of all commits that the index knows: what no mark hides, and of a snapshot that was
//! published again the commit that counts.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::inventory::{WALK_THREADS, read_record};
use super::{RepoError, Repository};
use crate::codec::{Hash, SnapshotId};
use crate::format::{CommitName, ObjectName, ShortHash, SnapshotRecord};
use crate::index::{StoredSnapshot, Summary};

/// A snapshot with where it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The commit object.
    pub name: ObjectName,
    /// Of its bytes.
    pub hash: Hash,
    /// What it says.
    pub record: SnapshotRecord,
}

impl Snapshot {
    fn from_stored(stored: StoredSnapshot) -> Result<Self, RepoError> {
        let record = read_record(&stored.name, &stored.record)?;
        Ok(Self { name: stored.name, hash: stored.hash, record })
    }

    /// When the run began.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millisecond(self.record.time_ms).unwrap_or_default()
    }
}

/// What tells that a commit has everything.
#[derive(Default)]
struct Whole {
    /// The segments that are there.
    present: HashSet<ShortHash>,
    /// Commits that have all they need although they name more than is there.
    known: HashSet<Hash>,
}

impl Repository {
    /// Every snapshot that is known, oldest first; of a superseded one only the newest form that is whole. Those
    /// that were marked as forgotten at the last [`Repository::sync`] are left out. Their commits stay
    /// in the index, and what lies in them can be read, but nothing new may rest on one: whoever
    /// forgets a snapshot may remove what only it needs.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, RepoError> {
        let mut snapshots =
            self.visible(self.commits()?, |s| (s.record.id, s.record.supersession, s.hash))?;
        snapshots.sort_by_key(|s| (s.record.time_ms, s.record.id));
        Ok(snapshots)
    }

    /// The summaries of the same snapshots in the same order, at a small part of the cost.
    pub fn summaries(&self) -> Result<Vec<Summary>, RepoError> {
        let mut summaries = self.visible(self.catalog().summaries()?, |s| (s.id, s.supersession, s.hash))?;
        summaries.sort_by_key(|s| (s.time_ms, s.id));
        Ok(summaries)
    }

    /// Every commit that is known: those of forgotten snapshots too, and those that were superseded.
    pub fn commits(&self) -> Result<Vec<Snapshot>, RepoError> {
        self.catalog().snapshots()?.into_iter().map(Snapshot::from_stored).collect()
    }

    /// The summaries of snapshots that a mark hides and of which a commit is left, the newest of each, in the same order.
    pub fn forgotten_summaries(&self) -> Result<Vec<Summary>, RepoError> {
        let mut newest: HashMap<SnapshotId, Summary> = HashMap::new();
        for summary in self.catalog().summaries()?.into_iter().filter(|s| self.is_forgotten(&s.id)) {
            let known = newest.entry(summary.id).or_insert_with(|| summary.clone());
            if (summary.supersession, summary.hash) > (known.supersession, known.hash) {
                *known = summary;
            }
        }
        let mut summaries: Vec<_> = newest.into_values().collect();
        summaries.sort_by_key(|s| (s.time_ms, s.id));
        Ok(summaries)
    }

    /// The snapshot that a commit holds, whether or not it is hidden.
    pub fn snapshot(&self, commit: &Hash) -> Result<Option<Snapshot>, RepoError> {
        self.catalog().snapshot(commit)?.map(Snapshot::from_stored).transpose()
    }

    /// Of all commits, one of each snapshot that no mark hides: the newest of which everything is there.
    fn visible<T>(
        &self,
        commits: Vec<T>,
        form: impl Fn(&T) -> (SnapshotId, u32, Hash),
    ) -> Result<Vec<T>, RepoError> {
        let mut by_id: HashMap<SnapshotId, Vec<T>> = HashMap::new();
        for commit in commits {
            by_id.entry(form(&commit).0).or_default().push(commit);
        }
        by_id.retain(|id, _| !self.is_forgotten(id));
        let is_plain = by_id.values().all(|commits| commits.len() == 1);
        let whole = if is_plain { Whole::default() } else { self.whole()? };
        let mut chosen = Vec::with_capacity(by_id.len());
        for mut commits in by_id.into_values() {
            commits.sort_by_key(|commit| std::cmp::Reverse(form(commit)));
            let newest = match commits.len() {
                1 => 0,
                _ => self.newest_whole(&whole, commits.iter().map(|commit| form(commit).2))?.unwrap_or(0),
            };
            chosen.push(commits.swap_remove(newest));
        }
        Ok(chosen)
    }

    fn whole(&self) -> Result<Whole, RepoError> {
        Ok(Whole { present: self.present_segments()?, known: self.catalog().whole_commits()? })
    }

    /// Of the commits of one snapshot, newest first, the first that is known to have everything. A commit that was
    /// reported as saved may be named in a gc record for ever, for it was spared, so a snapshot does
    /// not go because of what records say.
    fn newest_whole(
        &self,
        whole: &Whole,
        commits: impl Iterator<Item = Hash>,
    ) -> Result<Option<usize>, RepoError> {
        for (at, hash) in commits.enumerate() {
            let has_all =
                |snapshot: Snapshot| snapshot.record.deps.iter().all(|dep| whole.present.contains(dep));
            if whole.known.contains(&hash) || self.snapshot(&hash)?.is_some_and(has_all) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Finds out, with one walk for all of them, which commits of snapshots that have several are whole although some of
    /// what they name is gone. It is kept: what a commit needs is not deleted while it counts.
    pub(super) fn find_whole_commits(&mut self) -> Result<(), RepoError> {
        let mut by_id: HashMap<SnapshotId, Vec<(u32, Hash)>> = HashMap::new();
        for (name, hash) in self.catalog().commits()? {
            if let Ok(name) = CommitName::parse(&name) {
                by_id.entry(name.id).or_default().push((name.supersession, hash));
            }
        }
        by_id.retain(|id, commits| commits.len() > 1 && !self.is_forgotten(id));
        if by_id.is_empty() {
            return Ok(());
        }
        let (whole, mut doubtful) = (self.whole()?, Vec::new());
        for mut commits in by_id.into_values() {
            commits.sort_by_key(|commit| std::cmp::Reverse(*commit));
            if self.newest_whole(&whole, commits.iter().map(|(_, hash)| *hash))? != Some(0) {
                doubtful.extend(
                    commits.into_iter().map(|(_, hash)| hash).filter(|hash| !whole.known.contains(hash)),
                );
            }
        }
        let mut snapshots = Vec::with_capacity(doubtful.len());
        for hash in doubtful {
            snapshots.extend(self.snapshot(&hash)?);
        }
        if snapshots.is_empty() {
            return Ok(());
        }
        let records: Vec<&SnapshotRecord> = snapshots.iter().map(|snapshot| &snapshot.record).collect();
        let reached = self.reach(&records, WALK_THREADS)?;
        for (number, snapshot) in snapshots.iter().enumerate() {
            if reached.is_complete(number) {
                self.catalog.set_whole_commit(&snapshot.hash)?;
            }
        }
        Ok(())
    }

    /// Whether the store has a commit, as of the last [`Repository::sync`]; a forgotten snapshot's too.
    /// What may be built upon is only what [`Repository::snapshots`] returns.
    pub fn has_commit(&self, hash: &Hash) -> Result<bool, RepoError> {
        Ok(self.catalog().has_snapshot(hash)?)
    }
}

#[cfg(test)]
mod tests;
