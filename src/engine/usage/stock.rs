//! All chunks that the store holds, where, and how many stored bytes each takes there; with a number for each,
//! which says who holds it. Knows no snapshot and no user.
//!
//! Memory is 24 bytes for each chunk of the repository.

use std::collections::{HashMap, HashSet};

use crate::codec::{ChunkId, Hash, TAG_LEN};
use crate::format::BlockKind;
use crate::index::{Catalog, ChunkKey, IndexError};

/// An object that holds blocks.
pub struct Segment {
    /// Of its bytes.
    pub hash: Hash,
    /// Its length.
    pub length: u64,
    /// Bytes of its blocks, without their tags.
    pub body: u64,
}

/// Where a chunk lies, and what it takes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    segment: u32,
    /// Its share of the block's stored bytes.
    pub bytes: u32,
}

impl Place {
    const TREE: u32 = 1 << 31;

    /// The place of the segment in [`Stock::segments`].
    pub fn segment(self) -> usize {
        (self.segment & !Self::TREE) as usize
    }

    /// Whether it lies among trees.
    pub fn is_tree(self) -> bool {
        self.segment & Self::TREE != 0
    }
}

/// Everything that lies in the segments of a listing, but for damaged blocks.
pub struct Stock {
    keys: Vec<ChunkKey>,
    first: Vec<Place>,
    /// Of chunks that lie in several places, the others.
    others: HashMap<u32, Vec<Place>>,
    /// The number of each chunk: who holds it.
    pub marks: Vec<u32>,
    /// The segments that were listed and are known.
    pub segments: Vec<Segment>,
}

/// A block as it is stored, and unpacked.
#[derive(Clone, Copy)]
struct Block {
    body: u32,
    raw: u32,
    is_tree: bool,
}

impl Block {
    /// The share of `length` bytes from `start` on in the stored ones. Shares of neighbours add up without a rest.
    fn share(self, start: u32, length: u32) -> u32 {
        let until = |end: u64| u64::from(self.body) * end / u64::from(self.raw.max(1));
        let start = u64::from(start);
        (until(start + u64::from(length)) - until(start)) as u32
    }
}

impl Stock {
    /// Reads the catalogue, in one scan, as far as `listed` has its segments with these lengths.
    pub fn load(catalog: &Catalog, listed: &HashMap<Hash, u64>) -> Result<Self, IndexError> {
        let (mut segments, mut places) = (Vec::new(), HashMap::new());
        for segment in catalog.segments()? {
            if listed.get(&segment.hash) == Some(&segment.length) {
                places.insert(segment.row, segments.len());
                segments.push(Segment { hash: segment.hash, length: segment.length, body: 0 });
            }
        }
        let mut blocks: Vec<Vec<Block>> = segments.iter().map(|_| Vec::new()).collect();
        catalog.scan_blocks(|row, _, block| {
            if let Some(place) = places.get(&row) {
                let body = block.stored_len.saturating_sub(TAG_LEN as u32);
                segments[*place].body += u64::from(body);
                blocks[*place].push(Block {
                    body,
                    raw: block.raw_len,
                    is_tree: block.kind == BlockKind::Tree,
                });
            }
        })?;
        let distrusted = catalog.distrusted_blocks()?;
        let (keys, first, others) = (Vec::new(), Vec::new(), HashMap::new());
        let mut stock = Self { keys, first, others, marks: Vec::new(), segments };
        catalog.scan_chunks(|id, place| {
            let is_sound = distrusted.is_empty() || !distrusted.contains(&(place.segment, place.block));
            let Some(segment) = places.get(&place.segment).filter(|_| is_sound) else { return };
            let Some(block) = blocks[*segment].get(place.block as usize) else { return };
            let tree = if block.is_tree { Place::TREE } else { 0 };
            let bytes = block.share(place.start, place.length);
            stock.push(ChunkKey::of(id), Place { segment: *segment as u32 | tree, bytes });
        })?;
        stock.marks = vec![0; stock.keys.len()];
        Ok(stock)
    }

    fn push(&mut self, key: ChunkKey, place: Place) {
        if self.keys.last() == Some(&key) {
            let number = self.keys.len() as u32 - 1;
            return self.others.entry(number).or_default().push(place);
        }
        self.keys.push(key);
        self.first.push(place);
    }

    /// A chunk's number; none if it is lost.
    pub fn number(&self, id: &ChunkId) -> Option<usize> {
        self.keys.binary_search(&ChunkKey::of(id)).ok()
    }

    /// The chunks with their marks, in order.
    pub fn entries(&self) -> impl Iterator<Item = (ChunkKey, u32)> {
        self.keys.iter().copied().zip(self.marks.iter().copied())
    }

    /// The beginnings of all ids, in order.
    pub fn keys(&self) -> &[ChunkKey] {
        &self.keys
    }

    /// Every place of a chunk.
    pub fn places(&self, number: usize) -> impl Iterator<Item = Place> {
        let others = self.others.get(&(number as u32)).into_iter().flatten();
        std::iter::once(self.first[number]).chain(others.copied())
    }

    /// The places of a chunk that count: those in segments that a snapshot names, or all if none is in one.
    pub fn counted(&self, number: usize, is_named: &[bool]) -> impl Iterator<Item = Place> {
        let is_anywhere_named = self.places(number).any(|place| is_named[place.segment()]);
        self.places(number).filter(move |place| !is_anywhere_named || is_named[place.segment()])
    }

    /// For each segment, whether one of these names it.
    pub fn named(&self, names: &HashSet<[u8; 8]>) -> Vec<bool> {
        self.segments.iter().map(|segment| names.contains(&segment.hash.short())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_a_block_add_up_to_it() {
        for (body, lengths) in
            [(10, vec![1, 1, 1]), (0, vec![5]), (999, vec![7, 100, 3, 1]), (7, vec![1; 20])]
        {
            let block = Block { body, raw: lengths.iter().sum(), is_tree: false };
            let mut start = 0;
            let shares: u32 = lengths
                .iter()
                .map(|length| {
                    start += length;
                    block.share(start - length, *length)
                })
                .sum();
            assert_eq!(shares, body);
        }
    }
}
