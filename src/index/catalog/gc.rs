//! What the index keeps of garbage collection: the records that were read, so that each is read once,
//! and what commits need exactly, once that was found out.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, params};

use super::{Catalog, CatalogWriter};
use crate::codec::Hash;
use crate::format::{ObjectName, ShortHash};
use crate::index::IndexError;

pub(super) const TABLES: &str = "
    CREATE TABLE gc (name TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE vanished (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE whole_commits (hash BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE complete_commits (hash BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE exact_deps (hash BLOB PRIMARY KEY, deps BLOB NOT NULL) WITHOUT ROWID;";

impl Catalog {
    /// The records of garbage collection that were read, encoded.
    pub fn gc_records(&self) -> Result<Vec<(ObjectName, Vec<u8>)>, IndexError> {
        let rows = self.rows("SELECT name, record FROM gc ORDER BY name", |r| {
            Ok((r.get::<_, String>(0)?, r.get::<_, Vec<u8>>(1)?))
        })?;
        let parse = |(name, record): (String, Vec<u8>)| {
            let name = name.parse().map_err(|_| IndexError::Damaged("the name of a gc record"))?;
            Ok((name, record))
        };
        rows.into_iter().map(parse).collect()
    }

    /// Commits that were there once, and are gone without a record that they were deleted.
    pub fn vanished(&self) -> Result<Vec<ObjectName>, IndexError> {
        let names = self.rows("SELECT name FROM vanished ORDER BY name", |r| r.get::<_, String>(0))?;
        let parse = |name: String| name.parse().map_err(|_| IndexError::Damaged("a vanished commit's name"));
        names.into_iter().map(parse).collect()
    }

    /// Commits that were found to have everything they need although they name more than there is.
    pub fn whole_commits(&self) -> Result<HashSet<Hash>, IndexError> {
        Ok(self.rows("SELECT hash FROM whole_commits", |r| Ok(Hash(r.get(0)?)))?.into_iter().collect())
    }

    /// Commits of which every segment that they name was there when that was looked at, and has been since: they are
    /// forgotten when a segment goes.
    pub fn complete_commits(&self) -> Result<HashSet<Hash>, IndexError> {
        Ok(self.rows("SELECT hash FROM complete_commits", |r| Ok(Hash(r.get(0)?)))?.into_iter().collect())
    }

    /// The segments that a commit needs, if a walk of its trees has found them out.
    pub fn exact_deps(&self, commit: &Hash) -> Result<Option<Vec<ShortHash>>, IndexError> {
        let query = || {
            let sql = "SELECT deps FROM exact_deps WHERE hash = ?1";
            let row = self.database.connection.prepare_cached(sql)?.query_row([&commit.0[..]], |r| r.get(0));
            row.optional()
        };
        let deps: Option<Vec<u8>> = query().map_err(|e| self.database.error(e))?;
        deps.map(|bytes| match bytes.as_chunks() {
            (deps, []) => Ok(deps.to_vec()),
            _ => Err(IndexError::Damaged("exact deps")),
        })
        .transpose()
    }
}

impl CatalogWriter {
    /// Keeps a record of garbage collection that was read.
    pub fn add_gc_record(&mut self, name: &ObjectName, record: &[u8]) -> Result<(), IndexError> {
        self.execute("INSERT OR REPLACE INTO gc VALUES (?1, ?2)", params![name.as_str(), record])
    }

    /// Forgets a record that is gone from the store.
    pub fn remove_gc_record(&mut self, name: &ObjectName) -> Result<(), IndexError> {
        self.execute("DELETE FROM gc WHERE name = ?1", params![name.as_str()])
    }

    /// Remembers a commit that vanished.
    pub fn add_vanished(&mut self, name: &ObjectName) -> Result<(), IndexError> {
        self.execute("INSERT OR IGNORE INTO vanished VALUES (?1)", params![name.as_str()])
    }

    /// Forgets about one.
    pub fn remove_vanished(&mut self, name: &ObjectName) -> Result<(), IndexError> {
        self.execute("DELETE FROM vanished WHERE name = ?1", params![name.as_str()])
    }

    /// Keeps that a commit has everything it needs.
    pub fn set_whole_commit(&mut self, commit: &Hash) -> Result<(), IndexError> {
        self.execute("INSERT OR IGNORE INTO whole_commits VALUES (?1)", params![&commit.0[..]])
    }

    /// Looks which of these commits name only segments that are there, and keeps the answer. In one transaction, so
    /// that no segment goes meanwhile.
    pub fn find_complete_commits(&mut self, commits: &[Hash]) -> Result<HashSet<Hash>, IndexError> {
        if commits.is_empty() {
            return Ok(HashSet::new());
        }
        self.transact(|transaction| {
            let mut segments = transaction.prepare_cached("SELECT substr(hash, 1, 8) FROM segments")?;
            let present: HashSet<ShortHash> =
                segments.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?;
            let mut deps = transaction.prepare_cached("SELECT deps FROM snapshots WHERE hash = ?1")?;
            let mut keep =
                transaction.prepare_cached("INSERT OR IGNORE INTO complete_commits VALUES (?1)")?;
            let mut complete = HashSet::new();
            for commit in commits {
                let named: Option<Vec<u8>> = deps.query_row([&commit.0[..]], |r| r.get(0)).optional()?;
                let Some((named, [])) = named.as_ref().map(|bytes| bytes.as_chunks()) else { continue };
                if named.iter().all(|dep| present.contains(dep)) {
                    keep.execute([&commit.0[..]])?;
                    complete.insert(*commit);
                }
            }
            Ok(complete)
        })
    }

    /// Keeps what a walk of a commit's trees has found that it needs.
    pub fn set_exact_deps(&mut self, commit: &Hash, deps: &[ShortHash]) -> Result<(), IndexError> {
        self.execute(
            "INSERT OR REPLACE INTO exact_deps VALUES (?1, ?2)",
            params![&commit.0[..], deps.concat()],
        )
    }
}
