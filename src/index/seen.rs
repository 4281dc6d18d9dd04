//! What each directory looked like when it was last saved, so that the next run need not read it.
//!
//! A row is keyed by the directory's device and inode: a renamed directory is still known. Its digest
//! covers everything a stat shows of its entries; equal digests mean an equal tree. What a row refers
//! to lies in the repository only as long as the home's base commit does, so a home's rows are used
//! only while that commit is there.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::database::{Database, IndexError, Schema};
use crate::codec::{ChunkId, Hash};

const SCHEMA: Schema = Schema {
    version: 4,
    sql: &["
        CREATE TABLE homes (
            home INTEGER PRIMARY KEY, source TEXT NOT NULL, user BLOB NOT NULL, base BLOB NOT NULL,
            rules BLOB NOT NULL, UNIQUE (source, user)
        );
        CREATE TABLE directories (
            home INTEGER NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL,
            digest BLOB NOT NULL, tree BLOB NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL,
            PRIMARY KEY (home, device, inode)
        ) WITHOUT ROWID;
        CREATE TABLE listings (
            home INTEGER NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL, entries BLOB NOT NULL,
            PRIMARY KEY (home, device, inode)
        ) WITHOUT ROWID;
        CREATE TABLE secrets (
            home INTEGER PRIMARY KEY, place TEXT NOT NULL, stamp TEXT NOT NULL, items BLOB NOT NULL
        );"],
};

/// A home in this database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HomeKey(i64);

/// What is known of a home as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenHome {
    /// The home.
    pub key: HomeKey,
    /// The commit that its rows belong to.
    pub base: Hash,
    /// Names the rules by which its directories were looked at; zeros if nobody knows.
    pub rules: [u8; 16],
}

/// What comparing digests takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenDirectory {
    /// Of the entries' signatures.
    pub digest: [u8; 16],
    /// The directory's tree.
    pub tree: ChunkId,
    /// Regular files directly in it.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// A row to write.
#[derive(Debug, Clone)]
pub struct SeenRow {
    /// The directory's device.
    pub device: u64,
    /// The directory's inode.
    pub inode: u64,
    /// What was seen.
    pub seen: SeenDirectory,
    /// Its entries with their signatures, in an encoding of the caller's.
    pub entries: Vec<u8>,
}

/// What a home had of secrets; no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenSecrets {
    /// Names the vault that has them.
    pub place: String,
    /// Of the user's document as it was then; empty if that is not known.
    pub stamp: String,
    /// Names and versions, in an encoding of the caller's.
    pub items: Vec<u8>,
}

/// The table of what was seen.
pub struct Seen(Database);

