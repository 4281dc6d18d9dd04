//! Gives back the space of what no snapshot needs, while others write: one function, from finding out what is
//! needed to the record of what was deleted. The order of its steps is the safety of everyone's snapshots; the
//! argument stands in docs/safety.md.

mod error;
mod live;
mod options;
mod remember;
mod repack;
mod report;

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

pub use error::PruneError;
pub use options::{MaxUnused, PruneOptions};
pub use report::{Amount, PruneReport};

use super::Meter;
use crate::format::{GcKind, GcRecord, ObjectName, ShortHash};
use crate::repo::{RepoError, Repository};
use live::{Object, World};

/// Temporary files that were not written to for so long belong to no put.
const TEMPORARY_AGE: Duration = Duration::from_secs(24 * 3600);
/// Records of what was deleted are merged into one when there are so many.
const MERGE_RECORDS: usize = 8;

/// Deletes what no snapshot needs, and repacks what is mostly not needed.
///
/// Anyone may run it at any time, also several at once. Killed at any point, it leaves a repository in which
/// every snapshot is whole, and the next run goes on. An error while listing or reading ends it before anything is
/// condemned or deleted.
pub fn prune(
    repository: &mut Repository,
    options: &PruneOptions,
    meter: &Meter,
) -> Result<PruneReport, PruneError> {
    let mut report = PruneReport::default();
    let mut world = World::look(repository, options, &mut report)?;
    interrupted(meter)?;
    world.require_plausible(repository, options)?;
    let repacked = repack::repack(repository, &world, options, meter, &mut report)?;
    if repacked && !options.dry_run {
        world = World::look(repository, options, &mut report)?;
    }
    world.count(&mut report);
    if options.dry_run {
        return Ok(report);
    }
    interrupted(meter)?;
    condemn(repository, &world, options)?;
    // Only what was recorded before the commits are listed again: whoever published a snapshot before that
    // listing is seen by it; whoever publishes later sees the record.
    let known: HashSet<ObjectName> = repository.gc().names().cloned().collect();
    let again = World::look_again(repository, options, world)?;
    let doomed = doomed(repository, &again, &known, options, &mut report);
    remember::remember(repository, &again, &doomed)?;
    delete(repository, &doomed, meter, &mut report)?;
    record_deleted(repository, &again, &doomed, &known, options)?;
    clean_up(repository, options, &mut report)?;
    Ok(report)
}

fn interrupted(meter: &Meter) -> Result<(), PruneError> {
    if meter.is_interrupted() { Err(PruneError::Interrupted) } else { Ok(()) }
}

/// Names what is going to be deleted, for everyone to see. Nothing of it is used for new snapshots from now on.
fn condemn(repository: &mut Repository, world: &World, options: &PruneOptions) -> Result<(), PruneError> {
    let victims = world.victims().map(|object| object.hash.short());
    let mut segments: Vec<ShortHash> = victims.filter(|victim| !repository.gc().condemns(victim)).collect();
    if segments.is_empty() {
        return Ok(());
    }
    segments.sort_unstable();
    segments.dedup();
    put_record(repository, world, GcKind::Condemned, segments, options)
}

fn put_record(
    repository: &mut Repository,
    world: &World,
    kind: GcKind,
    segments: Vec<ShortHash>,
    options: &PruneOptions,
) -> Result<(), PruneError> {
    let mut commits: Vec<ShortHash> = world.roots.iter().map(|root| root.hash.short()).collect();
    commits.sort_unstable();
    commits.dedup();
    let time_ms = Timestamp::now().as_millisecond();
    let record = GcRecord { kind, time_ms, host: options.host.clone(), segments, commits };
    repository.put_gc_record(record)?;
    Ok(())
}

/// What those of the records in `known` that are old enough condemn, and what is still not needed now that the
/// commits were listed again.
fn doomed(
    repository: &Repository,
    world: &World,
    known: &HashSet<ObjectName>,
    options: &PruneOptions,
    report: &mut PruneReport,
) -> Vec<Object> {
    let now_ms = Timestamp::now().as_millisecond();
    let (mut due, mut waiting) = (HashSet::<ShortHash>::new(), HashSet::<ShortHash>::new());
    for (name, record) in repository.gc().of_kind(GcKind::Condemned) {
        let age_ms = world.age_ms(name, record.time_ms, now_ms);
        let is_due = known.contains(name) && u128::from(age_ms) >= options.grace.as_millis();
        if is_due { &mut due } else { &mut waiting }.extend(&record.segments);
    }
    let is_dead = |object: &&Object| !world.is_live(object);
    for object in world.objects.iter().filter(is_dead) {
        let short = object.hash.short();
        if waiting.contains(&short) && !due.contains(&short) {
            report.waiting.add(object.length);
        }
    }
    let mut doomed: Vec<Object> = world
        .objects
        .iter()
        .filter(is_dead)
        .filter(|object| due.contains(&object.hash.short()))
        .cloned()
        .collect();
    // Commits first: one whose segments are gone would look damaged to whoever reads meanwhile.
    doomed.sort_by_key(|object| (!object.is_commit, object.name.clone()));
    doomed
}

