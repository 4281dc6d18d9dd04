//! A snapshot as a line of a table: columns, and what stands in them. Knows no repository.

use crate::cli::table::Align;
use crate::cli::text;
use crate::engine::select::Filter;
use crate::format::{Attention, HomeRecord, SnapshotRecord};
use crate::index::{Summary, Totals};

/// So many users are named in a line.
const USERS_SHOWN: usize = 3;

/// The columns, of which a compact table has the first.
pub fn header(is_compact: bool) -> Vec<(&'static str, Align)> {
    let mut header =
        vec![("id", Align::Left), ("time", Align::Left), ("source", Align::Left), ("homes", Align::Left)];
    if !is_compact {
        header.extend([
            ("files", Align::Right),
            ("size", Align::Right),
            ("new", Align::Right),
            ("tags", Align::Left),
            ("problems", Align::Left),
        ]);
    }
    header
}

/// A snapshot and what is said of its homes.
pub struct Line<'s> {
    summary: &'s Summary,
    totals: Totals,
    /// The first of those whose homes are there.
    users: Vec<String>,
    present: u64,
    shrunk: u64,
    missing: u64,
    removed: u64,
}

impl<'s> Line<'s> {
    /// With all homes.
    pub fn of_all(summary: &'s Summary) -> Self {
        let homes = &summary.homes;
        let present = homes.iter().filter(|mention| mention.is_present()).take(USERS_SHOWN);
        Self {
            summary,
            totals: summary.totals,
            users: present.map(|mention| text::name(homes.name(&mention))).collect(),
            present: homes.present(),
            shrunk: homes.count(Attention::Shrunk),
            missing: homes.count(Attention::Missing),
            removed: homes.count(Attention::Removed),
        }
    }

    /// With the homes that a filter leaves.
    pub fn of_some(summary: &'s Summary, record: &SnapshotRecord, filter: &Filter) -> Self {
        let homes = || record.homes.iter().filter(|home| filter.accepts_user(&home.user));
        let present = || homes().filter(|home| home.root.is_some());
        let sum = |of: fn(&HomeRecord) -> u64| homes().map(of).fold(0, u64::saturating_add);
        let count = |attention| homes().filter(|home| home.attention == attention).count() as u64;
        Self {
            summary,
            totals: Totals {
                files: sum(|home| home.files),
                bytes: sum(|home| home.bytes),
                bytes_new: sum(|home| home.bytes_new),
                problems: sum(|home| home.problems),
                lost: record.lost(),
            },
            users: present().take(USERS_SHOWN).map(|home| text::name(&home.user)).collect(),
            present: present().count() as u64,
            shrunk: count(Attention::Shrunk),
            missing: count(Attention::Missing),
            removed: count(Attention::Removed),
        }
    }

    /// What stands in the columns.
    pub fn cells(&self, is_compact: bool) -> Vec<String> {
        let mut cells = vec![
            self.summary.id.short_hex(),
            text::local_time(self.summary.time()),
            text::name(self.summary.source.as_bytes()),
            self.homes(),
        ];
        if !is_compact {
            cells.extend([
                self.totals.files.to_string(),
                text::size(self.totals.bytes),
                text::size(self.totals.bytes_new),
                text::name(self.summary.tags.join(",").as_bytes()),
                self.problems(),
            ]);
        }
        cells
    }

    /// How many homes are there, and whose, as long as they are few.
    fn homes(&self) -> String {
        let names = self.users.join(", ");
        match self.present {
            0 => "none".into(),
            number if number <= USERS_SHOWN as u64 => names,
            number => format!("{names}, … ({number})"),
        }
    }

    fn problems(&self) -> String {
        let parts = [
            (self.totals.problems.saturating_sub(self.totals.lost), "files"),
            (self.totals.lost, "lost"),
            (self.shrunk, "shrunk"),
            (self.missing, "missing"),
            (self.removed, "removed"),
        ];
        let parts = parts.iter().filter(|(number, _)| *number > 0);
        parts.map(|(number, what)| format!("{number} {what}")).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::{ChunkId, Hash, SnapshotId};
    use crate::format::{Attributes, Entry, EntryKind, ObjectName, Owner};
    use crate::index::Users;

    fn home(user: &str, attention: Attention) -> HomeRecord {
        let root = Entry {
            name: user.into(),
            kind: EntryKind::Directory(ChunkId([0; 32])),
            mode: 0o700,
            owner: Owner::default().into(),
            mtime_s: 0,
            mtime_ns: 0,
            attributes: Attributes::default(),
        };
        let is_there = matches!(attention, Attention::Normal | Attention::Shrunk);
        HomeRecord {
            user: user.into(),
            path: Vec::new(),
            root: is_there.then_some(root),
            files: 2,
            directories: 1,
            bytes: 1024,
            bytes_new: 1,
            problems: 1,
            attention,
        }
    }

    fn record() -> SnapshotRecord {
        let homes = [
            ("ann", Attention::Missing),
            ("bob", Attention::Normal),
            ("cem", Attention::Shrunk),
            ("dov", Attention::Normal),
            ("eve", Attention::Normal),
        ];
        SnapshotRecord {
            id: SnapshotId([0xab; 16]),
            supersession: 0,
            time_ms: 0,
            finished_ms: 0,
            source: "s".into(),
            host: "h".into(),
            program: String::new(),
            tags: vec!["x".into(), "y".into()],
            homes: homes.map(|(user, attention)| home(user, attention)).into(),
            parents: vec![],
            gc_seen: vec![],
            deps: vec![],
            hints: vec![],
        }
    }

    #[test]
    fn a_line_is_the_same_from_summary_and_record() {
        let record = record();
        let users = Arc::new(Users::from_names(record.homes.iter().map(|home| home.user.clone())));
        let summary = Summary::of(&ObjectName::descriptor(), Hash([0; 32]), &record, &users).unwrap();
        let cells = Line::of_all(&summary).cells(false);
        assert_eq!(cells[2..4], ["s", "bob, cem, dov, … (4)"]);
        assert_eq!(cells[4..], ["10", "5.0 KiB", "5 B", "x,y", "5 files, 1 shrunk, 1 missing"]);
        assert_eq!(Line::of_some(&summary, &record, &Filter::default()).cells(false), cells);

        let ann_and_cem = Filter { users: vec!["ann".into(), "cem".into()], ..Filter::default() };
        let cells = Line::of_some(&summary, &record, &ann_and_cem).cells(false);
        assert_eq!(cells[3..6], ["cem", "4", "2.0 KiB"]);
        assert_eq!(cells[8], "2 files, 1 shrunk, 1 missing");
    }
}
