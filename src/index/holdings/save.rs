//! Saves who holds what, in one transaction: all of it is of one moment. What rests on another moment than the
//! one that is there is not saved, since places and numbers of both would be mixed.

use std::collections::HashSet;

use rusqlite::{Transaction, TransactionBehavior, params};

use super::{Division, ENTRY_LEN, Entry, HeldPlace, Holdings, HoldingsHead, PLACE_LEN, ROW_ENTRIES, numbers};
use crate::codec::Hash;
use crate::index::IndexError;

/// What a commit's record says, by numbers in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCommit {
    /// The commit.
    pub hash: Hash,
    /// Whether it is a snapshot that counts.
    pub is_counted: bool,
    /// The trees of its homes.
    pub trees: Vec<u32>,
    /// What it names.
    pub names: Vec<u32>,
}

/// Which parts are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartsChange {
    /// All, divided in another way perhaps.
    All(Division),
    /// These.
    Some(Vec<usize>),
}

impl PartsChange {
    /// All parts, whichever these are, of so many chunks.
    pub fn all(self, chunks: usize) -> Self {
        match self {
            Self::All(division) => Self::All(division),
            Self::Some(_) => Self::All(Division::of(chunks)),
        }
    }
}

/// Shows the places in a part.
pub type ShowPart<'c> = dyn FnMut(Division, usize, &mut dyn FnMut(HeldPlace)) + 'c;

/// What is to be saved.
pub struct HoldingsChange<'c> {
    /// The head, with the generation and the division that were loaded.
    pub head: &'c HoldingsHead,
    /// All commits that there are: what is kept of others is dropped.
    pub commits: &'c HashSet<Hash>,
    /// Those that count.
    pub counted: &'c HashSet<Hash>,
    /// Commits of which nothing is kept so far.
    pub new_commits: &'c [KeptCommit],
    /// Which parts are written.
    pub parts: &'c PartsChange,
    /// The places in a part, in order of ids.
    pub places: &'c mut ShowPart<'c>,
    /// Counts of what is in the vault below a tree, in order of ids.
    pub vaulted: &'c [Entry],
}

impl Holdings {
    /// Saves, and drops all answers. Says whether it did: not if something was saved since the head was loaded.
    pub fn save(&mut self, change: HoldingsChange<'_>) -> Result<bool, IndexError> {
        self.let_go()?;
        let database = &mut self.0;
        let path = &database.path;
        let error = |source| IndexError::Sqlite { path: path.clone(), source };
        let begun = database.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(error)?;
        let sql = "SELECT generation FROM state";
        let generation: i64 = transaction.query_row(sql, [], |r| r.get(0)).map_err(error)?;
        if generation != change.head.generation {
            return Ok(false);
        }
        save(&transaction, change).map_err(error)?;
        transaction.commit().map_err(error)?;
        Ok(true)
    }
}

fn save(transaction: &Transaction<'_>, change: HoldingsChange<'_>) -> rusqlite::Result<()> {
    let division = match change.parts {
        PartsChange::All(division) => *division,
        PartsChange::Some(_) => change.head.division,
    };
    transaction.execute(
        "UPDATE state SET generation = ?1, bits = ?2, is_exact = ?3",
        params![change.head.generation.wrapping_add(1), division.bits, change.head.is_exact],
    )?;
    for table in ["holders", "groups", "segments", "trees", "names", "vaulted", "answers"] {
        transaction.execute(&format!("DELETE FROM {table}"), [])?;
    }
    save_head(transaction, change.head)?;
    save_commits(transaction, &change)?;
    save_parts(transaction, division, change.parts, change.places)?;
    save_vaulted(transaction, change.vaulted)
}