fn delete(
    repository: &mut Repository,
    doomed: &[Object],
    meter: &Meter,
    report: &mut PruneReport,
) -> Result<(), PruneError> {
    Meter::add(&meter.bytes_expected, doomed.iter().map(|object| object.length).sum());
    for object in doomed {
        interrupted(meter)?;
        repository.store().delete(&object.name).map_err(RepoError::from)?;
        report.deleted.add(object.length);
        Meter::add(&meter.bytes, object.length);
    }
    Ok(())
}

/// Writes down for ever what is gone, and only then withdraws records that are no longer needed: those of what
/// was deleted that the new one repeats, and condemnations of which everything is gone.
fn record_deleted(
    repository: &mut Repository,
    world: &World,
    doomed: &[Object],
    known: &HashSet<ObjectName>,
    options: &PruneOptions,
) -> Result<(), PruneError> {
    let mut recorded = repository.gc().deleted();
    let mut segments = gone(repository, world, doomed, known);
    segments.retain(|segment| !recorded.contains(segment));
    let mut old = replaceable(repository, world, known);
    if segments.is_empty() && old.len() < MERGE_RECORDS {
        old.clear();
    } else {
        let is_old = |(name, _): &(&ObjectName, &GcRecord)| old.contains(name);
        for (_, record) in repository.gc().of_kind(GcKind::Deleted).filter(is_old) {
            segments.extend(&record.segments);
        }
        recorded.extend(&segments);
        let mut sorted: Vec<ShortHash> = segments.into_iter().collect();
        sorted.sort_unstable();
        put_record(repository, world, GcKind::Deleted, sorted, options)?;
    }
    let is_done = |record: &GcRecord| record.segments.iter().all(|segment| recorded.contains(segment));
    let condemned = repository.gc().of_kind(GcKind::Condemned).filter(|(_, record)| is_done(record));
    let done: Vec<ObjectName> = condemned.map(|(name, _)| name.clone()).chain(old).collect();
    for name in done {
        repository.withdraw_gc_record(&name)?;
    }
    Ok(())
}

/// What was deleted just now, and what a prune that was killed deleted without writing that down: condemned before the
/// objects were listed, and not among them. What a record condemns that came later may have been put later too.
fn gone(
    repository: &Repository,
    world: &World,
    doomed: &[Object],
    known: &HashSet<ObjectName>,
) -> HashSet<ShortHash> {
    let doomed: HashSet<ShortHash> = doomed.iter().map(|object| object.hash.short()).collect();
    let present: HashSet<ShortHash> = world.objects.iter().map(|object| object.hash.short()).collect();
    let condemned = repository.gc().of_kind(GcKind::Condemned).filter(|(name, _)| known.contains(*name));
    let condemned = condemned.flat_map(|(_, record)| &record.segments).copied();
    let absent: Vec<ShortHash> = condemned.filter(|segment| !present.contains(segment)).collect();
    doomed.into_iter().chain(absent).collect()
}

/// Records of what was deleted that another may replace. Who looks at the records lists them until two listings are equal, which
/// shows what was replaced once meanwhile, but not what was replaced twice. So a record stays as long as a commit
/// names what it speaks of, and commits are listed after it was read: nobody can be looking for it then.
fn replaceable(repository: &Repository, world: &World, known: &HashSet<ObjectName>) -> Vec<ObjectName> {
    let records = repository.gc().of_kind(GcKind::Deleted);
    let is_replaceable = |(name, record): &(&ObjectName, &GcRecord)| {
        known.contains(*name) && !world.names_any(&record.segments)
    };
    records.filter(is_replaceable).map(|(name, _)| name.clone()).collect()
}

/// Removes what is left over otherwise: marks of snapshots that are gone, images of the index that are not the newest,
/// temporary files of puts that were killed.
fn clean_up(
    repository: &mut Repository,
    options: &PruneOptions,
    report: &mut PruneReport,
) -> Result<(), PruneError> {
    if options.force {
        repository.accept_vanished()?;
        repository.remove_unreadable_gc()?;
    }
    report.marks_removed = repository.remove_marks_without_commits()?;
    report.images_removed = repository.remove_old_images()?;
    report.temporaries_removed = repository.store().clean_up(TEMPORARY_AGE).map_err(RepoError::from)?;
    repository.sync(&mut |_, _| {})?;
    Ok(())
}

#[cfg(test)]
mod tests;
