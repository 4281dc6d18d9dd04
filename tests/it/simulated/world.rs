//! A repository with a past, which schedules begin with, and what must hold of it after each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use homekeep::codec::SnapshotId;
use homekeep::engine::Meter;
use homekeep::engine::backup::{BackupOptions, HomeSelection, Outcome, backup};
use homekeep::engine::prune::{MaxUnused, PruneError, PruneOptions, prune};
use homekeep::engine::undo::{UndoOptions, Undone, undo};
use homekeep::files::rules::RuleOptions;
use homekeep::keys::Cost;
use homekeep::repo::{CreateOptions, Repository};
use homekeep::store::{MemoryStore, Store};

use super::dice::Dice;
use super::homes::{Homes, read_home};
use crate::support::{CHUNKER, PROGRAM, secret};

/// What an actor is told to do.
#[derive(Debug, Clone, Copy)]
pub enum Task {
    Backup { home: usize, source: usize },
    Forget(SnapshotId),
    Undo(SnapshotId),
    Prune { repacks: bool },
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub enum Done {
    Saved(SnapshotId),
    Forgotten,
    Back,
    TooLate,
    Pruned,
    Repacked,
}

/// Why nothing came of it.
#[derive(Debug)]
pub struct Failure {
    pub text: String,
    /// A prune does not go on where objects came or went between its listings, or all is forgotten, and says so.
    pub is_refusal: bool,
}

/// What is in a store, with the caches of machines that wrote to it at different times.
pub struct World {
    pub store: MemoryStore,
    /// Folders that machines' caches are copied from.
    pub caches: Vec<PathBuf>,
    /// Snapshots that were reported as saved and are not forgotten, with the home each has.
    pub expected: BTreeMap<SnapshotId, usize>,
    /// Those that are forgotten.
    pub forgotten: BTreeMap<SnapshotId, usize>,
}

impl World {
    /// An empty repository.
    pub fn new(folder: &Path) -> Self {
        let store = MemoryStore::new();
        let options = CreateOptions { chunker: CHUNKER, block_len: 64 << 10, cost: Cost::FLOOR };
        Repository::create(Arc::new(store.clone()), &secret(), &folder.join("creator"), &options).unwrap();
        Self { store, caches: Vec::new(), expected: BTreeMap::new(), forgotten: BTreeMap::new() }
    }

    /// A repository to which this and that was done by two machines, one after another.
    pub fn with_past(folder: &Path, homes: &Homes, dice: &mut Dice) -> Self {
        let mut world = Self::new(folder);
        let machines = [folder.join("machine0"), folder.join("machine1")];
        for step in 0..4 + dice.below(5) {
            let task = if step < 2 { world.any_backup(homes, dice) } else { world.any_task(homes, dice) };
            let machine = dice.one_of(&machines);
            let mut repository = world.open(machine);
            let done = perform(&mut repository, task, homes).unwrap();
            drop(repository);
            world.note(task, Some(done));
            if dice.percent(60) {
                let kept = folder.join(format!("kept{step}"));
                copy_cache(machine, &kept);
                world.caches.push(kept);
            }
        }
        world
    }

    /// The same world in a store of its own.
    pub fn copy(&self) -> Self {
        let store = MemoryStore::new();
        for listed in self.store.list("").unwrap() {
            store.put(&listed.name, &self.store.get(&listed.name).unwrap()).unwrap();
        }
        let (caches, expected) = (self.caches.clone(), self.expected.clone());
        Self { store, caches, expected, forgotten: self.forgotten.clone() }
    }

    pub fn open(&self, cache: &Path) -> Repository {
        Repository::open(Arc::new(self.store.clone()), &secret(), cache).unwrap()
    }

    pub fn any_backup(&self, homes: &Homes, dice: &mut Dice) -> Task {
        Task::Backup { home: dice.below(homes.count()), source: dice.below(2) }
    }

    pub fn any_task(&self, homes: &Homes, dice: &mut Dice) -> Task {
        let pick = |from: &BTreeMap<SnapshotId, usize>, dice: &mut Dice| {
            let ids: Vec<_> = from.keys().copied().collect();
            *dice.one_of(&ids)
        };
        match dice.below(10) {
            0..=3 => self.any_backup(homes, dice),
            // Something is left, or prunes refuse.
            4 | 5 if self.expected.len() > 1 => Task::Forget(pick(&self.expected, dice)),
            6 if !self.forgotten.is_empty() => Task::Undo(pick(&self.forgotten, dice)),
            _ => Task::Prune { repacks: dice.percent(50) },
        }
    }

