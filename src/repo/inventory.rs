//! Brings the local index up to what the store holds. The store's listing is the truth.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{RepoError, Repository};
use crate::codec::{Hash, SnapshotId};
use crate::format::{CommitName, Header, ObjectName, SegmentKind, SnapshotRecord, Toc, Trailer};

/// Read of a segment's end at first; most tables of contents with their trees fit.
const TAIL_LEN: usize = 256 << 10;

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
    /// When the run began.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millisecond(self.record.time_ms).unwrap_or_default()
    }
}

/// What bringing the index up to date found.
#[derive(Debug, Default)]
pub struct SyncReport {
    /// Commits that were new here.
    pub commits_added: usize,
    /// Commits that are gone from the store.
    pub commits_removed: usize,
    /// Segments that were new here.
    pub segments_added: usize,
    /// Objects that could not be read, with why. What depends on them cannot be restored.
    pub damaged: Vec<RepoError>,
}

impl Repository {
    /// Makes the index say what the store holds: lists the commits, reads the ends of those that are
    /// new, and of the segments they need. Costs one listing when nothing is new. `progress` is told
    /// how many of how many objects were read.
    pub fn sync(&mut self, progress: &mut dyn FnMut(usize, usize)) -> Result<SyncReport, RepoError> {
        match self.try_sync(progress) {
            Err(RepoError::Index(error)) if error.is_damage() => {
                self.forget_index()?;
                self.try_sync(progress)
            }
            result => result,
        }
    }

    /// Drops what the local index knows of the store; [`Repository::sync`] finds it out again.
    pub fn forget_index(&mut self) -> Result<(), RepoError> {
        Ok(self.catalog.reset()?)
    }

    fn try_sync(&mut self, progress: &mut dyn FnMut(usize, usize)) -> Result<SyncReport, RepoError> {
        let mut report = SyncReport::default();
        let listed = self.listed_commits()?;
        let known: HashMap<Hash, ObjectName> =
            self.catalog().snapshots()?.into_iter().map(|s| (s.hash, s.name)).collect();
        let gone: Vec<_> = known.keys().filter(|hash| !listed.contains_key(hash)).copied().collect();
        for hash in &gone {
            self.catalog.remove_snapshot(hash)?;
        }
        report.commits_removed = gone.len();
        let mut new: Vec<_> = listed.iter().filter(|(hash, _)| !known.contains_key(hash)).collect();
        new.sort_by_key(|(_, (name, _))| name.clone());
        let mut deps = HashSet::new();
        let total = new.len();
        for (done, (hash, (name, length))) in new.into_iter().enumerate() {
            match self.add_commit(name, hash, *length) {
                Ok(record) => {
                    report.commits_added += 1;
                    deps.extend(record.deps);
                }
                Err(error) => report.damaged.push(damage(error)?),
            }
            progress(done + 1, total);
        }
        if !gone.is_empty() || !deps.is_empty() {
            self.sync_segments(&deps, !gone.is_empty(), &mut report, progress)?;
        }
        Ok(report)
    }

    /// Every commit object in the store.
    fn listed_commits(&self) -> Result<HashMap<Hash, (ObjectName, u64)>, RepoError> {
        let mut commits = HashMap::new();
        for listed in self.store.list(CommitName::PREFIX)? {
            if let Ok(parsed) = CommitName::parse(&listed.name) {
                commits.insert(parsed.hash, (listed.name, listed.length));
            }
        }
        Ok(commits)
    }

