//! What forgetting snapshots would free: what no other snapshot leads to.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::report::{DamageCount, Freed};
use super::scene::{Scene, named};
use super::stock::Stock;
use super::walk::Walk;
use super::{Meter, UsageError};
use crate::codec::{ChunkId, Hash, SnapshotId};
use crate::format::{ContentList, Entry, EntryKind, SnapshotRecord};
use crate::index::{Holdings, IndexError, Summary};
use crate::repo::Repository;

/// No snapshot leads there, as far as the walk has come.
const NONE: u32 = 0;
/// More than one owner.
const SEVERAL: u32 = u32::MAX;
/// The name under which the answer is kept.
const ANSWER: &str = "snapshots";

/// A snapshot, and what would go if it were forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotUsage {
    /// The snapshot.
    pub summary: Summary,
    /// What no other snapshot needs.
    pub freed: Freed,
}

/// What some snapshots hold together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contents {
    /// Chunks of file data and trees.
    pub chunks: u64,
    /// Bytes they take in the store.
    pub stored: u64,
    /// Bytes of them unpacked.
    pub bytes: u64,
    /// File contents that differ.
    pub contents: u64,
    /// Bytes of these.
    pub contents_bytes: u64,
}

/// What is kept of the answer.
#[derive(Serialize, Deserialize)]
struct Kept(Vec<(String, Freed)>);

/// For every snapshot, oldest first, what would go if it alone were forgotten.
pub fn by_snapshot(
    repository: &Repository,
    meter: &Meter,
) -> Result<(Vec<SnapshotUsage>, DamageCount), UsageError> {
    let scene = Scene::look(repository)?;
    let mut holdings = Holdings::open(repository.cache())?;
    let with = |freed: Vec<Freed>| {
        let pairs = scene.summaries.iter().cloned().zip(freed);
        pairs.map(|(summary, freed)| SnapshotUsage { summary, freed }).collect()
    };
    if let Some(freed) = kept(&holdings, &scene)? {
        return Ok((with(freed), DamageCount::default()));
    }
    let owners = |at: usize| at as u32 + 1;
    let (freed, damage) = freed(repository, &scene, &owners, scene.summaries.len(), meter)?;
    if damage.is_none() {
        let ids = scene.summaries.iter().map(|summary| summary.id.to_hex());
        let bytes = serde_json::to_vec(&Kept(ids.zip(freed.iter().cloned()).collect()));
        let bytes = bytes.map_err(|_| IndexError::Damaged("figures to keep"))?;
        holdings.keep_answer(ANSWER, &scene.basis, &bytes)?;
    }
    Ok((with(freed), damage))
}

fn kept(holdings: &Holdings, scene: &Scene) -> Result<Option<Vec<Freed>>, UsageError> {
    let Some(bytes) = holdings.answer(ANSWER, &scene.basis)? else { return Ok(None) };
    let Ok(Kept(kept)) = serde_json::from_slice(&bytes) else { return Ok(None) };
    let ids = scene.summaries.iter().map(|summary| summary.id.to_hex());
    let is_same = ids.eq(kept.iter().map(|(id, _)| id.clone()));
    Ok(is_same.then(|| kept.into_iter().map(|(_, freed)| freed).collect()))
}

/// What would go if all these were forgotten together.
pub fn freed_by(
    repository: &Repository,
    snapshots: &HashSet<SnapshotId>,
    meter: &Meter,
) -> Result<(Freed, DamageCount), UsageError> {
    let scene = Scene::look(repository)?;
    let owners = |at: usize| if snapshots.contains(&scene.summaries[at].id) { 1 } else { 2 };
    let (mut freed, damage) = freed(repository, &scene, &owners, 2, meter)?;
    Ok((freed.swap_remove(0), damage))
}

