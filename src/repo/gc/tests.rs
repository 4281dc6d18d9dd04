//! What follows from records, one step at a time: whose look fails, what is judged safe, and what cannot be read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::engine::testing::Bench;
use crate::keys::Secret;
use crate::store::{MemoryStore, Store, StoreError, Tail};

/// A store whose listings of records are old at first: these, one after the other. Remembers what it is told to
/// make durable.
#[derive(Debug)]
struct OldListings {
    inner: MemoryStore,
    old: Mutex<VecDeque<Vec<Listed>>>,
    persisted: Mutex<Vec<ObjectName>>,
}

#[deny(clippy::missing_trait_methods)]
impl Store for OldListings {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.put(name, bytes)
    }

    fn persist(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.persisted.lock().unwrap().push(name.clone());
        self.inner.persist(name)
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, StoreError> {
        self.inner.get(name)
    }

    fn get_range(&self, name: &ObjectName, start: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.inner.get_range(name, start, length)
    }

    fn get_tail(&self, name: &ObjectName, length: usize) -> Result<Tail, StoreError> {
        self.inner.get_tail(name, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let old = if prefix == ObjectName::GC { self.old.lock().unwrap().pop_front() } else { None };
        old.map_or_else(|| self.inner.list(prefix), Ok)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.inner.delete(name)
    }

    fn clean_up(&self, older_than: Duration) -> Result<usize, StoreError> {
        self.inner.clean_up(older_than)
    }

    fn list_delay(&self) -> Duration {
        self.inner.list_delay()
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

/// Another machine's way into a bench's repository.
fn elsewhere(bench: &Bench) -> Repository {
    elsewhere_on(Arc::new(bench.store.clone()))
}

fn elsewhere_on(store: Arc<dyn Store>) -> Repository {
    let cache = tempfile::tempdir().unwrap().keep();
    Repository::open(store, &Secret::KeyFile([7; 32].into()), &cache).unwrap()
}

/// A machine to which these listings of records are shown before the true ones.
fn with_old_listings(bench: &Bench, old: Vec<Vec<Listed>>) -> Repository {
    with_store(bench, old).0
}

fn with_store(bench: &Bench, old: Vec<Vec<Listed>>) -> (Repository, Arc<OldListings>) {
    let repository = elsewhere_on(Arc::new(bench.store.clone()));
    let (old, persisted) = (Mutex::new(old.into()), Mutex::default());
    let store = Arc::new(OldListings { inner: bench.store.clone(), old, persisted });
    (Repository { store: store.clone(), ..repository }, store)
}

fn segment(number: u8) -> ShortHash {
    [number; 8]
}

fn record(kind: GcKind, segments: &[u8]) -> GcRecord {
    let segments = segments.iter().copied().map(segment).collect();
    GcRecord { kind, time_ms: 1_764_000_000_000, host: "h".into(), segments, commits: Vec::new() }
}

fn listed(bench: &Bench) -> Vec<Listed> {
    bench.store.list(ObjectName::GC).unwrap()
}

/// A commit of which nothing is known but its name.
fn commit() -> Hash {
    Hash([9; 32])
}

/// Something under a record's name that no prune wrote.
fn put_garbage(bench: &Bench, kind: &str) -> ObjectName {
    let hash = Hash::of(b"garbage");
    let name: ObjectName = format!("{}{kind}-20261124t120000.000z-{hash}", ObjectName::GC).parse().unwrap();
    bench.store.put(&name, b"garbage").unwrap();
    name
}

#[test]
fn records_say_what_is_condemned_and_what_is_deleted() {
    let mut bench = Bench::new();
    bench.repository.put_gc_record(record(GcKind::Condemned, &[1, 2])).unwrap();
    bench.repository.put_gc_record(record(GcKind::Deleted, &[3])).unwrap();
    let mut other = elsewhere(&bench);
    other.sync(&mut |_, _| {}).unwrap();
    for gc in [bench.repository.gc(), other.gc()] {
        assert!([1, 2, 3].iter().all(|n| gc.holds(&segment(*n))) && !gc.holds(&segment(4)));
        assert!(gc.condemns(&segment(1)) && gc.condemns(&segment(2)));
        assert!(!gc.condemns(&segment(3)) && !gc.condemns(&segment(4)));
        assert_eq!(gc.deleted(), [segment(3)].into());
        assert_eq!(gc.segments().collect::<HashSet<_>>(), [1, 2, 3].map(segment).into());
        assert!(gc.hold_none_of(&[segment(4), segment(5)]));
        assert!(!gc.hold_none_of(&[segment(4), segment(3)]));
        assert_eq!((gc.names().count(), gc.iter().count()), (2, 2));
    }
}

#[test]
fn a_commit_passes_unless_a_record_that_its_writer_had_not_seen_speaks_of_what_it_names() {
    let mut bench = Bench::new();
    bench.home("ann").file("a", "a");
    bench.backup("2026-11-20T10:00Z");
    let mut snapshot = bench.repository.snapshots().unwrap().remove(0).record;
    let own = commit().short();
    let mut name = |segments| {
        bench.repository.put_gc_record(GcRecord { segments, ..record(GcKind::Condemned, &[]) }).unwrap()
    };
    let names = [name(vec![segment(1)]), name(vec![own])].map(|name| name.to_string());
    let gc = bench.repository.gc();
    let mut passes = |deps: &[u8], seen: &[&String]| {
        snapshot.deps = deps.iter().copied().map(segment).collect();
        snapshot.gc_seen = seen.iter().map(ToString::to_string).collect();
        gc.pass(&commit(), &snapshot)
    };
    let [about_segment, about_commit] = &names;
    assert!(passes(&[2], &[about_commit]), "no record speaks of it");
    assert!(passes(&[1], &[about_segment, about_commit]), "the writer had seen them");
    assert!(!passes(&[2, 1], &[about_commit]));
    assert!(!passes(&[2], &[about_segment]), "the commit itself is condemned");
    assert!(!passes(&[1], &[]));
}

#[test]
fn a_look_fails_by_a_record_that_is_new_and_speaks_of_what_is_needed() {
    let mut bench = Bench::new();
    let other = elsewhere(&bench);
    let name = bench.repository.put_gc_record(record(GcKind::Condemned, &[1])).unwrap();
    other.look(&commit(), &[segment(2)]).unwrap();
    let failed = other.look(&commit(), &[segment(2), segment(1)]);
    assert!(matches!(failed, Err(RepoError::Condemned(by)) if by == name));
    // Who knew the record did not rely on what it speaks of, or found it to be superfluous.
    bench.repository.look(&commit(), &[segment(1)]).unwrap();
    let own = GcRecord { segments: vec![commit().short()], ..record(GcKind::Condemned, &[]) };
    bench.repository.put_gc_record(own).unwrap();
    assert!(matches!(other.look(&commit(), &[]), Err(RepoError::Condemned(_))));
}

#[test]
fn one_listing_that_lacks_a_record_does_not_hide_it_from_a_look() {
    let mut bench = Bench::new();
    let before = listed(&bench);
    bench.repository.put_gc_record(record(GcKind::Condemned, &[1])).unwrap();
    let other = with_old_listings(&bench, vec![before.clone()]);
    assert!(matches!(other.look(&commit(), &[segment(1)]), Err(RepoError::Condemned(_))));
    let mut other = with_old_listings(&bench, vec![before]);
    other.refresh_gc().unwrap();
    assert!(other.gc().holds(&segment(1)));
}

#[test]
fn what_was_listed_and_is_replaced_before_it_is_read_is_found_in_what_replaced_it() {
    let mut bench = Bench::new();
    let name = bench.repository.put_gc_record(record(GcKind::Condemned, &[1])).unwrap();
    let old = listed(&bench);
    bench.repository.put_gc_record(record(GcKind::Deleted, &[1])).unwrap();
    bench.repository.withdraw_gc_record(&name).unwrap();
    let other = with_old_listings(&bench, vec![old.clone(), old.clone()]);
    let failed = other.look(&commit(), &[segment(1)]);
    assert!(matches!(failed, Err(RepoError::Condemned(by)) if by.gc_kind() == Some(GcKind::Deleted)));
    let mut other = with_old_listings(&bench, vec![old.clone(), old]);
    other.refresh_gc().unwrap();
    assert_eq!(other.gc().deleted(), [segment(1)].into());
    other.require_known_gc().unwrap();
}

#[test]
fn a_record_that_cannot_be_read_ends_looks_and_is_removed_only_when_it_is_told() {
    let bench = Bench::new();
    let mut other = elsewhere(&bench);
    let name = put_garbage(&bench, "condemned");
    let failed = other.look(&commit(), &[]).unwrap_err();
    assert_eq!(failed.object(), Some(name.clone()));
    let sync = |repository: &mut Repository| repository.sync(&mut |_, _| {}).map(drop);
    sync(&mut other).unwrap();
    let refused = other.require_known_gc().unwrap_err();
    assert_eq!(refused.object(), Some(name.clone()));
    // A kind of record that a later program keeps is none of this one's business.
    let later = put_garbage(&bench, "later");
    sync(&mut other).unwrap();
    other.remove_unreadable_gc().unwrap();
    assert_eq!(listed(&bench).into_iter().map(|listed| listed.name).collect::<Vec<_>>(), [later]);
    sync(&mut other).unwrap();
    assert!(matches!(other.require_known_gc(), Err(RepoError::Maintained(_))));
}

#[test]
fn what_a_record_says_is_deleted_leaves_the_index() {
    let mut bench = Bench::new();
    bench.home("ann").file("a", "a");
    bench.backup("2026-11-20T10:00Z");
    let mut other = elsewhere(&bench);
    other.sync(&mut |_, _| {}).unwrap();
    let commit = bench.repository.snapshots().unwrap().remove(0);
    bench.store.delete(&commit.name).unwrap();
    let segments = vec![commit.hash.short()];
    bench.repository.put_gc_record(GcRecord { segments, ..record(GcKind::Deleted, &[]) }).unwrap();
    assert_eq!(other.catalog().segments().unwrap().len(), 1);
    other.refresh_gc().unwrap();
    assert_eq!(other.catalog().segments().unwrap(), []);
}

/// Whoever put them may have been killed before they were durable, and what follows from them is about to be.
#[test]
fn records_and_marks_that_were_only_seen_are_made_durable() {
    let mut bench = Bench::new();
    let name = bench.repository.put_gc_record(record(GcKind::Condemned, &[1])).unwrap();
    let (mut other, store) = with_store(&bench, Vec::new());
    let persisted = || std::mem::take(&mut *store.persisted.lock().unwrap());
    other.refresh_gc().unwrap();
    assert_eq!(persisted(), [name]);
    other.refresh_gc().unwrap();
    assert_eq!(persisted(), [], "it is known");
    other.persist_marks().unwrap();
    assert!(matches!(&persisted()[..], [mark] if mark.as_str().starts_with(ObjectName::FORGOTTEN)));
}

/// Two snapshots, of which the second builds on what the first stored.
fn two() -> (Bench, Vec<Snapshot>) {
    let mut bench = Bench::new();
    bench.home("ann").file("a", "what both have");
    bench.backup("2026-11-20T10:00Z");
    bench.home("ann").file("b", "what the second has");
    bench.backup("2026-11-20T11:00Z");
    let mut snapshots = bench.repository.snapshots().unwrap();
    snapshots.sort_by_key(|snapshot| snapshot.record.deps.len());
    (bench, snapshots)
}

#[test]
fn a_commit_has_all_it_names_only_if_it_names_all_it_needs() {
    let (bench, snapshots) = two();
    assert!(bench.repository.has_all_it_names(&snapshots[0]).unwrap());
    assert!(bench.repository.has_all_it_names(&snapshots[1]).unwrap());
    // What it needs is there, but it does not say so.
    let mut silent = snapshots[1].clone();
    silent.record.deps.clear();
    assert!(!bench.repository.has_all_it_names(&silent).unwrap());
    // What it says is not there.
    bench.store.delete(&snapshots[0].name).unwrap();
    let mut other = elsewhere(&bench);
    other.sync(&mut |_, _| {}).unwrap();
    assert!(!other.has_all_it_names(&snapshots[1]).unwrap());
}

#[test]
fn a_commit_whose_deps_are_condemned_is_safe_only_if_what_it_names_elsewhere_is_enough() {
    let (mut bench, snapshots) = two();
    assert!(bench.repository.is_safe(&snapshots[1]).unwrap());
    // Nothing in it is needed.
    let mut more = snapshots[1].clone();
    more.record.deps.push(segment(1));
    bench.repository.put_gc_record(record(GcKind::Condemned, &[1])).unwrap();
    assert!(!bench.repository.gc().pass(&more.hash, &more.record));
    assert!(bench.repository.is_safe(&more).unwrap());
    // What both have is in it, and nowhere else.
    let first = vec![snapshots[0].hash.short()];
    bench.repository.put_gc_record(GcRecord { segments: first, ..record(GcKind::Condemned, &[]) }).unwrap();
    assert!(!bench.repository.is_safe(&snapshots[1]).unwrap());
    assert_eq!(bench.repository.sound_deps(&snapshots[1]).unwrap(), None);
    // All of it is stored elsewhere, but the commit lies nowhere else.
    assert!(!bench.repository.is_safe(&snapshots[0]).unwrap());
}
