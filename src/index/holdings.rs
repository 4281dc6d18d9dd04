//! Who holds which chunk and what it takes where, as it was last found out by walking the trees: the state from
//! which the next account of who uses what goes on. Knows users, groups and segments by number, and chunks by the
//! beginning of their ids.
//!
//! A database of its own beside the catalogue: a backup neither reads nor writes it, an image of the index does
//! not carry it, and whoever loses it walks the trees again.
//!
//! Places of chunks lie in parts, by the first bits of their ids: a part is read and written as a whole, and a small
//! change writes only those that it touches.

mod numbers;
mod save;

use std::path::Path;

use rusqlite::{OptionalExtension, params};

pub use save::{HoldingsChange, KeptCommit, PartsChange};

use super::database::{Database, IndexError, Schema};
use crate::codec::{ChunkId, Hash};
use crate::format::ShortHash;

const SCHEMA: Schema = Schema {
    version: 2,
    sql: &["
        CREATE TABLE state (generation INTEGER NOT NULL, bits INTEGER NOT NULL, is_exact INTEGER NOT NULL);
        INSERT INTO state VALUES (0, 0, 0);
        CREATE TABLE holders (holder INTEGER PRIMARY KEY, source TEXT NOT NULL, user BLOB NOT NULL);
        CREATE TABLE groups (number INTEGER PRIMARY KEY, holders BLOB NOT NULL);
        CREATE TABLE segments (
            number INTEGER PRIMARY KEY, hash BLOB NOT NULL, length INTEGER NOT NULL, body INTEGER NOT NULL
        );
        CREATE TABLE trees (number INTEGER PRIMARY KEY, holder INTEGER NOT NULL, tree BLOB NOT NULL);
        CREATE TABLE names (number INTEGER PRIMARY KEY, name BLOB NOT NULL);
        CREATE TABLE commits (
            hash BLOB NOT NULL UNIQUE, is_counted INTEGER NOT NULL, trees BLOB NOT NULL, names BLOB NOT NULL
        );
        CREATE TABLE parts (part INTEGER PRIMARY KEY, places BLOB NOT NULL);
        CREATE TABLE vaulted (part INTEGER PRIMARY KEY, entries BLOB NOT NULL);
        CREATE TABLE answers (question TEXT PRIMARY KEY, basis BLOB NOT NULL, answer BLOB NOT NULL) WITHOUT ROWID;"],
};

/// Entries in a row of the table of vaulted counts.
const ROW_ENTRIES: usize = 1 << 16;
/// The beginning of an id, and a number.
const ENTRY_LEN: usize = ChunkKey::LEN + 4;
/// The beginning of an id, a group, a segment, and bytes.
const PLACE_LEN: usize = ChunkKey::LEN + 12;
/// There are at most two to this power of parts.
const MAX_BITS: u8 = 16;
/// Places in a part, about.
const PART_PLACES: usize = 1 << 10;

/// The beginning of a chunk's id. Ids are keyed hashes: of ten million, two begin alike with a chance of one in
/// 10^15, and then they are counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey(pub [u8; Self::LEN]);

impl ChunkKey {
    /// Bytes of it.
    pub const LEN: usize = 12;

    /// Of a chunk.
    pub fn of(id: &ChunkId) -> Self {
        Self(*id.0.first_chunk().expect("an id is longer"))
    }
}

/// Into how many parts places are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Division {
    bits: u8,
}

impl Division {
    /// The one for so many places.
    pub fn of(places: usize) -> Self {
        let bits = (places / PART_PLACES).checked_ilog2().unwrap_or(0) as u8;
        Self { bits: bits.min(MAX_BITS) }
    }

    /// How many parts there are.
    pub fn parts(self) -> usize {
        1 << self.bits
    }

    /// The part that a chunk is in. Parts are in the order of ids.
    pub fn part(self, key: &ChunkKey) -> usize {
        let first = u32::from_be_bytes(*key.0.first_chunk().expect("a key is longer"));
        (u64::from(first) >> (32 - self.bits)) as usize
    }
}

/// A segment whose chunks are in the parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSegment {
    /// Of its bytes.
    pub hash: Hash,
    /// Its length.
    pub length: u64,
    /// Bytes of its blocks, without their tags.
    pub body: u64,
}

/// A place of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldPlace {
    /// The chunk.
    pub key: ChunkKey,
    /// The group that holds it.
    pub group: u32,
    /// The segment, and what else is told with it.
    pub segment: u32,
    /// Stored bytes of it there.
    pub bytes: u32,
}

