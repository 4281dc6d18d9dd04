//! Blocks that were found damaged when they were read. Their rows stay, so that readers may still try; who
//! decides what may be relied on asks here.

use std::collections::HashSet;

use rusqlite::params;

use super::{Catalog, CatalogWriter, SegmentRow};
use crate::index::IndexError;

pub(super) const TABLES: &str = "
    CREATE TABLE distrusted (
        segment INTEGER NOT NULL, block INTEGER NOT NULL, PRIMARY KEY (segment, block)
    ) WITHOUT ROWID;";

impl Catalog {
    /// All damaged blocks, by segment and number.
    pub fn distrusted_blocks(&self) -> Result<HashSet<(SegmentRow, u32)>, IndexError> {
        let rows =
            self.rows("SELECT segment, block FROM distrusted", |r| Ok((SegmentRow(r.get(0)?), r.get(1)?)))?;
        Ok(rows.into_iter().collect())
    }

    /// The numbers of a segment's blocks.
    pub fn block_numbers(&self, segment: SegmentRow) -> Result<Vec<u32>, IndexError> {
        let query = || -> rusqlite::Result<Vec<u32>> {
            let sql = "SELECT block FROM blocks WHERE segment = ?1";
            self.database.connection.prepare_cached(sql)?.query_map([segment.0], |r| r.get(0))?.collect()
        };
        query().map_err(|e| self.database.error(e))
    }

    /// Segments with a damaged block.
    pub fn distrusted_segments(&self) -> Result<HashSet<SegmentRow>, IndexError> {
        let rows = self.rows("SELECT DISTINCT segment FROM distrusted", |r| Ok(SegmentRow(r.get(0)?)))?;
        Ok(rows.into_iter().collect())
    }
}

impl CatalogWriter {
    /// Notes which blocks of a segment are damaged, in place of what was noted of it before.
    pub fn set_distrusted(&mut self, segment: SegmentRow, blocks: &[u32]) -> Result<(), IndexError> {
        let path = self.0.database.path.clone();
        let error = |source| IndexError::Sqlite { path: path.clone(), source };
        let transaction = self.0.database.connection.transaction().map_err(error)?;
        transaction.execute("DELETE FROM distrusted WHERE segment = ?1", [segment.0]).map_err(error)?;
        for block in blocks {
            let row = params![segment.0, block];
            transaction.execute("INSERT OR IGNORE INTO distrusted VALUES (?1, ?2)", row).map_err(error)?;
        }
        transaction.commit().map_err(error)
    }
}
