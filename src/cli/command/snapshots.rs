//! `snapshots`: which there are. Knows filters and columns.

pub mod line;

use std::collections::HashMap;

use clap::Args;
use jiff::Timestamp;

use self::line::Line;
use crate::cli::choose::{self, FilterArguments};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::SnapshotObject;
use crate::cli::lines::Lines;
use crate::cli::synced::Indexed;
use crate::cli::table;
use crate::engine::select::{Filter, SelectError, SnapshotHead, newest_first};
use crate::format::SnapshotRecord;
use crate::index::Summary;
use crate::repo::Repository;

/// List snapshots
#[derive(Debug, Default, Args)]
pub struct SnapshotsArguments {
    /// Which snapshots.
    #[command(flatten)]
    pub which: WhichArguments,
    /// Fewer columns; in JSON, without the homes
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
    let indexed = Indexed::open(context)?;
    let filter = arguments.which.filter.filter();
    let summaries = indexed.repository.summaries()?;
    let wanted = select(&summaries, &arguments.which, &filter, Timestamp::now())?;
    if context.output.is_json() {
        let mut lines = Lines::begin();
        lines.array(wanted.iter().map(|summary| object(&indexed.repository, summary, arguments, &filter)))?;
        lines.finish()?;
    } else if wanted.is_empty() {
        let place = indexed.repository.store().location();
        context.output.note(&format!("no such snapshots in {place}"));
    } else {
        let rows = wanted.iter().map(|summary| row(&indexed.repository, summary, arguments, &filter));
        let rows = rows.collect::<Result<_, CliError>>()?;
        context.output.line(&table::render(&line::header(arguments.compact), rows));
    }
    // One that cannot be read is missing in the list; whoever reads the list must know.
    Ok(indexed.exit())
}

/// What a summary does not have, the sums of some homes, is in the record.
fn row(
    repository: &Repository,
    summary: &Summary,
    arguments: &SnapshotsArguments,
    filter: &Filter,
) -> Result<Vec<String>, CliError> {
    let line = match filter.users.is_empty() {
        true => Line::of_all(summary),
        false => Line::of_some(summary, &record(repository, summary, filter)?, filter),
    };
    Ok(line.cells(arguments.compact))
}

fn object(
    repository: &Repository,
    summary: &Summary,
    arguments: &SnapshotsArguments,
    filter: &Filter,
) -> Result<SnapshotObject, CliError> {
    if arguments.compact && filter.users.is_empty() {
        return Ok(SnapshotObject::brief(summary));
    }
    let record = record(repository, summary, filter)?;
    let homes = record.homes.iter().collect();
    let mut object = SnapshotObject::of_homes(&record, homes);
    object.homes.take_if(|_| arguments.compact);
    Ok(object)
}

/// The snapshot's record, with the homes that pass the filter. That it is gone from the index since can only be another program's doing.
fn record(repository: &Repository, summary: &Summary, filter: &Filter) -> Result<SnapshotRecord, CliError> {
    let gone = || SelectError::NoSuchId(summary.id.to_hex());
    let found = repository.snapshot_of(&summary.hash, &|user| filter.accepts_user(user))?;
    Ok(found.ok_or_else(gone)?.record)
}

/// The snapshots that are wanted, oldest first.
pub fn select<'s, S: SnapshotHead>(
    snapshots: &'s [S],
    arguments: &WhichArguments,
    filter: &Filter,
    now: Timestamp,
) -> Result<Vec<&'s S>, CliError> {
    let named = arguments.ids.iter().map(|id| Ok(choose::snapshot(snapshots, id)?.id()));
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
    let mut wanted: Vec<&S> = newest_first(snapshots, now).into_iter().map(|(_, s)| s).collect();
    wanted.retain(|s| named.is_empty() || named.contains(&s.id()));
    wanted.retain(|s| filter.accepts(*s) && is_among_latest(s.source()));
    wanted.reverse();
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::{Hash, SnapshotId};
    use crate::format::{Attention, HomeRecord, ObjectName, SnapshotRecord};
    use crate::index::Users;

    fn summary(id: u8, source: &str, tags: &[&str], users: &[&str]) -> Summary {
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
        let known = Arc::new(Users::from_names(users.iter().map(|user| user.as_bytes().to_vec())));
        Summary::of(&ObjectName::descriptor(), Hash([id; 32]), &record, &known).unwrap()
    }

    fn selected(arguments: &WhichArguments) -> Vec<u8> {
        let all = vec![
            summary(0x11, "a", &["x"], &["ann"]),
            summary(0x12, "b", &["x", "y"], &["ann", "bob"]),
            summary(0x22, "a", &[], &["bob"]),
        ];
        let found = select(&all, arguments, &arguments.filter.filter(), Timestamp::now()).unwrap();
        found.iter().map(|s| s.id.0[0]).collect()
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
