//! `snapshots`: which there are. Knows filters and columns.

use std::collections::HashMap;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::SnapshotObject;
use crate::cli::open;
use crate::cli::table::{self, Align};
use crate::cli::text;
use crate::format::{Attention, HomeRecord};
use crate::repo::{Repository, Snapshot, SyncReport};

/// So many users are named in a line.
const USERS_SHOWN: usize = 3;

/// List snapshots
#[derive(Debug, Default, Args)]
pub struct SnapshotsArguments {
    /// Only these: ids, or the first digits of ids
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Only snapshots with this user's home, and of them only this home (repeatable)
    #[arg(long, value_name = "USER", value_delimiter = ',')]
    pub user: Vec<String>,
    /// Only of this logical machine
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Only with this tag; with all of TAG,TAG; repeated, with any
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Only made by this host
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Only the newest N of each source
    #[arg(long, value_name = "N")]
    pub latest: Option<usize>,
    /// Fewer columns
    #[arg(long)]
    pub compact: bool,
}

/// Lists them.
pub fn run(context: &Context, arguments: &SnapshotsArguments) -> Result<Exit, CliError> {
    let mut repository = open::open(context)?;
    let synced = repository.sync(&mut |_, _| {}).map_err(CliError::from)?;
    let snapshots = select(repository.snapshots()?, arguments)?;
    if context.output.is_json() {
        let objects: Vec<_> =
            snapshots.iter().map(|s| SnapshotObject::of_homes(&s.record, homes(s, arguments))).collect();
        context.output.object(&objects);
    } else {
        print(context, &repository, &snapshots, arguments);
    }
    Ok(tell_damage(context, &synced))
}

fn print(context: &Context, repository: &Repository, snapshots: &[Snapshot], arguments: &SnapshotsArguments) {
    if snapshots.is_empty() {
        context.output.note(&format!("no such snapshots in {}", repository.store().location()));
        return;
    }
    let rows = snapshots.iter().map(|snapshot| row(snapshot, arguments)).collect();
    context.output.line(&table::render(&header(arguments), rows));
}

/// A snapshot that cannot be read is missing in the list; whoever reads the list must know.
fn tell_damage(context: &Context, synced: &SyncReport) -> Exit {
    for error in &synced.damaged {
        context.output.warn(&text::chain(error));
    }
    if synced.damaged.is_empty() { Exit::Done } else { Exit::Problems }
}

/// The snapshots that are wanted, oldest first.
fn select(mut snapshots: Vec<Snapshot>, arguments: &SnapshotsArguments) -> Result<Vec<Snapshot>, CliError> {
    if !arguments.ids.is_empty() {
        let mut wanted = Vec::new();
        for id in &arguments.ids {
            wanted.push(find(&snapshots, id)?.record.id);
        }
        snapshots.retain(|snapshot| wanted.contains(&snapshot.record.id));
    }
    snapshots.retain(|snapshot| is_wanted(snapshot, arguments));
    if let Some(latest) = arguments.latest {
        let mut left: HashMap<String, usize> = HashMap::new();
        let mut keep = |snapshot: &Snapshot| {
            let left = left.entry(snapshot.record.source.clone()).or_insert(latest);
            left.checked_sub(1).map(|less| *left = less).is_some()
        };
        snapshots = snapshots.into_iter().rev().filter(|snapshot| keep(snapshot)).collect();
        snapshots.reverse();
    }
    Ok(snapshots)
}

/// The one snapshot whose id begins so.
pub fn find<'s>(snapshots: &'s [Snapshot], id: &str) -> Result<&'s Snapshot, CliError> {
    let what = "snapshot";
    let mut found = snapshots.iter().filter(|snapshot| snapshot.record.id.to_hex().starts_with(id));
    match (found.next(), found.next()) {
        (Some(snapshot), None) => Ok(snapshot),
        (Some(_), Some(_)) => Err(CliError::Ambiguous { what, id: id.into() }),
        (None, _) => Err(CliError::Unknown { what, id: id.into() }),
    }
}

fn is_wanted(snapshot: &Snapshot, arguments: &SnapshotsArguments) -> bool {
    let record = &snapshot.record;
    let has_tags = |tags: &String| tags.split(',').all(|tag| record.tags.iter().any(|has| has == tag));
    arguments.source.as_ref().is_none_or(|source| record.source == *source)
        && arguments.host.as_ref().is_none_or(|host| record.host == *host)
        && (arguments.tag.is_empty() || arguments.tag.iter().any(has_tags))
        && (arguments.user.is_empty() || !homes(snapshot, arguments).is_empty())
}

fn homes<'s>(snapshot: &'s Snapshot, arguments: &SnapshotsArguments) -> Vec<&'s HomeRecord> {
    let users = &arguments.user;
    let is_wanted =
        |home: &&HomeRecord| users.is_empty() || users.iter().any(|user| user.as_bytes() == home.user);
    snapshot.record.homes.iter().filter(is_wanted).collect()
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

fn row(snapshot: &Snapshot, arguments: &SnapshotsArguments) -> Vec<String> {
    let record = &snapshot.record;
    let homes = homes(snapshot, arguments);
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
            problems(sum(|home| home.problems), &homes),
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

fn problems(files: u64, homes: &[&HomeRecord]) -> String {
    let homes_with = |kind| homes.iter().filter(|home| home.attention == kind).count() as u64;
    let parts = [
        (files, "files"),
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
        };
        Snapshot { name: ObjectName::descriptor(), hash: Hash([id; 32]), record }
    }

    fn selected(arguments: &SnapshotsArguments) -> Vec<u8> {
        let all = vec![
            snapshot(0x11, "a", &["x"], &["ann"]),
            snapshot(0x12, "b", &["x", "y"], &["ann", "bob"]),
            snapshot(0x22, "a", &[], &["bob"]),
        ];
        select(all, arguments).unwrap().iter().map(|s| s.record.id.0[0]).collect()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn filters_narrow_the_list() {
        let none = SnapshotsArguments::default;
        assert_eq!(selected(&none()), [0x11, 0x12, 0x22]);
        assert_eq!(selected(&SnapshotsArguments { ids: texts(&["22", "11"]), ..none() }), [0x11, 0x22]);
        assert_eq!(selected(&SnapshotsArguments { user: texts(&["bob"]), ..none() }), [0x12, 0x22]);
        assert_eq!(selected(&SnapshotsArguments { source: Some("a".into()), ..none() }), [0x11, 0x22]);
        assert_eq!(selected(&SnapshotsArguments { host: Some("b".into()), ..none() }), [0x12]);
        assert_eq!(selected(&SnapshotsArguments { tag: texts(&["x,y"]), ..none() }), [0x12]);
        assert_eq!(selected(&SnapshotsArguments { tag: texts(&["y", "x"]), ..none() }), [0x11, 0x12]);
        assert_eq!(selected(&SnapshotsArguments { latest: Some(1), ..none() }), [0x12, 0x22]);
    }

    #[test]
    fn an_id_must_be_one_snapshots() {
        let all = [snapshot(0x11, "a", &[], &[]), snapshot(0x12, "a", &[], &[])];
        assert!(matches!(find(&all, "1"), Err(CliError::Ambiguous { .. })));
        assert!(matches!(find(&all, "3"), Err(CliError::Unknown { .. })));
        assert_eq!(find(&all, "12").unwrap().record.id.0[0], 0x12);
    }
}
