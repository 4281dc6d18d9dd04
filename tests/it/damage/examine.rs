//! Uses a damaged repository as a new machine would, through every verb, and holds what comes out
//! against what is right.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use homekeep::codec::SnapshotId;
use homekeep::engine::backup::HomeSelection;
use homekeep::engine::diff::diff;
use homekeep::engine::dump::dump_file;
use homekeep::engine::find::{FindOptions, Query, find};
use homekeep::engine::lookup::Located;
use homekeep::engine::ls::{Depth, ls};
use homekeep::engine::prune::prune;
use homekeep::engine::restore::RestoreTarget;
use homekeep::engine::select::{Filter, HomeState, states};
use homekeep::engine::{BrowseError, HomePath, Meter};
use homekeep::format::{EntryKind, MAX_OBJECT_LEN};
use homekeep::repo::{Reader, Snapshot};
use homekeep::store::{MemoryStore, Store};
use jiff::Timestamp;

use super::tiny::Tiny;
use crate::pruning::prune_options;
use crate::support::allocation::largest_of_all;
use crate::support::{Site, chain, contents, names, source_of};

/// What `ls`, `find`, `dump` and `diff` show of one home in one snapshot.
#[derive(Debug, PartialEq, Eq)]
pub struct Sight {
    listed: Vec<String>,
    found: Vec<String>,
    dumped: Vec<Vec<u8>>,
    added: u64,
}

/// Looks at a home through every verb that only looks.
pub fn look(reader: &mut Reader, state: &HomeState<'_>) -> Result<Sight, BrowseError> {
    let start = Located { path: HomePath::home(), entry: state.root.clone() };
    let (mut listed, mut files) = (Vec::new(), Vec::new());
    ls::<BrowseError>(reader, &start, Depth::Everything, &mut |path, entry| {
        listed.push(format!("{path} {entry:?}"));
        if matches!(entry.kind, EntryKind::File(_)) {
            files.push(Located { path: path.clone(), entry: entry.clone() });
        }
        Ok(())
    })?;
    let mut found = Vec::new();
    find::<BrowseError>(reader, &[*state], &Query::new(FindOptions::default()).unwrap(), &mut |one| {
        found.push(one.path.to_string());
        Ok(())
    })?;
    let mut dumped = Vec::new();
    for file in &files {
        let mut bytes = Vec::new();
        dump_file(reader, file, &mut bytes)?;
        dumped.push(bytes);
    }
    let totals = diff::<BrowseError>(reader, None, Some(state.root), &mut |_| Ok(()))?;
    Ok(Sight { listed, found, dumped, added: totals.bytes_added })
}

/// More than an object can have.
const MAX_ALLOCATION: usize = MAX_OBJECT_LEN as usize + (1 << 20);

/// Whose local index the repository is used with.
#[derive(Debug, Clone, Copy)]
pub enum Machine {
    /// One that never saw the repository.
    New,
    /// The one whose homes it holds, which knows all of it.
    Old,
}

impl Machine {
    /// The machine, with a store of its own.
    pub fn site(self, tiny: &Tiny, store: MemoryStore) -> Site {
        let site = Site::in_memory(Arc::new(store));
        if let Self::Old = self {
            copy_files(&tiny.site.index(""), &site.cache().join(tiny.site.index("").file_name().unwrap()));
        }
        site
    }
}

/// Whether a commit that the repository had is not there any more.
pub fn is_commit_gone(tiny: &Tiny, store: &dyn Store) -> bool {
    let there = names(store, "snapshots/");
    tiny.names("snapshots/").iter().any(|name| !there.contains(name))
}

/// No reader has asked for more at once than an object can have.
pub fn assert_modest() {
    let largest = largest_of_all();
    assert!(largest <= MAX_ALLOCATION, "something asked for {largest} bytes at once");
}

