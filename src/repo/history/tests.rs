//! What is kept of the past: thinned as it ages, merged without loss whoever is killed or does the same, and read
//! while others merge.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;

use super::*;
use crate::codec::SnapshotId;
use crate::format::{Attention, HomeRecord, HomeSize, SnapshotRecord};
use crate::keys::Secret;
use crate::repo::CreateOptions;
use crate::store::{Fault, FaultStore, MemoryStore, Store};

const NOW: &str = "2026-11-24T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn hours_ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

fn home(user: &str, bytes: u64, attention: Attention) -> HomeRecord {
    HomeRecord {
        user: user.into(),
        path: format!("/home/{user}").into(),
        root: None,
        files: 1,
        directories: 1,
        bytes,
        bytes_new: 0,
        problems: 0,
        attention,
    }
}

fn snapshot(time: Timestamp, homes: Vec<HomeRecord>) -> SnapshotRecord {
    SnapshotRecord {
        id: SnapshotId([0; 16]),
        supersession: 0,
        time_ms: time.as_millisecond(),
        finished_ms: 0,
        source: "lab".into(),
        host: String::new(),
        program: String::new(),
        tags: vec![],
        homes,
        parents: vec![],
        gc_seen: vec![],
        deps: vec![],
        hints: vec![],
    }
}

/// A size of ann's home at a time.
fn of_ann(time: Timestamp, bytes: u64) -> History {
    let mut history = History::default();
    history.add_snapshot(&snapshot(time, vec![home("ann", bytes, Attention::Normal)]));
    history
}

/// Times in hours before now, with the users.
fn left(history: &History) -> Vec<(i64, Vec<&str>)> {
    let users = |homes: &'_ [HomeSize]| -> Vec<&str> {
        // The names live as long as the history.
        homes.iter().map(|home| if home.user == b"ann" { "ann" } else { "bob" }).collect()
    };
    let hours = |time_ms: i64| (now().as_millisecond() - time_ms) / 3_600_000;
    history.points().map(|(time_ms, _, homes)| (hours(time_ms), users(homes))).collect()
}

fn open(store: Arc<dyn Store>) -> Repository {
    let cache = tempfile::tempdir().unwrap().keep();
    Repository::open(store, &Secret::KeyFile([7; 32].into()), &cache).unwrap()
}

fn created() -> (MemoryStore, Repository) {
    let (store, cache) = (MemoryStore::new(), tempfile::tempdir().unwrap().keep());
    let (secret, options) = (Secret::KeyFile([7; 32].into()), CreateOptions::default());
    let repository = Repository::create(Arc::new(store.clone()), &secret, &cache, &options).unwrap();
    (store, repository)
}

fn copied(store: &MemoryStore) -> MemoryStore {
    let copy = MemoryStore::new();
    for listed in store.list("").unwrap() {
        copy.put(&listed.name, &store.get(&listed.name).unwrap()).unwrap();
    }
    copy
}

fn times(past: &Past) -> BTreeSet<i64> {
    past.history.points().map(|(time_ms, ..)| time_ms).collect()
}

fn objects(store: &dyn Store) -> usize {
    store.list(ObjectName::HISTORY).unwrap().len()
}

#[test]
fn of_hours_then_days_then_weeks_the_last_size_stays() {
    let mut history = History::default();
    let (day, year) = (24, 24 * 365);
    // Two in one hour; two hours of one day a month ago; two days of one week two years ago.
    for time in [hours_ago(1) + SignedDuration::from_mins(1), hours_ago(1) + SignedDuration::from_mins(2)] {
        history.merge(of_ann(time, 1));
    }
    for hours in [13 * day, 13 * day + 1, 30 * day, 30 * day + 1, 30 * day + 24, 2 * year + 40, 2 * year + 64]
    {
        history.merge(of_ann(hours_ago(hours), 1));
    }
    for (hours, bytes) in [(1, 5), (30 * day, 6), (30 * day + 1, 7)] {
        history.add_store(hours_ago(hours), bytes);
    }
    history.thin(now());
    let hours: Vec<i64> = left(&history).into_iter().map(|(hours, _)| hours).rev().collect();
    assert_eq!(hours, [0, 13 * day, 13 * day + 1, 30 * day, 30 * day + 24, 2 * year + 40]);
    assert_eq!(history.stores().map(|(_, bytes)| bytes).collect::<Vec<_>>(), [6, 5]);
    let thinned = history.clone();
    history.thin(now());
    assert_eq!(history, thinned);
}

