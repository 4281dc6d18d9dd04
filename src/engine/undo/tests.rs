//! What an undo says of snapshots that are forgotten, that are not, and that never were.

use std::sync::Arc;

use super::*;
use crate::engine::testing::Bench;
use crate::format::{GcKind, GcRecord};
use crate::keys::Secret;
use crate::store::{Fault, FaultStore, MemoryStore, Store};

const OPTIONS: UndoOptions = UndoOptions { level: 1, threads: 1 };

fn undone(bench: &mut Bench, id: SnapshotId) -> Undone {
    undo(&mut bench.repository, id, &OPTIONS).unwrap()
}

fn ids(bench: &Bench) -> Vec<SnapshotId> {
    bench.repository.snapshots().unwrap().into_iter().map(|snapshot| snapshot.record.id).collect()
}

#[test]
fn the_only_snapshot_comes_back_and_one_of_several_does() {
    let mut bench = Bench::new();
    let mut saved = Vec::new();
    for text in ["a", "b"] {
        bench.home("ann").file("file", text);
        saved.push(bench.backup("2026-11-20T10:00Z"));
        let newest = saved[saved.len() - 1];
        bench.repository.forget(newest).unwrap();
        assert_eq!(ids(&bench), saved[..saved.len() - 1]);
        assert!(matches!(undone(&mut bench, newest), Undone::Back));
        assert_eq!(ids(&bench), saved);
        // One that is not forgotten stays as it is.
        assert!(matches!(undone(&mut bench, newest), Undone::Back));
    }
}

#[test]
fn it_is_too_late_for_what_has_no_commit_left() {
    let mut bench = Bench::new();
    bench.home("ann").file("file", "a");
    let kept = bench.backup("2026-11-20T10:00Z");
    let gone = SnapshotId([9; 16]);
    bench.repository.forget(gone).unwrap();
    let outcome = undone(&mut bench, gone);
    assert!(matches!(outcome, Undone::TooLate(RepoError::NoSuchSnapshot(id)) if id == gone));
    assert!(bench.repository.is_forgotten(&gone), "nothing was changed");
    assert_eq!(ids(&bench), [kept]);
}

/// As a prune does that is going to delete a snapshot's commit.
fn condemn(bench: &mut Bench, snapshot: &Snapshot) {
    let (segments, host, commits) = (vec![snapshot.hash.short()], "h".into(), Vec::new());
    let record = GcRecord { kind: GcKind::Condemned, time_ms: 0, host, segments, commits };
    bench.repository.put_gc_record(record).unwrap();
}

/// Two snapshots, of which the second builds on what the first stored.
fn two() -> (Bench, [Snapshot; 2]) {
    let mut bench = Bench::new();
    for text in ["a", "b"] {
        bench.home("ann").file(text, text.repeat(3000));
        bench.backup("2026-11-20T10:00Z");
    }
    let snapshots = bench.repository.snapshots().unwrap().try_into().unwrap();
    (bench, snapshots)
}

/// The snapshot as it is listed now, which needs nothing that is condemned.
fn revived(bench: &Bench, snapshot: &Snapshot) -> Snapshot {
    let snapshots = bench.repository.snapshots().unwrap();
    let revived = snapshots.into_iter().find(|found| found.record.id == snapshot.record.id).unwrap();
    assert_eq!(revived.record.supersession, snapshot.record.supersession + 1);
    assert_eq!(revived.record.homes, snapshot.record.homes);
    assert!(bench.repository.gc().hold_none_of(&revived.record.deps), "it names what is condemned");
    assert!(bench.repository.has_all_it_names(&revived).unwrap());
    revived
}

#[test]
fn what_is_condemned_and_nowhere_else_is_stored_again() {
    let (mut bench, [first, second]) = two();
    bench.repository.forget(second.record.id).unwrap();
    condemn(&mut bench, &first);
    let before = bench.store.list("segments/").unwrap().len();
    assert!(matches!(undone(&mut bench, second.record.id), Undone::StoredAgain));
    assert_eq!(bench.store.list("segments/").unwrap().len(), before + 1);
    revived(&bench, &second);
}

#[test]
fn what_is_condemned_and_lies_elsewhere_is_named_there() {
    let (mut bench, [first, second]) = two();
    let reached = bench.repository.reach(&[&first.record, &second.record], 1).unwrap();
    let segments = bench.repository.catalog().segments().unwrap();
    let writing = WriterOptions { level: 1, threads: 1, target: WriteTarget::Store };
    let moved = bench.repository.move_out(&segments, &reached, &writing, &mut |_| {}).unwrap();
    bench.repository.forget(second.record.id).unwrap();
    condemn(&mut bench, &first);
    let before = bench.store.list("segments/").unwrap();
    assert!(matches!(undone(&mut bench, second.record.id), Undone::StoredAgain));
    assert_eq!(bench.store.list("segments/").unwrap(), before, "it was stored once more");
    let deps = revived(&bench, &second).record.deps;
    assert!(moved.segments.iter().all(|segment| deps.contains(segment)));
}

#[test]
fn it_is_too_late_for_what_lost_something_and_that_stays_forgotten() {
    let (mut bench, [first, second]) = two();
    bench.repository.forget(second.record.id).unwrap();
    condemn(&mut bench, &first);
    bench.store.delete(&first.name).unwrap();
    let outcome = undone(&mut bench, second.record.id);
    assert!(matches!(outcome, Undone::TooLate(RepoError::MissingChunk(_))), "{outcome:?}");
    assert!(bench.repository.is_forgotten(&second.record.id));
    let mark = crate::format::ObjectName::forgotten(second.record.id);
    bench.store.get(&mark).unwrap();
}

/// That the store does not answer says nothing of what it holds: whoever hears that it is too late gives up.
#[test]
fn a_store_that_fails_is_an_error_and_never_too_late() {
    let (mut bench, [first, second]) = two();
    bench.repository.forget(second.record.id).unwrap();
    condemn(&mut bench, &first);
    let undone_at = |call| {
        let copy = MemoryStore::new();
        for listed in bench.store.list("").unwrap() {
            copy.put(&listed.name, &bench.store.get(&listed.name).unwrap()).unwrap();
        }
        let cache = tempfile::tempdir().unwrap();
        let store = Arc::new(FaultStore::at_call(copy, Fault::FailBefore, call));
        let undone = Repository::open(store.clone(), &Secret::KeyFile([7; 32].into()), cache.path())
            .and_then(|mut repository| undo(&mut repository, second.record.id, &OPTIONS));
        (undone, store.fired())
    };
    let mut failed = 0;
    for call in 1.. {
        let (undone, has_fired) = undone_at(call);
        assert!(!matches!(undone, Ok(Undone::TooLate(_))), "call {call}: {undone:?}");
        failed += u64::from(undone.is_err());
        if !has_fired {
            break;
        }
    }
    assert!(failed >= 10, "{failed} calls only");
}
