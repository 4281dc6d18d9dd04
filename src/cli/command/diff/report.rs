//! How differences are told: a line or an object for each, and totals. Knows no snapshot.

use serde::Serialize;

use super::sides::{Pair, SnapshotIds};
use crate::cli::json::node::kind;
use crate::cli::json::{lossy, raw};
use crate::cli::text::{self, count};
use crate::engine::HomePath;
use crate::engine::diff::{AttributeChanges, Change, Counts, DiffTotals, Difference};

/// A difference for people.
pub fn line(pair: &Pair, difference: &Difference<'_>) -> String {
    let place = text::place(&pair.user, path(pair, difference).as_bytes());
    let is_directory = difference.after.or(difference.before).is_some_and(|entry| entry.is_directory());
    let slash = if is_directory { "/" } else { "" };
    let attributes = match difference.change {
        Change::Metadata => format!(" ({})", attributes(difference).join(", ")),
        _ => String::new(),
    };
    format!("{}    {place}{slash}{attributes}", modifier(difference.change))
}

fn path(pair: &Pair, difference: &Difference<'_>) -> HomePath {
    let mut path = pair.path.clone();
    difference.path.components().for_each(|name| path.push(name));
    path
}

fn modifier(change: Change) -> &'static str {
    match change {
        Change::Added => "+",
        Change::Removed => "-",
        Change::Type => "T",
        Change::Content => "M",
        Change::Metadata => "U",
    }
}

fn attributes(difference: &Difference<'_>) -> Vec<&'static str> {
    let (Some(before), Some(after)) = (difference.before, difference.after) else { return Vec::new() };
    let AttributeChanges { mode, owner, mtime, xattrs, links, marks } =
        AttributeChanges::between(before, after);
    let words = [
        (mode, "mode"),
        (owner, "owner"),
        (mtime, "mtime"),
        (xattrs, "xattrs"),
        (links, "links"),
        (marks, "marks"),
    ];
    words.into_iter().filter(|(is_changed, _)| *is_changed).map(|(_, word)| word).collect()
}

/// A difference for programs.
#[derive(Debug, Serialize)]
pub struct ChangeObject {
    message_type: &'static str,
    modifier: &'static str,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_bytes: Option<String>,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    /// What it was; null if it was added.
    type_before: Option<&'static str>,
    type_after: Option<&'static str>,
    size_before: Option<u64>,
    size_after: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<&'static str>,
}

impl ChangeObject {
    /// A difference.
    pub fn new(pair: &Pair, difference: &Difference<'_>) -> Self {
        let path = path(pair, difference);
        Self {
            message_type: "change",
            modifier: modifier(difference.change),
            user: lossy(&pair.user),
            user_bytes: raw(&pair.user),
            path: lossy(path.as_bytes()),
            path_bytes: raw(path.as_bytes()),
            type_before: difference.before.map(kind),
            type_after: difference.after.map(kind),
            size_before: difference.before.map(|entry| entry.size()),
            size_after: difference.after.map(|entry| entry.size()),
            attributes: attributes(difference),
        }
    }
}

/// The end, for programs.
#[derive(Debug, Serialize)]
pub struct Statistics {
    message_type: &'static str,
    source_snapshot: String,
    target_snapshot: String,
    content_changed: u64,
    type_changed: u64,
    metadata_changed: u64,
    added: Side,
    removed: Side,
}

#[derive(Debug, Serialize)]
struct Side {
    files: u64,
    dirs: u64,
    others: u64,
    bytes: u64,
}

impl Side {
    fn new(counts: &Counts, bytes: u64) -> Self {
        Self { files: counts.files, dirs: counts.directories, others: counts.others, bytes }
    }
}

impl Statistics {
    /// The totals of all pairs.
    pub fn new(snapshots: SnapshotIds, totals: &DiffTotals) -> Self {
        Self {
            message_type: "statistics",
            source_snapshot: snapshots.before,
            target_snapshot: snapshots.after,
            content_changed: totals.content_changed,
            type_changed: totals.type_changed,
            metadata_changed: totals.metadata_changed,
            added: Side::new(&totals.added, totals.bytes_added),
            removed: Side::new(&totals.removed, totals.bytes_removed),
        }
    }
}

/// The end, for people.
pub fn totals(totals: &DiffTotals) -> String {
    let DiffTotals { added, removed, content_changed, type_changed, metadata_changed, .. } = totals;
    let counts = |counts: &Counts| {
        format!(
            "{}, {}, {}",
            count(counts.files, "file", "files"),
            count(counts.directories, "directory", "directories"),
            count(counts.others, "other", "others")
        )
    };
    format!(
        "added {}; removed {}; changed: {content_changed} in content, {type_changed} in type, \
         {metadata_changed} in metadata only; {} new, {} gone",
        counts(added),
        counts(removed),
        text::size(totals.bytes_added),
        text::size(totals.bytes_removed)
    )
}

/// Adds what two pairs came to.
pub fn sum(one: DiffTotals, other: &DiffTotals) -> DiffTotals {
    let counts = |one: Counts, other: Counts| Counts {
        files: one.files + other.files,
        directories: one.directories + other.directories,
        others: one.others + other.others,
    };
    DiffTotals {
        added: counts(one.added, other.added),
        removed: counts(one.removed, other.removed),
        content_changed: one.content_changed + other.content_changed,
        type_changed: one.type_changed + other.type_changed,
        metadata_changed: one.metadata_changed + other.metadata_changed,
        bytes_added: one.bytes_added + other.bytes_added,
        bytes_removed: one.bytes_removed + other.bytes_removed,
    }
}
