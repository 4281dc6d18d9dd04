//! The records of snapshots, whole and decoded by others, and beside each the segments that it needs: who asks whether
//! all of these are there does not read a thousand homes for it.

use std::cell::Cell;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::Catalog;
use crate::codec::Hash;
use crate::format::{ObjectName, ShortHash, SnapshotRecord};
use crate::index::IndexError;

/// The deps stand before the record, so that reading them reads none of it.
pub(super) const TABLES: &str = "
    CREATE TABLE snapshots (
        hash BLOB PRIMARY KEY, name TEXT NOT NULL, deps BLOB NOT NULL, record BLOB NOT NULL
    ) WITHOUT ROWID;";

/// How many records were read, which tests of what a verb costs count.
#[derive(Debug, Default)]
pub(super) struct RecordsRead(Cell<u64>);

impl RecordsRead {
    fn add(&self, records: usize) {
        self.0.set(self.0.get() + records as u64);
    }
}

/// A snapshot as it is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// The commit object.
    pub name: ObjectName,
    /// Of its bytes.
    pub hash: Hash,
    /// The segments that it needs.
    pub deps: Vec<ShortHash>,
    /// The encoded snapshot record, without the deps.
    pub record: Vec<u8>,
}

impl Catalog {
    /// Every known commit by name, in no order.
    pub fn commits(&self) -> Result<Vec<(ObjectName, Hash)>, IndexError> {
        let rows =
            self.rows("SELECT name, hash FROM snapshots", |r| Ok((r.get::<_, String>(0)?, Hash(r.get(1)?))))?;
        rows.into_iter().map(|(name, hash)| Ok((parse_name(&name)?, hash))).collect()
    }

    /// A commit, if it is known.
    pub fn snapshot(&self, hash: &Hash) -> Result<Option<StoredSnapshot>, IndexError> {
        let query = || {
            let sql = "SELECT name, hash, deps, record FROM snapshots WHERE hash = ?1";
            self.database.connection.prepare_cached(sql)?.query_row([&hash.0[..]], snapshot_row).optional()
        };
        let found = query().map_err(|e| self.database.error(e))?;
        self.records_read.add(usize::from(found.is_some()));
        found.map(parse_snapshot).transpose()
    }

    /// Every known commit, in no order.
    pub fn snapshots(&self) -> Result<Vec<StoredSnapshot>, IndexError> {
        let rows = self.rows("SELECT name, hash, deps, record FROM snapshots", snapshot_row)?;
        self.records_read.add(rows.len());
        rows.into_iter().map(parse_snapshot).collect()
    }

    /// How many records of snapshots were read through this connection.
    pub fn records_read(&self) -> u64 {
        self.records_read.0.get()
    }

    /// Whether a commit is known.
    pub fn has_snapshot(&self, hash: &Hash) -> Result<bool, IndexError> {
        let query = || {
            let sql = "SELECT EXISTS (SELECT 1 FROM snapshots WHERE hash = ?1)";
            self.database.connection.prepare_cached(sql)?.query_row([&hash.0[..]], |r| r.get(0))
        };
        query().map_err(|e| self.database.error(e))
    }

    /// The segments that a commit says its snapshot needs; none if it is not known.
    pub fn deps(&self, commit: &Hash) -> Result<Option<Vec<ShortHash>>, IndexError> {
        let query = || {
            let sql = "SELECT deps FROM snapshots WHERE hash = ?1";
            self.database.connection.prepare_cached(sql)?.query_row([&commit.0[..]], |r| r.get(0)).optional()
        };
        query().map_err(|e| self.database.error(e))?.map(parse_deps).transpose()
    }

    /// How long a commit's record is, deps included; 0 if it is not known.
    pub fn record_len(&self, commit: &Hash) -> Result<u64, IndexError> {
        let query = || {
            let sql = "SELECT length(deps) + length(record) FROM snapshots WHERE hash = ?1";
            let row = self.database.connection.prepare_cached(sql)?.query_row([&commit.0[..]], |r| r.get(0));
            row.optional()
        };
        let length: Option<i64> = query().map_err(|e| self.database.error(e))?;
        Ok(length.map_or(0, i64::cast_unsigned))
    }
}

/// Enters a snapshot's record.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    name: &ObjectName,
    hash: &Hash,
    record: &SnapshotRecord,
) -> rusqlite::Result<()> {
    let bytes = SnapshotRecord { deps: Vec::new(), ..record.clone() }.to_bytes();
    let sql = "INSERT OR REPLACE INTO snapshots (hash, name, deps, record) VALUES (?1, ?2, ?3, ?4)";
    let mut insert = transaction.prepare_cached(sql)?;
    insert.execute(params![&hash.0[..], name.as_str(), record.deps.concat(), bytes]).map(drop)
}

type SnapshotRow = (String, [u8; 32], Vec<u8>, Vec<u8>);

fn snapshot_row(r: &Row<'_>) -> rusqlite::Result<SnapshotRow> {
    Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
}

fn parse_snapshot((name, hash, deps, record): SnapshotRow) -> Result<StoredSnapshot, IndexError> {
    Ok(StoredSnapshot { name: parse_name(&name)?, hash: Hash(hash), deps: parse_deps(deps)?, record })
}

fn parse_name(name: &str) -> Result<ObjectName, IndexError> {
    name.parse().map_err(|_| IndexError::Damaged("a snapshot's name"))
}

fn parse_deps(bytes: Vec<u8>) -> Result<Vec<ShortHash>, IndexError> {
    match bytes.as_chunks() {
        (deps, []) => Ok(deps.to_vec()),
        _ => Err(IndexError::Damaged("a snapshot's deps")),
    }
}
