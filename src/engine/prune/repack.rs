//! Moves what is needed out of segments that are mostly not, so that these can go. Chooses which, and says when it
//! is worth while; `repo::republish` does it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::live::{Object, World};
use super::{PruneError, PruneOptions, PruneReport};
use crate::codec::{Hash, SnapshotId};
use crate::engine::Meter;
use crate::format::ShortHash;
use crate::index::{ListedSegment, Summary};
use crate::repo::{RepoError, Repository, Snapshot, WriteTarget, WriterOptions};
use crate::store::StoreError;

/// Shorter segments are worth merging when there are many.
const SMALL: u64 = 4 << 20;
/// So many are many.
const MANY_SMALL: usize = 64;
/// A commit that only names segments takes about so much in the store, for its length in a home's record.
const COMMIT_LEN: u64 = 4 << 10;

/// Repacks what is worth it; says whether anything was written, or would be.
pub fn repack(
    repository: &mut Repository,
    world: &World,
    options: &PruneOptions,
    meter: &Meter,
    report: &mut PruneReport,
) -> Result<bool, PruneError> {
    let forms = forms(repository, world)?;
    // What a damaged snapshot needs is not known to the chunk, only to the segment: nothing may be moved away from it.
    if !report.incomplete.is_empty() {
        return Ok(false);
    }
    let poor = choose(repository, world, &forms, options)?;
    if poor.is_empty() {
        return Ok(false);
    }
    let affected = affected(repository, &forms, &shorts(&poor))?;
    poor.iter().for_each(|object| report.repacked.add(object.length));
    report.republished = affected.len();
    if options.dry_run {
        return Ok(true);
    }
    match move_and_publish(repository, world, &poor, &affected, options, meter, report) {
        Ok(()) => {}
        // Everything is as it was, but for objects that the next prune finds and takes away.
        Err(error)
            if error.is_damage()
                || matches!(
                    error,
                    RepoError::Condemned(_)
                        | RepoError::IndexChanged
                        | RepoError::Store(StoreError::Full { .. })
                ) =>
        {
            report.repack_problem = Some(error);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(true)
}

fn move_and_publish(
    repository: &mut Repository,
    world: &World,
    poor: &[&Object],
    affected: &[Hash],
    options: &PruneOptions,
    meter: &Meter,
    report: &mut PruneReport,
) -> Result<(), RepoError> {
    let by_hash: HashMap<Hash, ListedSegment> =
        repository.catalog().segments()?.into_iter().map(|s| (s.hash, s)).collect();
    let segments: Vec<ListedSegment> =
        poor.iter().filter_map(|object| by_hash.get(&object.hash).cloned()).collect();
    let writing =
        WriterOptions { level: options.level, threads: options.threads, target: WriteTarget::Store };
    Meter::add(&meter.bytes_expected, poor.iter().map(|object| world.usage[&object.hash].live_bytes).sum());
    let moved = repository.move_out(&segments, &world.reached, &writing, &mut |bytes| {
        Meter::add(&meter.bytes, bytes);
    })?;
    report.written.objects += moved.objects;
    report.written.bytes += moved.bytes_stored;
    let mut without: HashSet<ShortHash> = segments.iter().map(|segment| segment.hash.short()).collect();
    // What is condemned and needed all the same is among the segments that were emptied.
    without.extend(repository.gc().segments());
    let highest = highest_supersessions(repository)?;
    let next = |snapshot: &Snapshot| highest.get(&snapshot.record.id).map_or(0, |highest| highest + 1);
    let published = repository.republish(affected, &without, &moved.segments, next)?;
    for committed in &published {
        report.written.add(committed.bytes_stored);
    }
    Ok(())
}

/// Segments worth emptying: the ones of which the most is wasted, until what is wasted in the others is little enough;
/// small ones, when there are many; and those that are condemned and needed all the same.
fn choose<'w>(
    repository: &Repository,
    world: &'w World,
    forms: &[Hash],
    options: &PruneOptions,
) -> Result<Vec<&'w Object>, RepoError> {
    if !options.max_unused.is_limited() {
        return Ok(Vec::new());
    }
    let total: u64 = world.used().map(|(_, usage)| usage.bytes).sum();
    let allowed = options.max_unused.of(total);
    let mut wasted: u64 = world.used().map(|(_, usage)| usage.bytes - usage.live_bytes).sum();
    let mut by_waste: Vec<_> = world.used().filter(|(_, usage)| usage.live_bytes < usage.bytes).collect();
    by_waste.sort_by_key(|(object, usage)| {
        (std::cmp::Reverse(1000 * (usage.bytes - usage.live_bytes) / usage.bytes.max(1)), object.name.clone())
    });
    let (mut poor, mut moved): (Vec<&Object>, u64) = (Vec::new(), 0);
    for (object, usage) in by_waste {
        let fits = moved + usage.live_bytes <= options.max_repack;
        if wasted <= allowed || !fits {
            continue;
        }
        wasted -= usage.bytes - usage.live_bytes;
        moved += usage.live_bytes;
        poor.push(object);
    }
    let roots: HashSet<Hash> = world.roots.iter().map(|root| root.hash).collect();
    let is_small = |object: &Object| object.length < SMALL && !roots.contains(&object.hash);
    let small: Vec<_> = world.used().filter(|(object, _)| is_small(object)).collect();
    if small.len() > MANY_SMALL.max(world.roots.len()) {
        poor.extend(small.iter().map(|(object, _)| *object));
    }
    if !is_worth_it(repository, world, forms, &poor)? {
        poor.clear();
    }
    if !poor.is_empty() {
        let is_condemned = |object: &Object| repository.gc().holds(&object.hash.short());
        poor.extend(world.used().map(|(object, _)| object).filter(|object| is_condemned(object)));
    }
    poor.sort_by(|a, b| a.name.cmp(&b.name));
    poor.dedup_by(|a, b| a.name == b.name);
    Ok(poor)
}

