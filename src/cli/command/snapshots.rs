//! `snapshots`: which there are. Knows filters and columns.

use std::collections::HashMap;

use clap::Args;
use jiff::Timestamp;

use crate::cli::choose::{self, FilterArguments};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::SnapshotObject;
use crate::cli::synced::Synced;
use crate::cli::table::{self, Align};
use crate::cli::text;
use crate::engine::select::{Filter, newest_first};
use crate::format::{Attention, HomeRecord};
use crate::repo::{Repository, Snapshot};

/// So many users are named in a line.
const USERS_SHOWN: usize = 3;

/// List snapshots
#[derive(Debug, Default, Args)]
pub struct SnapshotsArguments {
    /// Which snapshots.
    #[command(flatten)]
    pub which: WhichArguments,
    /// Fewer columns
    #[arg(long)]
    pub compact: bool,
}

/// Which snapshots of all that there are.
#[derive(Debug, Default, Args)]
pub struct WhichArguments {
    /// Only these: ids or their beginnings, `latest`, `latest~2`, times such as `@yesterday`
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Which snapshots count.
    #[command(flatten)]
    pub filter: FilterArguments,
    /// Only the newest N of each source
    #[arg(long, value_name = "N")]
    pub latest: Option<usize>,
}

/// Lists them.
pub fn run(context: &Context, arguments: &SnapshotsArguments) -> Result<Exit, CliError> {
    let synced = Synced::open(context)?;
    let filter = arguments.which.filter.filter();
    let snapshots = select(&synced.snapshots, &arguments.which, &filter, Timestamp::now())?;
    if context.output.is_json() {
        let objects: Vec<_> =
            snapshots.iter().map(|s| SnapshotObject::of_homes(&s.record, homes(s, &filter))).collect();
        context.output.object(&objects);
    } else {
        print(context, &synced.repository, &snapshots, arguments, &filter);
    }
    // One that cannot be read is missing in the list; whoever reads the list must know.
    Ok(synced.exit())
}

fn print(
    context: &Context,
    repository: &Repository,
    snapshots: &[&Snapshot],
    arguments: &SnapshotsArguments,
    filter: &Filter,
) {
    if snapshots.is_empty() {
        context.output.note(&format!("no such snapshots in {}", repository.store().location()));
        return;
    }
    let rows = snapshots.iter().map(|snapshot| row(snapshot, arguments, filter)).collect();
    context.output.line(&table::render(&header(arguments), rows));
}

/// The snapshots that are wanted, oldest first.
pub fn select<'s>(
    snapshots: &'s [Snapshot],
    arguments: &WhichArguments,
    filter: &Filter,
    now: Timestamp,
) -> Result<Vec<&'s Snapshot>, CliError> {
    let named = arguments.ids.iter().map(|id| Ok(choose::snapshot(snapshots, id)?.record.id));
    let named = named.collect::<Result<Vec<_>, CliError>>()?;
    let mut left: HashMap<&str, usize> = HashMap::new();
    let mut is_among_latest = |source| match arguments.latest {
        None => true,
        Some(latest) => {
            let left = left.entry(source).or_insert(latest);
            let is_left = *left > 0;
            *left -= usize::from(is_left);
            is_left
        }
    };
    let mut wanted: Vec<&Snapshot> = newest_first(snapshots, now).into_iter().map(|(_, s)| s).collect();
    wanted.retain(|s| named.is_empty() || named.contains(&s.record.id));
    wanted.retain(|s| filter.accepts(s) && is_among_latest(&s.record.source));
    wanted.reverse();
    Ok(wanted)
}

fn homes<'s>(snapshot: &'s Snapshot, filter: &Filter) -> Vec<&'s HomeRecord> {
    snapshot.record.homes.iter().filter(|home| filter.accepts_user(&home.user)).collect()
}

