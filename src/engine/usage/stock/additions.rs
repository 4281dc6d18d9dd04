//! What lies in the segments that are new since a stock was kept, from their own tables of contents: chunks are sorted
//! by id in the index, which has no quick answer to what lies in a segment.

use std::collections::HashMap;

use super::{Block, Place};
use crate::codec::Hash;
use crate::engine::usage::UsageError;
use crate::engine::usage::scene::Scene;
use crate::format::{BlockKind, Toc};
use crate::index::{ChunkKey, HeldSegment, HoldingsHead, ListedSegment};
use crate::repo::Repository;

/// With more new segments than this, or more that lies in them, the index is gone through.
const MAX_SEGMENTS: usize = 256;
const MAX_PLACES: usize = 1 << 20;

/// What is to be added to a stock that was kept.
pub struct Additions {
    /// All segments: those that are kept with their numbers, and behind them the new ones.
    pub segments: Vec<HeldSegment>,
    /// What lies in the new ones, in order of ids.
    pub places: Vec<(ChunkKey, Place)>,
}

/// What is new. None where what is kept is not all there, or not all that there was, or where too much is new: then
/// the whole index has to be gone through.
pub fn find(
    repository: &Repository,
    head: &HoldingsHead,
    scene: &Scene,
) -> Result<Option<Additions>, UsageError> {
    let catalog = repository.catalog();
    if !head.is_exact || !catalog.distrusted_blocks()?.is_empty() {
        return Ok(None);
    }
    let listed = scene.segments();
    let mut there: HashMap<Hash, ListedSegment> = catalog
        .segments()?
        .into_iter()
        .filter(|segment| listed.get(&segment.hash) == Some(&segment.length))
        .map(|segment| (segment.hash, segment))
        .collect();
    for kept in &head.segments {
        if there.remove(&kept.hash).is_none_or(|segment| segment.length != kept.length) {
            return Ok(None);
        }
    }
    if there.len() > MAX_SEGMENTS {
        return Ok(None);
    }
    let mut new: Vec<ListedSegment> = there.into_values().collect();
    new.sort_unstable_by_key(|segment| segment.row);
    let (mut segments, mut places) = (head.segments.clone(), Vec::new());
    for segment in new {
        // What the index says of it is as good.
        let Ok((_, toc)) = repository.read_toc(&segment.name, segment.length) else { return Ok(None) };
        let body = add(&toc, segments.len(), &mut places);
        segments.push(HeldSegment { hash: segment.hash, length: segment.length, body });
        if places.len() > MAX_PLACES {
            return Ok(None);
        }
    }
    let order = |(key, place): &(ChunkKey, Place)| (*key, place.segment());
    places.sort_unstable_by_key(order);
    // A chunk counts once in a segment. Which of two places the index has is not to be told from here.
    let is_plain = places.windows(2).all(|two| order(&two[0]) != order(&two[1]));
    Ok(is_plain.then_some(Additions { segments, places }))
}

/// Adds what lies in a segment. Returns the length of its blocks.
fn add(toc: &Toc, segment: usize, places: &mut Vec<(ChunkKey, Place)>) -> u64 {
    let mut body = 0;
    for block in &toc.blocks {
        let (stored, mut start) =
            (Block::of(block.stored_len, block.raw_len, block.kind == BlockKind::Tree), 0);
        body += u64::from(stored.body);
        for chunk in &block.chunks {
            places.push((ChunkKey::of(&chunk.id), stored.place(segment, start, chunk.length)));
            start += chunk.length;
        }
    }
    body
}
