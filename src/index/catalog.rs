//! What the repository holds: segments, their blocks, where each chunk lies, and the snapshots.

mod distrusted;
mod gc;
mod scan;
mod summaries;

use std::collections::HashSet;
use std::path::Path;

use rusqlite::{OptionalExtension, Row, Transaction, TransactionBehavior, params};

pub use summaries::{HomeList, HomeMention, Summary, Totals, Users};

use super::database::{Database, IndexError, Schema};
use crate::codec::{ChunkId, Codec, Hash};
use crate::format::{BlockKind, Header, ObjectName, SegmentKind, SnapshotRecord, Toc};

const SCHEMA: Schema =
    Schema { version: 3, sql: &[TABLES, distrusted::TABLES, gc::TABLES, summaries::TABLES] };

const TABLES: &str = "
    CREATE TABLE segments (
        segment INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, name TEXT NOT NULL,
        length INTEGER NOT NULL, kind INTEGER NOT NULL, header BLOB NOT NULL
    );
    CREATE TABLE blocks (
        segment INTEGER NOT NULL, block INTEGER NOT NULL, kind INTEGER NOT NULL, codec INTEGER NOT NULL,
        start INTEGER NOT NULL, stored_len INTEGER NOT NULL, raw_len INTEGER NOT NULL,
        PRIMARY KEY (segment, block)
    ) WITHOUT ROWID;
    CREATE TABLE chunks (
        id BLOB NOT NULL, segment INTEGER NOT NULL, block INTEGER NOT NULL,
        start INTEGER NOT NULL, length INTEGER NOT NULL,
        PRIMARY KEY (id, segment)
    ) WITHOUT ROWID;
    CREATE TABLE snapshots (
        hash BLOB PRIMARY KEY, name TEXT NOT NULL, record BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE image (segments INTEGER NOT NULL);
    INSERT INTO image VALUES (0);
    CREATE TABLE verified (at_s INTEGER NOT NULL);
    INSERT INTO verified VALUES (unixepoch());";

/// A segment by its row, which is how sets of segments are kept small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentRow(pub i64);

/// Where a chunk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The segment.
    pub segment: SegmentRow,
    /// The block in it.
    pub block: u32,
    /// Where the chunk begins in the unpacked block.
    pub start: u32,
    /// Bytes of it.
    pub length: u32,
}

/// What reading a segment's blocks takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSegment {
    /// The object.
    pub name: ObjectName,
    /// Of its bytes.
    pub hash: Hash,
    /// Its length.
    pub length: u64,
    /// Its head.
    pub header: Header,
}

/// A segment in a list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSegment {
    /// Its row.
    pub row: SegmentRow,
    /// Of its bytes.
    pub hash: Hash,
    /// The object.
    pub name: ObjectName,
    /// Its length.
    pub length: u64,
}

/// What reading a block takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRow {
    /// What its chunks are.
    pub kind: BlockKind,
    /// How it is packed.
    pub codec: Codec,
    /// Where it begins in the object.
    pub start: u64,
    /// Bytes in the object, tag included.
    pub stored_len: u32,
    /// Bytes when unpacked.
    pub raw_len: u32,
}

/// A snapshot as it is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// The commit object.
    pub name: ObjectName,
    /// Of its bytes.
    pub hash: Hash,
    /// The encoded snapshot record.
    pub record: Vec<u8>,
}

/// The catalogue, for reading.
pub struct Catalog(Database);

