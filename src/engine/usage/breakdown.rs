//! What the newest states of homes are made of: by folder, by kind of file, by age.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::charge::{Charged, Charger, Event};
use super::report::DamageCount;
use super::scene::{Scene, named};
use super::states::{Earlier, states};
use super::stock::Stock;
use super::{Meter, UsageError};
use crate::codec::ChunkId;
use crate::engine::HomePath;
use crate::engine::lookup::Located;
use crate::engine::select::Filter;
use crate::format::{Entry, EntryKind};
use crate::repo::Repository;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathUsage {
    /// The way to it from the home.
    pub path: HomePath,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// It and all that is below it.
    pub sum: Charged,
}

/// Files that have something in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindUsage {
    /// What.
    pub kind: FileKind,
    /// Their sums. The bytes of trees are in none.
    pub sum: Charged,
}

/// What files have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// The last part of the name, behind a dot, in small letters; empty if there is none.
    Extension(Vec<u8>),
    /// Modified at most so many days ago, and more than the next smaller one.
    Days(u64),
    /// Modified longer ago than any of these.
    Older,
}

/// By what files are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distinction {
    /// The extension of the name.
    Extension,
    /// The modification time.
    Age,
}

/// Ages that are told apart, in days.
pub const AGES: [u64; 5] = [7, 30, 180, 365, 730];
/// A longer extension is no word that says what a file is.
const MAX_EXTENSION_LEN: usize = 16;

/// What is at `start` and below it, down to `depth` names; a directory follows what is in it.
pub fn by_path(
    repository: &Repository,
    start: &Located,
    depth: usize,
    meter: &Meter,
) -> Result<(Vec<PathUsage>, DamageCount), UsageError> {
    let mut charger = charger(repository, &Scene::look(repository)?)?;
    let EntryKind::Directory(tree) = &start.entry.kind else {
        let sum = charger.file(&start.entry)?;
        let found = vec![PathUsage { path: start.path.clone(), is_directory: false, sum }];
        return Ok((found, charger.damage));
    };
    let found = below(&mut charger, &start.path, tree, depth, meter)?;
    Ok((found, charger.damage))
}

/// What is in the directory at `start`, down to `depth` names.
pub(super) fn below(
    charger: &mut Charger,
    start: &HomePath,
    tree: &ChunkId,
    depth: usize,
    meter: &Meter,
) -> Result<Vec<PathUsage>, UsageError> {
    let mut found = Vec::new();
    let above = start.components().count();
    charger.walk(start, tree, meter, &mut |path, event, sum| {
        if path.components().count() - above <= depth {
            let is_directory = matches!(event, Event::Left);
            found.push(PathUsage { path: path.clone(), is_directory, sum });
        }
    })?;
    Ok(found)
}

/// What the newest states of all homes that the filter accepts are made of.
pub fn by_kind(
    repository: &Repository,
    filter: &Filter,
    distinction: Distinction,
    now: Timestamp,
    meter: &Meter,
) -> Result<(Vec<KindUsage>, DamageCount), UsageError> {
    let scene = Scene::look(repository)?;
    let mut charger = charger(repository, &scene)?;
    let mut sums: HashMap<FileKind, Charged> = HashMap::new();
    let is_of_source = |source: &String| filter.sources.is_empty() || filter.sources.contains(source);
    for state in states(repository, &scene.summaries, &Earlier::default(), now, &[])? {
        let tree = state.newest.and_then(|newest| newest.tree);
        let is_wanted = filter.accepts_user(&state.user) && is_of_source(&state.source);
        let Some(tree) = tree.filter(|_| is_wanted) else { continue };
        charger.walk(&HomePath::home(), &tree, meter, &mut |_, event, charged| {
            if let (Event::Entry(entry), 1) = (event, charged.files) {
                let sum = sums.entry(kind(entry, distinction, now)).or_default();
                sum.files += 1;
                sum.bytes = sum.bytes.saturating_add(charged.bytes);
                sum.stored += charged.stored;
            }
        })?;
    }
    let mut kinds: Vec<_> = sums.into_iter().map(|(kind, sum)| KindUsage { kind, sum }).collect();
    kinds.sort_unstable_by(|a, b| a.kind.cmp(&b.kind));
    Ok((kinds, charger.damage))
}

pub(super) fn charger(repository: &Repository, scene: &Scene) -> Result<Charger, UsageError> {
    let stock = Stock::load(repository.catalog(), &scene.segments())?;
    let is_named = stock.named(&named(repository, &scene.summaries)?);
    Ok(Charger::new(stock, is_named, repository.reader()?))
}

fn kind(entry: &Entry, distinction: Distinction, now: Timestamp) -> FileKind {
    match distinction {
        Distinction::Extension => FileKind::Extension(extension(&entry.name)),
        Distinction::Age => age(entry.mtime_s, now),
    }
}

fn extension(name: &[u8]) -> Vec<u8> {
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0);
    let extension = dot.map_or(&[][..], |dot| &name[dot + 1..]);
    if extension.len() > MAX_EXTENSION_LEN { Vec::new() } else { extension.to_ascii_lowercase() }
}

fn age(mtime_s: i64, now: Timestamp) -> FileKind {
    let age = SignedDuration::from_secs(now.as_second().saturating_sub(mtime_s));
    let fitting = AGES.iter().find(|days| age <= SignedDuration::from_hours(24 * **days as i64));
    fitting.map_or(FileKind::Older, |days| FileKind::Days(*days))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_what_stands_behind_the_last_dot() {
        let of = |name: &str| String::from_utf8(extension(name.as_bytes())).unwrap();
        let cases = [
            ("a.CSV", "csv"),
            ("a.tar.gz", "gz"),
            (".bashrc", ""),
            ("Makefile", ""),
            ("a.", ""),
            (".a.b", "b"),
        ];
        for (name, expected) in cases {
            assert_eq!(of(name), expected, "{name}");
        }
        assert_eq!(of("x.0123456789abcdef"), "0123456789abcdef");
        assert_eq!(of("x.0123456789abcdefg"), "");
    }

    #[test]
    fn ages_are_told_apart_to_the_second() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let of = |seconds: i64| age(now.as_second() - seconds, now);
        assert_eq!((of(-5), of(0), of(7 * 86400)), (FileKind::Days(7), FileKind::Days(7), FileKind::Days(7)));
        assert_eq!((of(7 * 86400 + 1), of(730 * 86400)), (FileKind::Days(30), FileKind::Days(730)));
        assert_eq!((of(730 * 86400 + 1), age(i64::MIN, now)), (FileKind::Older, FileKind::Older));
    }
}