    /// Takes down what must hold after a task; nothing came of it if its actor was killed or failed.
    pub fn note(&mut self, task: Task, done: Option<Done>) {
        match (task, done) {
            (Task::Backup { home, .. }, Some(Done::Saved(id))) => drop(self.expected.insert(id, home)),
            (Task::Forget(id), Some(Done::Forgotten)) => {
                if let Some(home) = self.expected.remove(&id) {
                    self.forgotten.insert(id, home);
                }
            }
            (Task::Undo(id), Some(Done::Back)) => {
                if let Some(home) = self.forgotten.remove(&id) {
                    self.expected.insert(id, home);
                }
            }
            // Killed in between, it may or may not have been done.
            (Task::Forget(id), None) => drop(self.expected.remove(&id)),
            (Task::Undo(id), None) => drop(self.forgotten.remove(&id)),
            _ => {}
        }
    }

    /// Every snapshot that should be there is, and every byte of it.
    pub fn assert_whole(&self, cache: &Path, homes: &Homes) {
        let mut repository = self.open(cache);
        let synced = repository.sync(&mut |_, _| {}).unwrap();
        assert!(synced.damaged.is_empty(), "{:?}", synced.damaged);
        let snapshots = repository.snapshots().unwrap();
        let mut missing: BTreeSet<_> = self.expected.keys().copied().collect();
        let mut reader = repository.reader().unwrap();
        for snapshot in &snapshots {
            let Some(home) = self.expected.get(&snapshot.record.id) else { continue };
            missing.remove(&snapshot.record.id);
            let reached = repository.reach(&[&snapshot.record], 1).unwrap();
            assert!(reached.is_complete(0), "snapshot {}: {:?}", snapshot.record.id, reached.damage());
            let found = read_home(&mut reader, snapshot);
            let found = found.unwrap_or_else(|e| panic!("snapshot {}: {e}", snapshot.record.id));
            assert!(found == *homes.contents(*home), "snapshot {} is another", snapshot.record.id);
        }
        assert!(missing.is_empty(), "snapshots are missing: {missing:?}");
    }
}

/// Carries out a task.
pub fn perform(repository: &mut Repository, task: Task, homes: &Homes) -> Result<Done, Failure> {
    let text = |error: &dyn std::error::Error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    };
    let failure = |text: String| Failure { text, is_refusal: false };
    match task {
        Task::Backup { home, source } => {
            let options = backup_options(&homes.folder(home), source);
            let report = backup(repository, &options, &Meter::default()).map_err(|e| failure(text(&e)))?;
            match report.outcome {
                Outcome::Saved { id, .. } if report.problems.is_empty() => Ok(Done::Saved(id)),
                other => Err(failure(format!("{other:?} {:?}", report.problems))),
            }
        }
        Task::Forget(id) => repository.forget(id).map(|()| Done::Forgotten).map_err(|e| failure(text(&e))),
        Task::Undo(id) => match undo(repository, id, &UndoOptions { level: 1, threads: 1 }) {
            Ok(Undone::Back | Undone::StoredAgain) => Ok(Done::Back),
            Ok(Undone::TooLate(_)) => Ok(Done::TooLate),
            Err(error) => Err(failure(text(&error))),
        },
        Task::Prune { repacks } => {
            let done = prune(repository, &prune_options(repacks), &Meter::default());
            match done {
                Ok(report) if report.republished > 0 => Ok(Done::Repacked),
                Ok(_) => Ok(Done::Pruned),
                Err(error) => {
                    let is_refusal = matches!(
                        error,
                        PruneError::Vanished(_)
                            | PruneError::DamagedCommit(_)
                            | PruneError::NothingLeft { .. }
                    );
                    let told = text(&error);
                    let told =
                        if is_refusal { told.split(':').next().unwrap_or_default().into() } else { told };
                    Err(Failure { text: told, is_refusal })
                }
            }
        }
    }
}

fn backup_options(homes: &Path, source: usize) -> BackupOptions {
    BackupOptions {
        users: Vec::new(),
        homes: HomeSelection::Under(homes.into()),
        source: format!("source{source}"),
        host: "here".into(),
        tags: Vec::new(),
        rules: RuleOptions { default_excludes: false, ..RuleOptions::default() },
        secrets: homekeep::files::rules::SecretOptions::default(),
        vault: None,
        level: 1,
        threads: 1,
        always: true,
        dry_run: false,
        cross_file_systems: false,
        verify_unchanged: false,
        sqlite_copies: false,
        sqlite_program: PROGRAM.into(),
        confirmed: Vec::new(),
        shrink_percent: 50,
        is_privileged: rustix::process::geteuid().is_root(),
        never: Vec::new(),
    }
}

fn prune_options(repacks: bool) -> PruneOptions {
    PruneOptions {
        host: "here".into(),
        grace: Duration::ZERO,
        min_age: Duration::ZERO,
        max_unused: if repacks { MaxUnused::Bytes(0) } else { MaxUnused::Unlimited },
        max_repack: u64::MAX,
        level: 1,
        threads: 1,
        dry_run: false,
        force: false,
    }
}

/// Another machine's cache with the same contents.
pub fn copy_cache(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_cache(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}
