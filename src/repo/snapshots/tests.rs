//! Which forms of snapshots are listed, when some were published again and some are forgotten.

use super::*;
use crate::engine::testing::Bench;

/// Publishes a snapshot again as it is.
fn again(bench: &mut Bench, id: SnapshotId) -> Hash {
    let snapshots = bench.repository.snapshots().unwrap();
    let snapshot = snapshots.into_iter().find(|snapshot| snapshot.record.id == id).unwrap();
    let next = |snapshot: &Snapshot| snapshot.record.supersession + 1;
    bench.repository.republish(&[snapshot], &HashSet::new(), &[], next).unwrap()[0].hash
}

#[test]
fn of_what_is_forgotten_the_newest_form_is_listed_oldest_snapshot_first() {
    let mut bench = Bench::new();
    let ids = ["a", "b", "c"].map(|text| {
        bench.home("ann").file("file", text);
        bench.backup("2026-11-20T10:00Z")
    });
    let [first, second, third] = ids;
    let again = [second, first].map(|id| again(&mut bench, id));
    assert!(bench.repository.forgotten_summaries().unwrap().is_empty());
    bench.repository.forget(second).unwrap();
    bench.repository.forget(first).unwrap();
    let forgotten = bench.repository.forgotten_summaries().unwrap();
    let found: Vec<_> = forgotten.iter().map(|s| (s.id, s.supersession, s.hash)).collect();
    assert_eq!(found, [(first, 1, again[1]), (second, 1, again[0])]);
    let left = bench.repository.snapshots().unwrap();
    assert_eq!(left.iter().map(|snapshot| snapshot.record.id).collect::<Vec<_>>(), [third]);
    assert_eq!(left[0].time().as_millisecond(), left[0].record.time_ms);
    // The other commits of each are known all the same.
    assert_eq!(bench.repository.commits().unwrap().len(), 5);
}