fn header(arguments: &SnapshotsArguments) -> Vec<(&'static str, Align)> {
    let mut header =
        vec![("id", Align::Left), ("time", Align::Left), ("source", Align::Left), ("homes", Align::Left)];
    if !arguments.compact {
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

fn row(snapshot: &Snapshot, arguments: &SnapshotsArguments, filter: &Filter) -> Vec<String> {
    let record = &snapshot.record;
    let homes = homes(snapshot, filter);
    let sum = |of: fn(&HomeRecord) -> u64| homes.iter().map(|home| of(home)).fold(0, u64::saturating_add);
    let mut row = vec![
        record.id.short_hex(),
        text::local_time(snapshot.time()),
        text::name(record.source.as_bytes()),
        users(&homes),
    ];
    if !arguments.compact {
        row.extend([
            sum(|home| home.files).to_string(),
            text::size(sum(|home| home.bytes)),
            text::size(sum(|home| home.bytes_new)),
            text::name(record.tags.join(",").as_bytes()),
            problems(sum(|home| home.problems), record.lost(), &homes),
        ]);
    }
    row
}

/// How many homes are there, and whose, as long as they are few.
fn users(homes: &[&HomeRecord]) -> String {
    let present: Vec<_> = homes.iter().filter(|home| home.root.is_some()).collect();
    let names: Vec<_> = present.iter().take(USERS_SHOWN).map(|home| text::name(&home.user)).collect();
    match present.len() {
        0 => "none".into(),
        number if number <= USERS_SHOWN => names.join(", "),
        number => format!("{}, … ({number})", names.join(", ")),
    }
}

fn problems(files: u64, lost: u64, homes: &[&HomeRecord]) -> String {
    let homes_with = |kind| homes.iter().filter(|home| home.attention == kind).count() as u64;
    let parts = [
        (files.saturating_sub(lost), "files"),
        (lost, "lost"),
        (homes_with(Attention::Shrunk), "shrunk"),
        (homes_with(Attention::Missing), "missing"),
        (homes_with(Attention::Removed), "removed"),
    ];
    let parts: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Hash, SnapshotId};
    use crate::format::{ObjectName, SnapshotRecord};

    fn snapshot(id: u8, source: &str, tags: &[&str], users: &[&str]) -> Snapshot {
        let home = |user: &&str| HomeRecord {
            user: user.as_bytes().to_vec(),
            path: Vec::new(),
            root: None,
            files: 1,
            directories: 1,
            bytes: 1,
            bytes_new: 0,
            problems: 0,
            attention: Attention::Normal,
        };
        let record = SnapshotRecord {
            id: SnapshotId([id; 16]),
            supersession: 0,
            time_ms: id.into(),
            finished_ms: id.into(),
            source: source.into(),
            host: source.into(),
            program: String::new(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            homes: users.iter().map(home).collect(),
            parents: vec![],
            gc_seen: vec![],
            deps: vec![],
            hints: vec![],
        };
        Snapshot { name: ObjectName::descriptor(), hash: Hash([id; 32]), record }
    }

    fn selected(arguments: &WhichArguments) -> Vec<u8> {
        let all = vec![
            snapshot(0x11, "a", &["x"], &["ann"]),
            snapshot(0x12, "b", &["x", "y"], &["ann", "bob"]),
            snapshot(0x22, "a", &[], &["bob"]),
        ];
        let found = select(&all, arguments, &arguments.filter.filter(), Timestamp::now()).unwrap();
        found.iter().map(|s| s.record.id.0[0]).collect()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn filters_narrow_the_list() {
        let none = WhichArguments::default;
        assert_eq!(selected(&none()), [0x11, 0x12, 0x22]);
        assert_eq!(selected(&WhichArguments { ids: texts(&["22", "11"]), ..none() }), [0x11, 0x22]);
        let by = FilterArguments::default;
        let cases = [
            (FilterArguments { user: vec!["bob".into()], ..by() }, &[0x12, 0x22][..]),
            (FilterArguments { source: texts(&["a"]), ..by() }, &[0x11, 0x22]),
            (FilterArguments { host: texts(&["b"]), ..by() }, &[0x12]),
            (FilterArguments { tag: texts(&["x,y"]), ..by() }, &[0x12]),
            (FilterArguments { tag: texts(&["y", "x"]), ..by() }, &[0x11, 0x12]),
        ];
        for (filter, expected) in cases {
            assert_eq!(selected(&WhichArguments { filter, ..none() }), expected);
        }
        assert_eq!(selected(&WhichArguments { latest: Some(1), ..none() }), [0x12, 0x22]);
    }
}
