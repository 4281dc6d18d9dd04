//! A compact summary of each snapshot: enough to list, order and select snapshots and to decide which are
//! kept, where reading ten thousand records of a thousand homes would take a minute. Written with the
//! record it is made of, and never used in its place for what a restore needs.

mod home_list;
mod users;

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};

pub use home_list::{HomeList, HomeMention};
pub use users::Users;

use super::Catalog;
use crate::codec::{Hash, SnapshotId};
use crate::format::{ObjectName, SnapshotRecord};
use crate::index::IndexError;

pub(super) const TABLES: &str = "
    CREATE TABLE users (user INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);
    CREATE TABLE summaries (
        hash BLOB NOT NULL UNIQUE, name TEXT NOT NULL, id BLOB NOT NULL, supersession INTEGER NOT NULL,
        time_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL, source TEXT NOT NULL, host TEXT NOT NULL,
        program TEXT NOT NULL, tags TEXT NOT NULL, parents BLOB NOT NULL, files INTEGER NOT NULL,
        bytes INTEGER NOT NULL, bytes_new INTEGER NOT NULL, problems INTEGER NOT NULL, lost INTEGER NOT NULL, homes BLOB NOT NULL
    );";

/// A snapshot in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The commit object.
    pub name: ObjectName,
    /// Of its bytes.
    pub hash: Hash,
    /// Stays when the snapshot is superseded.
    pub id: SnapshotId,
    /// Supersessions so far.
    pub supersession: u32,
    /// When the run began: milliseconds since 1970.
    pub time_ms: i64,
    /// When the commit was made: milliseconds since 1970.
    pub finished_ms: i64,
    /// The logical machine that the homes belong to.
    pub source: String,
    /// The host that made the snapshot.
    pub host: String,
    /// Program and version.
    pub program: String,
    /// Free words.
    pub tags: Vec<String>,
    /// The commits whose trees this one inherited from.
    pub parents: Vec<Hash>,
    /// Sums over all homes.
    pub totals: Totals,
    /// Whose homes it speaks of, and what it says of each.
    pub homes: HomeList,
}

/// Sums over a snapshot's homes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Regular files.
    pub files: u64,
    /// Bytes of file content.
    pub bytes: u64,
    /// Bytes of file content that the run stored anew.
    pub bytes_new: u64,
    /// Files and directories that could not be saved as they are.
    pub problems: u64,
    /// Those of them that were there once, and were left out when the snapshot was copied or repaired.
    pub lost: u64,
}

impl Summary {
    /// The summary of a record. `users` has to know everyone in it: it is None otherwise.
    pub fn of(name: &ObjectName, hash: Hash, record: &SnapshotRecord, users: &Arc<Users>) -> Option<Self> {
        Some(Self {
            name: name.clone(),
            hash,
            id: record.id,
            supersession: record.supersession,
            time_ms: record.time_ms,
            finished_ms: record.finished_ms,
            source: record.source.clone(),
            host: record.host.clone(),
            program: record.program.clone(),
            tags: record.tags.clone(),
            parents: record.parents.clone(),
            totals: Totals::of(record),
            homes: HomeList::new(&record.homes, users)?,
        })
    }

    /// When the run began.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millisecond(self.time_ms).unwrap_or_default()
    }
}

impl Totals {
    fn of(record: &SnapshotRecord) -> Self {
        let none = Self { lost: record.lost(), ..Self::default() };
        record.homes.iter().fold(none, |sum, home| Self {
            lost: sum.lost,
            files: sum.files.saturating_add(home.files),
            bytes: sum.bytes.saturating_add(home.bytes),
            bytes_new: sum.bytes_new.saturating_add(home.bytes_new),
            problems: sum.problems.saturating_add(home.problems),
        })
    }
}

/// Summaries that were read and are not used up, with the state of the database that they are of.
#[derive(Default)]
pub(super) struct ReadAhead(Cell<Option<(State, Vec<Summary>)>>);