fn shorts(objects: &[&Object]) -> HashSet<ShortHash> {
    objects.iter().map(|object| object.hash.short()).collect()
}

/// Every snapshot that names one of the segments is published again, which costs an object each.
fn is_worth_it(
    repository: &Repository,
    world: &World,
    forms: &[Hash],
    poor: &[&Object],
) -> Result<bool, RepoError> {
    let freed: u64 = poor
        .iter()
        .filter_map(|object| world.usage.get(&object.hash))
        .map(|usage| usage.bytes - usage.live_bytes)
        .sum();
    let mut cost: u64 = 0;
    for form in affected(repository, forms, &shorts(poor))? {
        cost += COMMIT_LEN + repository.catalog().record_len(&form)?;
    }
    Ok(freed > cost || poor.len() > MANY_SMALL.max(world.roots.len()))
}

/// Of each snapshot the commit that is published again: the highest that has all it needs in what it names. One above it may
/// be a repack's that failed its look and whose segments are gone; to pass its names on would lose sight of what only
/// the older one names.
fn forms(repository: &Repository, world: &World) -> Result<Vec<Hash>, RepoError> {
    let mut by_id: BTreeMap<SnapshotId, Vec<&Summary>> = BTreeMap::new();
    for root in &world.roots {
        by_id.entry(root.id).or_default().push(root);
    }
    let mut forms = Vec::with_capacity(by_id.len());
    for mut roots in by_id.into_values() {
        roots.sort_by_key(|root| std::cmp::Reverse((root.supersession, root.hash)));
        let mut form = roots.first().filter(|_| roots.len() == 1).copied();
        for root in roots {
            if form.is_none() && has_all_it_names(repository, root)? {
                form = Some(root);
            }
        }
        forms.extend(form);
    }
    forms.sort_by_key(|snapshot| (snapshot.time_ms, snapshot.id));
    Ok(forms.iter().map(|form| form.hash).collect())
}

fn has_all_it_names(repository: &Repository, commit: &Summary) -> Result<bool, RepoError> {
    let snapshot = repository.snapshot(&commit.hash)?.ok_or(RepoError::IndexChanged)?;
    repository.has_all_it_names(&snapshot)
}

/// The snapshots that name one of these segments, or are one.
fn affected(
    repository: &Repository,
    forms: &[Hash],
    poor: &HashSet<ShortHash>,
) -> Result<Vec<Hash>, RepoError> {
    let mut affected = Vec::new();
    for form in forms {
        let deps = repository.catalog().deps(form)?.ok_or(RepoError::IndexChanged)?;
        if poor.contains(&form.short()) || deps.iter().any(|dep| poor.contains(dep)) {
            affected.push(*form);
        }
    }
    Ok(affected)
}

fn highest_supersessions(repository: &Repository) -> Result<HashMap<SnapshotId, u32>, RepoError> {
    let mut highest = HashMap::new();
    for commit in repository.commit_summaries()? {
        let known = highest.entry(commit.id).or_insert(commit.supersession);
        *known = (*known).max(commit.supersession);
    }
    Ok(highest)
}