impl Catalog {
    /// Opens or creates the database in the repository's cache folder.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| IndexError::Folder { path: folder.into(), source })?;
        Database::open(&folder.join("index.sqlite"), &SCHEMA).map(Self)
    }

    /// A connection for another thread. It sees what was there when it was first asked, until
    /// [`Catalog::see_newest`].
    pub fn reader(&self) -> Result<Self, IndexError> {
        let reader = self.0.reader()?;
        reader.hold_moment()?;
        Ok(Self(reader))
    }

    /// For a reader: what has been added meanwhile is seen from now on.
    pub fn see_newest(&self) -> Result<(), IndexError> {
        self.0.see_newest()
    }

    /// Where a chunk lies; any of the places if there are several.
    pub fn locate(&self, id: &ChunkId) -> Result<Option<Location>, IndexError> {
        let query = || {
            self.0
                .connection
                .prepare_cached("SELECT segment, block, start, length FROM chunks WHERE id = ?1 LIMIT 1")?
                .query_row([&id.0[..]], location)
                .optional()
        };
        query().map_err(|e| self.0.error(e))
    }

    /// Where a chunk lies outside of the segments in `avoid`; any of the places if there are several.
    pub fn locate_outside(
        &self,
        id: &ChunkId,
        avoid: &HashSet<SegmentRow>,
    ) -> Result<Option<Location>, IndexError> {
        if avoid.is_empty() {
            return self.locate(id);
        }
        let query = || -> rusqlite::Result<Option<Location>> {
            let mut query = self
                .0
                .connection
                .prepare_cached("SELECT segment, block, start, length FROM chunks WHERE id = ?1")?;
            for found in query.query_map([&id.0[..]], location)? {
                let found = found?;
                if !avoid.contains(&found.segment) {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        };
        query().map_err(|e| self.0.error(e))
    }

    /// A segment by its row.
    pub fn segment(&self, row: SegmentRow) -> Result<KnownSegment, IndexError> {
        let query = || {
            self.0
                .connection
                .prepare_cached("SELECT name, hash, length, header FROM segments WHERE segment = ?1")?
                .query_row([row.0], |r| {
                    Ok((
                        r.get::<_, String>(0)?,
                        r.get::<_, [u8; 32]>(1)?,
                        r.get::<_, i64>(2)?,
                        r.get::<_, Vec<u8>>(3)?,
                    ))
                })
        };
        let (name, hash, length, header) = query().map_err(|e| self.0.error(e))?;
        Ok(KnownSegment {
            name: name.parse().map_err(|_| IndexError::Damaged("a segment's name"))?,
            hash: Hash(hash),
            length: length as u64,
            header: Header::from_bytes(&header).map_err(|_| IndexError::Damaged("a segment's head"))?,
        })
    }

    /// A block of a segment.
    pub fn block(&self, row: SegmentRow, block: u32) -> Result<BlockRow, IndexError> {
        let query = || {
            self.0
                .connection
                .prepare_cached(
                    "SELECT kind, codec, start, stored_len, raw_len FROM blocks WHERE segment = ?1 AND block = ?2",
                )?
                .query_row(params![row.0, block], block_row)
        };
        query().map_err(|e| self.0.error(e))
    }

    /// The segment of an object, if it is known.
    pub fn segment_of(&self, hash: &Hash) -> Result<Option<SegmentRow>, IndexError> {
        let query = || {
            self.0
                .connection
                .prepare_cached("SELECT segment FROM segments WHERE hash = ?1")?
                .query_row([&hash.0[..]], |r| Ok(SegmentRow(r.get(0)?)))
                .optional()
        };
        query().map_err(|e| self.0.error(e))
    }

    /// Every known segment.
    pub fn segments(&self) -> Result<Vec<ListedSegment>, IndexError> {
        let rows = self.rows("SELECT segment, hash, name, length FROM segments", |r| {
            Ok((SegmentRow(r.get(0)?), Hash(r.get(1)?), r.get::<_, String>(2)?, r.get::<_, i64>(3)? as u64))
        })?;
        let parse = |(row, hash, name, length): (SegmentRow, Hash, String, u64)| {
            let name = name.parse().map_err(|_| IndexError::Damaged("a segment's name"))?;
            Ok(ListedSegment { row, hash, name, length })
        };
        rows.into_iter().map(parse).collect()
    }

    /// When all segments were last looked for in the store, in seconds since 1970.
    pub fn verified_s(&self) -> Result<i64, IndexError> {
        let query = self.0.connection.query_row("SELECT at_s FROM verified", [], |r| r.get(0));
        query.map_err(|e| self.0.error(e))
    }

    /// The version of the tables: another program's image is of use only if it has the same.
    pub const SCHEMA_VERSION: u32 = SCHEMA.version as u32;

    /// How many segments are known.
    pub fn segment_count(&self) -> Result<u64, IndexError> {
        self.number("SELECT COUNT(*) FROM segments")
    }

    /// How many segments the newest published image knows, as far as this machine has heard.
    pub fn image_segments(&self) -> Result<u64, IndexError> {
        self.number("SELECT segments FROM image")
    }

    fn number(&self, sql: &str) -> Result<u64, IndexError> {
        let number: i64 = self.0.connection.query_row(sql, [], |r| r.get(0)).map_err(|e| self.0.error(e))?;
        Ok(number as u64)
    }

    /// Writes a compact copy of the database to a file that does not exist yet.
    pub fn save_into(&self, path: &Path) -> Result<(), IndexError> {
        let text = path.to_str().ok_or(IndexError::Damaged("the cache folder's name is not UTF-8"))?;
        self.0.connection.execute("VACUUM INTO ?1", [text]).map(drop).map_err(|e| self.0.error(e))
    }

    /// Whether a file is a sound database of this version.
    pub fn is_usable(path: &Path) -> bool {
        let check = || -> rusqlite::Result<bool> {
            let connection =
                rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let version: i32 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
            let sound: String = connection.pragma_query_value(None, "quick_check", |r| r.get(0))?;
            Ok(version == SCHEMA.version && sound == "ok")
        };
        check().unwrap_or(false)
    }

    /// Bytes of all known segments.
    pub fn stored_bytes(&self) -> Result<u64, IndexError> {
        let sum: i64 = self
            .0
            .connection
            .query_row("SELECT COALESCE(SUM(length), 0) FROM segments", [], |r| r.get(0))
            .map_err(|e| self.0.error(e))?;
        Ok(sum as u64)
    }

    /// Every known commit by name, in no order.
    pub fn commits(&self) -> Result<Vec<(ObjectName, Hash)>, IndexError> {
        let rows =
            self.rows("SELECT name, hash FROM snapshots", |r| Ok((r.get::<_, String>(0)?, Hash(r.get(1)?))))?;
        let parse = |(name, hash): (String, Hash)| {
            let name = name.parse().map_err(|_| IndexError::Damaged("a snapshot's name"))?;
            Ok((name, hash))
        };
        rows.into_iter().map(parse).collect()
    }

    /// A commit, if it is known.
    pub fn snapshot(&self, hash: &Hash) -> Result<Option<StoredSnapshot>, IndexError> {
        let query = || {
            let sql = "SELECT name, hash, record FROM snapshots WHERE hash = ?1";
            self.0.connection.prepare_cached(sql)?.query_row([&hash.0[..]], stored_snapshot).optional()
        };
        query().map_err(|e| self.0.error(e))?.map(parse_snapshot).transpose()
    }

    /// Every known commit, in no order.
    pub fn snapshots(&self) -> Result<Vec<StoredSnapshot>, IndexError> {
        let rows = self.rows("SELECT name, hash, record FROM snapshots", stored_snapshot)?;
        rows.into_iter().map(parse_snapshot).collect()
    }

    /// Whether a commit is known.
    pub fn has_snapshot(&self, hash: &Hash) -> Result<bool, IndexError> {
        let query = || {
            let sql = "SELECT EXISTS (SELECT 1 FROM snapshots WHERE hash = ?1)";
            self.0.connection.prepare_cached(sql)?.query_row([&hash.0[..]], |r| r.get(0))
        };
        query().map_err(|e| self.0.error(e))
    }

    fn rows<T>(
        &self,
        sql: &str,
        row: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, IndexError> {
        let query = || -> rusqlite::Result<Vec<T>> {
            self.0.connection.prepare_cached(sql)?.query_map([], |r| row(r))?.collect()
        };
        query().map_err(|e| self.0.error(e))
    }
}

type SnapshotRow = (String, [u8; 32], Vec<u8>);

fn stored_snapshot(r: &Row<'_>) -> rusqlite::Result<SnapshotRow> {
    Ok((r.get(0)?, r.get(1)?, r.get(2)?))
}

fn parse_snapshot((name, hash, record): SnapshotRow) -> Result<StoredSnapshot, IndexError> {
    let name = name.parse().map_err(|_| IndexError::Damaged("a snapshot's name"))?;
    Ok(StoredSnapshot { name, hash: Hash(hash), record })
}

fn location(r: &Row<'_>) -> rusqlite::Result<Location> {
    Ok(Location { segment: SegmentRow(r.get(0)?), block: r.get(1)?, start: r.get(2)?, length: r.get(3)? })
}

fn block_row(r: &Row<'_>) -> rusqlite::Result<BlockRow> {
    Ok(BlockRow {
        kind: if r.get::<_, u8>(0)? == BlockKind::Data as u8 { BlockKind::Data } else { BlockKind::Tree },
        codec: if r.get::<_, u8>(1)? == Codec::Stored as u8 { Codec::Stored } else { Codec::Zstd },
        start: r.get::<_, i64>(2)? as u64,
        stored_len: r.get(3)?,
        raw_len: r.get(4)?,
    })
}

/// The catalogue, for one writer.
pub struct CatalogWriter(Catalog);

impl CatalogWriter {
    /// Takes the connection for writing.
    pub fn new(catalog: Catalog) -> Self {
        Self(catalog)
    }

    /// The same database, for reading.
    pub fn catalog(&self) -> &Catalog {
        &self.0
    }

    fn execute(&mut self, sql: &str, parameters: impl rusqlite::Params) -> Result<(), IndexError> {
        let database = &self.0.0;
        database.connection.execute(sql, parameters).map(drop).map_err(|e| database.error(e))
    }

    /// Forgets everything, and begins with a new database.
    pub fn reset(&mut self) -> Result<(), IndexError> {
        self.0.0.recreate(&SCHEMA)
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
        self.transact(|transaction| insert_segment(transaction, name, hash, length, header, toc))
    }

    /// Adds a snapshot whose commit segment was added: its record, as bytes and as what they say, and its
    /// summary.
    pub fn add_snapshot(
        &mut self,
        name: &ObjectName,
        hash: &Hash,
        bytes: &[u8],
        record: &SnapshotRecord,
    ) -> Result<(), IndexError> {
        self.transact(|transaction| {
            let sql = "INSERT OR REPLACE INTO snapshots VALUES (?1, ?2, ?3)";
            transaction.prepare_cached(sql)?.execute(params![&hash.0[..], name.as_str(), bytes])?;
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
            transaction.execute("DELETE FROM exact_deps WHERE hash = ?1", [&hash.0[..]])?;
            transaction.execute("DELETE FROM snapshots WHERE hash = ?1", [&hash.0[..]])?;
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
            Ok(())
        })
    }

    /// All of it, or nothing. The lock for writing is taken at the beginning: a transaction that read
    /// first could not wait for another writer.
    fn transact<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, IndexError> {
        let database = &mut self.0.0;
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
