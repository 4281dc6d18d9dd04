//! What becomes of segments that are damaged in the store: the local index remembers it, so that nothing new
//! relies on them and the next backup stores again what it finds in the homes. Nothing in the store is changed,
//! and what can still be read there is.

use std::collections::HashSet;

use super::{RepoError, Repository};
use crate::index::SegmentRow;

impl Repository {
    /// From now on, what lies in these blocks counts as lost where it is nowhere else, and nothing new relies
    /// on any part of the segment: writers store its chunks again, and no snapshot that needs it is built upon.
    pub fn distrust(&mut self, segment: SegmentRow, blocks: &[u32]) -> Result<(), RepoError> {
        Ok(self.catalog.set_distrusted(segment, blocks)?)
    }

    /// The segment was read and found whole: it may be relied on again.
    pub fn trust(&mut self, segment: SegmentRow) -> Result<(), RepoError> {
        Ok(self.catalog.set_distrusted(segment, &[])?)
    }

    /// The rows of segments that nothing new may rely on: damaged ones, and those that are condemned.
    pub fn unreliable_rows(&self) -> Result<HashSet<SegmentRow>, RepoError> {
        let mut rows = self.condemned_rows()?;
        rows.extend(self.distrusted()?);
        Ok(rows)
    }

    /// Segments with damaged blocks.
    pub fn distrusted(&self) -> Result<HashSet<SegmentRow>, RepoError> {
        Ok(self.catalog().distrusted_segments()?)
    }
}
