//! What trees and contents became, so that what several homes have is made anew once. Bounded: once full, it
//! keeps what it has.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

use super::lock;
use crate::codec::ChunkId;
use crate::format::Content;

/// Trees and extents that are remembered; some hundred bytes each.
const MAX_WEIGHT: usize = 400_000;

/// What source ids came to. Holds for one target as long as it keeps what was written.
#[derive(Default)]
pub struct Memo {
    trees: Mutex<Table<ChunkId, ChunkId>>,
    contents: Mutex<Table<Content, Content>>,
}

#[derive(Debug)]
struct Table<K, V> {
    known: HashMap<K, V>,
    weight: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { known: HashMap::new(), weight: 0 }
    }
}

impl<K: Eq + Hash, V> Table<K, V> {
    fn keep(&mut self, key: K, value: V, weight: usize) {
        if self.weight + weight <= MAX_WEIGHT {
            self.weight += weight;
            self.known.insert(key, value);
        }
    }
}

impl Memo {
    /// What a tree became.
    pub(super) fn tree(&self, source: &ChunkId) -> Option<ChunkId> {
        lock(&self.trees).known.get(source).copied()
    }

    /// Remembers a tree of which nothing was lost.
    pub(super) fn keep_tree(&self, source: ChunkId, target: ChunkId) {
        lock(&self.trees).keep(source, target, 1);
    }

    /// What a content became.
    pub(super) fn content(&self, source: &Content) -> Option<Content> {
        lock(&self.contents).known.get(source).cloned()
    }

    /// Remembers a content.
    pub(super) fn keep_content(&self, source: &Content, target: &Content) {
        let weight = 1 + source.extents.len() + target.extents.len();
        lock(&self.contents).keep(source.clone(), target.clone(), weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_full_it_keeps_what_it_has() {
        let memo = Memo::default();
        let id = |n: usize| ChunkId(*blake3::hash(&n.to_le_bytes()).as_bytes());
        (0..=MAX_WEIGHT).for_each(|n| memo.keep_tree(id(n), id(n + 1)));
        assert_eq!(memo.tree(&id(0)), Some(id(1)));
        assert_eq!(memo.tree(&id(MAX_WEIGHT - 1)), Some(id(MAX_WEIGHT)));
        assert_eq!(memo.tree(&id(MAX_WEIGHT)), None);
    }
}
