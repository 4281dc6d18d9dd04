//! Brings the local index up to what the store holds. The store's listing is the truth.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{RepoError, Repository};
use crate::codec::{Hash, Opener, RepositoryKeys, SnapshotId};
use crate::format::{CommitName, Header, ObjectName, SegmentKind, ShortHash, SnapshotRecord, Toc, Trailer};
use crate::index::{StoredSnapshot, Summary};
use crate::store::{Listed, Store};

/// Every so often, all known segments are looked for in the store's listing, whatever the index says.
const VERIFY_S: i64 = 3600;
/// Threads that walk the trees of a snapshot.
pub(super) const WALK_THREADS: usize = 2;
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
    fn from_stored(stored: StoredSnapshot) -> Result<Self, RepoError> {
        let record = read_record(&stored.name, &stored.record)?;
        Ok(Self { name: stored.name, hash: stored.hash, record })
    }

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
    /// Makes the index say what the store holds: lists the commits and the marks on forgotten ones,
    /// reads the ends of commits that are new, and of the segments they need. Costs these two listings
    /// when nothing is new. `progress` is told how many of how many objects were read.
    pub fn sync(&mut self, progress: &mut dyn FnMut(usize, usize)) -> Result<SyncReport, RepoError> {
        match self.try_sync(progress) {
            Err(RepoError::Index(error)) if error.is_damage() => {
                self.forget_index()?;
                self.try_sync(progress)
            }
            result => result,
        }
    }

    /// Like [`Repository::sync`], and looks for every known segment in the store, whenever that was done last.
    pub fn sync_all(&mut self, progress: &mut dyn FnMut(usize, usize)) -> Result<SyncReport, RepoError> {
        self.is_unverified = true;
        self.sync(progress)
    }

    /// Drops what the local index knows of the store; [`Repository::sync`] finds it out again.
    pub fn forget_index(&mut self) -> Result<(), RepoError> {
        Ok(self.catalog.reset()?)
    }

    fn try_sync(&mut self, progress: &mut dyn FnMut(usize, usize)) -> Result<SyncReport, RepoError> {
        let mut report = SyncReport::default();
        self.sync_gc()?;
        // Before the listing: what another process enters meanwhile is not taken for gone.
        let known = self.catalog().commits()?;
        let listed = self.store.list(CommitName::PREFIX)?;
        self.forgotten = self.listed_forgotten()?;
        let gone = without(&known, |(name, _)| name, &listed, |l| &l.name);
        for (_, hash) in &gone {
            self.catalog.remove_snapshot(hash)?;
        }
        report.commits_removed = gone.len();
        let new = without(&listed, |l| &l.name, &known, |(name, _)| name);
        let new: Vec<_> =
            new.into_iter().filter_map(|l| Some((CommitName::parse(&l.name).ok()?, l))).collect();
        let mut deps = HashSet::new();
        let total = new.len();
        for (done, (parsed, commit)) in new.into_iter().enumerate() {
            match self.add_commit(&parsed, commit) {
                Ok(record) => {
                    report.commits_added += 1;
                    deps.extend(record.deps);
                }
                Err(error) => report.damaged.push(damage(error)?),
            }
            progress(done + 1, total);
        }
        let now_s = Timestamp::now().as_second();
        let is_due = !(0..VERIFY_S).contains(&(now_s - self.catalog().verified_s()?));
        let must_verify = !gone.is_empty() || is_due || std::mem::take(&mut self.is_unverified);
        if must_verify || !deps.is_empty() {
            self.sync_segments(&deps, must_verify, &mut report, progress)?;
        }
        if must_verify {
            self.catalog.set_verified_s(now_s)?;
        }
        Ok(report)
    }

    /// Leading bytes of the hash of every segment that is known to be in the store, and neither condemned nor
    /// damaged.
    pub fn reliable_segments(&self) -> Result<HashSet<ShortHash>, RepoError> {
        let (segments, avoid) = (self.catalog().segments()?, self.unreliable_rows()?);
        Ok(segments.iter().filter(|s| !avoid.contains(&s.row)).map(|s| s.hash.short()).collect())
    }

    fn present_segments(&self) -> Result<HashSet<ShortHash>, RepoError> {
        Ok(self.catalog().segments()?.iter().map(|s| s.hash.short()).collect())
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
        let known_short: HashSet<[u8; 8]> = known.iter().map(|s| s.hash.short()).collect();
        if !verify && needed.is_subset(&known_short) {
            return Ok(());
        }
        let listed = self.store.list("segments/")?;
        let commits = self.store.list(CommitName::PREFIX)?;
        let present: HashMap<&str, u64> =
            listed.iter().chain(&commits).map(|l| (l.name.as_str(), l.length)).collect();
        // What is gone or cut short is not relied on, and what needs it is stored again by the next backup.
        let lost: Vec<_> = known.iter().filter(|s| present.get(s.name.as_str()) != Some(&s.length)).collect();
        self.catalog.remove_segments(&lost.iter().map(|s| s.row).collect::<Vec<_>>())?;
        // What a prune deleted is no loss: nothing needs it.
        for segment in lost.iter().filter(|s| !self.gc.holds(&s.hash.short())) {
            report.damaged.push(RepoError::Lost(segment.name.clone()));
        }
        let known: HashSet<&str> = known.iter().map(|s| s.name.as_str()).collect();
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

    fn add_commit(&mut self, parsed: &CommitName, commit: &Listed) -> Result<SnapshotRecord, RepoError> {
        let name = &commit.name;
        let toc = self.add_segment(name, commit.length, SegmentKind::Commit)?;
        let bytes = toc.record.ok_or_else(|| damaged(name, "it has no snapshot record"))?;
        let record = read_record(name, &bytes)?;
        if !names(parsed, &record) {
            return Err(damaged(name, "its name is of another snapshot"));
        }
        self.catalog.add_snapshot(name, &parsed.hash, &bytes, &record)?;
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
        open_toc(self.store.as_ref(), &self.keys, name, length).map(|(header, _, toc)| (header, toc))
    }

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
        let mut chosen = Vec::with_capacity(by_id.len());
        for mut commits in by_id.into_values() {
            commits.sort_by_key(|commit| std::cmp::Reverse(form(commit)));
            let hashes: Vec<Hash> = commits.iter().map(|commit| form(commit).2).collect();
            chosen.push(commits.swap_remove(self.newest_whole(&hashes)?));
        }
        Ok(chosen)
    }

    /// Of the commits of one snapshot, newest first, the first of which everything is there; the newest, if
    /// something is missing of all. A commit that was reported as saved may be named in a gc record for ever, for
    /// it was spared, so a snapshot does not go because of what records say.
    fn newest_whole(&self, commits: &[Hash]) -> Result<usize, RepoError> {
        if commits.len() < 2 {
            return Ok(0);
        }
        let (mut found, present) = (Vec::new(), self.present_segments()?);
        for hash in commits {
            found.extend(self.snapshot(hash)?);
        }
        let has_all = |snapshot: &Snapshot| snapshot.record.deps.iter().all(|dep| present.contains(dep));
        if let Some(whole) = found.iter().position(has_all) {
            return Ok(whole);
        }
        for (at, snapshot) in found.iter().enumerate() {
            if self.reach(&[&snapshot.record], WALK_THREADS)?.is_complete(0) {
                return Ok(at);
            }
        }
        Ok(0)
    }

    /// Whether the store has a commit, as of the last [`Repository::sync`]; a forgotten snapshot's too.
    /// What may be built upon is only what [`Repository::snapshots`] returns.
    pub fn has_commit(&self, hash: &Hash) -> Result<bool, RepoError> {
        Ok(self.catalog().has_snapshot(hash)?)
    }
}