/// All but what is kept of each commit and of each chunk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HoldingsHead {
    /// Rises with each time that something is saved.
    pub generation: i64,
    /// How places are divided.
    pub division: Division,
    /// Whether everything that lies in the segments is in the parts.
    pub is_exact: bool,
    /// The users, by source and name; their numbers are their places.
    pub holders: Vec<(String, Vec<u8>)>,
    /// Groups of users who hold the same chunks, in order of numbers; the first is nobody.
    pub groups: Vec<Vec<u32>>,
    /// The segments, in order of numbers.
    pub segments: Vec<HeldSegment>,
    /// Trees of homes, and whose, by number; some numbers are free.
    pub trees: Vec<Option<(u32, ChunkId)>>,
    /// What commits name, by number; some numbers are free.
    pub names: Vec<Option<ShortHash>>,
}

/// A number for a chunk.
pub type Entry = (ChunkKey, u32);

/// The database.
pub struct Holdings(Database);

impl Holdings {
    /// Opens or creates it in the repository's cache folder.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        Database::open(&folder.join("holdings.sqlite"), &SCHEMA).map(Self)
    }

    /// What was saved last. All that is read from now on is of the same moment, until something is saved.
    pub fn load(&self) -> Result<HoldingsHead, IndexError> {
        self.let_go()?;
        self.0.hold_moment()?;
        let (generation, bits, is_exact) = self
            .0
            .connection
            .query_row("SELECT generation, bits, is_exact FROM state", [], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?))
            })
            .map_err(|e| self.0.error(e))?;
        let groups: Vec<Vec<u8>> = self.rows("SELECT holders FROM groups ORDER BY number", |r| r.get(0))?;
        let tree = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, (r.get(1)?, ChunkId(r.get(2)?))));
        let segment = |r: &rusqlite::Row<'_>| {
            let number = |column| r.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok(HeldSegment { hash: Hash(r.get(0)?), length: number(1)?, body: number(2)? })
        };
        let head = HoldingsHead {
            generation,
            division: Division { bits },
            is_exact,
            holders: self
                .rows("SELECT source, user FROM holders ORDER BY holder", |r| Ok((r.get(0)?, r.get(1)?)))?,
            groups: groups.iter().map(|group| group_of(group)).collect::<Result<_, _>>()?,
            segments: self.rows("SELECT hash, length, body FROM segments ORDER BY number", segment)?,
            trees: by_number(self.rows("SELECT number, holder, tree FROM trees ORDER BY number", tree)?)?,
            names: by_number(
                self.rows("SELECT number, name FROM names ORDER BY number", |r| Ok((r.get(0)?, r.get(1)?)))?,
            )?,
        };
        let holders =
            head.groups.iter().flatten().chain(head.trees.iter().flatten().map(|(holder, _)| holder));
        match bits > MAX_BITS || holders.into_iter().any(|holder| *holder as usize >= head.holders.len()) {
            true => Err(IndexError::Damaged("the head of the holdings")),
            false => Ok(head),
        }
    }

    fn let_go(&self) -> Result<(), IndexError> {
        match self.0.connection.is_autocommit() {
            true => Ok(()),
            false => self.0.connection.execute_batch("COMMIT").map_err(|e| self.0.error(e)),
        }
    }

    fn rows<T>(
        &self,
        sql: &str,
        row: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, IndexError> {
        let query = || -> rusqlite::Result<_> {
            self.0.connection.prepare(sql)?.query_map([], |r| row(r))?.collect()
        };
        query().map_err(|e| self.0.error(e))
    }

    /// Shows what is kept of each commit: which one it is, whether it counted, and the numbers of the trees of its
    /// homes and of what it names. The head says what the numbers are.
    pub fn scan_commits(
        &self,
        head: &HoldingsHead,
        mut visit: impl FnMut(KeptCommit),
    ) -> Result<(), IndexError> {
        let mut read = || -> rusqlite::Result<bool> {
            let mut statement =
                self.0.connection.prepare("SELECT hash, is_counted, trees, names FROM commits")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let mut commit = KeptCommit {
                    hash: Hash(row.get(0)?),
                    is_counted: row.get(1)?,
                    trees: Vec::new(),
                    names: Vec::new(),
                };
                let set = |column: usize, known: usize, to: &mut Vec<u32>| -> rusqlite::Result<bool> {
                    let bytes = row.get_ref(column)?.as_blob()?;
                    Ok(numbers::decode(bytes, known, &mut |number| to.push(number as u32)))
                };
                if !set(2, head.trees.len(), &mut commit.trees)?
                    || !set(3, head.names.len(), &mut commit.names)?
                {
                    return Ok(false);
                }
                visit(commit);
            }
            Ok(true)
        };
        self.outcome(read(), "what commits name")
    }

    /// How many places are kept.
    pub fn place_count(&self) -> Result<usize, IndexError> {
        let sql = "SELECT COALESCE(SUM(LENGTH(places)), 0) FROM parts";
        let bytes: i64 = self.0.connection.query_row(sql, [], |r| r.get(0)).map_err(|e| self.0.error(e))?;
        Ok(bytes.cast_unsigned() as usize / PLACE_LEN)
    }

    /// Shows each place of each chunk, in order of ids; places of one chunk follow each other.
    pub fn scan_places(&self, mut visit: impl FnMut(HeldPlace)) -> Result<(), IndexError> {
        self.scan_table("SELECT places FROM parts ORDER BY part", |place| visit(decode_place(place)))
    }

    /// Shows each tree of which it is known how many entries below it are in the vault, in order of ids.
    pub fn scan_vaulted(&self, mut visit: impl FnMut(Entry)) -> Result<(), IndexError> {
        self.scan_table("SELECT entries FROM vaulted ORDER BY part", |entry| visit(decode_entry(entry)))
    }

    fn scan_table<const LEN: usize>(
        &self,
        sql: &str,
        mut visit: impl FnMut(&[u8; LEN]),
    ) -> Result<(), IndexError> {
        let mut read = || -> rusqlite::Result<bool> {
            let mut statement = self.0.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (entries, rest) = row.get_ref(0)?.as_blob()?.as_chunks::<LEN>();
                entries.iter().for_each(&mut visit);
                if !rest.is_empty() {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        self.outcome(read(), "the holders of chunks")
    }

    fn outcome(&self, read: rusqlite::Result<bool>, what: &'static str) -> Result<(), IndexError> {
        match read {
            Ok(true) => Ok(()),
            Ok(false) => Err(IndexError::Damaged(what)),
            Err(error) => Err(self.0.error(error)),
        }
    }

    /// An answer that was kept, if everything it rests on is as it was.
    pub fn answer(&self, question: &str, basis: &Hash) -> Result<Option<Vec<u8>>, IndexError> {
        let sql = "SELECT answer FROM answers WHERE question = ?1 AND basis = ?2";
        let row = self.0.connection.query_row(sql, params![question, &basis.0[..]], |r| r.get(0));
        row.optional().map_err(|e| self.0.error(e))
    }

    /// The answer that was kept last, whatever happened since.
    pub fn last_answer(&self, question: &str) -> Result<Option<Vec<u8>>, IndexError> {
        let sql = "SELECT answer FROM answers WHERE question = ?1";
        let row = self.0.connection.query_row(sql, [question], |r| r.get(0));
        row.optional().map_err(|e| self.0.error(e))
    }

    /// Keeps an answer, with what it rests on.
    pub fn keep_answer(&mut self, question: &str, basis: &Hash, answer: &[u8]) -> Result<(), IndexError> {
        self.let_go()?;
        let sql = "INSERT OR REPLACE INTO answers VALUES (?1, ?2, ?3)";
        let kept = self.0.connection.execute(sql, params![question, &basis.0[..], answer]);
        kept.map(drop).map_err(|e| self.0.error(e))
    }

    /// Forgets everything.
    pub fn reset(&mut self) -> Result<(), IndexError> {
        self.0.recreate(&SCHEMA)
    }
}

fn decode_place(place: &[u8; PLACE_LEN]) -> HeldPlace {
    let (key, numbers) = place.split_first_chunk().expect("a place begins with a key");
    let number = |at: usize| {
        u32::from_le_bytes(*numbers[4 * at..].first_chunk().expect("three numbers follow the key"))
    };
    HeldPlace { key: ChunkKey(*key), group: number(0), segment: number(1), bytes: number(2) }
}

fn decode_entry(entry: &[u8; ENTRY_LEN]) -> Entry {
    let (key, number) = entry.split_first_chunk().expect("an entry begins with a key");
    (ChunkKey(*key), u32::from_le_bytes(number.try_into().expect("4 bytes are left")))
}

fn group_of(bytes: &[u8]) -> Result<Vec<u32>, IndexError> {
    match bytes.as_chunks() {
        (numbers, []) => Ok(numbers.iter().map(|number| u32::from_le_bytes(*number)).collect()),
        _ => Err(IndexError::Damaged("a group of holders")),
    }
}

/// Rows with their numbers, in order, as a list in which each has its place.
fn by_number<T>(rows: Vec<(u32, T)>) -> Result<Vec<Option<T>>, IndexError> {
    // Free numbers are given out again, so they are never many more than there were rows at once.
    let end = rows.last().map_or(0, |(number, _)| *number as usize + 1);
    let mut list = Vec::new();
    list.try_reserve(end).map_err(|_| IndexError::Damaged("a number in the holdings"))?;
    list.resize_with(end, || None);
    rows.into_iter().for_each(|(number, item)| list[number as usize] = Some(item));
    Ok(list)
}

#[cfg(test)]
mod tests;
