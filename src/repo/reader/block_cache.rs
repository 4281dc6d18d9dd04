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
