//! The blocks that were unpacked last, up to so many bytes; the oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::index::SegmentRow;

/// A block by its segment and number.
pub type BlockKey = (SegmentRow, u32);

/// Unpacked blocks.
pub struct BlockCache {
    blocks: HashMap<BlockKey, Arc<Vec<u8>>>,
    order: VecDeque<BlockKey>,
    length: usize,
    max_len: usize,
}

impl BlockCache {
    /// Keeps at most `max_len` bytes, or a single block that is longer.
    pub fn new(max_len: usize) -> Self {
        Self { blocks: HashMap::new(), order: VecDeque::new(), length: 0, max_len }
    }

    /// A block that is still here.
    pub fn get(&self, key: BlockKey) -> Option<Arc<Vec<u8>>> {
        self.blocks.get(&key).map(Arc::clone)
    }

    /// Keeps a block.
    pub fn insert(&mut self, key: BlockKey, bytes: Arc<Vec<u8>>) {
        let length = bytes.len();
        if self.blocks.insert(key, bytes).is_some() {
            return;
        }
        self.length += length;
        self.order.push_back(key);
        while self.length > self.max_len && self.order.len() > 1 {
            let oldest = self.order.pop_front().expect("more than one");
            self.length -= self.blocks.remove(&oldest).map_or(0, |b| b.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(length: usize) -> Arc<Vec<u8>> {
        Arc::new(vec![0; length])
    }

    #[test]
    fn the_oldest_blocks_go_when_there_is_no_room_and_the_last_one_stays() {
        let mut cache = BlockCache::new(10);
        let here = |cache: &BlockCache| (0..6).filter(|n| cache.get((SegmentRow(1), *n)).is_some()).collect();
        let mut insert = |number, length| -> Vec<u32> {
            cache.insert((SegmentRow(1), number), block(length));
            here(&cache)
        };
        assert_eq!(insert(0, 4), [0]);
        assert_eq!(insert(1, 6), [0, 1], "that is all there is room for");
        assert_eq!(insert(1, 6), [0, 1], "it was there");
        assert_eq!(insert(2, 4), [1, 2]);
        assert_eq!(insert(3, 1), [2, 3]);
        assert_eq!(insert(4, 5), [2, 3, 4], "as much room as before");
        assert_eq!(insert(5, 99), [5]);
    }
}
