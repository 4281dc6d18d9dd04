//! Accounts for every object of the store: what it is, and of segments and commits which part is needed.

use std::collections::{HashMap, HashSet};

use super::UsageError;
use super::report::StoreUsage;
use super::scene::Scene;
use super::stock::Stock;
use crate::codec::Hash;
use crate::format::{ObjectName, ShortHash};
use crate::repo::Repository;
use crate::store::Listed;

/// Sums over all objects, but for what users need: `needed` has, for each segment that holds such a thing, how
/// many bytes. `is_damaged` says that some trees could not be walked, so that more may be needed.
pub fn classify(
    repository: &Repository,
    scene: &Scene,
    stock: &Stock,
    needed: &[Option<u64>],
    is_named: &[bool],
    is_damaged: bool,
) -> Result<StoreUsage, UsageError> {
    let by_hash = stock.segments.iter().enumerate().map(|(place, segment)| (segment.hash, place)).collect();
    let commits = scene.summaries.iter().map(|summary| summary.hash).collect();
    let named = named_by_any(repository)?;
    let (mut store, view) = (
        StoreUsage::default(),
        View { repository, stock, needed, is_named, is_damaged, by_hash, commits, named },
    );
    for object in &scene.objects {
        store.objects += 1;
        store.bytes += object.length;
        view.add(object, &mut store);
    }
    Ok(store)
}

struct View<'v> {
    repository: &'v Repository,
    stock: &'v Stock,
    needed: &'v [Option<u64>],
    is_named: &'v [bool],
    is_damaged: bool,
    by_hash: HashMap<Hash, usize>,
    /// Of the snapshots that count.
    commits: HashSet<Hash>,
    /// What any commit names, forgotten and replaced ones included.
    named: HashSet<ShortHash>,
}

impl View<'_> {
    fn add(&self, object: &Listed, store: &mut StoreUsage) {
        let hash = object.name.promised_hash();
        match (object.name.as_str().split('/').next().unwrap_or_default(), hash) {
            ("segments" | "snapshots", Some(hash)) => match self.by_hash.get(&hash) {
                Some(place) => self.known(*place, store),
                None => self.unknown(object, &hash, store),
            },
            ("index", Some(_)) => store.images.add(object.length),
            ("gc", _) => store.gc_records.add(object.length),
            ("history", Some(_)) => store.history.add(object.length),
            ("forgotten", _) => store.marks.add(object.length),
            ("keys", Some(_)) => store.keys.add(object.length),
            _ if object.name == ObjectName::descriptor() => store.descriptor.add(object.length),
            _ => store.other.add(object.length),
        }
    }

    fn known(&self, place: usize, store: &mut StoreUsage) {
        let segment = &self.stock.segments[place];
        let short = segment.hash.short();
        let is_uncertain = self.is_damaged && self.is_named[place];
        if self.needed[place].is_some() || self.commits.contains(&segment.hash) {
            let unneeded = segment.body - self.needed[place].unwrap_or(0);
            store.overhead += segment.length - segment.body;
            *(if is_uncertain { &mut store.uncertain } else { &mut store.wasted }) += unneeded;
        } else if is_uncertain {
            store.uncertain += segment.length;
        } else if self.repository.gc().holds(&short) {
            store.condemned.add(segment.length);
        } else if self.named.contains(&short) {
            store.unneeded.add(segment.length);
        } else {
            store.orphans.add(segment.length);
        }
    }

    /// One that the index does not know: nothing read it so far, or nothing could.
    fn unknown(&self, object: &Listed, hash: &Hash, store: &mut StoreUsage) {
        let is_commit = object.name.as_str().starts_with("snapshots/");
        let sum = match () {
            () if self.repository.gc().holds(&hash.short()) => &mut store.condemned,
            () if is_commit || self.named.contains(&hash.short()) => &mut store.unreadable,
            () => &mut store.orphans,
        };
        sum.add(object.length);
    }
}

fn named_by_any(repository: &Repository) -> Result<HashSet<ShortHash>, UsageError> {
    let mut named = HashSet::new();
    for (_, hash) in repository.catalog().commits()? {
        named.insert(hash.short());
        if let Some(commit) = repository.snapshot(&hash)? {
            named.extend(commit.record.deps);
        }
    }
    Ok(named)
}
