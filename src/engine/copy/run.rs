//! A copy under way: what is known of both repositories, and how one snapshot gets from one to the other.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::plan::{Verdict, decide, home_of};
use super::records::{is_same_state, lost_beside, merge};
use super::recut::Recut;
use super::{CopyError, CopyOptions, Outcome, SnapshotReport};
use crate::codec::{Chunker, Hash, SnapshotId};
use crate::engine::rewrite::{HomeTree, Memo, Rewrite, RewriteError, RewrittenHome, TreePair, tree_of};
use crate::engine::{Meter, Problem};
use crate::format::{HomeRecord, SnapshotRecord};
use crate::repo::{Finished, RepoError, Repository, Snapshot, WriteTarget, WriterOptions};

/// A copy under way.
pub struct Run<'a> {
    from: &'a mut Repository,
    to: &'a mut Repository,
    options: &'a CopyOptions,
    meter: &'a Meter,
    chunker: Chunker,
    /// The target's snapshots.
    there: HashMap<SnapshotId, There>,
    /// The snapshots of the source, by their commits.
    commits: HashMap<Hash, SnapshotId>,
    /// Of each home, by source and user, the newest state so far that both repositories have.
    bases: HashMap<(String, Vec<u8>), Base>,
}

/// A snapshot of the target.
struct There {
    hash: Hash,
    record: SnapshotRecord,
    /// Whether no segment that it needs is missing, so that others may rest on it.
    is_whole: bool,
}

/// A state of a home that both repositories have.
#[derive(Debug, Clone, Copy)]
struct Base {
    snapshot: SnapshotId,
    trees: TreePair,
}

/// The homes of a snapshot in the target, and no commit yet.
struct Attempt {
    finished: Finished,
    homes: Vec<HomeRecord>,
    problems: Vec<Problem>,
    /// Snapshots of the target from which trees were taken over.
    bases: HashSet<SnapshotId>,
}

impl<'a> Run<'a> {
    /// Looks at what the target has; its index is up to date.
    pub fn new(
        from: &'a mut Repository,
        to: &'a mut Repository,
        snapshots: &[Snapshot],
        options: &'a CopyOptions,
        meter: &'a Meter,
    ) -> Result<Self, CopyError> {
        refuse_unknown_maintenance(to)?;
        let there = there(to).map_err(CopyError::Target)?;
        let chunker = Chunker::new(to.descriptor().chunker, to.keys().gear_table());
        let commits = snapshots.iter().map(|s| (s.hash, s.record.id)).collect();
        Ok(Self { from, to, options, meter, chunker, there, commits, bases: HashMap::new() })
    }

    /// Notes what a snapshot and its copy, if there is one, are good for: newer ones take over from them. To
    /// be called for every snapshot of the source, oldest first.
    pub fn learn(&mut self, snapshot: &Snapshot) {
        let record = &snapshot.record;
        let Some(copy) = self.there.get(&record.id).filter(|copy| copy.is_whole) else { return };
        for home in &record.homes {
            let Some(copied) = home_of(&copy.record, &home.user) else { continue };
            if let (Some(source), Some(target)) = (tree_of(home), tree_of(copied))
                && is_same_state(home, copied)
            {
                let base = Base { snapshot: record.id, trees: TreePair { source, target } };
                self.bases.insert((record.source.clone(), home.user.clone()), base);
            }
        }
    }

    /// Copies a snapshot, if that is to be done.
    pub fn copy(&mut self, snapshot: &Snapshot) -> Result<SnapshotReport, CopyError> {
        let mut report = SnapshotReport::new(&snapshot.record);
        let mut current = snapshot.clone();
        loop {
            let there = self.there.get(&current.record.id).map(|there| &there.record);
            let homes: Vec<HomeRecord> = match decide(&current.record, there, &self.options.users) {
                _ if self.to.is_forgotten(&report.id) => return Ok(report.ended(Outcome::Forgotten)),
                Verdict::Present => return Ok(report.ended(Outcome::Present)),
                Verdict::Conflict => return Ok(report.ended(Outcome::Conflict)),
                Verdict::Copy(homes) => homes.into_iter().cloned().collect(),
            };
            report.homes = homes.len();
            if self.options.dry_run {
                return Ok(report.ended(Outcome::Planned));
            }
            let mut attempt = self.attempt(&current.record, &homes)?;
            report.problems = std::mem::take(&mut attempt.problems);
            if report.problems.is_empty() {
                return Ok(report.ended(self.commit(&current.record, attempt)?));
            }
            // Perhaps nothing is lost, but the snapshot was forgotten, or its data moved, while it was read.
            match self.find_in_source(&report.id)? {
                Some(newer) if newer.hash != current.hash => current = newer,
                Some(_) if attempt.homes.iter().all(|home| home.root.is_none()) => {
                    return Ok(report.ended(Outcome::Lost));
                }
                Some(_) => return Ok(report.ended(self.commit(&current.record, attempt)?)),
                None => {
                    report.problems.clear();
                    return Ok(report.ended(Outcome::Vanished));
                }
            }
        }
    }

