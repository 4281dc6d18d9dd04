//! Where a walk begins: the tree of each home of some snapshots. Snapshots share most of their homes, so each tree is kept
//! once and a snapshot is a list of numbers.

use std::collections::HashMap;

use crate::codec::ChunkId;
use crate::format::{EntryKind, SnapshotRecord};

/// The trees of some snapshots.
#[derive(Debug, Default)]
pub struct Roots {
    trees: Vec<ChunkId>,
    numbers: HashMap<ChunkId, u32>,
    of_snapshot: Vec<Box<[u32]>>,
}

impl Roots {
    /// Adds a snapshot.
    pub fn add(&mut self, record: &SnapshotRecord) {
        let homes = record.homes.iter().filter_map(|home| home.root.as_ref());
        let numbers = homes.filter_map(|root| match root.kind {
            EntryKind::Directory(tree) => Some(self.number(tree)),
            _ => None,
        });
        let numbers = numbers.collect();
        self.of_snapshot.push(numbers);
    }

    fn number(&mut self, tree: ChunkId) -> u32 {
        *self.numbers.entry(tree).or_insert_with(|| {
            self.trees.push(tree);
            self.trees.len() as u32 - 1
        })
    }

    /// Each tree once.
    pub fn trees(&self) -> &[ChunkId] {
        &self.trees
    }

    /// How many snapshots there are.
    pub fn len(&self) -> usize {
        self.of_snapshot.len()
    }

    /// Of each snapshot, whether it has no tree of which this is true.
    pub fn without(&self, is_so: impl Fn(&ChunkId) -> bool) -> Vec<bool> {
        let is_so: Vec<bool> = self.trees.iter().map(is_so).collect();
        let has_none = |numbers: &[u32]| numbers.iter().all(|number| !is_so[*number as usize]);
        self.of_snapshot.iter().map(|numbers| has_none(numbers)).collect()
    }
}