/// Those of `from` whose names are not among those of `others`.
fn without<'f, F, O>(
    from: &'f [F],
    name: impl Fn(&F) -> &ObjectName,
    others: &[O],
    other_name: impl Fn(&O) -> &ObjectName,
) -> Vec<&'f F> {
    let others: HashSet<&ObjectName> = others.iter().map(other_name).collect();
    from.iter().filter(|item| !others.contains(name(item))).collect()
}

/// A segment's head, its cipher and its table of contents.
pub(super) fn open_toc(
    store: &dyn Store,
    keys: &RepositoryKeys,
    name: &ObjectName,
    length: u64,
) -> Result<(Header, Opener, Toc), RepoError> {
    let segment = |source| RepoError::Segment { name: name.clone(), source };
    let tail = store.get_tail(name, TAIL_LEN)?;
    if tail.object_len != length {
        return Err(damaged(name, "its length changed"));
    }
    let is_whole = tail.bytes.len() as u64 == length;
    let head = if is_whole { tail.bytes.clone() } else { store.get_range(name, 0, Header::LEN)? };
    let header = Header::from_bytes(&head).map_err(|e| segment(e.into()))?;
    let opener = header.opener(keys).map_err(segment)?;
    let trailer = Trailer::from_bytes(&tail.bytes, length).map_err(|e| segment(e.into()))?;
    let toc_len = trailer.toc_len as usize;
    let end = tail.bytes.len() - Trailer::LEN;
    let sealed = match end.checked_sub(toc_len) {
        Some(start) => tail.bytes[start..end].to_vec(),
        None => store.get_range(name, trailer.toc_start, toc_len)?,
    };
    let toc = Toc::open(&header, &opener, trailer.toc_start, &sealed).map_err(segment)?;
    Ok((header, opener, toc))
}

