//! Brings the local index up to what the store holds. The store's listing is the truth.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::{RepoError, Repository};
use crate::codec::{Opener, RepositoryKeys};
use crate::format::{CommitName, Header, ObjectName, SegmentKind, ShortHash, SnapshotRecord, Toc, Trailer};
use crate::store::{Listed, Store};

/// Every so often, all known segments are looked for in the store's listing, whatever the index says.
const VERIFY_S: i64 = 3600;
/// Threads that walk the trees of a snapshot.
pub(super) const WALK_THREADS: usize = 2;
/// Read of a segment's end at first; most tables of contents with their trees fit.
const TAIL_LEN: usize = 256 << 10;

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
        // Before the listing: what another process enters meanwhile is not taken for gone. Verbs rely on summaries, so they
        // are read here, where an index that lacks one, or has it damaged, is brought up to date again.
        let known = self.catalog().commits()?;
        let summed = self.catalog().read_summaries()?;
        let listed = self.store.list(CommitName::PREFIX)?;
        self.forgotten = self.listed_forgotten()?;
        let gone = without(&known, |(name, _)| name, &listed, |l| &l.name);
        // A prune that ran just now wrote down what it was about to delete.
        if gone.iter().any(|(_, hash)| !self.gc.holds(&hash.short())) {
            self.refresh_gc()?;
        }
        for (name, hash) in &gone {
            if !self.gc.holds(&hash.short()) {
                self.catalog.add_vanished(name)?;
                report.damaged.push(RepoError::Lost(name.clone()));
            }
            self.catalog.remove_snapshot(hash)?;
        }
        report.commits_removed = gone.len();
        self.forget_vanished_that_are_back(&listed)?;
        let known: Vec<_> = known.iter().filter(|(_, hash)| summed.contains(hash)).collect();
        let new = without(&listed, |l| &l.name, &known, |(name, _)| name);
        let new: Vec<_> =
            new.into_iter().filter_map(|l| Some((CommitName::parse(&l.name).ok()?, l))).collect();
        self.persist(new.iter().map(|(_, l)| &l.name))?;
        // Killed between a commit and the segments that it names, the next sync looks for all of them.
        let verified_s = self.catalog().verified_s()?;
        if !new.is_empty() {
            self.catalog.set_verified_s(0)?;
        }
        let mut deps = HashSet::new();
        let total = new.len();
        for (done, (parsed, commit)) in new.into_iter().enumerate() {
            match self.add_commit(&parsed, commit) {
                Ok(record) => {
                    report.commits_added += 1;
                    deps.extend(record.deps);
                }
                // Another prune deleted it after it was listed.
                Err(error) if error.is_absent() => {}
                Err(error) => report.damaged.push(damage(error)?),
            }
            progress(done + 1, total);
        }
        let now_s = Timestamp::now().as_second();
        let is_due = !(0..VERIFY_S).contains(&(now_s - verified_s));
        let must_verify = !gone.is_empty() || is_due || std::mem::take(&mut self.is_unverified);
        if must_verify || !deps.is_empty() {
            self.sync_segments(&deps, must_verify, &mut report, progress)?;
        }
        if must_verify || total > 0 {
            self.catalog.set_verified_s(if must_verify { now_s } else { verified_s })?;
        }
        self.find_whole_commits()?;
        Ok(report)
    }

    /// Commits that were there once and are not, without a record that they were deleted, until they are back or somebody
    /// says that it is meant ([`Repository::accept_vanished`]). As of the last [`Repository::sync`], by what this
    /// machine knew.
    pub fn vanished(&self) -> Result<Vec<ObjectName>, RepoError> {
        Ok(self.catalog().vanished()?)
    }

    fn forget_vanished_that_are_back(&mut self, listed: &[Listed]) -> Result<(), RepoError> {
        let vanished = self.catalog().vanished()?;
        if vanished.is_empty() {
            return Ok(());
        }
        let present: HashSet<&str> = listed.iter().map(|l| l.name.as_str()).collect();
        for name in vanished {
            let is_deleted = name.promised_hash().is_some_and(|hash| self.gc.holds(&hash.short()));
            if is_deleted || present.contains(name.as_str()) {
                self.catalog.remove_vanished(&name)?;
            }
        }
        Ok(())
    }

    /// Snapshots that vanished are no longer waited for.
    pub fn accept_vanished(&mut self) -> Result<(), RepoError> {
        for name in self.catalog().vanished()? {
            self.catalog.remove_vanished(&name)?;
        }
        Ok(())
    }

    /// Makes objects durable that were only seen, before anything rests on them. Once a folder.
    pub(super) fn persist<'n>(&self, names: impl Iterator<Item = &'n ObjectName>) -> Result<(), RepoError> {
        let by_folder: BTreeMap<&str, &ObjectName> = names
            .map(|name| (name.as_str().rsplit_once('/').map_or("", |(folder, _)| folder), name))
            .collect();
        for name in by_folder.into_values() {
            self.store.persist(name)?;
        }
        Ok(())
    }

    /// Leading bytes of the hash of every segment that is known to be in the store, and neither condemned nor
    /// damaged.
    pub fn reliable_segments(&self) -> Result<HashSet<ShortHash>, RepoError> {
        let (segments, avoid) = (self.catalog().segments()?, self.unreliable_rows()?);
        Ok(segments.iter().filter(|s| !avoid.contains(&s.row)).map(|s| s.hash.short()).collect())
    }

    pub(super) fn present_segments(&self) -> Result<HashSet<ShortHash>, RepoError> {
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
        // A commit that is there and has another length is read again by each sync, until it is whole.
        for commit in lost.iter().filter(|s| present.contains_key(s.name.as_str())) {
            if CommitName::parse(&commit.name).is_ok() {
                self.catalog.remove_snapshot(&commit.hash)?;
            }
        }
        // What a prune deleted is no loss: nothing needs it. One that ran just now wrote down before what it was about
        // to delete.
        if lost.iter().any(|s| !self.gc.holds(&s.hash.short())) {
            self.refresh_gc()?;
        }
        // Of commits it is told already.
        let is_told =
            |name: &ObjectName| CommitName::parse(name).is_ok() && !present.contains_key(name.as_str());
        for segment in lost.iter().filter(|s| !self.gc.holds(&s.hash.short()) && !is_told(&s.name)) {
            report.damaged.push(RepoError::Lost(segment.name.clone()));
        }
        let known: HashSet<&str> = known.iter().map(|s| s.name.as_str()).collect();
        let new: Vec<_> = listed.iter().filter(|l| !known.contains(l.name.as_str())).collect();
        self.persist(new.iter().map(|l| &l.name))?;
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
        self.catalog.add_snapshot(name, &parsed.hash, &record)?;
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
mod tests;
