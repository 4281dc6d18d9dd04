//! What a prune keeps, condemns, deletes and writes down, where only the order of calls or a single step decides.

mod ages;
mod live;
mod meanwhile;
mod plausible;
mod repacking;

use std::sync::Arc;

use super::*;
use crate::codec::{ChunkId, SnapshotId};
use crate::engine::testing::Bench;
use crate::format::{BlockKind, EntryKind, SnapshotRecord};
use crate::keys::Secret;
use crate::repo::{Snapshot, WriteTarget, WriterOptions};
use crate::store::{MemoryStore, Store};
use meanwhile::MeanwhileStore;

const HOUR: Duration = Duration::from_secs(3600);

/// Deletes at once, and repacks nothing.
fn options() -> PruneOptions {
    PruneOptions {
        host: "here".into(),
        grace: Duration::ZERO,
        min_age: Duration::ZERO,
        max_unused: MaxUnused::Unlimited,
        max_repack: u64::MAX,
        level: 1,
        threads: 1,
        dry_run: false,
        force: false,
    }
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Another machine's way into a bench's repository.
fn open(store: Arc<dyn Store>) -> Repository {
    let cache = tempfile::tempdir().unwrap().keep();
    Repository::open(store, &Secret::KeyFile([7; 32].into()), &cache).unwrap()
}

fn elsewhere(store: &MemoryStore) -> Repository {
    let mut repository = open(Arc::new(store.clone()));
    repository.sync(&mut |_, _| {}).unwrap();
    repository
}

fn pruned(store: &Arc<MeanwhileStore>, options: &PruneOptions) -> PruneReport {
    prune(&mut open(store.clone()), options, &Meter::default()).unwrap()
}

/// Two snapshots of which nothing is shared. The first is forgotten: its commit is all that is not needed.
fn forgotten() -> (Bench, Snapshot) {
    let mut bench = Bench::new();
    bench.home("ann").file("a", "only in the first");
    let first = bench.backup("2026-11-20T10:00Z");
    bench.home("ann").remove("a").file("b", "only in the second");
    bench.backup("2026-11-20T11:00Z");
    let snapshots = bench.repository.snapshots().unwrap();
    let first = snapshots.into_iter().find(|snapshot| snapshot.record.id == first).unwrap();
    bench.repository.forget(first.record.id).unwrap();
    (bench, first)
}

fn record(kind: GcKind, segments: Vec<ShortHash>, time_ms: i64) -> GcRecord {
    GcRecord { kind, time_ms, host: "there".into(), segments, commits: Vec::new() }
}

fn is_there(store: &MemoryStore, name: &ObjectName) -> bool {
    store.get(name).is_ok()
}

fn put_record(store: &MemoryStore, record: GcRecord) -> ObjectName {
    elsewhere(store).put_gc_record(record).unwrap()
}

/// Whose clock is wrong says that it condemned something years ago. The store knows better, but only a listing that was made
/// after the record was put says so.
#[test]
fn the_age_of_a_record_that_came_meanwhile_is_told_by_the_store() {
    let (bench, first) = forgotten();
    let (inner, victim) = (bench.store.clone(), first.hash.short());
    let condemn = move || drop(put_record(&inner, record(GcKind::Condemned, vec![victim], 0)));
    let store = MeanwhileStore::new(bench.store.clone(), Some(now_ms())).after("list gc/", condemn);
    let store = Arc::new(store);
    let report = pruned(&store, &PruneOptions { grace: HOUR, ..options() });
    assert!(store.has_happened());
    assert_eq!((report.deleted.objects, report.waiting.objects), (0, 1));
    assert!(is_there(&bench.store, &first.name));
}

/// The mark of a snapshot is removed after it was found to be forgotten, and before the commits are listed again.
#[test]
fn what_a_snapshot_needs_that_came_back_meanwhile_is_not_deleted() {
    let (bench, first) = forgotten();
    let (inner, id) = (bench.store.clone(), first.record.id);
    let remove_mark = move || assert_eq!(elsewhere(&inner).remove_marks(id).unwrap(), 1);
    let store = MeanwhileStore::new(bench.store.clone(), None).after("put gc/condemned", remove_mark);
    let store = Arc::new(store);
    let report = pruned(&store, &options());
    assert!(store.has_happened());
    assert_eq!(report.deleted.objects, 0);
    assert!(is_there(&bench.store, &first.name));
}

/// Another prune is faster. What it deleted and did not write down is written down here, and is not counted.
#[test]
fn what_another_prune_deleted_meanwhile_is_recorded_and_not_counted() {
    let (bench, first) = forgotten();
    let (inner, name) = (bench.store.clone(), first.name.clone());
    let delete = move || inner.delete(&name).unwrap();
    let store = MeanwhileStore::new(bench.store.clone(), None).after("put gc/condemned", delete);
    let report = pruned(&Arc::new(store), &options());
    assert_eq!(report.deleted.objects, 0);
    assert_eq!(elsewhere(&bench.store).gc().deleted(), [first.hash.short()].into());
}

/// A commit of its own for a record that a test made up.
fn commit(repository: &mut Repository, record: SnapshotRecord) {
    let writing = WriterOptions { level: 1, threads: 1, target: WriteTarget::Store };
    let nothing = repository.writer(&writing).unwrap().finish().unwrap();
    repository.commit(nothing, record).unwrap();
}

/// A commit that names `dep`, of a snapshot that is forgotten at once.
fn put_hidden_commit(store: &MemoryStore, dep: ShortHash) {
    let mut repository = elsewhere(store);
    let id = SnapshotId([5; 16]);
    let newest = repository.snapshots().unwrap().pop().unwrap().record;
    let record = SnapshotRecord { id, deps: vec![dep], parents: Vec::new(), homes: Vec::new(), ..newest };
    commit(&mut repository, record);
    repository.forget(id).unwrap();
}

/// The writer of a commit looks for the record of what its commit names. It finds that record, or another that was known before
/// the commits were listed.
#[test]
fn a_record_is_replaced_only_if_no_commit_that_came_meanwhile_names_what_it_speaks_of() {
    let (named, unnamed, later) = ([1; 8], [2; 8], [3; 8]);
    let (bench, first) = forgotten();
    let put = |segment| put_record(&bench.store, record(GcKind::Deleted, vec![segment], now_ms()));
    let [about_named, about_unnamed] = [named, unnamed].map(put);
    let inner = bench.store.clone();
    let publish = move || {
        put_hidden_commit(&inner, named);
        put_record(&inner, record(GcKind::Deleted, vec![later], now_ms()));
    };
    let store = MeanwhileStore::new(bench.store.clone(), None).after("put gc/condemned", publish);
    let store = Arc::new(store);
    pruned(&store, &options());
    assert!(store.has_happened());
    assert!(is_there(&bench.store, &about_named));
    assert!(!is_there(&bench.store, &about_unnamed), "what nobody names was not merged");
    let repository = elsewhere(&bench.store);
    let deleted = [named, unnamed, later, first.hash.short()];
    assert_eq!(repository.gc().deleted(), deleted.into());
    let of_this_prune: Vec<_> = repository.gc().iter().filter(|(_, record)| record.host == "here").collect();
    assert!(of_this_prune.iter().all(|(_, record)| !record.segments.contains(&later)));
    assert_eq!(repository.gc().names().count(), 3);
}

#[test]
fn records_of_what_was_deleted_are_merged_when_there_are_eight() {
    for (records, left) in [(MERGE_RECORDS - 1, MERGE_RECORDS - 1), (MERGE_RECORDS, 1)] {
        let mut bench = Bench::new();
        bench.home("ann").file("a", "a");
        bench.backup("2026-11-20T10:00Z");
        let segments: Vec<ShortHash> = (0..records).map(|n| [n as u8; 8]).collect();
        for segment in &segments {
            put_record(&bench.store, record(GcKind::Deleted, vec![*segment], now_ms()));
        }
        prune(&mut bench.repository, &options(), &Meter::default()).unwrap();
        let repository = elsewhere(&bench.store);
        assert_eq!(repository.gc().names().count(), left);
        assert_eq!(repository.gc().deleted(), segments.into_iter().collect());
    }
}

/// A segment that no commit names, with these bytes in it.
fn put_orphan(store: &MemoryStore, bytes: &[u8]) -> ShortHash {
    let mut repository = elsewhere(store);
    let writing = WriterOptions { level: 1, threads: 1, target: WriteTarget::Store };
    let writer = repository.writer(&writing).unwrap();
    let mut session = writer.session().unwrap();
    session.data(bytes).unwrap();
    session.flush().unwrap();
    let finished = repository.put_rest(writer.finish().unwrap()).unwrap();
    let row = finished.segments.into_iter().next().unwrap();
    repository.catalog().segment(row).unwrap().hash.short()
}

#[test]
fn commits_are_deleted_before_segments() {
    let (bench, first) = forgotten();
    put_orphan(&bench.store, b"nobody has this");
    let store = Arc::new(MeanwhileStore::new(bench.store.clone(), Some(0)));
    let report = pruned(&store, &options());
    assert_eq!(report.deleted.objects, 2);
    let deletions = store.deletions();
    assert_eq!(deletions[0], first.name.as_str());
    assert!(deletions[1].starts_with(ObjectName::SEGMENTS), "{deletions:?}");
}

#[test]
fn what_is_too_young_to_be_condemned_does_not_count_as_waiting() {
    let (bench, _) = forgotten();
    put_orphan(&bench.store, b"nobody has this");
    let store = Arc::new(MeanwhileStore::new(bench.store.clone(), Some(now_ms())));
    let young = PruneOptions { grace: HOUR, min_age: HOUR, ..options() };
    let report = pruned(&store, &young);
    assert_eq!((report.young.objects, report.waiting.objects, report.unneeded.objects), (1, 1, 1));
    // The time has come for the commit, and not for the segment.
    let report = pruned(&store, &PruneOptions { grace: Duration::ZERO, ..young });
    assert_eq!((report.deleted.objects, report.waiting.objects), (1, 0));
}

#[test]
fn a_prune_that_was_interrupted_before_it_began_changes_nothing() {
    let (bench, _) = forgotten();
    let before = bench.store.list("").unwrap();
    let meter = Meter::default();
    meter.interrupt();
    let ended = prune(&mut elsewhere(&bench.store), &options(), &meter);
    assert!(matches!(ended, Err(PruneError::Interrupted)));
    assert_eq!(bench.store.list("").unwrap(), before);
}
