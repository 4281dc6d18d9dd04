//! The records of garbage collection, and what follows from them for those who write: what is condemned is not
//! used for anything new, and a snapshot is safe only when a look at the records after its commit finds
//! nothing that speaks of it. The argument stands in docs/safety.md.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::inventory::{WALK_THREADS, damage};
use super::{RepoError, Repository, Snapshot};
use crate::codec::Hash;
use crate::format::{
    FormatError, GcKind, GcRecord, ObjectName, SegmentKind, SegmentWriter, ShortHash, SnapshotRecord,
};
use crate::index::SegmentRow;
use crate::keys::random_bytes;
use crate::store::Listed;

/// The records that are known, as of the last [`Repository::sync`].
#[derive(Debug, Default)]
pub struct GcRecords {
    records: BTreeMap<ObjectName, GcRecord>,
    /// All segments that any record speaks of.
    segments: HashSet<ShortHash>,
    /// What lies below `gc/` and cannot be read, or is of a kind that this program does not know.
    unreadable: Vec<(ObjectName, RepoError)>,
}

impl GcRecords {
    /// Whether a segment or commit is condemned or deleted.
    pub fn holds(&self, segment: &ShortHash) -> bool {
        self.segments.contains(segment)
    }

    /// Whether none of these is condemned or deleted.
    pub fn hold_none_of<'a>(&self, segments: impl IntoIterator<Item = &'a ShortHash>) -> bool {
        self.segments.is_empty() || segments.into_iter().all(|segment| !self.holds(segment))
    }

    /// Whether a segment or commit is condemned.
    pub fn condemns(&self, segment: &ShortHash) -> bool {
        self.of_kind(GcKind::Condemned).any(|(_, record)| record.segments.binary_search(segment).is_ok())
    }

    /// All segments and commits that any record speaks of.
    pub fn segments(&self) -> impl Iterator<Item = ShortHash> {
        self.segments.iter().copied()
    }

    /// All segments and commits that were deleted.
    pub fn deleted(&self) -> HashSet<ShortHash> {
        self.of_kind(GcKind::Deleted).flat_map(|(_, record)| record.segments.iter().copied()).collect()
    }

    /// The records that say this of their segments.
    pub fn of_kind(&self, kind: GcKind) -> impl Iterator<Item = (&ObjectName, &GcRecord)> {
        self.records.iter().filter(move |(_, record)| record.kind == kind)
    }

    /// The names of all records.
    pub fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.records.keys()
    }

    /// Every record, those of what is condemned first, then by time.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectName, &GcRecord)> {
        self.records.iter()
    }

    /// Whether a snapshot is safe as far as these records tell: of those that its writer had not seen, none
    /// speaks of anything it may need.
    pub fn pass(&self, commit: &Hash, record: &SnapshotRecord) -> bool {
        let seen: HashSet<&str> = record.gc_seen.iter().map(String::as_str).collect();
        let unseen = self.records.iter().filter(|(name, _)| !seen.contains(name.as_str()));
        unseen.into_iter().all(|(_, gc)| !gc.speaks_of_any(&needed(commit, &record.deps)))
    }

    /// Fails where a record could not be read: what it condemns is unknown, so nothing may be relied on.
    pub fn require_all(&mut self) -> Result<(), RepoError> {
        self.unreadable.pop().map_or(Ok(()), |(_, error)| Err(error))
    }

    fn insert(&mut self, name: ObjectName, record: GcRecord) {
        self.segments.extend(&record.segments);
        self.records.insert(name, record);
    }
}

impl GcRecord {
    fn speaks_of_any(&self, segments: &HashSet<ShortHash>) -> bool {
        self.segments.iter().any(|segment| segments.contains(segment))
    }
}

/// A record that cannot be read, with the way out.
fn unreadable(name: ObjectName, error: RepoError) -> RepoError {
    if matches!(
        &error,
        RepoError::Format { source: FormatError::Version { .. } | FormatError::Feature(_), .. }
    ) {
        return error;
    }
    let reason = "this record of garbage collection cannot be read, so nobody knows what is about to be deleted. Bring it back \
                  from a copy; or, when no prune runs anywhere, remove it with `homekeep prune --force-prune`";
    RepoError::Damaged { name, reason: reason.into() }
}

/// All that a snapshot needs, its own commit included.
fn needed(commit: &Hash, deps: &[ShortHash]) -> HashSet<ShortHash> {
    deps.iter().copied().chain([commit.short()]).collect()
}

impl Repository {
    /// The records of garbage collection.
    pub fn gc(&self) -> &GcRecords {
        &self.gc
    }

    /// Fails where a record below `gc/` cannot be read or understood: nobody may write then.
    pub fn require_known_gc(&mut self) -> Result<(), RepoError> {
        self.gc.require_all()
    }