fn save_head(transaction: &Transaction<'_>, head: &HoldingsHead) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT INTO holders VALUES (?1, ?2, ?3)")?;
    for (number, (source, user)) in head.holders.iter().enumerate() {
        insert.execute(params![number as u32, source, user])?;
    }
    let mut insert = transaction.prepare("INSERT INTO groups VALUES (?1, ?2)")?;
    for (number, group) in head.groups.iter().enumerate() {
        let bytes: Vec<u8> = group.iter().flat_map(|holder| holder.to_le_bytes()).collect();
        insert.execute(params![number as u32, bytes])?;
    }
    let mut insert = transaction.prepare("INSERT INTO segments VALUES (?1, ?2, ?3, ?4)")?;
    for (number, segment) in head.segments.iter().enumerate() {
        let (length, body) = (segment.length.cast_signed(), segment.body.cast_signed());
        insert.execute(params![number as u32, &segment.hash.0[..], length, body])?;
    }
    let mut insert = transaction.prepare("INSERT INTO trees VALUES (?1, ?2, ?3)")?;
    for (number, tree) in head.trees.iter().enumerate() {
        if let Some((holder, tree)) = tree {
            insert.execute(params![number as u32, holder, &tree.0[..]])?;
        }
    }
    let mut insert = transaction.prepare("INSERT INTO names VALUES (?1, ?2)")?;
    for (number, name) in head.names.iter().enumerate() {
        if let Some(name) = name {
            insert.execute(params![number as u32, &name[..]])?;
        }
    }
    Ok(())
}

/// Rows are long, and few of them change: these alone are written.
fn save_commits(transaction: &Transaction<'_>, change: &HoldingsChange<'_>) -> rusqlite::Result<()> {
    let kept = transaction
        .prepare("SELECT hash, is_counted FROM commits")?
        .query_map([], |r| Ok((Hash(r.get(0)?), r.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(Hash, bool)>>>()?;
    for (hash, was_counted) in kept {
        let is_counted = change.counted.contains(&hash);
        if !change.commits.contains(&hash) {
            transaction.execute("DELETE FROM commits WHERE hash = ?1", [&hash.0[..]])?;
        } else if was_counted != is_counted {
            let sql = "UPDATE commits SET is_counted = ?2 WHERE hash = ?1";
            transaction.execute(sql, params![&hash.0[..], is_counted])?;
        }
    }
    let mut insert = transaction.prepare("INSERT INTO commits VALUES (?1, ?2, ?3, ?4)")?;
    for commit in change.new_commits {
        let [trees, names] = [&commit.trees, &commit.names].map(|set| numbers::encode(set.iter().copied()));
        insert.execute(params![&commit.hash.0[..], commit.is_counted, trees, names])?;
    }
    Ok(())
}

fn save_parts(
    transaction: &Transaction<'_>,
    division: Division,
    change: &PartsChange,
    places: &mut ShowPart<'_>,
) -> rusqlite::Result<()> {
    let all: Vec<usize>;
    let parts = match change {
        PartsChange::All(_) => {
            transaction.execute("DELETE FROM parts", [])?;
            all = (0..division.parts()).collect();
            &all
        }
        PartsChange::Some(parts) => parts,
    };
    let mut insert = transaction.prepare("INSERT OR REPLACE INTO parts VALUES (?1, ?2)")?;
    let mut bytes = Vec::new();
    for part in parts {
        bytes.clear();
        places(division, *part, &mut |place| {
            bytes.extend_from_slice(&place.key.0);
            for number in [place.group, place.segment, place.bytes] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        });
        debug_assert!(bytes.len().is_multiple_of(PLACE_LEN));
        insert.execute(params![*part as u32, bytes])?;
    }
    Ok(())
}

fn save_vaulted(transaction: &Transaction<'_>, entries: &[Entry]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT INTO vaulted VALUES (?1, ?2)")?;
    for (row, entries) in entries.chunks(ROW_ENTRIES).enumerate() {
        let mut bytes = Vec::with_capacity(entries.len() * ENTRY_LEN);
        for (key, number) in entries {
            bytes.extend_from_slice(&key.0);
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        insert.execute(params![row as u32, bytes])?;
    }
    Ok(())
}