    /// Adds segments that `needed` names and the index lacks; with `verify`, drops those that are gone.
    fn sync_segments(
        &mut self,
        needed: &HashSet<[u8; 8]>,
        verify: bool,
        report: &mut SyncReport,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(), RepoError> {
        let known = self.catalog().segments()?;
        let known_short: HashSet<[u8; 8]> = known.iter().map(|(_, hash, _)| hash.short()).collect();
        if !verify && needed.is_subset(&known_short) {
            return Ok(());
        }
        let listed = self.store.list("segments/")?;
        let commits = self.listed_commits()?;
        let present: HashSet<&str> = listed
            .iter()
            .map(|l| &l.name)
            .chain(commits.values().map(|(n, _)| n))
            .map(ObjectName::as_str)
            .collect();
        for (row, _, _) in known.iter().filter(|(_, _, name)| !present.contains(name.as_str())) {
            self.catalog.remove_segment(*row)?;
        }
        let known: HashSet<&str> = known.iter().map(|(_, _, name)| name.as_str()).collect();
        let new: Vec<_> = listed.iter().filter(|l| !known.contains(l.name.as_str())).collect();
        for (done, listed) in new.iter().enumerate() {
            match self.add_segment(&listed.name, listed.length, SegmentKind::Bulk) {
                Ok(_) => report.segments_added += 1,
                Err(error) => report.damaged.push(damage(error)?),
            }
            progress(done + 1, new.len());
        }
        Ok(())
    }

    fn add_commit(
        &mut self,
        name: &ObjectName,
        hash: &Hash,
        length: u64,
    ) -> Result<SnapshotRecord, RepoError> {
        let toc = self.add_segment(name, length, SegmentKind::Commit)?;
        let bytes = toc.record.ok_or_else(|| damaged(name, "it has no snapshot record"))?;
        let record = read_record(name, &bytes)?;
        // An object that stands under another's name would hide what belongs there.
        let is_named = CommitName::parse(name)
            .is_ok_and(|name| (name.id, name.supersession) == (record.id, record.supersession));
        if !is_named {
            return Err(damaged(name, "it is another snapshot than its name says"));
        }
        self.catalog.add_snapshot(name, hash, &bytes)?;
        Ok(record)
    }

    /// Reads a segment's head and end, and adds it to the index.
    fn add_segment(&mut self, name: &ObjectName, length: u64, kind: SegmentKind) -> Result<Toc, RepoError> {
        let hash = name.promised_hash().ok_or_else(|| damaged(name, "its name has no hash"))?;
        let (header, toc) = self.read_toc(name, length)?;
        if header.kind != kind {
            return Err(damaged(name, "it is another kind of segment"));
        }
        self.catalog.add_segment(name, &hash, length, &header, &toc)?;
        Ok(toc)
    }

    /// A segment's head and table of contents, from as few reads as its length allows.
    pub fn read_toc(&self, name: &ObjectName, length: u64) -> Result<(Header, Toc), RepoError> {
        let segment = |source| RepoError::Segment { name: name.clone(), source };
        let tail = self.store.get_tail(name, TAIL_LEN)?;
        if tail.object_len != length {
            return Err(damaged(name, "its length changed"));
        }
        let head = match tail.bytes.len() as u64 == length {
            true => tail.bytes.clone(),
            false => self.store.get_range(name, 0, Header::LEN)?,
        };
        let header = Header::from_bytes(&head).map_err(|e| segment(e.into()))?;
        let opener = header.opener(&self.keys).map_err(segment)?;
        let trailer = Trailer::from_bytes(&tail.bytes, length).map_err(|e| segment(e.into()))?;
        let toc_len = trailer.toc_len as usize;
        let end = tail.bytes.len() - Trailer::LEN;
        let sealed = match end.checked_sub(toc_len) {
            Some(start) => tail.bytes[start..end].to_vec(),
            None => self.store.get_range(name, trailer.toc_start, toc_len)?,
        };
        let toc = Toc::open(&header, &opener, trailer.toc_start, &sealed).map_err(segment)?;
        Ok((header, toc))
    }

    /// Every snapshot that is known, oldest first; of a superseded one only the newest form.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, RepoError> {
        let mut newest: HashMap<SnapshotId, Snapshot> = HashMap::new();
        for stored in self.catalog().snapshots()? {
            let record = read_record(&stored.name, &stored.record)?;
            let snapshot = Snapshot { name: stored.name, hash: stored.hash, record };
            match newest.get(&snapshot.record.id) {
                Some(other) if other.record.supersession >= snapshot.record.supersession => {}
                _ => drop(newest.insert(snapshot.record.id, snapshot)),
            }
        }
        let mut snapshots: Vec<_> = newest.into_values().collect();
        snapshots.sort_by_key(|s| (s.record.time_ms, s.record.id));
        Ok(snapshots)
    }

    /// Names of the garbage collection records in the store.
    pub fn gc_records(&self) -> Result<Vec<ObjectName>, RepoError> {
        Ok(self.store.list("gc/")?.into_iter().map(|l| l.name).collect())
    }
}

fn read_record(name: &ObjectName, bytes: &[u8]) -> Result<SnapshotRecord, RepoError> {
    SnapshotRecord::from_bytes(bytes).map_err(|source| RepoError::Format { name: name.to_string(), source })
}

fn damaged(name: &ObjectName, reason: &str) -> RepoError {
    RepoError::Damaged { name: name.clone(), reason: reason.into() }
}

/// A damaged object is reported and others go on; a store that does not answer ends the run.
fn damage(error: RepoError) -> Result<RepoError, RepoError> {
    if error.is_damage() { Ok(error) } else { Err(error) }
}