impl Seen {
    /// Opens or creates the database in the repository's cache folder.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        Database::open(&folder.join("seen.sqlite"), &SCHEMA).map(Self)
    }

    /// Removes the database: nothing was seen.
    pub fn remove(folder: &Path) -> Result<(), IndexError> {
        Database::remove(&folder.join("seen.sqlite"))
    }

    /// A connection for another thread. It sees what was there when it was first asked.
    pub fn reader(&self) -> Result<Self, IndexError> {
        let reader = self.0.reader()?;
        reader.hold_moment()?;
        Ok(Self(reader))
    }

    /// What is known of a home; none if nothing was seen of it.
    pub fn home(&self, source: &str, user: &[u8]) -> Result<Option<SeenHome>, IndexError> {
        let row = self
            .0
            .connection
            .query_row(
                "SELECT home, base, rules FROM homes WHERE source = ?1 AND user = ?2",
                params![source, user],
                |r| Ok((HomeKey(r.get(0)?), r.get::<_, Vec<u8>>(1)?, r.get(2)?)),
            )
            .optional()
            .map_err(|e| self.0.error(e))?;
        Ok(row.and_then(|(key, base, rules)| Some(SeenHome { key, base: Hash::from_slice(&base)?, rules })))
    }

    /// What was seen of a directory.
    pub fn directory(
        &self,
        home: HomeKey,
        device: u64,
        inode: u64,
    ) -> Result<Option<SeenDirectory>, IndexError> {
        let query = || {
            self.0
                .connection
                .prepare_cached(
                    "SELECT digest, tree, files, bytes FROM directories
                     WHERE home = ?1 AND device = ?2 AND inode = ?3",
                )?
                .query_row(params![home.0, device as i64, inode as i64], |r| {
                    Ok(SeenDirectory {
                        digest: r.get(0)?,
                        tree: ChunkId(r.get(1)?),
                        files: r.get::<_, i64>(2)? as u64,
                        bytes: r.get::<_, i64>(3)? as u64,
                    })
                })
                .optional()
        };
        query().map_err(|e| self.0.error(e))
    }

    /// The entries that were seen in a directory.
    pub fn entries(&self, home: HomeKey, device: u64, inode: u64) -> Result<Option<Vec<u8>>, IndexError> {
        let query = || {
            self.0
                .connection
                .prepare_cached(
                    "SELECT entries FROM listings WHERE home = ?1 AND device = ?2 AND inode = ?3",
                )?
                .query_row(params![home.0, device as i64, inode as i64], |r| r.get(0))
                .optional()
        };
        query().map_err(|e| self.0.error(e))
    }

    /// What a home had of secrets.
    pub fn secrets(&self, source: &str, user: &[u8]) -> Result<Option<SeenSecrets>, IndexError> {
        let sql =
            "SELECT place, stamp, items FROM secrets JOIN homes USING (home) WHERE source = ?1 AND user = ?2";
        let row = self.0.connection.query_row(sql, params![source, user], |r| {
            Ok(SeenSecrets { place: r.get(0)?, stamp: r.get(1)?, items: r.get(2)? })
        });
        row.optional().map_err(|e| self.0.error(e))
    }

    /// Begins to replace what was seen. Readers see the old state until [`SeenWriter::commit`].
    pub fn writer(&self) -> Result<SeenWriter, IndexError> {
        let database = self.0.writer()?;
        database.connection.execute_batch("BEGIN IMMEDIATE").map_err(|e| database.error(e))?;
        Ok(SeenWriter(database))
    }
}

/// One transaction over what was seen; dropped without [`SeenWriter::commit`], it changes nothing.
pub struct SeenWriter(Database);

impl SeenWriter {
    /// The home's key, a new one if nothing was seen of it.
    pub fn home(&mut self, source: &str, user: &[u8]) -> Result<HomeKey, IndexError> {
        let sql = "INSERT INTO homes (source, user, base, rules) VALUES (?1, ?2, zeroblob(32), zeroblob(16))
                   ON CONFLICT (source, user) DO UPDATE SET base = base RETURNING home";
        let query = || self.0.connection.query_row(sql, params![source, user], |r| Ok(HomeKey(r.get(0)?)));
        query().map_err(|e| self.0.error(e))
    }

    /// Writes rows; a row of the same directory is replaced.
    pub fn put(&mut self, home: HomeKey, rows: &[SeenRow]) -> Result<(), IndexError> {
        insert(&self.0.connection, home.0, rows).map_err(|e| self.0.error(e))
    }

    /// Forgets the directories that were not `visited` (device and inode), and notes the commit that
    /// has everything the home's rows speak of, and by which rules they were looked at.
    pub fn finish_home(
        &mut self,
        home: HomeKey,
        base: &Hash,
        rules: &[u8; 16],
        visited: &[(u64, u64)],
    ) -> Result<(), IndexError> {
        let connection = &self.0.connection;
        let finish = || {
            sweep(connection, home.0, visited)?;
            let sql = "UPDATE homes SET base = ?2, rules = ?3 WHERE home = ?1";
            connection.execute(sql, params![home.0, base.as_bytes(), rules])
        };
        finish().map(drop).map_err(|e| self.0.error(e))
    }

    /// Notes what a home has of secrets.
    pub fn put_secrets(&mut self, home: HomeKey, row: &SeenSecrets) -> Result<(), IndexError> {
        let SeenSecrets { place, stamp, items } = row;
        let sql = "INSERT OR REPLACE INTO secrets (home, place, stamp, items) VALUES (?1, ?2, ?3, ?4)";
        let put = self.0.connection.execute(sql, params![home.0, place, stamp, items]);
        put.map(drop).map_err(|e| self.0.error(e))
    }

    /// Makes the new state the state.
    pub fn commit(self) -> Result<(), IndexError> {
        self.0.connection.execute_batch("COMMIT").map_err(|e| self.0.error(e))
    }
}

