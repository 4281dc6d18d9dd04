//! All chunks that the index knows, by number, and marks on them. Knows ids, not what they name.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::codec::ChunkId;
use crate::index::{Catalog, IndexError};

/// The leading bytes of every chunk's id in ascending order: 8 bytes a chunk, 4 million chunks a TiB. Ids are
/// keyed hashes, so two hardly ever begin alike; those that do are told apart by all of their bytes, since a tree
/// that is taken for another would not be walked.
#[derive(Default)]
pub struct ChunkTable {
    prefixes: Vec<u64>,
    /// For each prefix that several ids have, these ids, in order.
    alike: HashMap<u64, Vec<ChunkId>>,
}

impl ChunkTable {
    /// Reads all ids of the catalogue, but of chunks that lie in damaged blocks only: these are lost.
    pub fn load(catalog: &Catalog) -> Result<Self, IndexError> {
        let (mut builder, distrusted) = (Builder::default(), catalog.distrusted_blocks()?);
        if distrusted.is_empty() {
            catalog.scan_chunk_ids(|id| builder.push(id))?;
            return Ok(builder.table);
        }
        catalog.scan_chunks(|id, place| {
            if !distrusted.contains(&(place.segment, place.block)) {
                builder.push(id);
            }
        })?;
        Ok(builder.table)
    }

    /// How many chunks there are.
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// The chunk's number; none if the repository does not have it.
    pub fn number(&self, id: &ChunkId) -> Option<u32> {
        let prefix = prefix(id);
        let first = self.prefixes.partition_point(|known| *known < prefix);
        if self.prefixes.get(first) != Some(&prefix) {
            return None;
        }
        let later = match self.alike.get(&prefix) {
            Some(ids) => ids.binary_search(id).ok()?,
            None => 0,
        };
        Some((first + later) as u32)
    }
}

/// Gathers ids that come in ascending order, perhaps repeated.
#[derive(Default)]
struct Builder {
    table: ChunkTable,
    last: Option<ChunkId>,
}

impl Builder {
    fn push(&mut self, id: &ChunkId) {
        let Some(last) = self.last.replace(*id).filter(|last| prefix(last) == prefix(id)) else {
            return self.table.prefixes.push(prefix(id));
        };
        if last != *id {
            self.table.prefixes.push(prefix(id));
            self.table.alike.entry(prefix(id)).or_insert_with(|| vec![last]).push(*id);
        }
    }
}

fn prefix(id: &ChunkId) -> u64 {
    u64::from_be_bytes(*id.0.first_chunk().expect("an id is longer"))
}

/// What is known of a chunk. What it was reached as is part of that: the same bytes may stand for a directory in
/// one place and, in a tree that somebody with the key made up, for a page or a list in another.
pub mod mark {
    /// File data that is needed.
    pub const DATA: u8 = 1;
    /// A directory that is walked.
    pub const DIRECTORY: u8 = 2;
    /// A page of a directory that is walked.
    pub const PAGE: u8 = 4;
    /// A content list that is walked.
    pub const LIST: u8 = 8;

    /// What tells of a thing walked in some role that it, or something that it leads to, is missing or damaged.
    pub const fn broken(role: u8) -> u8 {
        role << 3
    }

    /// The marks of what is needed, in whatever role.
    pub const NEEDED: u8 = DATA | DIRECTORY | PAGE | LIST;
}

/// Marks on the chunks of a table, set from many threads.
pub struct Marks(Vec<AtomicU8>);

impl Marks {
    /// No marks on any of `chunks` chunks.
    pub fn new(chunks: usize) -> Self {
        Self((0..chunks).map(|_| AtomicU8::new(0)).collect())
    }

    /// Sets a mark; says whether it was not there before. Only one of several threads is told so.
    pub fn set(&self, number: u32, mark: u8) -> bool {
        self.0[number as usize].fetch_or(mark, Ordering::Relaxed) & mark == 0
    }

    /// All marks of a chunk.
    pub fn of(&self, number: u32) -> u8 {
        self.0[number as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(prefix: u8, rest: u8) -> ChunkId {
        let mut bytes = [rest; 32];
        bytes[..8].fill(prefix);
        ChunkId(bytes)
    }

    #[test]
    fn chunks_that_begin_alike_are_told_apart() {
        let ids = [id(0, 9), id(3, 1), id(3, 2), id(3, 7), id(255, 0)];
        let mut builder = Builder::default();
        for id in ids {
            builder.push(&id);
            builder.push(&id);
        }
        let table = builder.table;
        assert_eq!(table.len(), 5);
        for (number, id) in ids.iter().enumerate() {
            assert_eq!(table.number(id), Some(number as u32));
        }
        for absent in [id(3, 0), id(3, 5), id(3, 8), id(4, 1)] {
            assert_eq!(table.number(&absent), None);
        }
    }

    #[test]
    fn a_mark_is_new_once() {
        let marks = Marks::new(2);
        assert!(marks.set(1, mark::DATA));
        assert!(marks.set(1, mark::LIST));
        assert!(!marks.set(1, mark::DATA));
        assert_eq!([marks.of(0), marks.of(1)], [0, mark::DATA | mark::LIST]);
    }
}
