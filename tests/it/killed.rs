//! Operations that die, or whose store fails, at each of their calls. Every snapshot that was there
//! afterwards is whole, and the next run succeeds.

mod checked;
mod creation;
mod images;
mod keys;
mod mending;
mod pruning;
mod undoing;

use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use homekeep::codec::SnapshotId;
use homekeep::engine::Meter;
use homekeep::engine::backup::{BackupError, BackupOptions, HomeSelection, backup};
use homekeep::engine::restore::RestoreTarget;
use homekeep::store::{Fault, FaultStore, LocalStore, MemoryStore, Store};
use tempfile::TempDir;

use self::checked::assert_checks_clean;
use crate::support::{Contents, Site, contents, copy_tree, names, noise, source_of, write_old};

/// A repository with one snapshot of a home that has changed since.
struct Interrupted {
    site: Site,
    first: SnapshotId,
    before: Contents,
    after: Contents,
}

impl Interrupted {
    /// `new_bytes` have come since the snapshot.
    fn new(store: Arc<dyn Store>, new_bytes: usize) -> Self {
        let site = Site::on(store);
        let home = site.home("ann");
        fs::create_dir(home.join("work")).unwrap();
        for n in 0..10 {
            write_old(&home.join(format!("work/{n}")), noise(n, 3000));
        }
        site.backup();
        let first = site.repository().snapshots().unwrap()[0].record.id;
        let before = contents(&home);
        write_old(&home.join("work/3"), "edited");
        fs::rename(home.join("work/4"), home.join("moved")).unwrap();
        write_old(&home.join("new"), noise(100, new_bytes));
        let after = contents(&home);
        Self { site, first, before, after }
    }

    fn options(&self, site: &Site) -> BackupOptions {
        BackupOptions { homes: HomeSelection::Under(self.site.homes()), ..site.backup_options() }
    }

    /// What any machine finds now: snapshots that are as the home was, once or now.
    fn assert_snapshots_are_whole(&self, store: Arc<dyn Store>) -> usize {
        let site = Site::in_memory(store);
        let snapshots = site.repository().snapshots().unwrap();
        for (n, snapshot) in snapshots.iter().enumerate() {
            let (_, source) = source_of(snapshot, "ann").unwrap();
            let target = site.path(format!("restored-{n}"));
            let restored = site.restore_to(&[source], RestoreTarget::Contents(target.clone()), |_| {});
            assert!(restored.report.is_complete(), "{:?}", restored.report.problems);
            let expected = if snapshot.record.id == self.first { &self.before } else { &self.after };
            assert!(contents(&target) == *expected, "snapshot {n} differs");
        }
        assert!(snapshots.iter().any(|snapshot| snapshot.record.id == self.first));
        snapshots.len()
    }

    /// Lets a backup meet the fault at each of its calls, until there are no more; `copy` gives the
    /// repository as it was, each time anew.
    fn assert_survives<S: Store + 'static>(&self, fault: Fault, copy: impl Fn() -> Copied<S>) -> u64 {
        for nth in 1.. {
            let copied = copy();
            let faulty = Arc::new(FaultStore::at_call(copied.store, fault, nth));
            let site = Site::in_memory(faulty.clone());
            let result = site.try_backup(&self.options(&site));
            assert!(result.is_ok() || faulty.fired(), "call {nth}: {:?}", result.err());
            let has_fired = faulty.fired();
            assert!(fault != Fault::Freeze || result.is_err() == has_fired, "call {nth} went unnoticed");
            let found = self.assert_snapshots_are_whole(copied.again.clone());
            assert!(result.is_err() || found == 2, "call {nth}: success was reported without a snapshot");
            assert_checks_clean(copied.again.as_ref());
            // The same machine, with whatever its local index has come to, and another one.
            let again = site.reopened(copied.again.clone());
            again.try_backup(&self.options(&again)).unwrap();
            let other = Site::in_memory(copied.again.clone());
            other.try_backup(&self.options(&other)).unwrap();
            assert!(self.assert_snapshots_are_whole(copied.again) >= 2, "call {nth}");
            if !has_fired {
                return nth - 1;
            }
        }
        unreachable!("a backup makes some number of calls")
    }
}

