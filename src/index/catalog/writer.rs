//! The catalogue, for whoever has learnt something of the store. Each call is one transaction.

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::{Catalog, SCHEMA, SegmentRow, records, summaries};
use crate::codec::Hash;
use crate::format::{Header, ObjectName, SegmentKind, SnapshotRecord, Toc};
use crate::index::IndexError;

/// A longer write-ahead log than this is worth emptying.
const LONG_LOG: u64 = 64 << 20;

/// The catalogue, for one writer.
pub struct CatalogWriter(pub(super) Catalog);

impl CatalogWriter {
    /// Takes the connection for writing.
    pub fn new(catalog: Catalog) -> Self {
        Self(catalog)
    }

    /// The same database, for reading.
    pub fn catalog(&self) -> &Catalog {
        &self.0
    }

    pub(super) fn execute(&mut self, sql: &str, parameters: impl rusqlite::Params) -> Result<(), IndexError> {
        let database = &self.0.database;
        database.connection.execute(sql, parameters).map(drop).map_err(|e| database.error(e))
    }

    /// Forgets everything, and begins with a new database.
    pub fn reset(&mut self) -> Result<(), IndexError> {
        self.0.database.recreate(&SCHEMA)
    }

    /// Whether the write-ahead log is longer than it need be.
    pub fn has_long_log(&self) -> bool {
        self.0.database.log_len() > LONG_LOG
    }

    /// Empties the write-ahead log, unless somebody reads from it at this moment; says whether it did. SQLite itself begins
    /// the log anew only when it meets a moment without readers, which beside busy threads may never come.
    pub fn empty_log(&self) -> Result<bool, IndexError> {
        self.0.database.empty_log()
    }

    /// Adds a segment that is whole in the store, in one transaction. Adding it again changes nothing.
    pub fn add_segment(
        &mut self,
        name: &ObjectName,
        hash: &Hash,
        length: u64,
        header: &Header,
        toc: &Toc,
    ) -> Result<SegmentRow, IndexError> {
        if let Some(known) = self.0.segment_of(hash)? {
            return Ok(known);
        }
        self.transact(|transaction| {
            // Within the transaction: a prune or a backup on this machine may be entering it at the same moment.
            let sql = "SELECT segment FROM segments WHERE hash = ?1";
            let known =
                transaction.query_row(sql, [&hash.0[..]], |r| Ok(SegmentRow(r.get(0)?))).optional()?;
            known.map_or_else(|| insert_segment(transaction, name, hash, length, header, toc), Ok)
        })
    }

    /// Adds a snapshot whose commit segment was added: its record, and its summary.
    pub fn add_snapshot(
        &mut self,
        name: &ObjectName,
        hash: &Hash,
        record: &SnapshotRecord,
    ) -> Result<(), IndexError> {
        self.transact(|transaction| {
            records::insert(transaction, name, hash, record)?;
            summaries::insert(transaction, name, hash, record)
        })
    }

    /// Notes that all segments were looked for in the store.
    pub fn set_verified_s(&mut self, at_s: i64) -> Result<(), IndexError> {
        self.execute("UPDATE verified SET at_s = ?1", [at_s])
    }

    /// Notes how many segments a published image knows.
    pub fn set_image_segments(&mut self, segments: u64) -> Result<(), IndexError> {
        self.execute("UPDATE image SET segments = ?1", [segments as i64])
    }

    /// Forgets a commit that is gone from the store.
    pub fn remove_snapshot(&mut self, hash: &Hash) -> Result<(), IndexError> {
        self.transact(|transaction| {
            for table in ["whole_commits", "complete_commits", "exact_deps", "snapshots"] {
                transaction.execute(&format!("DELETE FROM {table} WHERE hash = ?1"), [&hash.0[..]])?;
            }
            summaries::remove(transaction, hash)
        })
    }

    /// Forgets segments that are gone from the store, with everything in them. Chunks are sorted by id, so
    /// this reads all of them, once.
    pub fn remove_segments(&mut self, rows: &[SegmentRow]) -> Result<(), IndexError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.transact(|transaction| {
            transaction.execute_batch(
                "CREATE TEMP TABLE IF NOT EXISTS gone (segment INTEGER PRIMARY KEY); DELETE FROM gone;",
            )?;
            for row in rows {
                transaction.execute("INSERT OR IGNORE INTO gone VALUES (?1)", [row.0])?;
            }
            for table in ["chunks", "blocks", "distrusted", "segments"] {
                let sql = format!("DELETE FROM {table} WHERE segment IN (SELECT segment FROM gone)");
                transaction.execute(&sql, [])?;
            }
            transaction.execute("DELETE FROM complete_commits", []).map(drop)
        })
    }

    /// All of it, or nothing. The lock for writing is taken at the beginning: a transaction that read
    /// first could not wait for another writer.
    pub(super) fn transact<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, IndexError> {
        let database = &mut self.0.database;
        let path = &database.path;
        let error = |source| IndexError::Sqlite { path: path.clone(), source };
        let begun = database.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(error)?;
        let result = change(&transaction).map_err(error)?;
        transaction.commit().map_err(error)?;
        Ok(result)
    }
}

fn insert_segment(
    transaction: &Transaction<'_>,
    name: &ObjectName,
    hash: &Hash,
    length: u64,
    header: &Header,
    toc: &Toc,
) -> rusqlite::Result<SegmentRow> {
    let kind = match header.kind {
        SegmentKind::Bulk => 1,
        SegmentKind::Commit => 2,
        SegmentKind::Index => 3,
        SegmentKind::Collection => 4,
        SegmentKind::History => 5,
    };
    let row: i64 = transaction.query_row(
        "INSERT INTO segments (hash, name, length, kind, header) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING segment",
        params![&hash.0[..], name.as_str(), length as i64, kind, &header.to_bytes()[..]],
        |r| r.get(0),
    )?;
    let mut block_insert =
        transaction.prepare_cached("INSERT INTO blocks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let mut chunk_insert =
        transaction.prepare_cached("INSERT OR IGNORE INTO chunks VALUES (?1, ?2, ?3, ?4, ?5)")?;
    // In order of ids, the pages of the tree are touched in order: several times faster.
    let mut chunks = Vec::new();
    for (number, block) in toc.blocks.iter().enumerate() {
        block_insert.execute(params![
            row,
            number as u32,
            block.kind as u8,
            block.codec as u8,
            block.start as i64,
            block.stored_len,
            block.raw_len
        ])?;
        let mut start = 0;
        for chunk in &block.chunks {
            chunks.push((chunk.id, number as u32, start, chunk.length));
            start += chunk.length;
        }
    }
    chunks.sort_unstable_by_key(|(id, ..)| *id);
    for (id, block, start, length) in chunks {
        chunk_insert.execute(params![&id.0[..], row, block, start, length])?;
    }
    Ok(SegmentRow(row))
}
