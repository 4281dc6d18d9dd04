//! Which segments and commits stay: what is named, what is used, and what is both.

use super::*;
use crate::index::BlockRow;

/// Two snapshots, of which the second builds on the first. The first is forgotten.
fn built_upon() -> (Bench, [Snapshot; 2]) {
    let mut bench = Bench::new();
    for (file, text) in [("a", "what both have"), ("b", "what the second has")] {
        bench.home("ann").file(file, text);
        bench.backup("2026-11-20T10:00Z");
    }
    let mut snapshots = bench.repository.snapshots().unwrap();
    snapshots.sort_by_key(|snapshot| snapshot.record.deps.len());
    bench.repository.forget(snapshots[0].record.id).unwrap();
    (bench, snapshots.try_into().unwrap())
}

/// No writer leaves such a commit.
#[test]
fn what_is_needed_and_named_by_nobody_stays() {
    let (mut bench, [first, second]) = built_upon();
    let silent = SnapshotRecord { deps: Vec::new(), supersession: 1, ..second.record };
    commit(&mut bench.repository, silent);
    for _ in 0..2 {
        prune(&mut bench.repository, &options(), &Meter::default()).unwrap();
    }
    assert!(is_there(&bench.store, &first.name));
    let machine = elsewhere(&bench.store);
    let snapshot = machine.snapshots().unwrap().remove(0);
    assert!(machine.reach(&[&snapshot.record], 1).unwrap().is_complete(0));
}

#[test]
fn what_is_needed_and_named_stays_in_each_of_its_places() {
    let (mut bench, [first, second]) = built_upon();
    let reached = bench.repository.reach(&[&second.record], 1).unwrap();
    let segments = bench.repository.catalog().segments().unwrap();
    let writing = WriterOptions { level: 1, threads: 1, target: WriteTarget::Store };
    let moved = bench.repository.move_out(&segments, &reached, &writing, &mut |_| {}).unwrap();
    let named = [&second.record.deps[..], &[second.hash.short()], &moved.segments].concat();
    let all = SnapshotRecord { deps: named, supersession: 1, ..second.record.clone() };
    commit(&mut bench.repository, all);
    let report = prune(&mut bench.repository, &options(), &Meter::default()).unwrap();
    assert_eq!((report.unneeded.objects, report.deleted.objects), (0, 0));
    assert!(is_there(&bench.store, &first.name) && is_there(&bench.store, &second.name));
}

/// What the snapshot would lead to is unknown where a tree is gone, so nothing that it names is unneeded.
#[test]
fn what_a_snapshot_names_stays_while_it_cannot_be_walked_to_the_end() {
    let (mut bench, [first, second]) = built_upon();
    let mut gone = SnapshotRecord { deps: vec![first.hash.short()], ..second.record.clone() };
    gone.supersession = 1;
    gone.parents.clear();
    let root = gone.homes[0].root.as_mut().unwrap();
    root.kind = EntryKind::Directory(ChunkId([9; 32]));
    commit(&mut bench.repository, gone);
    for _ in 0..2 {
        let report = prune(&mut bench.repository, &options(), &Meter::default()).unwrap();
        assert_eq!(report.incomplete, [second.record.id]);
    }
    assert!(is_there(&bench.store, &first.name));
    assert!(!is_there(&bench.store, &second.name), "it was replaced");
}

/// Who published a snapshot again found out too late that what the new commit names was deleted. Nothing but the older commit
/// has the snapshot.
#[test]
fn what_an_older_commit_names_stays_while_the_newer_one_is_not_safe() {
    let (mut bench, [first, second]) = built_upon();
    let gone = [4; 8];
    let deps = vec![first.hash.short(), second.hash.short()];
    let good = SnapshotRecord { deps, supersession: 1, ..second.record.clone() };
    commit(&mut bench.repository, good);
    let hopeless = SnapshotRecord { deps: vec![gone], supersession: 2, ..second.record.clone() };
    commit(&mut bench.repository, hopeless);
    put_record(&bench.store, record(GcKind::Deleted, vec![gone], now_ms()));
    for _ in 0..2 {
        prune(&mut bench.repository, &options(), &Meter::default()).unwrap();
    }
    assert!(is_there(&bench.store, &first.name) && is_there(&bench.store, &second.name));
    let commits = elsewhere(&bench.store).commits().unwrap();
    assert!(commits.iter().any(|commit| commit.record.supersession == 1));
}

#[test]
fn a_report_counts_what_is_there_what_is_needed_and_what_is_wasted_in_between() {
    let (mut bench, [first, _]) = built_upon();
    let prune = |bench: &mut Bench| {
        prune(&mut bench.repository, &PruneOptions { dry_run: true, ..options() }, &Meter::default()).unwrap()
    };
    let report = prune(&mut bench);
    let stored = |prefix: &str| {
        let listed = bench.store.list(prefix).unwrap();
        Amount { objects: listed.len() as u64, bytes: listed.iter().map(|listed| listed.length).sum() }
    };
    assert_eq!(report.before, stored("snapshots/"));
    assert_eq!((report.snapshots, report.unneeded.objects), (1, 0));
    // The file in the first commit is needed, and its listing of the home is not.
    let catalog = bench.repository.catalog();
    let segments = catalog.segments().unwrap();
    let row = segments.iter().find(|segment| segment.hash == first.hash).unwrap().row;
    let mut listings = 0;
    let count = |segment, _, block: &BlockRow| {
        let counts = segment == row && block.kind == BlockKind::Tree;
        listings += if counts { u64::from(block.stored_len) } else { 0 };
    };
    catalog.scan_blocks(count).unwrap();
    assert!(listings > 0);
    assert_eq!(report.bytes_unused, listings);
}