#[test]
fn a_home_that_only_an_earlier_snapshot_of_the_hour_has_is_kept() {
    let mut history = History::default();
    let minutes = |minutes| hours_ago(1) + SignedDuration::from_mins(minutes);
    let of = |user: &str| home(user, 1, Attention::Normal);
    history.add_snapshot(&snapshot(minutes(1), vec![of("ann"), of("bob")]));
    history.add_snapshot(&snapshot(minutes(2), vec![of("bob")]));
    history.add_snapshot(&snapshot(minutes(3), vec![of("ann")]));
    history.thin(now());
    assert_eq!(left(&history), [(0, vec!["bob"]), (0, vec!["ann"])]);
}

#[test]
fn only_homes_that_are_as_they_should_be_are_kept() {
    let mut history = History::default();
    let homes = [Attention::Shrunk, Attention::Missing, Attention::Removed].map(|a| home("ann", 1, a));
    for (hours, home) in (0..).zip(homes) {
        history.add_snapshot(&snapshot(hours_ago(hours), vec![home]));
    }
    assert_eq!(history, History::default());
    // Two snapshots of one moment are one, and what was there first stays.
    history.add_snapshot(&snapshot(now(), vec![home("bob", 1, Attention::Normal)]));
    let both = ["ann", "bob"].map(|user| home(user, 2, Attention::Normal));
    history.add_snapshot(&snapshot(now(), both.into()));
    let sizes: Vec<_> = history.points().flat_map(|(_, _, homes)| homes).map(|home| home.bytes).collect();
    assert_eq!((left(&history), sizes), (vec![(0, vec!["ann", "bob"])], vec![2, 1]));
}

#[test]
fn a_long_history_becomes_several_records() {
    let homes = |bytes| (0..20_000).map(|n| home(&format!("{n:0200}"), bytes, Attention::Normal)).collect();
    let mut history = History::default();
    for hours in 0..5 {
        history.add_snapshot(&snapshot(hours_ago(hours), homes(hours as u64)));
    }
    history.add_store(now(), 5);
    let records = history.clone().into_records();
    assert!(records.len() > 1, "{}", records.len());
    assert!(records.iter().all(|record| record.to_bytes().len() <= 16 << 20));
    let mut read = History::default();
    records.into_iter().for_each(|record| read.add_record(record));
    assert_eq!(read, history);
}

#[test]
fn many_small_objects_become_one_and_nothing_is_lost() {
    let (store, repository) = created();
    for hours in 0..40 {
        repository.add_history(of_ann(hours_ago(hours), hours as u64), now()).unwrap();
        assert_eq!(times(&repository.past().unwrap()).len(), hours as usize + 1);
        assert!(objects(&store) < MERGE_OBJECTS, "{}", objects(&store));
    }
}

#[test]
fn cut_at_any_call_history_has_what_it_had_and_the_next_run_goes_on() {
    let (store, repository) = created();
    for hours in 1..MERGE_OBJECTS as i64 {
        repository.add_history(of_ann(hours_ago(hours), 1), now()).unwrap();
    }
    let before = times(&repository.past().unwrap());
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::Freeze] {
        for nth in 1.. {
            let copy = copied(&store);
            let faulty = Arc::new(FaultStore::without_fault(copy.clone()));
            let calls_to_open = {
                open(faulty.clone());
                faulty.calls()
            };
            let faulty = Arc::new(FaultStore::at_call(copy.clone(), fault, calls_to_open + nth));
            let result = open(faulty.clone()).add_history(of_ann(now(), 2), now());
            if !faulty.fired() {
                result.unwrap();
                break;
            }
            let after = open(Arc::new(copy.clone()));
            assert!(times(&after.past().unwrap()).is_superset(&before), "{fault:?} at {nth}");
            after.add_history(of_ann(now(), 2), now()).unwrap();
            let past = after.past().unwrap();
            assert!(
                past.unreadable.is_empty() && times(&past).len() == before.len() + 1,
                "{fault:?} at {nth}"
            );
        }
    }
}

#[test]
fn what_cannot_be_read_is_told_and_stays() {
    let (store, repository) = created();
    repository.add_history(of_ann(hours_ago(1), 1), now()).unwrap();
    let name = store.list(ObjectName::HISTORY).unwrap().remove(0).name;
    let bytes = store.get(&name).unwrap();
    store.delete(&name).unwrap();
    store.put(&name, &bytes[..bytes.len() / 2]).unwrap();
    for hours in 2..20 {
        repository.add_history(of_ann(hours_ago(hours), 1), now()).unwrap();
    }
    let past = repository.past().unwrap();
    assert_eq!((past.unreadable.len(), times(&past).len()), (1, 18));
    assert!(store.get(&name).is_ok());
}
