//! `usage --by user`: a row for each user, and every byte of the store.

use serde::Serialize;

use super::rows::{Cell, Column, Rows, numbers, words};
use crate::cli::context::Context;
use crate::cli::json;
use crate::cli::quota::{self, Measure, Over, QuotaConfig};
use crate::cli::table::{self, Align};
use crate::cli::text;
use crate::engine::usage::{StoreUsage, Sum, UsageReport, UserUsage};

/// The columns. People see a source only where there are several.
fn columns(users: &[&UserUsage], is_since: bool, has_quota: bool) -> Vec<Column> {
    let has_sources = users.windows(2).any(|pair| pair[0].source != pair[1].source);
    let mut columns = vec![
        words("source", "source").shown_if(has_sources),
        words("user", "user"),
        numbers("bytes", "size"),
        numbers("files", "files"),
        numbers("directories", "").hidden(),
        numbers("own_bytes", "only theirs"),
        numbers("shared_bytes", "shared"),
        numbers("fair_bytes", "fair share"),
        numbers("growth_day", "day"),
        numbers("growth_week", "week"),
        numbers("growth_month", "month"),
    ];
    columns.push(numbers("growth_since", "since").shown_if(is_since));
    columns.extend([
        words("last_good", "last good"),
        words("snapshot_id", "").hidden(),
        numbers("snapshots", "").hidden(),
        words("attention", "").hidden(),
        numbers("problems", "problems"),
        numbers("vault_items", "vault"),
        numbers("quota", "quota").shown_if(has_quota),
    ]);
    columns
}

/// The rows of these users.
pub fn rows(context: &Context, users: &[&UserUsage], is_since: bool) -> Rows {
    let quota = &context.config.quota;
    let row = |user: &&UserUsage| {
        let state = user.state;
        let count = |of: Option<u64>| of.map_or(Cell::None, Cell::Count);
        vec![
            Cell::Name(user.source.clone().into_bytes()),
            Cell::Name(user.user.clone()),
            Cell::Size(state.map_or(0, |state| state.bytes)),
            Cell::Count(state.map_or(0, |state| state.files)),
            Cell::Count(state.map_or(0, |state| state.directories)),
            Cell::Size(user.stored.own()),
            Cell::Size(user.stored.shared()),
            Cell::Size(user.stored.fair()),
            Cell::Growth(user.growth.day),
            Cell::Growth(user.growth.week),
            Cell::Growth(user.growth.month),
            Cell::Growth(user.growth.since),
            Cell::Time(state.map(|state| state.time_ms)),
            state.map_or(Cell::None, |state| Cell::Text(state.snapshot.to_hex())),
            Cell::Count(user.snapshots),
            Cell::Text(json::attention(user.attention).into()),
            count(state.map(|state| state.problems)),
            count(state.map(|state| state.vault_items)),
            quota.limit(&user.user).map_or(Cell::None, Cell::Size),
        ]
    };
    let columns = columns(users, is_since, quota.is_set());
    Rows { columns, rows: users.iter().map(row).collect(), message_type: "user" }
}

/// The last row for people: sums of what can be added up.
pub fn total(users: &[&UserUsage], rows: &Rows) -> Vec<Cell> {
    let sum = |of: &dyn Fn(&UserUsage) -> u64| users.iter().map(|user| of(user)).fold(0, u64::saturating_add);
    let cell = |column: &Column| match column.key {
        "source" => Cell::Text(String::new()),
        "user" => Cell::Text("total".into()),
        "bytes" => Cell::Size(sum(&|user| user.state.map_or(0, |state| state.bytes))),
        "files" => Cell::Count(sum(&|user| user.state.map_or(0, |state| state.files))),
        "own_bytes" => Cell::Size(sum(&|user| user.stored.own())),
        "fair_bytes" => Cell::Size(sum(&|user| user.stored.fair())),
        "problems" => Cell::Count(sum(&|user| user.state.map_or(0, |state| state.problems))),
        "vault_items" => Cell::Count(sum(&|user| user.state.map_or(0, |state| state.vault_items))),
        "growth_day" => grown(users, |user| user.growth.day),
        "growth_week" => grown(users, |user| user.growth.week),
        "growth_month" => grown(users, |user| user.growth.month),
        "growth_since" => grown(users, |user| user.growth.since),
        // Sums of these would count what is shared several times, or mean nothing.
        _ => Cell::Text(String::new()),
    };
    rows.columns.iter().map(cell).collect()
}

fn grown(users: &[&UserUsage], of: fn(&UserUsage) -> Option<i64>) -> Cell {
    let known: Vec<i64> = users.iter().filter_map(|user| of(user)).collect();
    Cell::Growth(
        (!known.is_empty()).then(|| known.iter().fold(0, |sum, growth| i64::saturating_add(sum, *growth))),
    )
}