/// Changes with every change of the database: by others, and through this connection.
type State = (i64, u64);

impl Catalog {
    /// Looks whether all summaries can be read, and gives the hash of each one's commit. They are kept for who asks for
    /// them next.
    pub fn read_summaries(&self) -> Result<HashSet<Hash>, IndexError> {
        let state = self.state()?;
        let summaries = self.summaries()?;
        let hashes = summaries.iter().map(|summary| summary.hash).collect();
        self.read_ahead.0.set(Some((state, summaries)));
        Ok(hashes)
    }

    fn state(&self) -> Result<State, IndexError> {
        let connection = &self.database.connection;
        let version = connection.query_row("PRAGMA data_version", [], |r| r.get(0));
        Ok((version.map_err(|e| self.database.error(e))?, connection.total_changes()))
    }

    /// The summary of every known commit, in no order.
    pub fn summaries(&self) -> Result<Vec<Summary>, IndexError> {
        match self.read_ahead.0.take() {
            Some((state, summaries)) if state == self.state()? => return Ok(summaries),
            _ => {}
        }
        let rows = self.rows(
            "SELECT name, hash, id, supersession, time_ms, finished_ms, source, host, program, tags, parents, \
             files, bytes, bytes_new, problems, lost, homes FROM summaries",
            StoredSummary::read,
        )?;
        // Read after the summaries, so that they know everyone whom another process added meanwhile.
        let users =
            self.rows("SELECT user, name FROM users ORDER BY user", |r| Ok((r.get(0)?, r.get(1)?)))?;
        let users = Arc::new(Users::from_rows(users).ok_or(IndexError::Damaged("the table of users"))?);
        let parse = |row: StoredSummary| row.parse(&users).ok_or(IndexError::Damaged("a snapshot's summary"));
        rows.into_iter().map(parse).collect()
    }
}

/// Enters a snapshot's summary, and the users who are new in it.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    name: &ObjectName,
    hash: &Hash,
    record: &SnapshotRecord,
) -> rusqlite::Result<()> {
    let users = Arc::new(users::enter(transaction, &record.homes)?);
    let summary = Summary::of(name, *hash, record, &users).expect("all its users have been entered");
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO summaries (name, hash, id, supersession, time_ms, finished_ms, source, host, \
         program, tags, parents, files, bytes, bytes_new, problems, lost, homes) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?;
    let parents: Vec<u8> = summary.parents.iter().flat_map(|parent| parent.0).collect();
    insert.execute(params![
        name.as_str(),
        &hash.0[..],
        &summary.id.0[..],
        summary.supersession,
        summary.time_ms,
        summary.finished_ms,
        summary.source,
        summary.host,
        summary.program,
        serde_json::to_string(&summary.tags).expect("texts are JSON"),
        parents,
        summary.totals.files as i64,
        summary.totals.bytes as i64,
        summary.totals.bytes_new as i64,
        summary.totals.problems as i64,
        summary.totals.lost as i64,
        summary.homes.as_bytes(),
    ])?;
    Ok(())
}

/// Drops the summary of a commit that is gone.
pub(super) fn remove(transaction: &Transaction<'_>, hash: &Hash) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM summaries WHERE hash = ?1", [&hash.0[..]]).map(drop)
}

/// A summary as its row has it.
struct StoredSummary {
    name: String,
    hash: [u8; 32],
    id: [u8; 16],
    supersession: u32,
    time_ms: i64,
    finished_ms: i64,
    source: String,
    host: String,
    program: String,
    tags: String,
    parents: Vec<u8>,
    totals: Totals,
    homes: Vec<u8>,
}