/// Likewise, of an object that is in memory.
pub(super) fn open_segment(
    keys: &RepositoryKeys,
    name: &ObjectName,
    bytes: &[u8],
) -> Result<(Header, Opener, Toc), RepoError> {
    let open = || {
        let header = Header::from_bytes(bytes)?;
        let opener = header.opener(keys)?;
        let trailer = Trailer::from_bytes(bytes, bytes.len() as u64)?;
        let sealed = bytes.get(trailer.toc_start as usize..bytes.len() - Trailer::LEN).unwrap_or_default();
        let toc = Toc::open(&header, &opener, trailer.toc_start, sealed)?;
        Ok((header, opener, toc))
    };
    open().map_err(|source| RepoError::Segment { name: name.clone(), source })
}

/// Whether a commit's name, which nothing authenticates, is the one that its record has.
fn names(name: &CommitName, record: &SnapshotRecord) -> bool {
    (name.id, name.supersession, name.time.as_millisecond())
        == (record.id, record.supersession, record.time_ms)
}

fn read_record(name: &ObjectName, bytes: &[u8]) -> Result<SnapshotRecord, RepoError> {
    SnapshotRecord::from_bytes(bytes).map_err(|source| RepoError::Format { name: name.to_string(), source })
}

pub(super) fn damaged(name: &ObjectName, reason: &str) -> RepoError {
    RepoError::Damaged { name: name.clone(), reason: reason.into() }
}

