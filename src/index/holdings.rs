//! Who holds which chunk, as it was last found out by walking the trees: the state from which the next account
//! of who uses what goes on. Knows users by number and chunks by the beginning of their ids, not what they cost.
//!
//! A database of its own beside the catalogue: a backup neither reads nor writes it, an image of the index does
//! not carry it, and whoever loses it walks the trees again.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::database::{Database, IndexError, Schema};
use crate::codec::{ChunkId, Hash};

const SCHEMA: Schema = Schema {
    version: 1,
    sql: &["
        CREATE TABLE holders (holder INTEGER PRIMARY KEY, source TEXT NOT NULL, user BLOB NOT NULL);
        CREATE TABLE groups (number INTEGER PRIMARY KEY, holders BLOB NOT NULL);
        CREATE TABLE roots (holder INTEGER NOT NULL, tree BLOB NOT NULL, PRIMARY KEY (holder, tree)) WITHOUT ROWID;
        CREATE TABLE parts (part INTEGER PRIMARY KEY, entries BLOB NOT NULL);
        CREATE TABLE vaulted (part INTEGER PRIMARY KEY, entries BLOB NOT NULL);
        CREATE TABLE answers (question TEXT PRIMARY KEY, basis BLOB NOT NULL, answer BLOB NOT NULL) WITHOUT ROWID;"],
};

/// Entries in a row of the table: a row is read and written as a whole.
const PART_ENTRIES: usize = 1 << 16;
/// The beginning of an id, and a number.
const ENTRY_LEN: usize = ChunkKey::LEN + 4;

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

/// All but what each chunk is held by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HoldingsHead {
    /// The users, by source and name; their numbers are their places.
    pub holders: Vec<(String, Vec<u8>)>,
    /// Groups of users who hold the same chunks, in order of numbers; the first is nobody.
    pub groups: Vec<Vec<u32>>,
    /// The trees of homes that were walked, and for whom.
    pub roots: HashSet<(u32, ChunkId)>,
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

    /// What was saved, but for the chunks; nothing if nothing was.
    pub fn head(&self) -> Result<HoldingsHead, IndexError> {
        let read = || -> rusqlite::Result<_> {
            let connection = &self.0.connection;
            let holders = connection
                .prepare("SELECT source, user FROM holders ORDER BY holder")?
                .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let groups = connection
                .prepare("SELECT holders FROM groups ORDER BY number")?
                .query_map([], |r| r.get(0))?
                .collect::<rusqlite::Result<Vec<Vec<u8>>>>()?;
            let roots = connection
                .prepare("SELECT holder, tree FROM roots")?
                .query_map([], |r| Ok((r.get(0)?, ChunkId(r.get(1)?))))?
                .collect::<rusqlite::Result<_>>()?;
            Ok((holders, groups, roots))
        };
        let (holders, groups, roots): (Vec<_>, Vec<Vec<u8>>, _) = read().map_err(|e| self.0.error(e))?;
        let groups: Vec<Vec<u32>> = groups.iter().map(|group| numbers(group)).collect::<Result<_, _>>()?;
        if groups.iter().flatten().any(|holder| *holder as usize >= holders.len()) {
            return Err(IndexError::Damaged("a group of holders"));
        }
        Ok(HoldingsHead { holders, groups, roots })
    }

    /// Shows each chunk with the number of the group that holds it, in order of ids.
    pub fn scan(&self, visit: impl FnMut(Entry)) -> Result<(), IndexError> {
        self.scan_table("parts", visit)
    }

    /// Shows each tree of which it is known how many entries below it are in the vault, in order of ids.
    pub fn scan_vaulted(&self, visit: impl FnMut(Entry)) -> Result<(), IndexError> {
        self.scan_table("vaulted", visit)
    }

    fn scan_table(&self, table: &str, mut visit: impl FnMut(Entry)) -> Result<(), IndexError> {
        let mut read = || -> rusqlite::Result<bool> {
            let sql = format!("SELECT entries FROM {table} ORDER BY part");
            let mut statement = self.0.connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (entries, rest) = row.get_ref(0)?.as_blob()?.as_chunks::<ENTRY_LEN>();
                entries.iter().for_each(|entry| visit(decode(entry)));
                if !rest.is_empty() {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match read() {
            Ok(true) => Ok(()),
            Ok(false) => Err(IndexError::Damaged("the holders of chunks")),
            Err(error) => Err(self.0.error(error)),
        }
    }

    /// Replaces everything, in one transaction: either all of it is of one moment, or it is what it was. Entries come in order of ids.
    pub fn save(
        &mut self,
        head: &HoldingsHead,
        entries: impl Iterator<Item = Entry>,
        vaulted: impl Iterator<Item = Entry>,
    ) -> Result<(), IndexError> {
        let database = &mut self.0;
        let path = &database.path;
        let error = |source| IndexError::Sqlite { path: path.clone(), source };
        let begun = database.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(error)?;
        replace_all(&transaction, head, entries, vaulted).map_err(error)?;
        transaction.commit().map_err(error)
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
        let sql = "INSERT OR REPLACE INTO answers VALUES (?1, ?2, ?3)";
        let kept = self.0.connection.execute(sql, params![question, &basis.0[..], answer]);
        kept.map(drop).map_err(|e| self.0.error(e))
    }

    /// Forgets everything.
    pub fn reset(&mut self) -> Result<(), IndexError> {
        self.0.recreate(&SCHEMA)
    }
}

fn replace_all(
    transaction: &Transaction<'_>,
    head: &HoldingsHead,
    entries: impl Iterator<Item = Entry>,
    vaulted: impl Iterator<Item = Entry>,
) -> rusqlite::Result<()> {
    for table in ["holders", "groups", "roots", "parts", "vaulted", "answers"] {
        transaction.execute(&format!("DELETE FROM {table}"), [])?;
    }
    let mut insert = transaction.prepare("INSERT INTO holders VALUES (?1, ?2, ?3)")?;
    for (number, (source, user)) in head.holders.iter().enumerate() {
        insert.execute(params![number as u32, source, user])?;
    }
    let mut insert = transaction.prepare("INSERT INTO groups VALUES (?1, ?2)")?;
    for (number, group) in head.groups.iter().enumerate() {
        let bytes: Vec<u8> = group.iter().flat_map(|holder| holder.to_le_bytes()).collect();
        insert.execute(params![number as u32, bytes])?;
    }
    let mut roots: Vec<&(u32, ChunkId)> = head.roots.iter().collect();
    roots.sort_unstable();
    let mut insert = transaction.prepare("INSERT INTO roots VALUES (?1, ?2)")?;
    for (holder, tree) in roots {
        insert.execute(params![holder, &tree.0[..]])?;
    }
    insert_parts(transaction, "parts", entries)?;
    insert_parts(transaction, "vaulted", vaulted)
}

fn insert_parts(
    transaction: &Transaction<'_>,
    table: &str,
    entries: impl Iterator<Item = Entry>,
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(&format!("INSERT INTO {table} VALUES (?1, ?2)"))?;
    let (mut part, mut bytes) = (0u32, Vec::with_capacity(PART_ENTRIES * ENTRY_LEN));
    for (key, number) in entries {
        bytes.extend(key.0);
        bytes.extend(number.to_le_bytes());
        if bytes.len() == PART_ENTRIES * ENTRY_LEN {
            insert.execute(params![part, bytes])?;
            part += 1;
            bytes.clear();
        }
    }
    if !bytes.is_empty() {
        insert.execute(params![part, bytes])?;
    }
    Ok(())
}

fn decode(entry: &[u8; ENTRY_LEN]) -> Entry {
    let (key, number) = entry.split_first_chunk().expect("an entry begins with a key");
    (ChunkKey(*key), u32::from_le_bytes(number.try_into().expect("4 bytes are left")))
}

fn numbers(bytes: &[u8]) -> Result<Vec<u32>, IndexError> {
    match bytes.as_chunks() {
        (numbers, []) => Ok(numbers.iter().map(|number| u32::from_le_bytes(*number)).collect()),
        _ => Err(IndexError::Damaged("a group of holders")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> ChunkKey {
        let mut key = [7; ChunkKey::LEN];
        key[..4].copy_from_slice(&number.to_be_bytes());
        ChunkKey(key)
    }

    #[test]
    fn what_was_saved_last_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut holdings = Holdings::open(folder.path()).unwrap();
        assert_eq!(holdings.head().unwrap(), HoldingsHead::default());
        let head = HoldingsHead {
            holders: vec![("lab".into(), b"ann".to_vec()), ("lab".into(), vec![0xff])],
            groups: vec![vec![], vec![0], vec![0, 1]],
            roots: [(0, ChunkId([1; 32])), (1, ChunkId([1; 32]))].into(),
        };
        let many = 2 * PART_ENTRIES as u32 + 5;
        for _ in 0..2 {
            holdings.save(&head, (0..many).map(|n| (key(n), n % 3)), [(key(9), 4)].into_iter()).unwrap();
        }
        let holdings = Holdings::open(folder.path()).unwrap();
        assert_eq!(holdings.head().unwrap(), head);
        let (mut found, mut vaulted) = (Vec::new(), Vec::new());
        holdings.scan(|entry| found.push(entry)).unwrap();
        holdings.scan_vaulted(|entry| vaulted.push(entry)).unwrap();
        assert!(found.into_iter().eq((0..many).map(|n| (key(n), n % 3))));
        assert_eq!(vaulted, [(key(9), 4)]);
    }

    #[test]
    fn an_answer_counts_while_what_it_rests_on_is_the_same_and_nothing_newer_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        let mut holdings = Holdings::open(folder.path()).unwrap();
        let (basis, other) = (Hash([1; 32]), Hash([2; 32]));
        holdings.keep_answer("q", &basis, b"a").unwrap();
        assert_eq!(holdings.answer("q", &basis).unwrap(), Some(b"a".to_vec()));
        assert_eq!(holdings.answer("q", &other).unwrap(), None);
        assert_eq!(holdings.answer("p", &basis).unwrap(), None);
        holdings.save(&HoldingsHead::default(), [].into_iter(), [].into_iter()).unwrap();
        assert_eq!(holdings.answer("q", &basis).unwrap(), None);
    }
}
