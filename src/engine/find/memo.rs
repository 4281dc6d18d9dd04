//! What a search has found below which directory, so that it is found again without reading. Knows
//! no reader. Bounded: once full, it keeps what it has.

use std::collections::{HashMap, HashSet};

use crate::codec::ChunkId;
use crate::engine::HomePath;
use crate::format::Entry;

/// Matches and names kept; some 300 bytes each.
const MAX_ITEMS: usize = 200_000;
/// Directories and distinct matches remembered by their keys; some 40 bytes each.
const MAX_KEYS: usize = 2_000_000;

/// Stands for a place and what is there. Half a hash: nobody gains by making two of them meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16]);

/// The matches below one directory, by where they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// Something found in a directory.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// An entry that matched.
    Match(Entry),
    /// A directory with matches below it.
    Below(Vec<u8>, NodeId),
}

/// The memory of one search.
#[derive(Default)]
pub(super) struct Memo {
    directories: HashMap<Key, Option<NodeId>>,
    /// Nodes by number, not by pointer: dropping a deep tree of pointers takes stack.
    nodes: Vec<Vec<Item>>,
    items: usize,
    matches: HashSet<Key>,
}

impl Key {
    /// A directory at a place. The home's own place counts: patterns may be absolute paths.
    pub(super) fn of_tree(home: &[u8], path: &HomePath, tree: &ChunkId) -> Self {
        Self::of(&[home, path.as_bytes(), tree.as_bytes()])
    }

    /// An entry at a place.
    pub(super) fn of_match(home: &[u8], path: &HomePath, entry: &Entry) -> Self {
        Self::of(&[home, path.as_bytes(), &entry.to_bytes()])
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(key)
    }
}

impl Memo {
    /// Whether a directory was searched, and then what was found below it, if anything.
    pub(super) fn known(&self, key: &Key) -> Option<Option<NodeId>> {
        self.directories.get(key).copied()
    }

    /// The item of a node at a position.
    pub(super) fn item(&self, node: NodeId, at: usize) -> Option<&Item> {
        self.nodes[node.0].get(at)
    }

    /// Adds to what was found in a directory that is still open.
    pub(super) fn note(&mut self, items: &mut Vec<Item>, item: Item) {
        if !self.is_full() {
            self.items += 1;
            items.push(item);
        }
    }

    /// The same, for what is below the directory `name` in it.
    pub(super) fn note_below(&mut self, items: &mut Vec<Item>, name: &[u8], node: Option<NodeId>) {
        if let Some(node) = node {
            self.note(items, Item::Below(name.to_vec(), node));
        }
    }

    /// Keeps a directory whose search has ended. Once something was left out for want of room, nothing
    /// is kept any more: a directory ends after all that is below it, so what is kept is whole.
    pub(super) fn keep(&mut self, key: Key, items: Vec<Item>) -> Option<NodeId> {
        if self.is_full() {
            return None;
        }
        let node = (!items.is_empty()).then(|| {
            self.nodes.push(items);
            NodeId(self.nodes.len() - 1)
        });
        self.directories.insert(key, node);
        node
    }

    /// Whether a match is the first of its kind. When there is no more room, every one is.
    pub(super) fn is_new(&mut self, key: &Key) -> bool {
        match self.matches.len() < MAX_KEYS {
            true => self.matches.insert(*key),
            false => !self.matches.contains(key),
        }
    }

    /// Never false again once it is true.
    fn is_full(&self) -> bool {
        self.items >= MAX_ITEMS || self.directories.len() >= MAX_KEYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_full_it_keeps_what_it_has_and_nothing_that_is_not_whole() {
        let mut memo = Memo::default();
        let key = |n: u8| Key::of_tree(b"/home/ann", &HomePath::home(), &ChunkId([n; 32]));
        let item = || Item::Below(b"x".to_vec(), NodeId(0));
        let kept = memo.keep(key(1), vec![item()]);
        assert_eq!((kept, memo.known(&key(1))), (Some(NodeId(0)), Some(kept)));
        assert_eq!((memo.keep(key(2), vec![]), memo.known(&key(2))), (None, Some(None)));
        let mut items = Vec::new();
        (0..=MAX_ITEMS).for_each(|_| memo.note(&mut items, item()));
        assert_eq!(items.len(), MAX_ITEMS);
        assert_eq!((memo.keep(key(3), items), memo.known(&key(3))), (None, None));
        assert_eq!(memo.known(&key(1)), Some(kept));
    }

    #[test]
    fn a_place_is_told_from_another_by_each_of_its_parts() {
        let tree = ChunkId([0; 32]);
        let path = |text: &[u8]| HomePath::parse(text).unwrap();
        let keys = [
            Key::of_tree(b"/a", &path(b"b"), &tree),
            Key::of_tree(b"/ab", &path(b""), &tree),
            Key::of_tree(b"/", &path(b"a/b"), &tree),
            Key::of_tree(b"/a", &path(b"b"), &ChunkId([1; 32])),
        ];
        assert_eq!(HashSet::from(keys).len(), keys.len());
    }
}
