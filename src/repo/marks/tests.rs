//! Which marks are removed, and how many are said to be.

use super::*;
use crate::engine::testing::Bench;
use crate::store::Store;

fn marks(bench: &Bench) -> Vec<ObjectName> {
    bench.store.list(ObjectName::FORGOTTEN).unwrap().into_iter().map(|listed| listed.name).collect()
}

/// A snapshot, and marks on it and on some that are gone.
fn marked(gone: &[SnapshotId]) -> (Bench, SnapshotId) {
    let mut bench = Bench::new();
    bench.home("ann").file("a", "a");
    let id = bench.backup("2026-11-20T10:00Z");
    for id in gone.iter().chain([&id]) {
        bench.repository.forget(*id).unwrap();
    }
    (bench, id)
}

#[test]
fn all_marks_of_a_snapshot_are_removed_and_counted_and_no_others() {
    let other = SnapshotId([1; 16]);
    let (mut bench, id) = marked(&[other]);
    // A later program may write more behind the id.
    let more: ObjectName = format!("{}{id}-cd", ObjectName::FORGOTTEN).parse().unwrap();
    bench.store.put(&more, b"").unwrap();
    assert!(bench.repository.is_forgotten(&id) && bench.repository.snapshots().unwrap().is_empty());
    assert_eq!(bench.repository.remove_marks(id).unwrap(), 2);
    assert_eq!(marks(&bench), [ObjectName::forgotten(other)]);
    assert!(!bench.repository.is_forgotten(&id));
    assert_eq!(bench.repository.snapshots().unwrap().len(), 1);
    assert_eq!(bench.repository.remove_marks(id).unwrap(), 0);
}

#[test]
fn marks_go_when_no_commit_of_their_snapshots_is_left() {
    let (mut bench, id) = marked(&[SnapshotId([1; 16]), SnapshotId([2; 16])]);
    assert_eq!(bench.repository.remove_marks_without_commits().unwrap(), 2);
    assert_eq!(marks(&bench), [ObjectName::forgotten(id)]);
    assert_eq!(bench.repository.remove_marks_without_commits().unwrap(), 0);
}
