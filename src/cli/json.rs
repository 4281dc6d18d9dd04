//! The objects that several commands answer with in JSON. Names and meanings are stable: fields are
//! added, never changed. docs/json.md describes them.

pub mod home;
pub mod node;

use jiff::Timestamp;
use serde::Serialize;

use crate::format::{Attention, EntryKind, HomeRecord, SnapshotRecord};
use crate::index::Summary;

/// A snapshot.
#[derive(Debug, Serialize)]
pub struct SnapshotObject {
    /// All digits.
    pub id: String,
    /// The first eight.
    pub short_id: String,
    /// When the run began.
    pub time: String,
    /// When it was done.
    pub finished: String,
    /// The logical machine.
    pub source: String,
    /// The host it ran on.
    pub host: String,
    /// Program and version.
    pub program: String,
    /// Free words.
    pub tags: Vec<String>,
    /// Regular files of all homes.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that were new.
    pub bytes_new: u64,
    /// Files that could not be saved as they are.
    pub problems: u64,
    /// Of these, those that were in the snapshot once, and could not be read any more when it was copied or
    /// repaired.
    pub lost: u64,
    /// Each home; left out of a brief answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homes: Option<Vec<HomeObject>>,
}

/// A home in a snapshot.
#[derive(Debug, Serialize)]
pub struct HomeObject {
    /// Whose.
    pub user: String,
    /// The name's bytes in hexadecimal, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_bytes: Option<String>,
    /// Where it was.
    pub path: String,
    /// The path's bytes in hexadecimal, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Those that were new.
    pub bytes_new: u64,
    /// Files that could not be saved as they are.
    pub problems: u64,
    /// `normal`, `shrunk`, `missing` or `removed`.
    pub attention: &'static str,
    /// The id of its tree; null when it was not there.
    pub tree: Option<String>,
}

impl SnapshotObject {
    /// A snapshot with all its homes.
    pub fn new(record: &SnapshotRecord) -> Self {
        Self::of_homes(record, record.homes.iter().collect())
    }

    /// A snapshot with some of its homes; the sums are theirs.
    pub fn of_homes(record: &SnapshotRecord, homes: Vec<&HomeRecord>) -> Self {
        let sum = |of: fn(&HomeRecord) -> u64| homes.iter().map(|home| of(home)).fold(0, u64::saturating_add);
        Self {
            id: record.id.to_hex(),
            short_id: record.id.short_hex(),
            time: rfc3339(record.time_ms),
            finished: rfc3339(record.finished_ms),
            source: record.source.clone(),
            host: record.host.clone(),
            program: record.program.clone(),
            tags: record.tags.clone(),
            files: sum(|home| home.files),
            bytes: sum(|home| home.bytes),
            bytes_new: sum(|home| home.bytes_new),
            problems: sum(|home| home.problems),
            lost: record.lost(),
            homes: Some(homes.iter().map(|home| HomeObject::new(home)).collect()),
        }
    }

    /// A snapshot without its homes; the sums are those of all.
    pub fn brief(summary: &Summary) -> Self {
        Self {
            id: summary.id.to_hex(),
            short_id: summary.id.short_hex(),
            time: rfc3339(summary.time_ms),
            finished: rfc3339(summary.finished_ms),
            source: summary.source.clone(),
            host: summary.host.clone(),
            program: summary.program.clone(),
            tags: summary.tags.clone(),
            files: summary.totals.files,
            bytes: summary.totals.bytes,
            bytes_new: summary.totals.bytes_new,
            problems: summary.totals.problems,
            lost: summary.totals.lost,
            homes: None,
        }
    }
}

impl HomeObject {
    /// A home.
    pub fn new(home: &HomeRecord) -> Self {
        let tree = home.root.as_ref().and_then(|root| match root.kind {
            EntryKind::Directory(tree) => Some(tree.to_hex()),
            _ => None,
        });
        Self {
            user: lossy(&home.user),
            user_bytes: raw(&home.user),
            path: lossy(&home.path),
            path_bytes: raw(&home.path),
            files: home.files,
            directories: home.directories,
            bytes: home.bytes,
            bytes_new: home.bytes_new,
            problems: home.problems,
            attention: attention(home.attention),
            tree,
        }
    }
}

/// The word for it.
pub fn attention(attention: Attention) -> &'static str {
    match attention {
        Attention::Normal => "normal",
        Attention::Shrunk => "shrunk",
        Attention::Missing => "missing",
        Attention::Removed => "removed",
    }
}

/// Milliseconds since 1970 as a time in UTC.
pub fn rfc3339(milliseconds: i64) -> String {
    let time = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    format!("{time:.3}")
}

/// Bytes as text, with U+FFFD for what is no UTF-8.
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The bytes in hexadecimal, where [`lossy`] loses something.
pub fn raw(bytes: &[u8]) -> Option<String> {
    match std::str::from_utf8(bytes) {
        Ok(_) => None,
        Err(_) => Some(hex(bytes)),
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_utf_8_keep_their_bytes() {
        assert_eq!((lossy(b"a\n"), raw(b"a\n")), ("a\n".into(), None));
        assert_eq!((lossy(b"a\xff"), raw(b"a\xff")), ("a\u{fffd}".into(), Some("61ff".into())));
    }

    #[test]
    fn times_are_in_utc_to_the_millisecond() {
        assert_eq!(rfc3339(1_764_000_000_120), "2025-11-24T16:00:00.120Z");
    }
}
