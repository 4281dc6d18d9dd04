//! Sizes of the past: what homes and the store came to at moments whose snapshots are gone. Written before the snapshots
//! go, thinned as it ages; nothing else rests on it.
//!
//! An object below `history/` is removed only by who has put another one that says the same. So of all objects that
//! have a point, the youngest can only be removed by who has put a younger one, and there is always one that has
//! it. Points that stand in several objects are one point: whoever was killed between two steps, or did them
//! at the same time as somebody else, has done no harm.

mod sizes;

use std::collections::BTreeSet;

use jiff::Timestamp;

pub use sizes::History;

use super::inventory::damaged;
use super::{RepoError, Repository};
use crate::codec::Hash;
use crate::format::{HistoryRecord, ObjectName, SegmentKind, SegmentWriter};
use crate::keys::random_bytes;
use crate::store::Listed;

/// So many objects are merged into one.
const MERGE_OBJECTS: usize = 8;
/// Those that are longer do not count for that, so that what has grown large is not written again each time.
const SMALL_LEN: u64 = 1 << 20;
/// How often everything is listed again because something was removed meanwhile.
const LOOKS: usize = 20;

/// What was read of the past.
#[derive(Debug, Default)]
pub struct Past {
    /// The sizes.
    pub history: History,
    /// The objects that it was read from.
    read: Vec<ObjectName>,
    /// What cannot be read. What it had is missing, and nothing else is.
    pub unreadable: Vec<RepoError>,
}

impl Repository {
    /// Reads what is known of the past.
    pub fn past(&self) -> Result<Past, RepoError> {
        for _ in 1..LOOKS {
            if let Some(past) = self.try_past(self.listed_history()?)? {
                return Ok(past);
            }
        }
        Ok(self.try_past(self.listed_history()?)?.unwrap_or_default())
    }

    /// Keeps sizes, durably, and merges objects where there are many. What cannot be read is left as it is. How old things are
    /// is reckoned from `now`.
    pub fn add_history(&self, mut new: History, now: Timestamp) -> Result<(), RepoError> {
        let small = self.listed_history()?.iter().filter(|listed| listed.length < SMALL_LEN).count();
        let mut replaced = Vec::new();
        if small + 1 >= MERGE_OBJECTS {
            let past = self.past()?;
            new.merge(past.history);
            replaced = past.read;
        }
        new.thin(now);
        for record in new.into_records() {
            self.put_history(&record, now)?;
        }
        for name in &replaced {
            self.store.delete(name)?;
        }
        Ok(())
    }

    fn put_history(&self, record: &HistoryRecord, now: Timestamp) -> Result<(), RepoError> {
        let segment = SegmentWriter::new(SegmentKind::History);
        let sealed = segment.finish(&self.keys, &random_bytes()?, Some(record.to_bytes()));
        let (bytes, _) = sealed.map_err(RepoError::Seal)?;
        Ok(self.store.put(&ObjectName::history(now, &Hash::of(&bytes)), &bytes)?)
    }

    fn listed_history(&self) -> Result<BTreeSet<Listed>, RepoError> {
        let listed = self.store.list(ObjectName::HISTORY)?.into_iter();
        Ok(listed.filter(|listed| listed.name.promised_hash().is_some()).collect())
    }

    /// None if an object was removed before it was read: another one has what it had.
    fn try_past(&self, listed: BTreeSet<Listed>) -> Result<Option<Past>, RepoError> {
        let mut past = Past::default();
        for listed in listed {
            match self.read_history(&listed.name, listed.length) {
                Ok(record) => {
                    past.history.add_record(record);
                    past.read.push(listed.name);
                }
                Err(error) if error.is_absent() => return Ok(None),
                Err(error) if error.is_damage() => past.unreadable.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(past))
    }

    fn read_history(&self, name: &ObjectName, length: u64) -> Result<HistoryRecord, RepoError> {
        let (header, toc) = self.read_toc(name, length)?;
        let record = toc.record.filter(|_| header.kind == SegmentKind::History);
        let bytes = record.ok_or_else(|| damaged(name, "it is no history"))?;
        HistoryRecord::from_bytes(&bytes)
            .map_err(|source| RepoError::Format { name: name.to_string(), source })
    }
}

#[cfg(test)]
mod tests;
