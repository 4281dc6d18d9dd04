//! How much of each segment is needed.

use std::collections::BTreeMap;

use super::Reached;
use crate::index::{Catalog, IndexError, SegmentRow};

/// What a segment holds and what of it is reached. A chunk that lies in several segments counts in each, but not
/// where it lies in a damaged block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SegmentUsage {
    /// Chunks in it.
    pub chunks: u64,
    /// Those that are reached.
    pub live_chunks: u64,
    /// Bytes of its blocks as they are stored.
    pub bytes: u64,
    /// The part of them that is reached. Of a block that is partly reached, the share that the
    /// reached chunks have in its unpacked bytes.
    pub live_bytes: u64,
}

/// A block, while its chunks are counted.
struct Block {
    stored_len: u32,
    raw_len: u32,
    live_len: u32,
}

impl Reached {
    /// How much of every known segment is reached; also of those with nothing in them.
    pub fn usage(&self, catalog: &Catalog) -> Result<BTreeMap<SegmentRow, SegmentUsage>, IndexError> {
        let mut usage: BTreeMap<SegmentRow, SegmentUsage> =
            catalog.segments()?.into_iter().map(|segment| (segment.row, SegmentUsage::default())).collect();
        let distrusted = catalog.distrusted_blocks()?;
        let mut blocks: BTreeMap<SegmentRow, Vec<Block>> = BTreeMap::new();
        catalog.scan_blocks(|segment, _, block| {
            let block = Block { stored_len: block.stored_len, raw_len: block.raw_len, live_len: 0 };
            blocks.entry(segment).or_default().push(block);
        })?;
        catalog.scan_chunks(|id, place| {
            let segment = usage.entry(place.segment).or_default();
            segment.chunks += 1;
            if self.is_reached(id) && !distrusted.contains(&(place.segment, place.block)) {
                segment.live_chunks += 1;
                let block = blocks.get_mut(&place.segment).and_then(|b| b.get_mut(place.block as usize));
                if let Some(block) = block {
                    block.live_len += place.length;
                }
            }
        })?;
        for (segment, blocks) in blocks {
            let segment = usage.entry(segment).or_default();
            segment.bytes = blocks.iter().map(|block| u64::from(block.stored_len)).sum();
            segment.live_bytes = blocks.iter().map(live_bytes).sum();
        }
        Ok(usage)
    }
}

fn live_bytes(block: &Block) -> u64 {
    let share = u64::from(block.stored_len) * u64::from(block.live_len);
    share.div_ceil(u64::from(block.raw_len.max(1)))
}
