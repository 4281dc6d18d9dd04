//! Makes a stock from nothing but the index, which is gone through once.

use std::collections::HashMap;

use super::{Block, Stock};
use crate::codec::Hash;
use crate::format::BlockKind;
use crate::index::{Catalog, ChunkKey, HeldSegment, IndexError};

/// Reads the catalogue, in one scan of one moment, as far as `listed` has its segments with these lengths.
pub fn scan(catalog: &Catalog, listed: &HashMap<Hash, u64>) -> Result<Stock, IndexError> {
    let catalog = catalog.reader()?;
    let (mut segments, mut places) = (Vec::new(), HashMap::new());
    for segment in catalog.segments()? {
        if listed.get(&segment.hash) == Some(&segment.length) {
            places.insert(segment.row, segments.len());
            segments.push(HeldSegment { hash: segment.hash, length: segment.length, body: 0 });
        }
    }
    let mut blocks: Vec<Vec<Block>> = segments.iter().map(|_| Vec::new()).collect();
    catalog.scan_blocks(|row, _, block| {
        if let Some(place) = places.get(&row) {
            let block = Block::of(block.stored_len, block.raw_len, block.kind == BlockKind::Tree);
            segments[*place].body += u64::from(block.body);
            blocks[*place].push(block);
        }
    })?;
    let distrusted = catalog.distrusted_blocks()?;
    let mut stock = Stock::new(segments, None, distrusted.is_empty());
    catalog.scan_chunks(|id, location| {
        let is_sound = distrusted.is_empty() || !distrusted.contains(&(location.segment, location.block));
        let Some(segment) = places.get(&location.segment).filter(|_| is_sound) else { return };
        let Some(block) = blocks[*segment].get(location.block as usize) else { return };
        stock.push(ChunkKey::of(id), block.place(*segment, location.start, location.length), 0);
    })?;
    Ok(stock)
}