    fn find_in_source(&mut self, id: &SnapshotId) -> Result<Option<Snapshot>, CopyError> {
        self.from.sync(&mut |_, _| {}).map_err(CopyError::Source)?;
        let snapshots = self.from.snapshots().map_err(CopyError::Source)?;
        Ok(snapshots.into_iter().find(|s| s.record.id == *id))
    }

    /// Writes homes into the target.
    fn attempt(&mut self, record: &SnapshotRecord, homes: &[HomeRecord]) -> Result<Attempt, CopyError> {
        let mut bases = HashSet::new();
        let mut trees = Vec::new();
        for home in homes {
            let Some(tree) = tree_of(home) else { continue };
            let base = self.bases.get(&(record.source.clone(), home.user.clone()));
            bases.extend(base.map(|base| base.snapshot));
            trees.push(HomeTree { user: home.user.clone(), tree, base: base.map(|base| base.trees) });
        }
        let (finished, rewritten) = self.rewrite(trees)?;
        let mut rewritten = rewritten.into_iter();
        let mut attempt = Attempt { finished, homes: Vec::new(), problems: Vec::new(), bases };
        for home in homes {
            let made = if home.root.is_some() { rewritten.next() } else { None };
            attempt.homes.push(made.as_ref().map_or_else(|| home.clone(), |made| made.record(home)));
            attempt.problems.extend(made.into_iter().flat_map(|made| made.lost.problems));
        }
        Ok(attempt)
    }

    fn rewrite(&self, trees: Vec<HomeTree>) -> Result<(Finished, Vec<RewrittenHome>), CopyError> {
        let CopyOptions { level, threads, .. } = *self.options;
        let options = WriterOptions { level, threads, target: WriteTarget::Store };
        let writer = self.to.writer(&options).map_err(CopyError::Target)?;
        let (source, target, memo) = (self.from.readers(), self.to.readers(), Memo::default());
        let (source, target, memo) = (&source, &target, &memo);
        let contents = (0..threads.max(1))
            .map(|_| Recut::new(self.from, self.to, &self.chunker, self.meter))
            .collect::<Result<_, _>>()
            .map_err(CopyError::Source)?;
        let rewrite = Rewrite { source, target, writer: &writer, memo, meter: self.meter };
        let rewritten = rewrite.run(trees, contents);
        match (rewritten, writer.finish()) {
            (Ok(homes), finished) => Ok((finished.map_err(CopyError::Target)?, homes)),
            // A thread that found the pipeline closed knows less than the pipeline does.
            (Err(RewriteError::Target(_)), Err(cause)) => Err(CopyError::Target(cause)),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Publishes what an attempt wrote, beside what the target had of the snapshot.
    fn commit(&mut self, record: &SnapshotRecord, attempt: Attempt) -> Result<Outcome, CopyError> {
        let bytes_new = attempt.homes.iter().map(|home| home.bytes_new).sum();
        let before = self.there.get(&record.id);
        let mut parents: BTreeSet<Hash> = record
            .parents
            .iter()
            .filter_map(|parent| self.there.get(self.commits.get(parent)?))
            .map(|there| there.hash)
            .collect();
        let mut deps: HashSet<[u8; 8]> = HashSet::new();
        let bases: Vec<&There> = attempt.bases.iter().filter_map(|base| self.there.get(base)).collect();
        parents.extend(bases.iter().map(|base| base.hash));
        for needed in bases.into_iter().chain(before) {
            deps.insert(needed.hash.short());
            deps.extend(&needed.record.deps);
        }
        let mut copy = SnapshotRecord {
            supersession: before.map_or(0, |before| before.record.supersession + 1),
            homes: merge(before.map_or(&[], |before| &before.record.homes), attempt.homes),
            parents: parents.into_iter().collect(),
            gc_seen: Vec::new(),
            deps: deps.into_iter().collect(),
            ..record.clone()
        };
        copy.set_lost(record.lost() + lost_beside(record, &copy));
        let is_whole = before.is_none_or(|before| before.is_whole);
        let committed = self.to.commit(attempt.finished, copy.clone()).map_err(CopyError::Target)?;
        refuse_unknown_maintenance(self.to)?;
        copy.deps = committed.deps;
        self.there.insert(record.id, There { hash: committed.hash, record: copy, is_whole });
        Ok(Outcome::Copied { bytes_new, bytes_stored: committed.bytes_stored, objects: committed.objects })
    }
}

fn there(to: &Repository) -> Result<HashMap<SnapshotId, There>, RepoError> {
    let segments = to.segment_set()?;
    let known = |s: Snapshot| {
        let is_whole =
            segments.contains(&s.hash.short()) && s.record.deps.iter().all(|dep| segments.contains(dep));
        (s.record.id, There { hash: s.hash, record: s.record, is_whole })
    };
    Ok(to.snapshots()?.into_iter().map(known).collect())
}

/// No program of this version collects garbage, so any record of it is of a newer one.
fn refuse_unknown_maintenance(to: &Repository) -> Result<(), CopyError> {
    match to.gc_records().map_err(CopyError::Target)?.into_iter().next() {
        Some(record) => Err(CopyError::Target(RepoError::Maintained(record))),
        None => Ok(()),
    }
}
