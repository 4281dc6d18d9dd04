//! Repairs snapshots: those that lost something are published again without it, with the same id and the next
//! supersession. What is lost is counted in the homes' problems and in a hint, so that no repaired snapshot
//! passes for a whole one.

use std::collections::HashSet;

use super::kept::Kept;
use super::salvage::salvage;
use super::{Outcome, RepairError, RepairOptions, SnapshotRepair, SnapshotsReport};
use crate::codec::{ChunkId, Chunker};
use crate::engine::content_writer::ContentWriter;
use crate::engine::rewrite::{HomeTree, Memo, Rewrite, RewriteError, RewrittenHome, tree_of};
use crate::engine::target::Target;
use crate::engine::{Meter, Problem};
use crate::format::{HomeRecord, ShortHash, SnapshotRecord};
use crate::repo::{Finished, Reached, RepoError, Repository, Snapshot, WriteTarget, WriterOptions};

/// A snapshot is published again so often, if prunes condemn what it relies on.
const ATTEMPTS: usize = 5;

/// Repairs snapshots. `tell` is told of each when it is done.
pub fn repair_snapshots(
    repository: &mut Repository,
    options: &RepairOptions,
    meter: &Meter,
    tell: &mut dyn FnMut(&SnapshotRepair),
) -> Result<SnapshotsReport, RepairError> {
    let mut report = SnapshotsReport {
        damaged: repository.sync_all(&mut |_, _| {})?.damaged,
        ..SnapshotsReport::default()
    };
    let snapshots: Vec<Snapshot> = repository.snapshots()?;
    let records: Vec<&SnapshotRecord> = snapshots.iter().map(|s| &s.record).collect();
    let reached = repository.reach(&records, options.threads)?;
    report.salvaged = salvage(repository, &reached, options, meter)?;
    let chunker = Chunker::new(repository.descriptor().chunker, repository.keys().gear_table());
    let target = Target::new(repository)?;
    let mut repair = Repair { target, reached: &reached, chunker, options, meter };
    let is_wanted =
        |s: &Snapshot| options.snapshots.as_ref().is_none_or(|wanted| wanted.contains(&s.record.id));
    for (place, snapshot) in snapshots.iter().enumerate().filter(|(_, s)| is_wanted(s)) {
        let (outcome, problems) = match reached.is_complete(place) {
            true if renew(&mut repair.target, snapshot, options)? => (Outcome::Renewed, Vec::new()),
            true => (Outcome::Whole, Vec::new()),
            false => repair.snapshot(snapshot)?,
        };
        let repaired = SnapshotRepair::new(&snapshot.record, outcome, problems);
        tell(&repaired);
        report.snapshots.push(repaired);
    }
    Ok(report)
}

/// Publishes a snapshot again that lacks nothing, if what it needs is not where it says. Says whether it did.
pub fn renew(
    target: &mut Target<'_>,
    snapshot: &Snapshot,
    options: &RepairOptions,
) -> Result<bool, RepairError> {
    let id = &snapshot.record.id;
    for _ in 0..ATTEMPTS {
        if target.is_whole(id)? {
            return Ok(false);
        }
        if options.dry_run {
            return Ok(true);
        }
        let Some(deps) = target.sound_deps(id)? else { return Ok(false) };
        let supersession = target.next_supersession(id);
        let record = SnapshotRecord { supersession, deps, ..snapshot.record.clone() };
        if target.publish(nothing_written(target.repository, options)?, record)?.is_some() {
            return Ok(true);
        }
    }
    Err(RepairError::Outrun(ATTEMPTS))
}

/// What a pipeline has done that was given nothing.
fn nothing_written(repository: &Repository, options: &RepairOptions) -> Result<Finished, RepoError> {
    let RepairOptions { level, .. } = *options;
    repository.writer(&WriterOptions { level, threads: 1, target: WriteTarget::Store })?.finish()
}

/// A repair under way.
struct Repair<'a> {
    target: Target<'a>,
    reached: &'a Reached,
    chunker: Chunker,
    options: &'a RepairOptions,
    meter: &'a Meter,
}