    /// Reads records that are new, before anything else of the store is looked at, and drops from the index
    /// what was deleted. An index that is older than a prune so learns of it before it can call a chunk known.
    pub(super) fn sync_gc(&mut self) -> Result<(), RepoError> {
        let listed = self.store.list(ObjectName::GC)?;
        self.take_gc(listed)
    }

    /// Reads the records anew, sure to miss none that was put before: for judging commits that were listed before.
    pub fn refresh_gc(&mut self) -> Result<(), RepoError> {
        let listed = self.settled_gc()?;
        self.take_gc(listed)
    }

    /// Lists the records until two listings in a row are equal. While one listing runs, a prune can put a record and
    /// remove the one that it replaces, and a listing in no order may have both; what it put before it
    /// removed is in the next listing.
    fn settled_gc(&self) -> Result<Vec<Listed>, RepoError> {
        let mut before = self.store.list(ObjectName::GC)?;
        loop {
            let again = self.store.list(ObjectName::GC)?;
            if again.iter().map(|l| &l.name).eq(before.iter().map(|l| &l.name)) {
                return Ok(again);
            }
            before = again;
        }
    }

    fn take_gc(&mut self, listed: Vec<Listed>) -> Result<(), RepoError> {
        let mut kept: BTreeMap<ObjectName, Vec<u8>> = self.catalog().gc_records()?.into_iter().collect();
        self.persist(listed.iter().map(|l| &l.name).filter(|name| !kept.contains_key(name)))?;
        let mut gc = GcRecords::default();
        for listed in listed {
            let known = kept.remove(&listed.name).and_then(|bytes| GcRecord::from_bytes(&bytes).ok());
            if let Some(record) = known {
                gc.insert(listed.name, record);
                continue;
            }
            match self.read_gc_record(&listed.name, listed.length) {
                Ok(record) => {
                    self.catalog.add_gc_record(&listed.name, &record.to_bytes())?;
                    gc.insert(listed.name, record);
                }
                // A prune that ended withdrew it; what it spoke of stands in a record of what was deleted,
                // which the next listing has.
                Err(error) if error.is_absent() => return self.refresh_gc(),
                // Who only reads may go on; who writes asks for it.
                Err(error @ RepoError::Maintained(_)) => gc.unreadable.push((listed.name, error)),
                Err(error) => {
                    gc.unreadable.push((listed.name.clone(), unreadable(listed.name, damage(error)?)))
                }
            }
        }
        for gone in kept.keys() {
            self.catalog.remove_gc_record(gone)?;
        }
        let deleted = gc.deleted();
        if !deleted.is_empty() {
            let segments = self.catalog().segments()?;
            let gone = segments.iter().filter(|s| deleted.contains(&s.hash.short())).map(|s| s.row);
            self.catalog.remove_segments(&gone.collect::<Vec<_>>())?;
        }
        self.gc = gc;
        Ok(())
    }

    fn read_gc_record(&self, name: &ObjectName, length: u64) -> Result<GcRecord, RepoError> {
        let damaged = |reason: &str| RepoError::Damaged { name: name.clone(), reason: reason.into() };
        let Some(kind) = name.gc_kind() else { return Err(RepoError::Maintained(name.clone())) };
        let (header, toc) = self.read_toc(name, length)?;
        let record = toc.record.filter(|_| header.kind == SegmentKind::Collection);
        let bytes = record.ok_or_else(|| damaged("it is no record of garbage collection"))?;
        let record = GcRecord::from_bytes(&bytes)
            .map_err(|source| RepoError::Format { name: name.to_string(), source })?;
        if record.kind != kind {
            return Err(damaged("its name is of another kind of record"));
        }
        Ok(record)
    }

    /// Publishes a record. Once this returns, everyone who looks sees it.
    pub fn put_gc_record(&mut self, record: GcRecord) -> Result<ObjectName, RepoError> {
        let segment = SegmentWriter::new(SegmentKind::Collection);
        let sealed = segment.finish(&self.keys, &random_bytes()?, Some(record.to_bytes()));
        let (bytes, _) = sealed.map_err(RepoError::Seal)?;
        let time = Timestamp::from_millisecond(record.time_ms).unwrap_or_default();
        let name = ObjectName::gc(record.kind, time, &Hash::of(&bytes));
        self.store.put(&name, &bytes)?;
        self.catalog.add_gc_record(&name, &record.to_bytes())?;
        self.gc.insert(name.clone(), record);
        Ok(name)
    }

    /// Removes records that cannot be read. Whoever does this answers for no other prune being at work.
    pub fn remove_unreadable_gc(&mut self) -> Result<(), RepoError> {
        for (name, _) in std::mem::take(&mut self.gc.unreadable) {
            if name.gc_kind().is_some() {
                self.store.delete(&name)?;
            }
        }
        Ok(())
    }