/// Who is over the quota.
pub fn over(context: &Context, users: &[&UserUsage]) -> Vec<Over> {
    let quota = &context.config.quota;
    let over = quota.over(users.iter().map(|user| (&user.user[..], used(quota, user))));
    if !context.output.is_json() {
        quota::tell(&context.output, quota.measure(), &over);
    }
    over
}

/// What a quota goes by.
pub fn used(quota: &QuotaConfig, user: &UserUsage) -> u64 {
    match quota.measure() {
        Measure::Logical => user.state.map_or(0, |state| state.bytes),
        Measure::Stored => user.stored.fair(),
    }
}

/// A part of the store.
pub struct StoreLine {
    /// Its name in JSON.
    pub key: &'static str,
    /// What it is.
    pub what: &'static str,
    /// How much it is.
    pub bytes: u64,
    /// How many, if it is whole objects.
    pub objects: Option<u64>,
}

/// Every byte of the store, once.
pub fn store_lines(store: &StoreUsage) -> Vec<StoreLine> {
    let line = |key, what, bytes| StoreLine { key, what, bytes, objects: None };
    let whole = |key, what, of: Sum| StoreLine { key, what, bytes: of.bytes, objects: Some(of.objects) };
    vec![
        line("data_own", "data that one user needs", store.data_own),
        line("data_shared", "data that several users need", store.data_shared),
        line("trees_own", "trees that one user needs", store.trees_own),
        line("trees_shared", "trees that several users need", store.trees_shared),
        line("overhead", "records, tables and padding around them", store.overhead),
        line("wasted", "not needed, in objects that are", store.wasted),
        whole("unneeded", "not needed: a prune deletes it", store.unneeded),
        whole("condemned", "condemned by a prune", store.condemned),
        whole("orphans", "in no snapshot: of a backup that runs or was killed", store.orphans),
        line("uncertain", "uncertain, because of damage", store.uncertain),
        whole("unreadable", "unreadable", store.unreadable),
        whole("images", "images of the index", store.images),
        whole("gc_records", "records of prunes", store.gc_records),
        whole("history", "sizes of the past", store.history),
        whole("marks", "marks on forgotten snapshots", store.marks),
        whole("keys", "key slots", store.keys),
        whole("descriptor", "descriptor", store.descriptor),
        whole("other", "something else", store.other),
    ]
}

impl StoreLine {
    /// Whether there is anything of it.
    pub fn is_any(&self) -> bool {
        self.bytes > 0 || self.objects.is_some_and(|objects| objects > 0)
    }
}

/// The same for people. What is nothing is left out.
pub fn store(store: &StoreUsage) -> String {
    let mut lines = store_lines(store);
    let (bytes, objects) = (store.bytes, Some(store.objects));
    lines.push(StoreLine { key: "bytes", what: "all of the store", bytes, objects });
    let rows = lines.iter().filter(|line| line.is_any()).map(|line| {
        let objects = line.objects.map_or(String::new(), |objects| objects.to_string());
        vec![line.what.to_owned(), text::size(line.bytes), line.bytes.to_string(), objects]
    });
    let header = [
        ("in the store", Align::Left),
        ("size", Align::Right),
        ("bytes", Align::Right),
        ("objects", Align::Right),
    ];
    table::render(&header, rows.collect())
}

/// The end of the answer, for programs.
#[derive(Debug, Serialize)]
pub struct Summary {
    message_type: &'static str,
    time: String,
    users: usize,
    snapshots: usize,
    /// Every byte of the store, by what it is for.
    store: StoreUsage,
    needed: u64,
    garbage: u64,
    upkeep: u64,
    unknown: u64,
    over_quota: Vec<Over>,
    chunks_lost: u64,
    trees_unreadable: u64,
    history_unreadable: u64,
    /// Trees that were read because something had changed.
    trees_read: u64,
}

impl Summary {
    /// Of the report.
    pub fn of(report: &UsageReport, users: usize, over_quota: Vec<Over>) -> Self {
        let store = report.store;
        Self {
            message_type: "summary",
            time: json::rfc3339(report.taken_ms),
            users,
            snapshots: report.snapshots,
            store,
            needed: store.needed(),
            garbage: store.garbage(),
            upkeep: store.upkeep(),
            unknown: store.unknown(),
            over_quota,
            chunks_lost: report.damage.lost,
            trees_unreadable: report.damage.unreadable,
            history_unreadable: report.damage.history,
            trees_read: report.trees_read,
        }
    }
}