/// What these snapshots hold: every chunk and every content once.
pub fn contents(
    repository: &Repository,
    snapshots: &[&Summary],
    meter: &Meter,
) -> Result<(Contents, DamageCount), UsageError> {
    let scene = Scene::look(repository)?;
    let mut stock = Stock::unmarked(repository, &scene)?;
    let is_named = stock.named(&named(repository, &scene.summaries)?);
    let mut roots = Vec::new();
    for summary in snapshots {
        roots.extend(trees(repository, &summary.hash)?.into_iter().map(|tree| (tree, 1)));
    }
    let (mut reader, mut distinct) = (repository.reader()?, HashMap::new());
    let mut join = |a: u32, b: u32| a.max(b);
    let mut walk = Walk::new(&mut reader, &mut stock, &mut join);
    let mut see = |entry: &Entry| {
        if let EntryKind::File(content) = &entry.kind {
            let digest = Hash::of(&ContentList(content.clone()).to_bytes());
            distinct.insert(*digest.0.first_chunk::<16>().expect("a hash is longer"), content.size());
        }
    };
    walk.see_entries(&mut see);
    let damage = walk.run(roots.into_iter(), meter)?;
    let mut sum = Contents {
        contents: distinct.len() as u64,
        contents_bytes: distinct.values().fold(0, |sum, bytes| sum.saturating_add(*bytes)),
        ..Contents::default()
    };
    for (number, _) in stock.marks().iter().enumerate().filter(|(_, mark)| **mark != NONE) {
        sum.chunks += 1;
        sum.stored += stock.counted(number, &is_named).map(|place| u64::from(place.bytes)).sum::<u64>();
    }
    let mut last = None;
    repository.catalog().scan_chunks(|id, place| {
        let is_held =
            last != Some(*id) && stock.number(id).is_some_and(|number| stock.marks()[number] != NONE);
        sum.bytes += if is_held { u64::from(place.length) } else { 0 };
        last = Some(*id);
    })?;
    Ok((sum, damage.count()))
}

/// For each owner from 1 to `count`, what leads to nobody else's. `owners` says whose a snapshot is.
fn freed(
    repository: &Repository,
    scene: &Scene,
    owners: &dyn Fn(usize) -> u32,
    count: usize,
    meter: &Meter,
) -> Result<(Vec<Freed>, DamageCount), UsageError> {
    let mut stock = Stock::unmarked(repository, scene)?;
    let is_named = stock.named(&named(repository, &scene.summaries)?);
    let mut roots = Vec::new();
    for (at, summary) in scene.summaries.iter().enumerate() {
        roots.extend(trees(repository, &summary.hash)?.into_iter().map(|tree| (tree, owners(at))));
    }
    let mut join = |a, b| match (a, b) {
        (NONE, owner) | (owner, NONE) => owner,
        (a, b) if a == b => a,
        _ => SEVERAL,
    };
    let mut reader = repository.reader()?;
    let damage = Walk::new(&mut reader, &mut stock, &mut join).run(roots.into_iter(), meter)?;
    let mut freed = vec![Freed { data: 0, trees: 0, chunks: 0 }; count];
    let is_owned = |mark: u32| mark != NONE && mark != SEVERAL;
    for (number, mark) in stock.marks().iter().enumerate().filter(|(_, mark)| is_owned(**mark)) {
        let sum = &mut freed[*mark as usize - 1];
        sum.chunks += 1;
        for place in stock.counted(number, &is_named) {
            *(if place.is_tree() { &mut sum.trees } else { &mut sum.data }) += u64::from(place.bytes);
        }
    }
    Ok((freed, damage.count()))
}

/// The trees of a snapshot's homes.
fn trees(repository: &Repository, commit: &Hash) -> Result<Vec<ChunkId>, UsageError> {
    let snapshot = repository.snapshot(commit)?;
    Ok(snapshot.map_or(Vec::new(), |snapshot| home_trees(&snapshot.record)))
}

fn home_trees(record: &SnapshotRecord) -> Vec<ChunkId> {
    let roots = record.homes.iter().filter_map(|home| home.root.as_ref());
    roots
        .filter_map(|root| match root.kind {
            EntryKind::Directory(tree) => Some(tree),
            _ => None,
        })
        .collect()
}