impl StoredSummary {
    fn read(r: &Row<'_>) -> rusqlite::Result<Self> {
        let number = |column| r.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok(Self {
            name: r.get(0)?,
            hash: r.get(1)?,
            id: r.get(2)?,
            supersession: r.get(3)?,
            time_ms: r.get(4)?,
            finished_ms: r.get(5)?,
            source: r.get(6)?,
            host: r.get(7)?,
            program: r.get(8)?,
            tags: r.get(9)?,
            parents: r.get(10)?,
            totals: Totals {
                files: number(11)?,
                bytes: number(12)?,
                bytes_new: number(13)?,
                problems: number(14)?,
                lost: number(15)?,
            },
            homes: r.get(16)?,
        })
    }

    fn parse(self, users: &Arc<Users>) -> Option<Summary> {
        let (parents, rest) = self.parents.as_chunks();
        Some(Summary {
            name: self.name.parse().ok()?,
            hash: Hash(self.hash),
            id: SnapshotId(self.id),
            supersession: self.supersession,
            time_ms: self.time_ms,
            finished_ms: self.finished_ms,
            source: self.source,
            host: self.host,
            program: self.program,
            tags: serde_json::from_str(&self.tags).ok()?,
            parents: rest.is_empty().then(|| parents.iter().copied().map(Hash).collect())?,
            totals: self.totals,
            homes: HomeList::from_bytes(self.homes, users)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Attention, HomeRecord};
    use crate::index::CatalogWriter;

    fn home(user: &str, attention: Attention, files: u64) -> HomeRecord {
        HomeRecord {
            user: user.into(),
            path: vec![],
            root: None,
            files,
            directories: 1,
            bytes: 10 * files,
            bytes_new: files,
            problems: 1,
            attention,
        }
    }

    fn record(id: u8, homes: Vec<HomeRecord>) -> SnapshotRecord {
        SnapshotRecord {
            id: SnapshotId([id; 16]),
            supersession: 3,
            time_ms: -1,
            finished_ms: 5,
            source: "s".into(),
            host: "h".into(),
            program: "p".into(),
            tags: vec!["a\nb".into(), "\"c".into()],
            homes,
            parents: vec![Hash([8; 32]), Hash([9; 32])],
            gc_seen: vec![],
            deps: vec![],
            hints: vec![],
        }
    }

    fn add(catalog: &mut CatalogWriter, record: &SnapshotRecord) -> (ObjectName, Hash) {
        let (name, hash) = (ObjectName::descriptor(), Hash(std::array::from_fn(|_| record.id.0[0])));
        catalog.add_snapshot(&name, &hash, record).unwrap();
        (name, hash)
    }

    #[test]
    fn a_summary_says_what_the_record_does() {
        let folder = tempfile::tempdir().unwrap();
        let mut catalog = CatalogWriter::new(Catalog::open(folder.path()).unwrap());
        let first = record(1, vec![home("bob", Attention::Normal, 7), home("cem", Attention::Shrunk, 8)]);
        let second = record(2, vec![home("ann", Attention::Removed, 0), home("cem", Attention::Missing, 0)]);
        let added = [&first, &second].map(|record| add(&mut catalog, record));
        let mut found = catalog.catalog().summaries().unwrap();
        found.sort_by_key(|summary| summary.hash);

        let users = Arc::new(Users::from_names(["bob", "cem", "ann"].map(Into::into)));
        let expected: Vec<_> = added
            .iter()
            .zip([&first, &second])
            .map(|((name, hash), record)| Summary::of(name, *hash, record, &users).unwrap())
            .collect();
        assert_eq!(found, expected);
        assert_eq!(found[0].totals, Totals { files: 15, bytes: 150, bytes_new: 15, problems: 2, lost: 0 });
        assert_eq!((found[0].homes.present(), found[1].homes.present()), (2, 0));

        // Adding it again changes nothing; removing one leaves the other.
        add(&mut catalog, &first);
        assert_eq!(catalog.catalog().summaries().unwrap().len(), 2);
        catalog.remove_snapshot(&added[0].1).unwrap();
        assert_eq!(catalog.catalog().summaries().unwrap(), expected[1..]);
    }
}
