//! What is moved out of a segment, and what the snapshots say that are published again without it.

use std::sync::Arc;

use super::*;
use crate::engine::testing::Bench;
use crate::keys::Secret;
use crate::repo::WriteTarget;
use crate::store::Store;

/// Two snapshots, of which the second builds on what the first stored and has not all of it.
fn two() -> (Bench, Vec<Snapshot>) {
    let mut bench = Bench::new();
    bench.home("ann").file("both", "b".repeat(5000)).file("first", "f".repeat(3000));
    bench.backup("2026-11-20T10:00Z");
    bench.home("ann").remove("first");
    bench.home("ann").file("second", "s".repeat(3000));
    bench.backup("2026-11-20T11:00Z");
    let snapshots = bench.repository.snapshots().unwrap();
    assert_eq!(snapshots[1].record.parents, [snapshots[0].hash]);
    (bench, snapshots)
}

fn options() -> WriterOptions {
    WriterOptions { level: 1, threads: 1, target: WriteTarget::Store }
}

/// Moves what these snapshots need out of the first commit. Gives what the progress was told, too.
fn move_out(bench: &mut Bench, first: &Snapshot, needing: &[Snapshot]) -> (Moved, u64) {
    let records: Vec<_> = needing.iter().map(|snapshot| &snapshot.record).collect();
    let reached = bench.repository.reach(&records, 1).unwrap();
    let segments = bench.repository.catalog().segments().unwrap();
    let from: Vec<_> = segments.into_iter().filter(|segment| segment.hash == first.hash).collect();
    let mut told = 0;
    let moved = bench.repository.move_out(&from, &reached, &options(), &mut |bytes| told += bytes).unwrap();
    (moved, told)
}

fn elsewhere(bench: &Bench) -> Repository {
    let cache = tempfile::tempdir().unwrap().keep();
    let store = Arc::new(bench.store.clone());
    let mut other = Repository::open(store, &Secret::KeyFile([7; 32].into()), &cache).unwrap();
    other.sync(&mut |_, _| {}).unwrap();
    other
}

#[test]
fn snapshots_that_are_published_again_need_nothing_of_what_was_left_out() {
    let (mut bench, snapshots) = two();
    let before = bench.store.list(ObjectName::SEGMENTS).unwrap();
    let (moved, told) = move_out(&mut bench, &snapshots[0], &snapshots);
    let after = bench.store.list(ObjectName::SEGMENTS).unwrap();
    let new: Vec<_> = after.iter().filter(|listed| !before.contains(listed)).collect();
    assert_eq!((moved.objects, moved.bytes_stored), (1, new[0].length), "{new:?}");
    assert_eq!((new.len(), moved.segments.len()), (1, 1));
    assert!(told > 0);

    bench.repository.put_gc_record(record_of_nothing()).unwrap();
    let without: HashSet<ShortHash> = snapshots.iter().map(|snapshot| snapshot.hash.short()).collect();
    let (second, _) = move_out(&mut bench, &snapshots[1], &snapshots);
    let added = [moved.segments, second.segments].concat();
    let next = |snapshot: &Snapshot| snapshot.record.supersession + 3;
    // Whatever order they come in, a parent is published before what was built on it.
    let commits = [snapshots[1].hash, snapshots[0].hash];
    let published = bench.repository.republish(&commits, &without, &added, next).unwrap();
    for snapshot in &snapshots {
        bench.store.delete(&snapshot.name).unwrap();
    }
    let other = elsewhere(&bench);
    let found = other.snapshots().unwrap();
    assert_eq!(found.iter().map(|s| s.record.supersession).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(found.iter().map(|s| s.hash).collect::<Vec<_>>(), [published[0].hash, published[1].hash]);
    assert_eq!(found[1].record.parents, [published[0].hash], "its parent is the new form");
    let known: Vec<String> = other.gc().names().map(ToString::to_string).collect();
    for (old, new) in snapshots.iter().zip(&found) {
        assert_eq!((old.record.id, &old.record.homes), (new.record.id, &new.record.homes));
        assert!(new.record.deps.iter().all(|dep| !without.contains(dep)), "{:?}", new.record.deps);
        assert!(other.has_all_it_names(new).unwrap());
        assert_eq!(new.record.gc_seen, known);
    }
}

#[test]
fn only_what_is_needed_is_moved() {
    let (mut bench, snapshots) = two();
    let (all, _) = move_out(&mut bench, &snapshots[0], &snapshots);
    let chunks = |bench: &Bench, moved: &Moved| {
        let segments = bench.repository.catalog().segments().unwrap();
        let row = segments.iter().find(|s| s.hash.short() == moved.segments[0]).unwrap().row;
        let mut found = 0;
        bench.repository.catalog().scan_chunks(|_, place| found += u32::from(place.segment == row)).unwrap();
        found
    };
    let all = chunks(&bench, &all);
    let (mut bench, snapshots) = two();
    let (some, _) = move_out(&mut bench, &snapshots[0], &snapshots[1..]);
    let some = chunks(&bench, &some);
    assert!(0 < some && some < all, "{some} of {all} chunks");
}

#[test]
fn where_nothing_is_needed_nothing_is_written() {
    let (mut bench, snapshots) = two();
    let before = bench.store.list("").unwrap();
    let (moved, told) = move_out(&mut bench, &snapshots[0], &[]);
    assert_eq!((moved.objects, moved.bytes_stored, moved.segments.len(), told), (0, 0, 0, 0));
    assert_eq!(bench.store.list("").unwrap(), before);
}

/// A record that is known when something is published again.
fn record_of_nothing() -> crate::format::GcRecord {
    let (host, segments, commits) = ("h".into(), vec![[1; 8]], Vec::new());
    crate::format::GcRecord { kind: crate::format::GcKind::Condemned, time_ms: 0, host, segments, commits }
}
