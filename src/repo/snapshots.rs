//! Which snapshots there are, of all commits that the index knows: what no mark hides, and of a snapshot that was
//! published again the commit that counts.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::inventory::WALK_THREADS;
use super::{RepoError, Repository};
use crate::codec::{Hash, SnapshotId};
use crate::format::{CommitName, ObjectName, ShortHash, SnapshotRecord};
use crate::index::{IndexError, StoredSnapshot, Summary};

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
        // It could be read when it was put there.
        let read = SnapshotRecord::from_bytes(&stored.record);
        let read = read.map_err(|_| IndexError::Damaged("a snapshot's record"))?;
        let record = SnapshotRecord { deps: stored.deps, ..read };
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
    /// Commits that have all they need, because what they name is there or although it is not.
    known: HashSet<Hash>,
}

impl Repository {
    /// Every snapshot that is known, oldest first; of a superseded one only the newest form that is whole. Those
    /// that were marked as forgotten at the last [`Repository::sync`] are left out. Their commits stay
    /// in the index, and what lies in them can be read, but nothing new may rest on one: whoever
    /// forgets a snapshot may remove what only it needs.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, RepoError> {
        let summaries = self.summaries()?;
        let snapshots = summaries.iter().filter_map(|summary| self.snapshot(&summary.hash).transpose());
        snapshots.collect()
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

    /// The summaries of the same commits, in no order.
    pub fn commit_summaries(&self) -> Result<Vec<Summary>, RepoError> {
        Ok(self.catalog().summaries()?)
    }

    /// How many records of snapshots were read so far.
    pub fn records_read(&self) -> u64 {
        self.catalog().records_read()
    }

    /// All that some commits name, their own segments included. It is an error if one is not known any more: what it
    /// names must not be taken for what nobody names.
    pub fn named_by(&self, commits: impl IntoIterator<Item = Hash>) -> Result<HashSet<ShortHash>, RepoError> {
        let mut named = HashSet::new();
        for commit in commits {
            named.extend(self.catalog().deps(&commit)?.ok_or(RepoError::IndexChanged)?);
            named.insert(commit.short());
        }
        Ok(named)
    }

    /// The summaries of snapshots that a mark hides and of which a commit is left, the newest of each, in the same order.
    pub fn forgotten_summaries(&self) -> Result<Vec<Summary>, RepoError> {
        if self.forgotten.is_empty() {
            return Ok(Vec::new());
        }
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

    /// The snapshots that these commits hold, in their order. One that is gone since they were listed was dropped
    /// by another process.
    pub fn read_snapshots(&self, commits: &[Hash]) -> Result<Vec<Snapshot>, RepoError> {
        let read = |commit: &Hash| self.snapshot(commit)?.ok_or(RepoError::IndexChanged);
        commits.iter().map(read).collect()
    }

    /// The snapshot that a commit holds, and of it only the homes of users who are wanted; none if it is gone. Cheaper than
    /// all of it where that is a thousand homes.
    pub fn snapshot_of(
        &self,
        commit: &Hash,
        is_wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<Snapshot>, RepoError> {
        let Some(StoredSnapshot { name, hash, deps, record }) = self.catalog().snapshot(commit)? else {
            return Ok(None);
        };
        let record = SnapshotRecord::from_bytes_of(&record, is_wanted)
            .map_err(|source| RepoError::Format { name: name.to_string(), source })?;
        Ok(Some(Snapshot { name, hash, record: SnapshotRecord { deps, ..record } }))
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
        let catalog = self.catalog();
        let mut known = catalog.whole_commits()?;
        known.extend(catalog.complete_commits()?);
        Ok(Whole { present: self.present_segments()?, known })
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
            let has_all = |deps: Vec<ShortHash>| deps.iter().all(|dep| whole.present.contains(dep));
            if whole.known.contains(&hash) || self.catalog().deps(&hash)?.is_some_and(has_all) {
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
        for commits in by_id.values_mut() {
            commits.sort_by_key(|commit| std::cmp::Reverse(*commit));
        }
        let known = self.catalog().complete_commits()?;
        let newest = by_id.values().filter_map(|commits| commits.first()).map(|(_, hash)| *hash);
        let unknown: Vec<Hash> = newest.filter(|hash| !known.contains(hash)).collect();
        self.catalog.find_complete_commits(&unknown)?;
        let (whole, mut doubtful) = (self.whole()?, Vec::new());
        for commits in by_id.into_values() {
            if self.newest_whole(&whole, commits.iter().map(|(_, hash)| *hash))? != Some(0) {
                doubtful.extend(
                    commits.into_iter().map(|(_, hash)| hash).filter(|hash| !whole.known.contains(hash)),
                );
            }
        }
        if doubtful.is_empty() {
            return Ok(());
        }
        let reached = self.reach_commits(&doubtful, WALK_THREADS)?;
        for (number, hash) in doubtful.iter().enumerate() {
            if reached.is_complete(number) {
                self.catalog.set_whole_commit(hash)?;
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