impl Repair<'_> {
    /// Makes the trees of a snapshot that lacks something without that, and publishes it.
    fn snapshot(&mut self, snapshot: &Snapshot) -> Result<(Outcome, Vec<Problem>), RepairError> {
        for _ in 0..ATTEMPTS {
            let (finished, homes, problems) = self.make(snapshot)?;
            if homes.iter().all(|home| home.root.is_none()) {
                return Ok((self.give_up(snapshot)?, problems));
            }
            if self.options.dry_run || self.publish(snapshot, finished, homes, problems.len() as u64)? {
                return Ok((Outcome::Repaired, problems));
            }
        }
        Err(RepairError::Outrun(ATTEMPTS))
    }

    /// Nothing is left of a snapshot.
    fn give_up(&mut self, snapshot: &Snapshot) -> Result<Outcome, RepairError> {
        if !self.options.forget {
            return Ok(Outcome::Lost);
        }
        if !self.options.dry_run {
            self.target.repository.forget(snapshot.record.id)?;
        }
        Ok(Outcome::Forgotten)
    }

    /// The homes without what is lost, and that.
    fn make(&self, snapshot: &Snapshot) -> Result<(Finished, Vec<HomeRecord>, Vec<Problem>), RepairError> {
        let homes = &snapshot.record.homes;
        let tree = |home: &HomeRecord| {
            tree_of(home).map(|tree| HomeTree { user: home.user.clone(), tree, base: None })
        };
        let (finished, made) = self.rewrite(homes.iter().filter_map(tree).collect())?;
        let (mut made, mut records, mut problems) = (made.into_iter(), Vec::new(), Vec::new());
        for home in homes {
            let record = match tree_of(home).and_then(|_| made.next()) {
                Some(made) => {
                    let record = made.record(home);
                    problems.extend(made.lost.problems);
                    // What the backup had to store is no matter of the repair.
                    HomeRecord { bytes_new: home.bytes_new, ..record }
                }
                None => home.clone(),
            };
            records.push(record);
        }
        Ok((finished, records, problems))
    }

    fn rewrite(&self, trees: Vec<HomeTree>) -> Result<(Finished, Vec<RewrittenHome>), RepairError> {
        let (repository, meter) = (&*self.target.repository, self.meter);
        let RepairOptions { level, threads, dry_run, .. } = *self.options;
        let target = if dry_run { WriteTarget::Nowhere } else { WriteTarget::Store };
        let writer = repository.writer(&WriterOptions { level, threads, target })?;
        let contents = (0..threads.max(1))
            .map(|_| Ok(Kept::new(repository.reader()?, ContentWriter::new(&self.chunker), meter)))
            .collect::<Result<_, RepoError>>()?;
        let (readers, memo) = (repository.readers(), Memo::default());
        let keeps = &|tree: &ChunkId| !self.reached.leads_to_damage(tree);
        let rewrite =
            Rewrite { source: &readers, target: &readers, writer: &writer, memo: &memo, keeps, meter };
        let made = rewrite.run(trees, contents);
        match (made, writer.finish()) {
            (Ok(homes), finished) => Ok((finished?, homes)),
            // A thread that found the pipeline closed knows less than the pipeline does.
            (Err(RewriteError::Target(_)), Err(cause)) => Err(cause.into()),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Says whether the snapshot stands; if not, it has to be made again.
    fn publish(
        &mut self,
        snapshot: &Snapshot,
        finished: Finished,
        homes: Vec<HomeRecord>,
        lost: u64,
    ) -> Result<bool, RepairError> {
        let mut record = SnapshotRecord {
            supersession: self.target.next_supersession(&snapshot.record.id),
            homes,
            deps: self.needed(snapshot)?,
            ..snapshot.record.clone()
        };
        record.set_lost(snapshot.record.lost() + lost);
        Ok(self.target.publish(finished, record)?.is_some())
    }

    /// The segments that have what is left of a snapshot. What the repair wrote or read is known to the pipeline.
    fn needed(&self, snapshot: &Snapshot) -> Result<Vec<ShortHash>, RepairError> {
        let repository = &*self.target.repository;
        let reached = repository.reach(&[&snapshot.record], self.options.threads)?;
        let exact = reached.exact_deps(repository, &snapshot.record.deps, &repository.unreliable_rows()?)?;
        let segments = repository.catalog().segments()?;
        let needed: HashSet<ShortHash> =
            segments.iter().filter(|s| exact.segments.contains(&s.row)).map(|s| s.hash.short()).collect();
        Ok(needed.into_iter().collect())
    }
}