/// All that can go wrong with a call.
const FAULTS: [Fault; 4] = [Fault::Freeze, Fault::FailBefore, Fault::FailAfter, Fault::Torn];

/// Lets `operate` meet each kind of fault at each of its calls on a copy of a store, and gives what it
/// returned to `check`, with a way into the store on which nothing fails. Says how many calls there were.
fn at_each_call<T, E: Debug>(
    store: &MemoryStore,
    operate: impl Fn(Arc<dyn Store>) -> Result<T, E>,
    check: impl Fn(Result<T, E>, MemoryStore),
) -> u64 {
    let mut calls = 0;
    for fault in FAULTS {
        for nth in 1.. {
            let copied = copy_memory(store).store;
            let faulty = Arc::new(FaultStore::at_call(copied.clone(), fault, nth));
            let result = operate(faulty.clone());
            assert!(result.is_ok() || faulty.fired(), "{fault:?} {nth}: {:?}", result.err());
            check(result, copied);
            if !faulty.fired() {
                calls = nth - 1;
                break;
            }
        }
    }
    calls
}

/// A store to spoil, and a second way into it.
struct Copied<S> {
    store: S,
    again: Arc<dyn Store>,
    _folder: Option<TempDir>,
}

fn copy_memory(from: &MemoryStore) -> Copied<MemoryStore> {
    let store = MemoryStore::new();
    for name in names(from, "") {
        store.put(&name, &from.get(&name).unwrap()).unwrap();
    }
    Copied { store: store.clone(), again: Arc::new(store), _folder: None }
}

fn copy_local(from: &Path) -> Copied<LocalStore> {
    let folder = tempfile::tempdir().unwrap();
    copy_tree(from, folder.path());
    let open = || LocalStore::open(folder.path()).unwrap();
    Copied { store: open(), again: Arc::new(open()), _folder: Some(folder) }
}

#[test]
fn a_small_backup_can_die_or_meet_an_error_at_any_call() {
    let store = MemoryStore::new();
    let interrupted = Interrupted::new(Arc::new(store.clone()), 5000);
    for fault in FAULTS {
        let calls = interrupted.assert_survives(fault, || copy_memory(&store));
        assert!(calls >= 8, "{fault:?} met {calls} calls only");
    }
}

#[test]
fn a_backup_of_several_objects_can_die_at_any_call() {
    let store = MemoryStore::new();
    let interrupted = Interrupted::new(Arc::new(store.clone()), 17 << 20);
    interrupted.assert_survives(Fault::Freeze, || copy_memory(&store));
    interrupted.assert_survives(Fault::Torn, || copy_memory(&store));
}

#[test]
fn a_backup_into_a_folder_can_die_at_any_call() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalStore::create(folder.path()).unwrap());
    let interrupted = Interrupted::new(store, 5000);
    for fault in [Fault::Freeze, Fault::Torn] {
        interrupted.assert_survives(fault, || copy_local(folder.path()));
    }
}

#[test]
fn what_a_killed_run_stored_is_used_by_the_next() {
    let store = MemoryStore::new();
    let interrupted = Interrupted::new(Arc::new(store.clone()), 17 << 20);
    let copied = copy_memory(&store);
    // The second put is the snapshot's.
    let faulty = FaultStore::at_mutation(copied.store, Fault::Freeze, 2);
    let site = Site::in_memory(Arc::new(faulty));
    site.try_backup(&interrupted.options(&site)).unwrap_err();
    let site = site.reopened(copied.again);
    let mut options = interrupted.options(&site);
    options.dry_run = true;
    let report = site.try_backup(&options).unwrap();
    assert!(report.bytes_new() < 4 << 20, "{} bytes are to be stored again", report.bytes_new());
}

#[test]
fn a_backup_that_is_told_to_stop_stops_and_nothing_is_lost() {
    let store = MemoryStore::new();
    let interrupted = Interrupted::new(Arc::new(store.clone()), 5000);
    let meter = Meter::default();
    meter.interrupt();
    let mut repository = interrupted.site.open().unwrap();
    let stopped = backup(&mut repository, &interrupted.options(&interrupted.site), &meter);
    assert!(matches!(stopped, Err(BackupError::Interrupted)), "{stopped:?}");
    assert_eq!(interrupted.assert_snapshots_are_whole(Arc::new(store)), 1);
    interrupted.site.backup();
}
