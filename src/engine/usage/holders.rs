//! Finds out which users hold each chunk, going on from what was found out last time: trees that are new for a
//! user are walked, and users who lost a tree are taken out everywhere and walked anew. Nothing is counted up or
//! down, so nothing can drift.

use std::collections::{HashMap, HashSet};

use super::groups::Groups;
use super::scene::Scene;
use super::stock::Stock;
use super::walk::{Damage, Walk};
use super::{Meter, UsageError};
use crate::codec::ChunkId;
use crate::format::{EntryKind, ShortHash, SnapshotRecord};
use crate::index::{ChunkKey, Holdings, HoldingsHead};
use crate::repo::Repository;

/// Who holds what. The marks of the stock are the numbers of groups.
pub struct Holders {
    /// Users by number.
    pub names: Vec<(String, Vec<u8>)>,
    /// Groups of them.
    pub groups: Groups,
    /// What the snapshots name, their own commits included.
    pub named: HashSet<ShortHash>,
    /// What could not be found or read.
    pub damage: Damage,
    roots: HashSet<(u32, ChunkId)>,
}

impl Holders {
    /// Marks each chunk of the stock with the group of its holders.
    pub fn find(
        repository: &Repository,
        holdings: &Holdings,
        scene: &Scene,
        stock: &mut Stock,
        meter: &Meter,
    ) -> Result<Self, UsageError> {
        let HoldingsHead { holders, groups, roots: before } = holdings.head()?;
        let mut now = Current::of(holders);
        for summary in &scene.summaries {
            if let Some(snapshot) = repository.snapshot(&summary.hash)? {
                now.add(&snapshot.record);
            }
            now.named.insert(summary.hash.short());
        }
        let mut groups = Groups::new(groups);
        let mut changed: HashSet<u32> = before.difference(&now.roots).map(|(holder, _)| *holder).collect();
        let orphaned = take_over(holdings, stock)?;
        // A chunk is gone that someone who lost no tree held: who holds what hung on it is to be found out anew.
        let is_lost = |group: &u32| groups.members(*group).iter().any(|member| !changed.contains(member));
        if orphaned.iter().any(is_lost) {
            changed = (0..now.names.len() as u32).collect();
        }
        if !changed.is_empty() {
            let left = groups.without(&changed);
            stock.marks.iter_mut().for_each(|mark| *mark = left[*mark as usize]);
        }
        let is_new = |(holder, tree): &&(u32, ChunkId)| {
            changed.contains(holder) || !before.contains(&(*holder, *tree))
        };
        let mut new: Vec<(u32, ChunkId)> = now.roots.iter().filter(is_new).copied().collect();
        new.sort_unstable();
        let new: Vec<(ChunkId, u32)> =
            new.into_iter().map(|(holder, tree)| (tree, groups.of(vec![holder]))).collect();
        let mut reader = repository.reader()?;
        let damage =
            Walk::new(&mut reader, stock, &mut |a, b| groups.union(a, b)).run(new.into_iter(), meter)?;
        Ok(Self { names: now.names, groups, named: now.named, damage, roots: now.roots })
    }

    /// What is to be kept of it, and the marks of the stock by the numbers that groups have there.
    pub fn head(&self, stock: &Stock) -> (HoldingsHead, Vec<u32>) {
        let mut is_used = vec![false; self.groups.len()];
        stock.marks.iter().for_each(|mark| is_used[*mark as usize] = true);
        let (mut numbers, mut groups) = (vec![0; is_used.len()], vec![Vec::new()]);
        for (group, _) in is_used.iter().enumerate().skip(1).filter(|(_, is_used)| **is_used) {
            numbers[group] = groups.len() as u32;
            groups.push(self.groups.members(group as u32).to_vec());
        }
        (HoldingsHead { holders: self.names.clone(), groups, roots: self.roots.clone() }, numbers)
    }
}

/// Users and trees as the snapshots have them now. Users keep the numbers they had.
struct Current {
    names: Vec<(String, Vec<u8>)>,
    numbers: HashMap<(String, Vec<u8>), u32>,
    roots: HashSet<(u32, ChunkId)>,
    named: HashSet<ShortHash>,
}

impl Current {
    fn of(names: Vec<(String, Vec<u8>)>) -> Self {
        let numbers = names.iter().cloned().zip(0..).collect();
        Self { names, numbers, roots: HashSet::new(), named: HashSet::new() }
    }

    fn add(&mut self, record: &SnapshotRecord) {
        self.named.extend(&record.deps);
        for home in &record.homes {
            let Some(EntryKind::Directory(tree)) = home.root.as_ref().map(|root| &root.kind) else {
                continue;
            };
            let name = (record.source.clone(), home.user.clone());
            let number = *self.numbers.entry(name).or_insert_with_key(|name| {
                self.names.push(name.clone());
                self.names.len() as u32 - 1
            });
            self.roots.insert((number, *tree));
        }
    }
}

/// Takes over who held what is still there. Returns the groups that held something that is gone.
fn take_over(holdings: &Holdings, stock: &mut Stock) -> Result<HashSet<u32>, UsageError> {
    let (mut at, mut orphaned) = (0, HashSet::new());
    let mut marks = std::mem::take(&mut stock.marks);
    let keys: &[ChunkKey] = stock.keys();
    holdings.scan(|(key, group)| {
        while at < keys.len() && keys[at] < key {
            at += 1;
        }
        match keys.get(at) {
            Some(here) if *here == key => marks[at] = group,
            _ if group != Groups::NOBODY => drop(orphaned.insert(group)),
            _ => {}
        }
    })?;
    stock.marks = marks;
    Ok(orphaned)
}
