//! What waits, and for how long: condemned things by two clocks, segments without a commit by one.

use super::*;

const HOURS: i64 = 3_600_000;

/// What becomes of something that was condemned by a record of this age, if the store says `put_ms`.
fn after_an_hour_of_grace(recorded_ms: i64, put_ms: Option<i64>) -> (u64, u64) {
    let (bench, first) = forgotten();
    put_record(&bench.store, record(GcKind::Condemned, vec![first.hash.short()], recorded_ms));
    let store = Arc::new(MeanwhileStore::new(bench.store.clone(), put_ms));
    let report = pruned(&store, &PruneOptions { grace: HOUR, ..options() });
    (report.deleted.objects, report.waiting.objects)
}

#[test]
fn what_was_condemned_for_long_enough_by_both_clocks_is_deleted() {
    let (now, long_ago) = (now_ms(), now_ms() - 2 * HOURS);
    assert_eq!(after_an_hour_of_grace(long_ago, Some(long_ago)), (1, 0));
    assert_eq!(after_an_hour_of_grace(long_ago, Some(now)), (0, 1));
    assert_eq!(after_an_hour_of_grace(now, Some(long_ago)), (0, 1));
    // The store does not say.
    assert_eq!(after_an_hour_of_grace(long_ago, None), (1, 0));
    assert_eq!(after_an_hour_of_grace(now, None), (0, 1));
    // Made in the future.
    assert_eq!(after_an_hour_of_grace(now + 2 * HOURS, None), (0, 1));
}

/// What becomes of a segment that no commit names and that was put at `put_ms`.
fn orphan_put(put_ms: Option<i64>, min_age: Duration) -> (u64, u64) {
    let (bench, _) = forgotten();
    put_orphan(&bench.store, b"nobody has this");
    let store = Arc::new(MeanwhileStore::new(bench.store.clone(), put_ms));
    let report = pruned(&store, &PruneOptions { min_age, ..options() });
    assert_eq!(report.deleted, report.unneeded);
    // A commit is named by itself, however young it is.
    (report.deleted.objects - 1, report.young.objects)
}

#[test]
fn a_segment_that_no_commit_names_goes_when_it_is_old_enough() {
    assert_eq!(orphan_put(Some(now_ms() - 2 * HOURS), HOUR), (1, 0));
    assert_eq!(orphan_put(Some(now_ms() - 2 * HOURS), 3 * HOUR), (0, 1));
    assert_eq!(orphan_put(Some(now_ms()), HOUR), (0, 1));
    assert_eq!(orphan_put(None, HOUR), (0, 1), "the store does not say how old it is");
    // Put in the future; any age is enough.
    assert_eq!(orphan_put(Some(now_ms() + HOURS), Duration::ZERO), (1, 0));
}

#[test]
fn a_segment_that_only_a_forgotten_snapshot_names_goes_however_young_it_is() {
    let (bench, _) = forgotten();
    let segment = put_orphan(&bench.store, b"named once");
    put_hidden_commit(&bench.store, segment);
    let store = Arc::new(MeanwhileStore::new(bench.store.clone(), Some(now_ms())));
    let report = pruned(&store, &PruneOptions { min_age: HOUR, ..options() });
    assert_eq!((report.unneeded.objects, report.young.objects), (3, 0));
}
