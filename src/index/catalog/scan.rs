//! Goes through whole tables, in the order of their keys, for who has to look at everything. Each scan is one
//! statement and so sees one moment; nothing of it is kept in memory.

use super::{BlockRow, Catalog, Location, SegmentRow, block_row};
use crate::codec::ChunkId;
use crate::index::IndexError;

impl Catalog {
    /// Every place of every chunk, in order of ids; places of one chunk follow each other.
    pub fn scan_chunks(&self, mut visit: impl FnMut(&ChunkId, Location)) -> Result<(), IndexError> {
        let mut query = || -> rusqlite::Result<()> {
            let sql = "SELECT id, segment, block, start, length FROM chunks ORDER BY id, segment";
            let mut statement = self.database.connection.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let location = Location {
                    segment: SegmentRow(row.get(1)?),
                    block: row.get(2)?,
                    start: row.get(3)?,
                    length: row.get(4)?,
                };
                visit(&ChunkId(row.get(0)?), location);
            }
            Ok(())
        };
        query().map_err(|e| self.database.error(e))
    }

    /// The id of every chunk, in order; once for each place it has.
    pub fn scan_chunk_ids(&self, mut visit: impl FnMut(&ChunkId)) -> Result<(), IndexError> {
        let mut query = || -> rusqlite::Result<()> {
            let mut statement =
                self.database.connection.prepare_cached("SELECT id FROM chunks ORDER BY id")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                visit(&ChunkId(row.get(0)?));
            }
            Ok(())
        };
        query().map_err(|e| self.database.error(e))
    }

    /// Every block, by segment and number.
    pub fn scan_blocks(&self, mut visit: impl FnMut(SegmentRow, u32, &BlockRow)) -> Result<(), IndexError> {
        let mut query = || -> rusqlite::Result<()> {
            let sql = "SELECT kind, codec, start, stored_len, raw_len, segment, block FROM blocks
                       ORDER BY segment, block";
            let mut statement = self.database.connection.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                visit(SegmentRow(row.get(5)?), row.get(6)?, &block_row(row)?);
            }
            Ok(())
        };
        query().map_err(|e| self.database.error(e))
    }

    /// Every place where a chunk lies.
    pub fn locate_all(&self, id: &ChunkId) -> Result<Vec<Location>, IndexError> {
        let query = || -> rusqlite::Result<Vec<Location>> {
            let sql = "SELECT segment, block, start, length FROM chunks WHERE id = ?1";
            let mut statement = self.database.connection.prepare_cached(sql)?;
            statement.query_map([&id.0[..]], super::location)?.collect()
        };
        query().map_err(|e| self.database.error(e))
    }
}
