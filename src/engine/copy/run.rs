//! A copy under way: what is known of both repositories, and how one snapshot gets from one to the other.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::plan::{Verdict, decide, home_of};
use super::records::{is_same_state, lost_beside, merge};
use super::recut::Recut;
use super::{CopyError, CopyOptions, Outcome, SnapshotReport};
use crate::codec::{ChunkId, Chunker, Hash, SnapshotId};
use crate::engine::rewrite::{HomeTree, Memo, Rewrite, RewriteError, RewrittenHome, TreePair, tree_of};
use crate::engine::target::Target;
use crate::engine::{Meter, Problem};
use crate::format::{HomeRecord, ShortHash, SnapshotRecord};
use crate::repo::{Finished, Repository, Snapshot, WriteTarget, WriterOptions};

/// A snapshot is made again so often, if prunes of the target condemn what it relies on.
const ATTEMPTS: usize = 5;

/// A copy under way.
pub struct Run<'a> {
    from: &'a mut Repository,
    to: Target<'a>,
    options: &'a CopyOptions,
    meter: &'a Meter,
    chunker: Chunker,
    /// The snapshots of the source, by their commits.
    commits: HashMap<Hash, SnapshotId>,
    /// Of each home, by source and user, the newest state so far that both repositories have.
    bases: HashMap<(String, Vec<u8>), Base>,
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
        let chunker = Chunker::new(to.descriptor().chunker, to.keys().gear_table());
        let to = Target::new(to).map_err(CopyError::Target)?;
        let commits = snapshots.iter().map(|s| (s.hash, s.record.id)).collect();
        Ok(Self { from, to, options, meter, chunker, commits, bases: HashMap::new() })
    }

    /// Notes what a snapshot and its copy, if there is one, are good for: newer ones take over from them. To
    /// be called for every snapshot of the source, oldest first.
    pub fn learn(&mut self, snapshot: &Snapshot) {
        let record = &snapshot.record;
        let Some(copy) = self.to.record(&record.id) else { return };
        for home in &record.homes {
            let Some(copied) = home_of(copy, &home.user) else { continue };
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
        if self.to.repository.is_forgotten(&report.id) {
            return Ok(report.ended(Outcome::Forgotten));
        }
        let mut current = snapshot.clone();
        for _ in 0..ATTEMPTS {
            let homes: Vec<HomeRecord> = match self.decide(&current.record)? {
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
            if !report.problems.is_empty() {
                // Perhaps nothing is lost, but the snapshot was forgotten, or its data moved, while it was read.
                match self.find_in_source(&report.id)? {
                    Some(newer) if newer.hash != current.hash => {
                        current = newer;
                        continue;
                    }
                    Some(_) if attempt.homes.iter().all(|home| home.root.is_none()) => {
                        return Ok(report.ended(Outcome::Lost));
                    }
                    Some(_) => {}
                    None => {
                        report.problems.clear();
                        return Ok(report.ended(Outcome::Vanished));
                    }
                }
            }
            if let Some(outcome) = self.publish(&current.record, attempt)? {
                return Ok(report.ended(outcome));
            }
        }
        Err(CopyError::Outrun(ATTEMPTS))
    }

    /// What is to be done. A copy that lacks something of the target is made again.
    fn decide<'s>(&mut self, record: &'s SnapshotRecord) -> Result<Verdict<'s>, CopyError> {
        let is_whole = self.to.is_whole(&record.id).map_err(CopyError::Target)?;
        let there = self.to.record(&record.id);
        match decide(record, there, &self.options.users) {
            Verdict::Present if !is_whole => Ok(decide(record, None, &self.options.users)),
            verdict => Ok(verdict),
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
            let base = self.base(record, home)?;
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

    /// What a home may take over from.
    fn base(&mut self, record: &SnapshotRecord, home: &HomeRecord) -> Result<Option<Base>, CopyError> {
        let Some(base) = self.bases.get(&(record.source.clone(), home.user.clone())).copied() else {
            return Ok(None);
        };
        let is_sound = self.to.is_sound(&base.snapshot).map_err(CopyError::Target)?;
        Ok(is_sound.then_some(base))
    }

    fn rewrite(&self, trees: Vec<HomeTree>) -> Result<(Finished, Vec<RewrittenHome>), CopyError> {
        let (from, to) = (&*self.from, &*self.to.repository);
        let CopyOptions { level, threads, .. } = *self.options;
        let options = WriterOptions { level, threads, target: WriteTarget::Store };
        let writer = to.writer(&options).map_err(CopyError::Target)?;
        let contents = (0..threads.max(1))
            .map(|_| Recut::new(from, to, &self.chunker, self.meter))
            .collect::<Result<_, _>>()
            .map_err(CopyError::Source)?;
        let (source, target, memo) = (&from.readers(), &to.readers(), &Memo::default());
        let keeps = &|_: &ChunkId| false;
        let rewrite = Rewrite { source, target, writer: &writer, memo, keeps, meter: self.meter };
        let rewritten = rewrite.run(trees, contents);
        match (rewritten, writer.finish()) {
            (Ok(homes), finished) => Ok((finished.map_err(CopyError::Target)?, homes)),
            // A thread that found the pipeline closed knows less than the pipeline does.
            (Err(RewriteError::Target(_)), Err(cause)) => Err(CopyError::Target(cause)),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Publishes what an attempt wrote, beside what the target had of the snapshot. None if the attempt has to
    /// be repeated.
    fn publish(&mut self, record: &SnapshotRecord, attempt: Attempt) -> Result<Option<Outcome>, CopyError> {
        let bytes_new = attempt.homes.iter().map(|home| home.bytes_new).sum();
        let source_parents = record.parents.iter().filter_map(|parent| self.commits.get(parent));
        let parents: BTreeSet<Hash> =
            source_parents.chain(&attempt.bases).filter_map(|id| self.to.commit(id)).collect();
        let (before, deps) = self.before(&record.id, &attempt.homes)?;
        let homes = merge(&before, attempt.homes);
        let mut deps: HashSet<ShortHash> = deps.into_iter().collect();
        for base in &attempt.bases {
            deps.extend(self.to.sound_deps(base).map_err(CopyError::Target)?.into_iter().flatten());
        }
        let mut copy = SnapshotRecord {
            supersession: self.to.next_supersession(&record.id),
            homes,
            parents: parents.into_iter().collect(),
            deps: deps.into_iter().collect(),
            ..record.clone()
        };
        copy.set_lost(record.lost() + lost_beside(record, &copy));
        let published = self.to.publish(attempt.finished, copy).map_err(CopyError::Target)?;
        Ok(published.map(|committed| Outcome::Copied {
            bytes_new,
            bytes_stored: committed.bytes_stored,
            objects: committed.objects,
        }))
    }

    /// The homes that the target has of a snapshot already, and what these need. Where some of that is gone, a
    /// home that was copied anew takes the other's place, whatever both lack.
    fn before(
        &mut self,
        id: &SnapshotId,
        anew: &[HomeRecord],
    ) -> Result<(Vec<HomeRecord>, Vec<ShortHash>), CopyError> {
        let deps = self.to.sound_deps(id).map_err(CopyError::Target)?;
        let (Some(record), Some(commit)) = (self.to.record(id), self.to.commit(id)) else {
            return Ok(Default::default());
        };
        let mut homes = record.homes.clone();
        if deps.is_none() {
            homes.retain(|home| anew.iter().all(|other| other.user != home.user));
        }
        let named = || [&record.deps[..], &[commit.short()]].concat();
        let deps = deps.unwrap_or_else(|| if homes.is_empty() { Vec::new() } else { named() });
        Ok((homes, deps))
    }
}
