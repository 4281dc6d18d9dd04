//! Which segments are enough to have everything that is reached.

use std::collections::HashSet;

use super::Reached;
use crate::codec::ChunkId;
use crate::index::{Location, SegmentRow};
use crate::repo::{RepoError, Repository};

/// Segments that together hold everything that is reached, if nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExactDeps {
    /// One segment for every chunk.
    pub segments: HashSet<SegmentRow>,
    /// Chunks that are only in segments to be avoided, in none, or damaged.
    pub lost: Vec<ChunkId>,
}

impl Reached {
    /// Chooses a place for every chunk that is reached, none of them in a segment of `avoid`. One in `deps`, the
    /// leading bytes of segments' hashes that a snapshot names already, is preferred; then one in a segment
    /// that is needed anyway. What lies in a damaged block is not there.
    pub fn exact_deps(
        &self,
        repository: &Repository,
        deps: &[[u8; 8]],
        avoid: &HashSet<SegmentRow>,
    ) -> Result<ExactDeps, RepoError> {
        let catalog = repository.catalog();
        let deps: HashSet<&[u8; 8]> = deps.iter().collect();
        let segments = catalog.segments()?;
        let named = segments.iter().filter(|segment| deps.contains(&segment.hash.short()));
        let mut chooser = Chooser {
            reached: self,
            preferred: named.map(|segment| segment.row).collect(),
            avoid,
            distrusted: catalog.distrusted_blocks()?,
            chosen: ExactDeps { lost: self.damage.keys().copied().collect(), ..ExactDeps::default() },
            chunks: 0,
            current: None,
        };
        catalog.scan_chunks(|id, place| chooser.place(id, place))?;
        chooser.close();
        if chooser.chunks != self.chunks() {
            return Err(RepoError::IndexChanged);
        }
        Ok(chooser.chosen)
    }

    /// How many chunks are reached.
    fn chunks(&self) -> usize {
        (0..self.table.len() as u32).filter(|number| self.is_marked(*number)).count()
    }
}

/// Goes through the places of all chunks, those of one chunk after each other.
struct Chooser<'c> {
    reached: &'c Reached,
    preferred: HashSet<SegmentRow>,
    avoid: &'c HashSet<SegmentRow>,
    distrusted: HashSet<(SegmentRow, u32)>,
    chosen: ExactDeps,
    /// Chunks that are reached and have a place.
    chunks: usize,
    /// The chunk whose places come, with the best so far.
    current: Option<(ChunkId, Option<SegmentRow>)>,
}

impl Chooser<'_> {
    fn place(&mut self, id: &ChunkId, place: Location) {
        if self.distrusted.contains(&(place.segment, place.block)) {
            return;
        }
        if self.current.is_none_or(|(current, _)| current != *id) {
            self.close();
            if !self.reached.is_reached(id) {
                return;
            }
            self.chunks += 1;
            self.current = Some((*id, None));
        }
        let best = self.current.and_then(|(_, best)| best);
        if !self.avoid.contains(&place.segment)
            && best.is_none_or(|best| self.rank(place.segment) > self.rank(best))
        {
            self.current = Some((*id, Some(place.segment)));
        }
    }

    /// The chunk has no more places.
    fn close(&mut self) {
        match self.current.take() {
            Some((_, Some(segment))) => drop(self.chosen.segments.insert(segment)),
            Some((id, None)) => self.chosen.lost.push(id),
            None => {}
        }
    }

    fn rank(&self, segment: SegmentRow) -> (bool, bool) {
        (self.preferred.contains(&segment), self.chosen.segments.contains(&segment))
    }
}