/// Removes the rows of directories that are no longer there. Most runs remove none, so counting
/// comes first: every directory that was visited has a row.
fn sweep(connection: &Connection, home: i64, visited: &[(u64, u64)]) -> rusqlite::Result<()> {
    let rows: i64 =
        connection.query_row("SELECT COUNT(*) FROM directories WHERE home = ?1", [home], |r| r.get(0))?;
    if rows as usize == visited.len() {
        return Ok(());
    }
    connection.execute_batch(
        "CREATE TEMP TABLE IF NOT EXISTS visited (device INTEGER, inode INTEGER, PRIMARY KEY (device, inode))
         WITHOUT ROWID; DELETE FROM temp.visited;",
    )?;
    let mut visit = connection.prepare_cached("INSERT OR IGNORE INTO temp.visited VALUES (?1, ?2)")?;
    for (device, inode) in visited {
        visit.execute(params![*device as i64, *inode as i64])?;
    }
    for table in ["directories", "listings"] {
        let sql = format!(
            "DELETE FROM {table} WHERE home = ?1 AND NOT EXISTS
             (SELECT 1 FROM temp.visited v WHERE v.device = {table}.device AND v.inode = {table}.inode)"
        );
        connection.execute(&sql, [home])?;
    }
    Ok(())
}

fn insert(connection: &Connection, home: i64, rows: &[SeenRow]) -> rusqlite::Result<()> {
    let mut directory = connection
        .prepare_cached("INSERT OR REPLACE INTO directories VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let mut listing = connection.prepare_cached("INSERT OR REPLACE INTO listings VALUES (?1, ?2, ?3, ?4)")?;
    for SeenRow { device, inode, seen, entries } in rows {
        let (device, inode) = (*device as i64, *inode as i64);
        directory.execute(params![
            home,
            device,
            inode,
            seen.digest,
            seen.tree.as_bytes(),
            seen.files as i64,
            seen.bytes as i64
        ])?;
        listing.execute(params![home, device, inode, entries])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(inode: u64, digest: u8) -> SeenRow {
        let seen = SeenDirectory { digest: [digest; 16], tree: ChunkId([digest; 32]), files: 1, bytes: 2 };
        SeenRow { device: u64::MAX, inode, seen, entries: vec![digest] }
    }

    #[test]
    fn rows_of_vanished_directories_go_and_unchanged_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let seen = Seen::open(folder.path()).unwrap();
        let base = Hash([1; 32]);
        let update = |user: &[u8], base: &Hash, rows: &[SeenRow], visited: &[u64]| {
            let mut writer = seen.writer().unwrap();
            let home = writer.home("s", user).unwrap();
            writer.put(home, rows).unwrap();
            let visited: Vec<_> = visited.iter().map(|inode| (u64::MAX, *inode)).collect();
            writer.finish_home(home, base, &[7; 16], &visited).unwrap();
            writer.commit().unwrap();
        };
        update(b"ann", &base, &[row(1, 1), row(2, 2), row(3, 3)], &[1, 2, 3]);
        update(b"bob", &base, &[row(1, 9)], &[1]);
        update(b"ann", &Hash([2; 32]), &[row(2, 7)], &[1, 2]);
        let SeenHome { key: ann, base, rules } = seen.home("s", b"ann").unwrap().unwrap();
        assert_eq!(rules, [7; 16]);
        assert_eq!(base, Hash([2; 32]));
        let digest = |home, inode| seen.directory(home, u64::MAX, inode).unwrap().map(|d| d.digest[0]);
        assert_eq!([digest(ann, 1), digest(ann, 2), digest(ann, 3)], [Some(1), Some(7), None]);
        assert_eq!(seen.entries(ann, u64::MAX, 2).unwrap(), Some(vec![7]));
        let bob = seen.home("s", b"bob").unwrap().unwrap().key;
        assert_eq!(digest(bob, 1), Some(9));
    }

    #[test]
    fn a_damaged_database_is_replaced_by_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("seen.sqlite"), [0x55; 8192]).unwrap();
        let seen = Seen::open(folder.path()).unwrap();
        assert_eq!(seen.home("s", b"ann").unwrap(), None);
    }
}
