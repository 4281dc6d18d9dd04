//! Where a prune refuses, because what it was listed makes no sense, and where it does not.

use super::*;

/// The outcome for a repository in which so many segments are named by no commit, and so many by one.
fn with_segments(orphans: u8, named: u8) -> Result<PruneReport, PruneError> {
    let mut bench = Bench::new();
    bench.home("ann").file("a", "a");
    bench.backup("2026-11-20T10:00Z");
    for n in 0..orphans {
        put_orphan(&bench.store, &[1, n]);
    }
    let deps = (0..named).map(|n| put_orphan(&bench.store, &[2, n])).collect();
    let newest = bench.repository.snapshots().unwrap().pop().unwrap().record;
    commit(&mut bench.repository, SnapshotRecord { deps, supersession: 1, ..newest });
    let mut repository = elsewhere(&bench.store);
    prune(&mut repository, &PruneOptions { dry_run: true, ..options() }, &Meter::default())
}

#[test]
fn more_than_sixteen_and_more_than_half_of_all_segments_without_a_commit_are_too_many() {
    assert!(with_segments(16, 0).is_ok());
    assert!(matches!(with_segments(17, 0), Err(PruneError::ManyOrphans { orphans: 17, all: 17 })));
    assert!(matches!(with_segments(17, 16), Err(PruneError::ManyOrphans { orphans: 17, all: 33 })));
    assert!(with_segments(17, 17).is_ok());
    assert!(matches!(with_segments(18, 17), Err(PruneError::ManyOrphans { orphans: 18, all: 35 })));
}

#[test]
fn with_no_snapshot_left_only_commits_may_go() {
    let mut bench = Bench::new();
    bench.home("ann").file("a", "a");
    let only = bench.backup("2026-11-20T10:00Z");
    bench.repository.forget(only).unwrap();
    let dry = PruneOptions { dry_run: true, ..options() };
    let report = prune(&mut bench.repository, &dry, &Meter::default()).unwrap();
    assert_eq!(report.unneeded.objects, 1);
    put_orphan(&bench.store, b"nobody has this");
    let refused = prune(&mut bench.repository, &dry, &Meter::default());
    assert!(matches!(refused, Err(PruneError::NothingLeft { segments: 1 })));
    let forced = PruneOptions { force: true, ..dry };
    assert_eq!(prune(&mut bench.repository, &forced, &Meter::default()).unwrap().unneeded.objects, 2);
}

/// A commit that a record has seen, and that is neither there nor in a record, is a sign of a listing that lacks things.
#[test]
fn a_commit_that_a_record_has_seen_is_there_or_recorded() {
    let (bench, first) = forgotten();
    let seen = |mut commits: Vec<ShortHash>| {
        commits.sort_unstable();
        let seen = GcRecord { commits, ..record(GcKind::Deleted, vec![[1; 8]], now_ms()) };
        put_record(&bench.store, seen);
        prune(&mut elsewhere(&bench.store), &PruneOptions { dry_run: true, ..options() }, &Meter::default())
    };
    assert!(seen(vec![first.hash.short(), [1; 8]]).is_ok());
    let refused = seen(vec![[2; 8]]);
    assert!(matches!(refused, Err(PruneError::Vanished(commits)) if commits == [[2; 8]]));
}
