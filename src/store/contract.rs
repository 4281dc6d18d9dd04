//! What every store promises, as tests. Knows only the [`Store`] trait; each store and decorator
//! is run through all of it.

use std::collections::BTreeSet;
use std::thread;

use super::{FaultStore, Listed, LocalStore, MemoryStore, RecordStore, Store, StoreError};
use crate::codec::Hash;
use crate::format::ObjectName;

/// Runs every clause, each on a store of its own that `fresh` makes.
pub(crate) fn check<S: Store>(fresh: impl Fn() -> S) {
    let clauses: &[fn(&dyn Store)] = &[
        what_was_put_is_read_back,
        an_absent_object_is_not_found,
        a_range_beyond_the_end_is_short,
        a_tail_is_the_end_or_all_of_it,
        an_empty_object_is_an_object,
        a_listing_holds_what_begins_with_the_prefix_in_order,
        the_same_bytes_may_be_put_again,
        other_bytes_are_a_conflict_and_change_nothing,
        a_damaged_object_is_replaced,
        deleting_twice_succeeds,
        a_deleted_object_can_be_put_again,
        many_writers_of_one_object_all_succeed,
        one_of_many_different_descriptors_wins,
        what_no_reader_would_accept_is_refused,
    ];
    for clause in clauses {
        clause(&fresh());
    }
}

#[test]
fn a_memory_store_keeps_the_contract() {
    check(MemoryStore::new);
}

#[test]
fn a_local_store_keeps_the_contract() {
    check_local(|local| local);
}

#[test]
fn a_recording_store_keeps_the_contract() {
    check(|| RecordStore::new(MemoryStore::new()));
    check_local(RecordStore::new);
}

#[test]
fn a_store_that_injects_no_fault_keeps_the_contract() {
    check(|| FaultStore::without_fault(MemoryStore::new()));
    check_local(FaultStore::without_fault);
}

fn check_local<S: Store>(decorate: impl Fn(LocalStore) -> S) {
    let folder = tempfile::tempdir().unwrap();
    check(|| {
        let path = tempfile::tempdir_in(folder.path()).unwrap().keep();
        decorate(LocalStore::create(&path).unwrap())
    });
}

/// A segment's name and bytes, different for every `seed`.
fn segment(seed: u32) -> (ObjectName, Vec<u8>) {
    let bytes: Vec<u8> = seed.to_le_bytes().repeat(1000);
    (ObjectName::segment(&Hash::of(&bytes)), bytes)
}

fn names(listed: &[Listed]) -> Vec<&str> {
    listed.iter().map(|object| object.name.as_str()).collect()
}

fn what_was_put_is_read_back(store: &dyn Store) {
    let (name, bytes) = segment(1);
    store.put(&name, &bytes).unwrap();
    store.put(&ObjectName::descriptor(), b"descriptor").unwrap();
    assert_eq!(store.get(&name).unwrap(), bytes);
    assert_eq!(store.get_range(&name, 0, 4000).unwrap(), bytes);
    assert_eq!(store.get_range(&name, 3997, 3).unwrap(), bytes[3997..]);
    assert_eq!(store.get_range(&name, 4000, 0).unwrap(), b"");
    assert_eq!(store.get(&ObjectName::descriptor()).unwrap(), b"descriptor");
}

fn an_absent_object_is_not_found(store: &dyn Store) {
    let (name, bytes) = segment(1);
    let check_absent = || {
        let not_found = |error| matches!(error, StoreError::NotFound { name: n } if n == name);
        assert!(not_found(store.get(&name).unwrap_err()));
        assert!(not_found(store.get_range(&name, 0, 0).unwrap_err()));
        assert!(not_found(store.get_tail(&name, 10).unwrap_err()));
    };
    check_absent();
    assert_eq!(store.list("").unwrap(), []);
    assert_eq!(store.list("segments/").unwrap(), []);
    store.put(&name, &bytes).unwrap();
    store.delete(&name).unwrap();
    check_absent();
    assert_eq!(store.list("").unwrap(), []);
}

fn a_range_beyond_the_end_is_short(store: &dyn Store) {
    let (name, bytes) = segment(1);
    store.put(&name, &bytes).unwrap();
    for (start, length, end) in [(0, 4001, 4001), (3999, 2, 4001), (4001, 0, 4001), (u64::MAX, 9, u64::MAX)] {
        match store.get_range(&name, start, length).unwrap_err() {
            StoreError::Short { length: 4000, wanted, .. } => assert_eq!(wanted, end),
            other => panic!("{other:?}"),
        }
    }
}

fn a_tail_is_the_end_or_all_of_it(store: &dyn Store) {
    let (name, bytes) = segment(1);
    store.put(&name, &bytes).unwrap();
    for (length, start) in [(0, 4000), (1, 3999), (4000, 0), (4001, 0), (usize::MAX, 0)] {
        let tail = store.get_tail(&name, length).unwrap();
        assert_eq!(tail.bytes, bytes[start..]);
        assert_eq!(tail.object_len, 4000);
    }
}

fn lengths(store: &dyn Store, prefix: &str) -> Vec<(ObjectName, u64)> {
    store.list(prefix).unwrap().into_iter().map(|listed| (listed.name, listed.length)).collect()
}

