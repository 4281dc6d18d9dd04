//! A repository that snapshots are published into: which it has, which of them may be relied on, and how one
//! more is published so that no prune can have taken what it needs. Knows not what is in them.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::codec::{Hash, SnapshotId};
use crate::format::{CommitName, ShortHash, SnapshotRecord};
use crate::repo::{Committed, Finished, RepoError, Repository, Snapshot};

/// A repository that snapshots are published into.
pub struct Target<'a> {
    /// It.
    pub repository: &'a mut Repository,
    there: HashMap<SnapshotId, There>,
    /// Segments that are there, and not condemned.
    reliable: HashSet<ShortHash>,
}

/// A snapshot of the target.
struct There {
    snapshot: Snapshot,
    /// The highest supersession that any of its commits has.
    highest: u32,
    /// Found out when it is asked for.
    soundness: Option<Soundness>,
}

/// Whether others may build on a snapshot.
enum Soundness {
    /// Everything that it names may be relied on.
    AsNamed,
    /// Some of that is gone or condemned, and it needs only these.
    Exactly(Vec<ShortHash>),
    /// No: it lacks something.
    Not,
}

impl There {
    /// All that the snapshot names, its own commit included.
    fn named(&self) -> impl Iterator<Item = ShortHash> {
        let Snapshot { hash, record, .. } = &self.snapshot;
        record.deps.iter().copied().chain([hash.short()])
    }
}

impl<'a> Target<'a> {
    /// Looks at what is there; the index is up to date.
    pub fn new(repository: &'a mut Repository) -> Result<Self, RepoError> {
        let mut target = Self { repository, there: HashMap::new(), reliable: HashSet::new() };
        target.read()?;
        Ok(target)
    }

    /// Brings the index up to date and looks again.
    pub fn refresh(&mut self) -> Result<(), RepoError> {
        self.repository.sync(&mut |_, _| {})?;
        self.read()
    }

    fn read(&mut self) -> Result<(), RepoError> {
        self.repository.require_known_gc()?;
        let mut highest: HashMap<SnapshotId, u32> = HashMap::new();
        for commit in self.repository.commit_summaries()? {
            let known = highest.entry(commit.id).or_default();
            *known = (*known).max(commit.supersession);
        }
        let there = |snapshot: Snapshot| {
            let id = snapshot.record.id;
            (id, There { highest: highest.get(&id).copied().unwrap_or_default(), snapshot, soundness: None })
        };
        self.there = self.repository.snapshots()?.into_iter().map(there).collect();
        self.reliable = self.repository.reliable_segments()?;
        Ok(())
    }

    /// A snapshot's record.
    pub fn record(&self, id: &SnapshotId) -> Option<&SnapshotRecord> {
        self.there.get(id).map(|there| &there.snapshot.record)
    }

    /// A snapshot's commit.
    pub fn commit(&self, id: &SnapshotId) -> Option<Hash> {
        self.there.get(id).map(|there| there.snapshot.hash)
    }

    /// The number of a snapshot's next commit.
    pub fn next_supersession(&self, id: &SnapshotId) -> u32 {
        self.there.get(id).map_or(0, |there| there.highest + 1)
    }

    /// What a snapshot needs that builds on this one, this one's commit included; none if it is not there, or
    /// part of it is gone, damaged or condemned.
    pub fn sound_deps(&mut self, id: &SnapshotId) -> Result<Option<Vec<ShortHash>>, RepoError> {
        self.find_out(id)?;
        let Some(there) = self.there.get(id) else { return Ok(None) };
        Ok(match &there.soundness {
            Some(Soundness::AsNamed) => Some(there.named().collect()),
            Some(Soundness::Exactly(deps)) => Some(deps.clone()),
            Some(Soundness::Not) | None => None,
        })
    }

    /// Whether others may build on a snapshot.
    pub fn is_sound(&mut self, id: &SnapshotId) -> Result<bool, RepoError> {
        self.find_out(id)?;
        let soundness = self.there.get(id).and_then(|there| there.soundness.as_ref());
        Ok(matches!(soundness, Some(Soundness::AsNamed | Soundness::Exactly(_))))
    }

    /// Whether a snapshot is whole, and names every segment that it needs: what nobody names, a prune takes away.
    pub fn is_whole(&mut self, id: &SnapshotId) -> Result<bool, RepoError> {
        self.find_out(id)?;
        let Some(there) = self.there.get(id) else { return Ok(false) };
        let named = || there.named().collect::<HashSet<_>>();
        Ok(match &there.soundness {
            Some(Soundness::AsNamed) => true,
            Some(Soundness::Exactly(deps)) => named().is_superset(&deps.iter().copied().collect()),
            Some(Soundness::Not) | None => false,
        })
    }

    fn find_out(&mut self, id: &SnapshotId) -> Result<(), RepoError> {
        let Some(there) = self.there.get_mut(id).filter(|there| there.soundness.is_none()) else {
            return Ok(());
        };
        let soundness = match there.named().all(|dep| self.reliable.contains(&dep)) {
            true => Soundness::AsNamed,
            false => {
                let deps = self.repository.sound_deps(&there.snapshot)?;
                deps.map_or(Soundness::Not, Soundness::Exactly)
            }
        };
        there.soundness = Some(soundness);
        Ok(())
    }

    /// Publishes a snapshot, and looks whether a prune that ran meanwhile condemned what it relies on. Then the
    /// answer is none: the commit does not count, and the snapshot has to be made again.
    pub fn publish(
        &mut self,
        finished: Finished,
        mut record: SnapshotRecord,
    ) -> Result<Option<Committed>, RepoError> {
        record.gc_seen = self.repository.gc().names().map(ToString::to_string).collect();
        let committed = self.repository.commit(finished, record.clone())?;
        match self.repository.look(&committed.hash, &committed.deps) {
            Ok(()) => {
                self.note(&committed, record);
                Ok(Some(committed))
            }
            Err(RepoError::Condemned(_)) => {
                self.refresh()?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What was published is one of the snapshots from now on, and others may build on it.
    fn note(&mut self, committed: &Committed, record: SnapshotRecord) {
        let Committed { id, supersession, hash, .. } = *committed;
        let time = Timestamp::from_millisecond(record.time_ms).unwrap_or_default();
        let name = CommitName { time, id, supersession, hash }.to_object_name();
        let record = SnapshotRecord { deps: committed.deps.clone(), ..record };
        let snapshot = Snapshot { name, hash, record };
        let soundness = Some(Soundness::AsNamed);
        self.there.insert(id, There { snapshot, highest: supersession, soundness });
    }
}
