//! What the repository holds: segments, their blocks, where each chunk lies, and the snapshots.

mod distrusted;
mod gc;
mod records;
mod scan;
mod summaries;
mod writer;

use std::collections::HashSet;
use std::path::Path;

use rusqlite::{OptionalExtension, Row, params};

pub use records::StoredSnapshot;
pub use summaries::{HomeList, HomeMention, Summary, Totals, Users};
pub use writer::CatalogWriter;

use self::records::RecordsRead;
use self::summaries::ReadAhead;
use super::database::{CATALOG, Database, IndexError, Schema};
use crate::codec::{ChunkId, Codec, Hash};
use crate::format::{BlockKind, Header, ObjectName};

const SCHEMA: Schema =
    Schema { version: 6, sql: &[TABLES, distrusted::TABLES, gc::TABLES, records::TABLES, summaries::TABLES] };

/// The number of a segment that is gone is not given to another: who noted it before must not come upon that one.
const TABLES: &str = "
    CREATE TABLE segments (
        segment INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, name TEXT NOT NULL,
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

/// The catalogue, for reading.
pub struct Catalog {
    database: Database,
    records_read: RecordsRead,
    read_ahead: ReadAhead,
}

impl Catalog {
    /// Opens or creates the database in the repository's cache folder.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| IndexError::Folder { path: folder.into(), source })?;
        Ok(Self::of(Database::open(&folder.join(CATALOG), &SCHEMA)?))
    }

    fn of(database: Database) -> Self {
        Self { database, records_read: RecordsRead::default(), read_ahead: ReadAhead::default() }
    }

    /// A connection for another thread. It sees what was there when it was first asked, until
    /// [`Catalog::see_newest`].
    pub fn reader(&self) -> Result<Self, IndexError> {
        let reader = self.database.reader()?;
        reader.hold_moment()?;
        Ok(Self::of(reader))
    }

    /// A connection for another thread that asks single questions: each sees what is newest, and between them nothing
    /// keeps the write-ahead log from being emptied.
    pub fn passing_reader(&self) -> Result<Self, IndexError> {
        self.database.reader().map(Self::of)
    }

    /// For a reader: what has been added meanwhile is seen from now on.
    pub fn see_newest(&self) -> Result<(), IndexError> {
        self.database.see_newest()
    }

    /// Where a chunk lies; any of the places if there are several.
    pub fn locate(&self, id: &ChunkId) -> Result<Option<Location>, IndexError> {
        let query = || {
            self.database
                .connection
                .prepare_cached("SELECT segment, block, start, length FROM chunks WHERE id = ?1 LIMIT 1")?
                .query_row([&id.0[..]], location)
                .optional()
        };
        query().map_err(|e| self.database.error(e))
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
                .database
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
        query().map_err(|e| self.database.error(e))
    }

    /// A segment by its row.
    pub fn segment(&self, row: SegmentRow) -> Result<KnownSegment, IndexError> {
        let query = || {
            self.database
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
        let (name, hash, length, header) = query().map_err(|e| self.database.error(e))?;
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
            self.database
                .connection
                .prepare_cached(
                    "SELECT kind, codec, start, stored_len, raw_len FROM blocks WHERE segment = ?1 AND block = ?2",
                )?
                .query_row(params![row.0, block], block_row)
        };
        query().map_err(|e| self.database.error(e))
    }

    /// The segment of an object, if it is known.
    pub fn segment_of(&self, hash: &Hash) -> Result<Option<SegmentRow>, IndexError> {
        let query = || {
            self.database
                .connection
                .prepare_cached("SELECT segment FROM segments WHERE hash = ?1")?
                .query_row([&hash.0[..]], |r| Ok(SegmentRow(r.get(0)?)))
                .optional()
        };
        query().map_err(|e| self.database.error(e))
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
        let query = self.database.connection.query_row("SELECT at_s FROM verified", [], |r| r.get(0));
        query.map_err(|e| self.database.error(e))
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
        let number: i64 =
            self.database.connection.query_row(sql, [], |r| r.get(0)).map_err(|e| self.database.error(e))?;
        Ok(number as u64)
    }

    /// Writes a compact copy of the database, for other machines, to a file that does not exist yet.
    pub fn save_into(&self, path: &Path) -> Result<(), IndexError> {
        let text = path.to_str().ok_or(IndexError::Damaged("the cache folder's name is not UTF-8"))?;
        let save = || {
            self.database.connection.execute("VACUUM INTO ?1", [text])?;
            // What this machine could not read, another tries for itself.
            rusqlite::Connection::open(path)?.execute("DELETE FROM distrusted", [])
        };
        save().map(drop).map_err(|e| self.database.error(e))
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
            .database
            .connection
            .query_row("SELECT COALESCE(SUM(length), 0) FROM segments", [], |r| r.get(0))
            .map_err(|e| self.database.error(e))?;
        Ok(sum as u64)
    }

    fn rows<T>(
        &self,
        sql: &str,
        row: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, IndexError> {
        let query = || -> rusqlite::Result<Vec<T>> {
            self.database.connection.prepare_cached(sql)?.query_map([], |r| row(r))?.collect()
        };
        query().map_err(|e| self.database.error(e))
    }
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