/// A damaged object is reported and others go on; a store that does not answer ends the run.
pub(super) fn damage(error: RepoError) -> Result<RepoError, RepoError> {
    if error.is_damage() { Ok(error) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::codec::ChunkId;
    use crate::keys::{Cost, Secret};
    use crate::repo::{CreateOptions, WriteTarget, WriterOptions};
    use crate::store::{Call, MemoryStore, RecordStore};

    fn secret() -> Secret {
        Secret::KeyFile([1; 32].into())
    }

    fn create(store: &MemoryStore, cache: &Path) -> Repository {
        let options = CreateOptions { cost: Cost::FLOOR, ..CreateOptions::default() };
        Repository::create(Arc::new(store.clone()), &secret(), cache, &options).unwrap()
    }

    /// Commits a snapshot without homes, with a chunk of its own.
    fn commit(repository: &mut Repository, id: u8, supersession: u32) -> (Hash, ChunkId) {
        let options = WriterOptions { level: 3, threads: 1, target: WriteTarget::Store };
        let writer = repository.writer(&options).unwrap();
        let mut session = writer.session().unwrap();
        let chunk = session.data(&[id, supersession as u8, 7]).unwrap().id;
        session.flush().unwrap();
        let record = SnapshotRecord {
            id: SnapshotId([id; 16]),
            supersession,
            time_ms: 1_764_000_000_000 + i64::from(id),
            finished_ms: 1_764_000_001_000,
            source: "s".into(),
            host: "h".into(),
            program: "p".into(),
            tags: vec![],
            homes: vec![],
            parents: vec![],
            gc_seen: vec![],
            deps: vec![],
            hints: vec![],
        };
        (repository.commit(writer.finish().unwrap(), record).unwrap().hash, chunk)
    }

    fn mark(id: u8, rest: &str) -> ObjectName {
        format!("{}{}{rest}", ObjectName::FORGOTTEN, SnapshotId([id; 16])).parse().unwrap()
    }

    /// The snapshots, which the summaries have to agree with.
    fn ids(repository: &Repository) -> Vec<u8> {
        let snapshots = repository.snapshots().unwrap();
        let summaries = repository.summaries().unwrap();
        let commits: Vec<_> = snapshots.iter().map(|s| (&s.name, s.hash)).collect();
        assert_eq!(commits, summaries.iter().map(|s| (&s.name, s.hash)).collect::<Vec<_>>());
        for snapshot in &snapshots {
            assert_eq!(repository.snapshot(&snapshot.hash).unwrap().as_ref(), Some(snapshot));
        }
        snapshots.iter().map(|s| s.record.id.0[0]).collect()
    }

    fn sync(repository: &mut Repository) {
        assert!(repository.sync(&mut |_, _| {}).unwrap().damaged.is_empty());
    }

    #[test]
    fn a_forgotten_snapshot_is_hidden_until_its_mark_is_gone() {
        let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
        let mut repository = create(&store, folder.path());
        let (first, first_chunk) = commit(&mut repository, 1, 0);
        commit(&mut repository, 1, 1);
        commit(&mut repository, 2, 0);
        sync(&mut repository);
        assert_eq!(ids(&repository), [1, 2]);

        store.put(&mark(1, "-cd"), b"whatever a later program writes").unwrap();
        sync(&mut repository);
        assert_eq!(ids(&repository), [2]);
        assert!(repository.has_commit(&first).unwrap());
        assert!(!repository.has_commit(&Hash([9; 32])).unwrap());
        // This program's own mark, on top.
        repository.forget(SnapshotId([2; 16])).unwrap();
        repository.forget(SnapshotId([2; 16])).unwrap();
        assert!(ids(&repository).is_empty());
        store.delete(&mark(2, "")).unwrap();
        let mut reader = repository.reader().unwrap();
        reader.with_data(&first_chunk, 3, |bytes| assert_eq!(bytes, [1, 0, 7])).unwrap();

        store.delete(&mark(1, "-cd")).unwrap();
        sync(&mut repository);
        assert_eq!(ids(&repository), [1, 2]);
    }

    #[test]
    fn a_commit_that_is_gone_leaves_neither_record_nor_summary() {
        let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
        let mut repository = create(&store, folder.path());
        let (first, _) = commit(&mut repository, 1, 0);
        commit(&mut repository, 2, 0);
        store.delete(&repository.snapshot(&first).unwrap().unwrap().name).unwrap();
        let report = repository.sync(&mut |_, _| {}).unwrap();
        assert_eq!((report.commits_removed, report.damaged.len()), (1, 1));
        assert_eq!(ids(&repository), [2]);
        assert_eq!(repository.snapshot(&first).unwrap(), None);
    }

    #[test]
    fn a_sync_without_news_reads_no_object() {
        let (store, folder) = (RecordStore::new(MemoryStore::new()), tempfile::tempdir().unwrap());
        let store = Arc::new(store);
        let options = CreateOptions { cost: Cost::FLOOR, ..CreateOptions::default() };
        let mut repository = Repository::create(store.clone(), &secret(), folder.path(), &options).unwrap();
        commit(&mut repository, 1, 0);
        sync(&mut repository);
        store.take_calls();
        sync(&mut repository);
        let list = |prefix: &str| Call::List { prefix: prefix.into() };
        let lists = [ObjectName::GC, CommitName::PREFIX, ObjectName::FORGOTTEN].map(list);
        assert_eq!(store.take_calls(), lists);
    }

    #[test]
    fn a_machine_that_sees_the_mark_first_hides_the_snapshot_as_well() {
        let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
        commit(&mut create(&store, &folder.path().join("one")), 1, 0);
        store.put(&mark(1, ""), b"").unwrap();
        let mut other =
            Repository::open(Arc::new(store.clone()), &secret(), &folder.path().join("two")).unwrap();
        sync(&mut other);
        assert!(ids(&other).is_empty());
        store.delete(&mark(1, "")).unwrap();
        sync(&mut other);
        assert_eq!(ids(&other), [1]);
    }

    #[test]
    fn what_is_no_mark_hides_nothing() {
        let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
        let mut repository = create(&store, folder.path());
        commit(&mut repository, 1, 0);
        for name in [mark(2, ""), mark(1, "0"), "forgotten/index".parse().unwrap()] {
            store.put(&name, b"").unwrap();
        }
        sync(&mut repository);
        assert_eq!(ids(&repository), [1]);
    }
}
