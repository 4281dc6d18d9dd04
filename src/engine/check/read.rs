//! Reads objects whole, several at once, and notes in the local index which are damaged and which are sound again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::report::{CheckReport, ReadReport};
use super::subset::Subset;
use super::weigh::Unreadable;
use super::{CheckError, CheckOptions};
use crate::codec::Hash;
use crate::engine::Meter;
use crate::format::ObjectName;
use crate::keys::random_bytes;
use crate::repo::{DamagedBlocks, ObjectDamage, Readers, RepoError, Repository};
use crate::store::Listed;

/// Reads the objects of a subset. No more than one object for each thread is in memory.
pub fn read(
    repository: &mut Repository,
    subset: &Subset,
    options: &CheckOptions,
    meter: &Meter,
    unreadable: &mut Unreadable,
    report: &mut CheckReport,
) -> Result<(), CheckError> {
    let objects = subset.choose(repository.store().list("").map_err(RepoError::from)?, &random_bytes()?);
    Meter::add(&meter.files_expected, objects.len() as u64);
    Meter::add(&meter.bytes_expected, objects.iter().map(|object| object.length).sum());
    let outcome = read_all(&repository.readers(), &objects, options.threads, meter)?;
    report.read = Some(outcome.report);
    let damaged: HashSet<Hash> =
        outcome.damaged.iter().filter_map(|(name, _)| name.promised_hash()).collect();
    let sound = objects.iter().filter_map(|object| object.name.promised_hash());
    trust_again(repository, &sound.filter(|hash| !damaged.contains(hash)).collect())?;
    for (name, damage) in outcome.damaged {
        note_damage(repository, &name, damage, unreadable, report)?;
    }
    Ok(())
}

/// What the threads found.
#[derive(Default)]
struct Outcome {
    report: ReadReport,
    damaged: Vec<(ObjectName, ObjectDamage)>,
}

fn read_all(
    readers: &Readers,
    objects: &[Listed],
    threads: usize,
    meter: &Meter,
) -> Result<Outcome, CheckError> {
    let (next, outcome) = (AtomicUsize::new(0), Mutex::new(Outcome::default()));
    let work = || -> Result<(), CheckError> {
        let mut reader = readers.object_reader()?;
        while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
            if meter.is_interrupted() {
                return Err(CheckError::Interrupted);
            }
            let check =
                reader.check(&object.name).inspect_err(|_| next.store(objects.len(), Ordering::Relaxed))?;
            Meter::add(&meter.files, 1);
            Meter::add(&meter.bytes_moved, object.length);
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            outcome.report.objects += 1;
            outcome.report.bytes += check.bytes;
            outcome.report.raw_bytes += check.raw_bytes;
            outcome.report.chunks += check.chunks;
            outcome.damaged.extend(check.damage.map(|damage| (object.name.clone(), damage)));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap_or(Err(CheckError::Panicked)));
        results.fold(Ok(()), Result::and)
    })?;
    let mut outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.damaged.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(outcome)
}

/// An object that was damaged and has been brought back from a copy is as good as any.
fn trust_again(repository: &mut Repository, sound: &HashSet<Hash>) -> Result<(), CheckError> {
    for row in repository.distrusted()? {
        if sound.contains(&repository.catalog().segment(row)?.hash) {
            repository.trust(row)?;
        }
    }
    Ok(())
}

fn note_damage(
    repository: &mut Repository,
    name: &ObjectName,
    damage: ObjectDamage,
    unreadable: &mut Unreadable,
    report: &mut CheckReport,
) -> Result<(), CheckError> {
    // Whoever prunes or forgets meanwhile may remove what was listed. What is missed is found when the
    // index is brought up to date again.
    if damage.error.is_absent() {
        return Ok(());
    }
    let row = name.promised_hash().map(|hash| repository.catalog().segment_of(&hash)).transpose()?.flatten();
    let mut is_all = damage.blocks == DamagedBlocks::All;
    if let Some(row) = row {
        // Another segment in its place is sound, and has nothing of what belongs there. No two have the same head.
        let known = repository.catalog().segment(row)?.header;
        is_all |= damage.head.is_some_and(|head| head != known);
        let blocks = match damage.blocks {
            DamagedBlocks::Some(blocks) if !is_all => blocks,
            _ => repository.catalog().block_numbers(row)?,
        };
        repository.distrust(row, &blocks)?;
    }
    if is_all {
        unreadable.add(&damage.error);
    }
    report.add(damage.error, false);
    Ok(())
}