fn an_empty_object_is_an_object(store: &dyn Store) {
    let name = ObjectName::segment(&Hash::of(b""));
    store.put(&name, b"").unwrap();
    store.put(&name, b"").unwrap();
    assert_eq!(store.get(&name).unwrap(), b"");
    assert_eq!(store.get_tail(&name, 5).unwrap().object_len, 0);
    assert_eq!(lengths(store, "segments/"), [(name, 0)]);
}

fn a_listing_holds_what_begins_with_the_prefix_in_order(store: &dyn Store) {
    let keys = ["keys/b", "keys-old/a", "keys/a/c", "keys/a-c", "format", "keys.d/a", "keys/a.c"];
    for (length, key) in keys.into_iter().enumerate() {
        store.put(&key.parse().unwrap(), &vec![7; length]).unwrap();
    }
    let all: BTreeSet<&str> = keys.into();
    assert_eq!(names(&store.list("").unwrap()), Vec::from_iter(all));
    let listed = store.list("keys/").unwrap();
    assert_eq!(names(&listed), ["keys/a-c", "keys/a.c", "keys/a/c", "keys/b"]);
    assert_eq!(listed.iter().map(|object| object.length).collect::<Vec<_>>(), [3, 6, 2, 0]);
    assert_eq!(names(&store.list("keys/a/").unwrap()), ["keys/a/c"]);
    for absent in ["key/", "keys/z/", "../", "/", "/keys/"] {
        assert_eq!(store.list(absent).unwrap(), [], "{absent}");
    }
}

fn the_same_bytes_may_be_put_again(store: &dyn Store) {
    let (name, bytes) = segment(1);
    for name in [&name, &ObjectName::descriptor()] {
        store.put(name, &bytes).unwrap();
        store.put(name, &bytes).unwrap();
        assert_eq!(store.get(name).unwrap(), bytes);
    }
    assert_eq!(store.list("").unwrap().len(), 2);
}

fn other_bytes_are_a_conflict_and_change_nothing(store: &dyn Store) {
    let (name, bytes) = segment(1);
    for name in [&name, &ObjectName::descriptor()] {
        store.put(name, &bytes).unwrap();
        for other in [&b"other"[..], &[1; 4000], b""] {
            let error = store.put(name, other).unwrap_err();
            assert!(matches!(error, StoreError::Conflict { name: n } if n == *name));
        }
        assert_eq!(store.get(name).unwrap(), bytes);
    }
}

fn a_damaged_object_is_replaced(store: &dyn Store) {
    let (name, bytes) = segment(1);
    for damaged in [&bytes[..2000], b"", &[0; 4000], &[&bytes[..], b"x"].concat()] {
        store.put(&name, damaged).unwrap();
        assert_eq!(store.get(&name).unwrap(), damaged);
        store.put(&name, &bytes).unwrap();
        assert_eq!(store.get(&name).unwrap(), bytes);
        assert_eq!(lengths(store, ""), [(name.clone(), 4000)]);
        store.delete(&name).unwrap();
    }
}

fn deleting_twice_succeeds(store: &dyn Store) {
    let ((name, bytes), (other, other_bytes)) = (segment(1), segment(2));
    store.delete(&name).unwrap();
    store.put(&name, &bytes).unwrap();
    store.put(&other, &other_bytes).unwrap();
    store.delete(&name).unwrap();
    store.delete(&name).unwrap();
    assert_eq!(names(&store.list("").unwrap()), [other.as_str()]);
}

fn a_deleted_object_can_be_put_again(store: &dyn Store) {
    let (name, bytes) = segment(1);
    store.put(&name, &bytes).unwrap();
    store.delete(&name).unwrap();
    store.put(&name, &bytes).unwrap();
    assert_eq!(store.get(&name).unwrap(), bytes);
}

fn many_writers_of_one_object_all_succeed(store: &dyn Store) {
    for seed in 0..8 {
        let (name, bytes) = segment(seed);
        let (name, bytes) = (&name, &bytes);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(move || {
                    store.put(name, bytes).unwrap();
                    assert_eq!(store.get(name).unwrap(), *bytes);
                });
            }
        });
        assert_eq!(store.get(name).unwrap(), *bytes);
    }
    assert_eq!(store.list("segments/").unwrap().len(), 8);
}

fn one_of_many_different_descriptors_wins(store: &dyn Store) {
    let name = &ObjectName::descriptor();
    let winners: Vec<u8> = thread::scope(|scope| {
        let writers: Vec<_> =
            (0..8).map(|writer| scope.spawn(move || store.put(name, &[writer]).map(|()| writer))).collect();
        writers.into_iter().filter_map(|writer| writer.join().unwrap().ok()).collect()
    });
    assert_eq!(store.get(name).unwrap(), winners);
}

fn what_no_reader_would_accept_is_refused(store: &dyn Store) {
    let (name, _) = segment(1);
    let too_long = vec![0; crate::format::MAX_OBJECT_LEN as usize + 1];
    assert!(matches!(store.put(&name, &too_long), Err(StoreError::Io { .. })));
    assert_eq!(store.list("").unwrap(), []);
}
