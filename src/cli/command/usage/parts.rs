//! The other rows of `usage`: folders, kinds of files, ages, snapshots.

use std::collections::BTreeMap;

use super::rows::{Cell, Rows, numbers, words};
use crate::engine::HomePath;
use crate::engine::usage::{AGES, Charged, FileKind, Freed, Grown, KindUsage, PathUsage, SnapshotUsage};
use crate::index::Summary;

fn sums(sum: &Charged) -> [Cell; 3] {
    [Cell::Size(sum.stored), Cell::Size(sum.bytes), Cell::Count(sum.files)]
}

/// Files by what they have in common.
pub fn kinds(kinds: &[KindUsage], key: &'static str) -> Rows {
    let columns = vec![
        words(key, key),
        numbers("stored_bytes", "stored"),
        numbers("bytes", "size"),
        numbers("files", "files"),
    ];
    let row = |usage: &KindUsage| {
        let mut row = vec![kind(&usage.kind)];
        row.extend(sums(&usage.sum));
        row
    };
    Rows { columns, rows: kinds.iter().map(row).collect(), message_type: key }
}

fn kind(kind: &FileKind) -> Cell {
    match kind {
        FileKind::Extension(extension) => Cell::Name(extension.clone()),
        FileKind::Days(days) => Cell::Text(format!("up to {days} days")),
        FileKind::Older => Cell::Text(format!("more than {} days", AGES[AGES.len() - 1])),
    }
}

/// Snapshots with what would go if each alone were forgotten.
pub fn snapshots(snapshots: &[SnapshotUsage]) -> Rows {
    let columns = vec![
        words("snapshot_id", "").hidden(),
        words("short_id", "id"),
        words("time", "time"),
        words("source", "source"),
        numbers("homes", "homes"),
        numbers("bytes", "size"),
        numbers("bytes_new", "new"),
        numbers("freed_bytes", "would free"),
        numbers("freed_data", "").hidden(),
        numbers("freed_trees", "").hidden(),
        numbers("freed_chunks", "").hidden(),
    ];
    let row = |usage: &SnapshotUsage| {
        let (summary, freed) = (&usage.summary, &usage.freed);
        vec![
            Cell::Text(summary.id.to_hex()),
            Cell::Text(summary.id.short_hex()),
            Cell::Time(Some(summary.time_ms)),
            Cell::Name(summary.source.clone().into_bytes()),
            Cell::Count(summary.homes.present()),
            Cell::Size(summary.totals.bytes),
            Cell::Size(summary.totals.bytes_new),
            Cell::Size(freed.bytes()),
            Cell::Size(freed.data),
            Cell::Size(freed.trees),
            Cell::Count(freed.chunks),
        ]
    };
    Rows { columns, rows: snapshots.iter().map(row).collect(), message_type: "snapshot" }
}

/// What forgetting these together would free, in one row.
pub fn freed(snapshots: &[&Summary], freed: &Freed) -> Rows {
    let columns = vec![
        words("snapshot_ids", "snapshots"),
        numbers("freed_bytes", "would free"),
        numbers("freed_data", "data"),
        numbers("freed_trees", "trees"),
        numbers("freed_chunks", "chunks"),
    ];
    let row = vec![
        Cell::Ids(snapshots.iter().map(|summary| summary.id.to_hex()).collect()),
        Cell::Size(freed.bytes()),
        Cell::Size(freed.data),
        Cell::Size(freed.trees),
        Cell::Count(freed.chunks),
    ];
    Rows { columns, rows: vec![row], message_type: "freed" }
}

/// Moments from `since_ms` on, newest first.
pub fn times(grown: &Grown, since_ms: i64) -> Rows {
    let columns = vec![
        words("time", "time"),
        numbers("bytes", "size"),
        numbers("bytes_new", "new"),
        numbers("store_bytes", "store"),
    ];
    let size = |bytes: Option<u64>| bytes.map_or(Cell::None, Cell::Size);
    let homes = grown.homes.iter().map(|point| (point.time_ms, Some(point.bytes), point.bytes_new, None));
    let store = grown.store.iter().map(|point| (point.time_ms, None, None, Some(point.bytes)));
    let mut moments: Vec<_> = homes.chain(store).filter(|(time_ms, ..)| *time_ms >= since_ms).collect();
    moments.sort_by_key(|(time_ms, ..)| std::cmp::Reverse(*time_ms));
    let row = |(time_ms, bytes, bytes_new, store): (i64, Option<u64>, Option<u64>, Option<u64>)| {
        vec![Cell::Time(Some(time_ms)), size(bytes), size(bytes_new), size(store)]
    };
    Rows { columns, rows: moments.into_iter().map(row).collect(), message_type: "moment" }
}

/// Folders with what is in them, each followed by its entries: those that take most first, and of these `top`.
pub fn paths(found: &[PathUsage], top: Option<usize>) -> Rows {
    let columns = vec![
        numbers("stored_bytes", "stored"),
        numbers("bytes", "size"),
        numbers("files", "files"),
        words("type", "").hidden(),
        words("path", "path"),
    ];
    let mut below: BTreeMap<HomePath, Vec<&PathUsage>> = BTreeMap::new();
    for usage in found.iter().take(found.len().saturating_sub(1)) {
        let mut parent = usage.path.clone();
        parent.pop();
        below.entry(parent).or_default().push(usage);
    }
    for entries in below.values_mut() {
        entries.sort_by(|a, b| {
            (b.sum.stored, b.sum.bytes).cmp(&(a.sum.stored, a.sum.bytes)).then(a.path.cmp(&b.path))
        });
        entries.truncate(top.unwrap_or(usize::MAX));
    }
    let (mut rows, mut stack) = (Vec::new(), Vec::from_iter(found.last()));
    while let Some(usage) = stack.pop() {
        let mut row: Vec<Cell> = sums(&usage.sum).into();
        row.push(Cell::Text(if usage.is_directory { "dir" } else { "file" }.into()));
        row.push(Cell::Name(if usage.path.is_home() {
            b".".to_vec()
        } else {
            usage.path.as_bytes().to_vec()
        }));
        rows.push(row);
        let is_open = usage.is_directory;
        stack.extend(below.get(&usage.path).into_iter().flatten().rev().filter(|_| is_open));
    }
    Rows { columns, rows, message_type: "path" }
}
