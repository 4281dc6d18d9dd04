//! Which forms of snapshots are listed, when some were published again and some are forgotten.

use std::sync::Arc;

use super::*;
use crate::engine::testing::Bench;
use crate::index::{Catalog, CatalogWriter};
use crate::keys::Secret;
use crate::repo::{WriteTarget, WriterOptions};
use crate::store::Store;

/// Publishes a snapshot again as it is.
fn again(bench: &mut Bench, id: SnapshotId) -> Hash {
    let snapshots = bench.repository.snapshots().unwrap();
    let snapshot = snapshots.into_iter().find(|snapshot| snapshot.record.id == id).unwrap();
    let next = |snapshot: &Snapshot| snapshot.record.supersession + 1;
    bench.repository.republish(&[snapshot.hash], &HashSet::new(), &[], next).unwrap()[0].hash
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

/// Of what a writer put that began anew, the second attempt may have lost something that the first did not need. The form
/// between names something that is gone, and does not need it.
#[test]
fn a_newer_form_that_is_not_whole_hides_no_older_one_that_is() {
    let mut bench = Bench::new();
    for text in ["what the first attempt saw", "what the second attempt saw"] {
        bench.home("ann").file("file", text);
        bench.backup("2026-11-20T10:00Z");
    }
    let [first, second] = &bench.repository.snapshots().unwrap()[..] else { panic!("two snapshots") };
    let deps = second.record.deps.iter().copied().chain([second.hash.short()]).collect();
    let between =
        bench.repository.republish(&[first.hash], &HashSet::new(), &[[1; 8]], |_| 1).unwrap()[0].hash;
    let record = SnapshotRecord { id: first.record.id, supersession: 2, deps, ..second.record.clone() };
    let options = WriterOptions { level: 1, threads: 1, target: WriteTarget::Store };
    let written = bench.repository.writer(&options).unwrap().finish().unwrap();
    let newer = bench.repository.commit(written, record).unwrap().hash;
    let listed = |bench: &Bench| {
        let cache = tempfile::tempdir().unwrap();
        let secret = Secret::KeyFile([7; 32].into());
        let mut other = Repository::open(Arc::new(bench.store.clone()), &secret, cache.path()).unwrap();
        other.sync(&mut |_, _| {}).unwrap();
        let summaries = other.summaries().unwrap().into_iter().map(|summary| summary.hash);
        let snapshots = other.snapshots().unwrap().into_iter().map(|snapshot| snapshot.hash);
        assert!(summaries.eq(snapshots.clone()));
        snapshots.collect::<HashSet<_>>()
    };
    assert_eq!(listed(&bench), [newer, second.hash].into());
    // That all is there which a commit names is kept, and found out without its record, until a segment goes.
    bench.repository.sync(&mut |_, _| {}).unwrap();
    let kept = bench.repository.catalog().complete_commits().unwrap();
    assert!(kept.contains(&newer) && !kept.contains(&between), "{kept:?}");
    let read = bench.repository.records_read();
    bench.repository.sync(&mut |_, _| {}).unwrap();
    assert_eq!(bench.repository.summaries().unwrap().len(), 2);
    assert_eq!(bench.repository.records_read(), read);
    bench.store.delete(&second.name).unwrap();
    assert_eq!(listed(&bench), [between].into());
    bench.repository.sync_all(&mut |_, _| {}).unwrap();
    let left = bench.repository.summaries().unwrap();
    assert_eq!(left.iter().map(|summary| summary.hash).collect::<Vec<_>>(), [between]);
}

#[test]
fn what_a_sync_has_read_is_not_used_after_a_change() {
    let mut bench = Bench::new();
    bench.home("ann").file("f", "1");
    let id = bench.backup("2026-11-24T12:00:00Z");
    bench.repository.sync(&mut |_, _| {}).unwrap();
    let mut beside = CatalogWriter::new(Catalog::open(bench.repository.cache()).unwrap());
    let commit = bench.repository.catalog().commits().unwrap().remove(0).1;
    beside.remove_snapshot(&commit).unwrap();
    assert!(bench.repository.summaries().unwrap().is_empty(), "removed by another process");
    bench.repository.sync(&mut |_, _| {}).unwrap();
    assert_eq!(bench.repository.summaries().unwrap().iter().map(|s| s.id).collect::<Vec<_>>(), [id]);
    bench.repository.sync(&mut |_, _| {}).unwrap();
    bench.repository.catalog.remove_snapshot(&commit).unwrap();
    assert!(bench.repository.summaries().unwrap().is_empty(), "removed through this connection");
}