    /// Removes a record of which everything stands in another one.
    pub fn withdraw_gc_record(&mut self, name: &ObjectName) -> Result<(), RepoError> {
        self.store.delete(name)?;
        Ok(self.catalog.remove_gc_record(name)?)
    }

    /// Looks at the records again, now that the commit of a snapshot is in the store. One that was not known when
    /// the snapshot was begun and speaks of anything it may need is an error, [`RepoError::Condemned`]: the
    /// snapshot is not safe, and has to be made again. Otherwise every prune that deletes will see the commit first.
    pub fn look(&self, commit: &Hash, deps: &[ShortHash]) -> Result<(), RepoError> {
        let needed = needed(commit, deps);
        for listed in self.settled_gc()? {
            if self.gc.records.contains_key(&listed.name) {
                continue;
            }
            match self.read_gc_record(&listed.name, listed.length) {
                Ok(record) if record.speaks_of_any(&needed) => return Err(RepoError::Condemned(listed.name)),
                Ok(_) => {}
                // It came and went: what it spoke of and is gone stands in a record that came before it went.
                Err(error) if error.is_absent() => return self.look(commit, deps),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes the look on behalf of a commit's writer, who may have died before it: whether the commit is safe, so that an older
    /// one of the same snapshot may go. What it needs must be in segments that it names, for when the older
    /// one is gone nothing else may lead to others.
    pub fn is_safe(&mut self, commit: &Snapshot) -> Result<bool, RepoError> {
        if self.gc.pass(&commit.hash, &commit.record) {
            return Ok(true);
        }
        // All it needs may lie elsewhere, but the commit itself lies nowhere else.
        if self.gc.holds(&commit.hash.short()) {
            return Ok(false);
        }
        let named = needed(&commit.hash, &commit.record.deps);
        Ok(self.sound_deps(commit)?.is_some_and(|deps| deps.iter().all(|dep| named.contains(dep))))
    }

    /// Whether everything that a snapshot needs is in segments that its commit names, condemned or not.
    pub fn has_all_it_names(&self, commit: &Snapshot) -> Result<bool, RepoError> {
        let named = needed(&commit.hash, &commit.record.deps);
        let deps = self.walked_deps(commit, &HashSet::new())?;
        Ok(deps.is_some_and(|deps| deps.iter().all(|dep| named.contains(dep))))
    }

    /// The rows of segments that are condemned.
    pub fn condemned_rows(&self) -> Result<HashSet<SegmentRow>, RepoError> {
        if self.gc.segments.is_empty() {
            return Ok(HashSet::new());
        }
        let segments = self.catalog().segments()?;
        Ok(segments.iter().filter(|s| self.gc.holds(&s.hash.short())).map(|s| s.row).collect())
    }
}

impl Repository {
    /// What a snapshot that builds on this one needs, this one's commit included where that is so; none if part of it
    /// is gone or condemned, so that nothing may build on this one. Commits may name more than they need, and
    /// what only they named may be gone: then the snapshot's trees are walked, and the outcome is kept.
    pub fn sound_deps(&mut self, snapshot: &Snapshot) -> Result<Option<Vec<ShortHash>>, RepoError> {
        let reliable = self.reliable_segments()?;
        let is_sound = |deps: &[ShortHash]| deps.iter().all(|dep| reliable.contains(dep));
        let named: Vec<ShortHash> = needed(&snapshot.hash, &snapshot.record.deps).into_iter().collect();
        if is_sound(&named) {
            return Ok(Some(named));
        }
        if let Some(deps) = self.catalog().exact_deps(&snapshot.hash)?.filter(|deps| is_sound(deps)) {
            return Ok(Some(deps));
        }
        let Some(deps) = self.walked_deps(snapshot, &self.unreliable_rows()?)? else { return Ok(None) };
        self.catalog.set_exact_deps(&snapshot.hash, &deps)?;
        Ok(Some(deps))
    }

    /// Where all lies that a snapshot's trees lead to, by a walk: in segments that its commit names as far as these have it, and
    /// in none of `avoid`. None if part of it is gone, or lies in these alone.
    fn walked_deps(
        &self,
        snapshot: &Snapshot,
        avoid: &HashSet<SegmentRow>,
    ) -> Result<Option<Vec<ShortHash>>, RepoError> {
        let named: Vec<ShortHash> = needed(&snapshot.hash, &snapshot.record.deps).into_iter().collect();
        let exact = self.reach(&[&snapshot.record], WALK_THREADS)?.exact_deps(self, &named, avoid)?;
        if !exact.lost.is_empty() {
            return Ok(None);
        }
        let segments = self.catalog().segments()?;
        let chosen = segments.iter().filter(|segment| exact.segments.contains(&segment.row));
        Ok(Some(chosen.map(|segment| segment.hash.short()).collect()))
    }
}

#[cfg(test)]
mod tests;