/// Opens the repository, looks at all it lists, restores it, takes a snapshot of the
/// same homes and restores that. Gives what was complained of.
pub fn examine(tiny: &Tiny, machine: Machine, store: MemoryStore) -> Vec<String> {
    let site = machine.site(tiny, store);
    let mut repository = match site.open() {
        Ok(repository) => repository,
        Err(error) => return vec![chain(&error)],
    };
    let synced = match repository.sync(&mut |_, _| {}) {
        Ok(synced) => synced,
        Err(error) => return vec![chain(&error)],
    };
    let mut complaints: Vec<_> = synced.damaged.iter().map(|error| chain(error)).collect();
    let snapshots = repository.snapshots().unwrap();
    let listed: BTreeSet<_> = snapshots.iter().map(|snapshot| snapshot.record.id).collect();
    let is_all = tiny.sights.keys().all(|(id, _)| listed.contains(id));
    // A machine that never saw a snapshot cannot miss it.
    let can_tell = matches!(machine, Machine::Old) || !is_commit_gone(tiny, site.store());
    assert!(is_all || !can_tell || !complaints.is_empty(), "a snapshot is gone and nothing says so");
    let mut reader = repository.reader().unwrap();
    for state in states(&snapshots, &Filter::default(), Timestamp::MAX) {
        let key = (state.snapshot.record.id, state.home.user.clone());
        match (look(&mut reader, &state), tiny.sights.get(&key)) {
            (Ok(sight), Some(right)) => assert_eq!(&sight, right),
            // The forgotten one, whose mark is lost.
            (Ok(_), None) => {}
            (Err(error), _) => complaints.push(chain(&error)),
        }
    }
    drop((reader, repository));
    complaints.extend(restore_newest(tiny, &site, &snapshots));
    complaints.extend(back_up_and_restore(tiny, &site));
    complaints.extend(prune_and_restore(tiny, &site));
    assert_modest();
    complaints
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn back_up_and_restore(tiny: &Tiny, site: &Site) -> Vec<String> {
    let mut options = site.backup_options();
    options.homes = HomeSelection::Under(tiny.site.homes());
    options.always = true;
    let report = match site.try_backup(&options) {
        Ok(report) => report,
        Err(error) => return vec![chain(&error)],
    };
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let snapshots = site.repository().snapshots().unwrap();
    let mut complaints: Vec<_> = report.damaged.iter().map(|error| chain(error)).collect();
    complaints.extend(restore_newest(tiny, site, &snapshots));
    complaints
}

/// A prune of what is damaged deletes nothing that could still be had from the store, by whoever.
fn prune_and_restore(tiny: &Tiny, site: &Site) -> Vec<String> {
    let before = restorable_elsewhere(tiny, site);
    let mut complaints = Vec::new();
    match prune(&mut site.open().unwrap(), &prune_options(), &Meter::default()) {
        Ok(report) => complaints.extend(report.damaged.iter().map(|error| chain(error))),
        Err(error) => complaints.push(chain(&error)),
    }
    assert_eq!(restorable_elsewhere(tiny, site), before, "a prune took something");
    complaints
}

/// The snapshots that a machine finds which never saw the repository, and what it cannot restore of the newest.
fn restorable_elsewhere(tiny: &Tiny, site: &Site) -> (BTreeSet<SnapshotId>, Vec<String>) {
    let elsewhere = Site::in_memory(site.shared_store());
    let snapshots = elsewhere.repository().snapshots().unwrap();
    let complaints = restore_newest(tiny, &elsewhere, &snapshots);
    (snapshots.iter().map(|snapshot| snapshot.record.id).collect(), complaints)
}

/// Restores the newest state of each home that has one. Everything in it is right, or not there and
/// complained of.
fn restore_newest(tiny: &Tiny, site: &Site, snapshots: &[Snapshot]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (user, expected) in &tiny.homes {
        let Some((snapshot, source)) = snapshots.iter().rev().find_map(|s| Some((s, source_of(s, user)?.1)))
        else {
            continue;
        };
        let folder = tempfile::tempdir_in(site.path("")).unwrap();
        let target = RestoreTarget::Contents(folder.path().into());
        let restored = site.restore_to(&[source], target, |options| options.threads = 1);
        let problems = restored.report.problems;
        let found = contents(folder.path());
        // A snapshot that lost its successors may be the first, which has less.
        let is_newest = snapshot.record.homes.len() == tiny.homes.len();
        for (path, bytes) in &found {
            assert!(expected.get(path) == Some(bytes), "{user}: {} has wrong bytes", path.display());
        }
        let missing: Vec<&PathBuf> = expected.keys().filter(|path| !found.contains_key(*path)).collect();
        assert!(!is_newest || missing.is_empty() || !problems.is_empty(), "{user}: {missing:?} is missing");
        complaints.extend(problems.iter().map(|problem| problem.kind.to_string()));
    }
    complaints
}
