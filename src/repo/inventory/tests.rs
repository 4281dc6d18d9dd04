//! What bringing the index up to date finds, and what it leaves alone.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::codec::{ChunkId, Hash, SnapshotId};
use crate::keys::{Cost, Secret};
use crate::repo::{CreateOptions, WriteTarget, WriterOptions};
use crate::store::{Call, MemoryStore, RecordStore};

fn secret() -> Secret {
    Secret::KeyFile([1; 32].into())
}

fn create(store: &MemoryStore, cache: &Path) -> Repository {
    let options = CreateOptions { cost: Cost::FLOOR, ..CreateOptions::default() };
    Repository::create(Arc::new(store.clone()), &secret(), cache, &options).unwrap()
}

/// Commits a snapshot without homes, with a chunk of its own.
fn commit(repository: &mut Repository, id: u8, supersession: u32) -> (Hash, ChunkId) {
    let options = WriterOptions { level: 3, threads: 1, target: WriteTarget::Store };
    let writer = repository.writer(&options).unwrap();
    let mut session = writer.session().unwrap();
    let chunk = session.data(&[id, supersession as u8, 7]).unwrap().id;
    session.flush().unwrap();
    let record = SnapshotRecord {
        id: SnapshotId([id; 16]),
        supersession,
        time_ms: 1_764_000_000_000 + i64::from(id),
        finished_ms: 1_764_000_001_000,
        source: "s".into(),
        host: "h".into(),
        program: "p".into(),
        tags: vec![],
        homes: vec![],
        parents: vec![],
        gc_seen: vec![],
        deps: vec![],
        hints: vec![],
    };
    (repository.commit(writer.finish().unwrap(), record).unwrap().hash, chunk)
}

fn mark(id: u8, rest: &str) -> ObjectName {
    format!("{}{}{rest}", ObjectName::FORGOTTEN, SnapshotId([id; 16])).parse().unwrap()
}

/// The snapshots, which the summaries have to agree with.
fn ids(repository: &Repository) -> Vec<u8> {
    let snapshots = repository.snapshots().unwrap();
    let summaries = repository.summaries().unwrap();
    let commits: Vec<_> = snapshots.iter().map(|s| (&s.name, s.hash)).collect();
    assert_eq!(commits, summaries.iter().map(|s| (&s.name, s.hash)).collect::<Vec<_>>());
    for snapshot in &snapshots {
        assert_eq!(repository.snapshot(&snapshot.hash).unwrap().as_ref(), Some(snapshot));
    }
    snapshots.iter().map(|s| s.record.id.0[0]).collect()
}

fn sync(repository: &mut Repository) {
    assert!(repository.sync(&mut |_, _| {}).unwrap().damaged.is_empty());
}

#[test]
fn a_forgotten_snapshot_is_hidden_until_its_mark_is_gone() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let mut repository = create(&store, folder.path());
    let (first, first_chunk) = commit(&mut repository, 1, 0);
    commit(&mut repository, 1, 1);
    commit(&mut repository, 2, 0);
    sync(&mut repository);
    assert_eq!(ids(&repository), [1, 2]);

    store.put(&mark(1, "-cd"), b"whatever a later program writes").unwrap();
    sync(&mut repository);
    assert_eq!(ids(&repository), [2]);
    assert!(repository.has_commit(&first).unwrap());
    assert!(!repository.has_commit(&Hash([9; 32])).unwrap());
    // This program's own mark, on top.
    repository.forget(SnapshotId([2; 16])).unwrap();
    repository.forget(SnapshotId([2; 16])).unwrap();
    assert!(ids(&repository).is_empty());
    store.delete(&mark(2, "")).unwrap();
    let mut reader = repository.reader().unwrap();
    reader.with_data(&first_chunk, 3, |bytes| assert_eq!(bytes, [1, 0, 7])).unwrap();

    store.delete(&mark(1, "-cd")).unwrap();
    sync(&mut repository);
    assert_eq!(ids(&repository), [1, 2]);
}

#[test]
fn a_commit_that_is_gone_leaves_neither_record_nor_summary() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let mut repository = create(&store, folder.path());
    let (first, _) = commit(&mut repository, 1, 0);
    commit(&mut repository, 2, 0);
    store.delete(&repository.snapshot(&first).unwrap().unwrap().name).unwrap();
    let report = repository.sync(&mut |_, _| {}).unwrap();
    assert_eq!((report.commits_removed, report.damaged.len()), (1, 1));
    assert_eq!(ids(&repository), [2]);
    assert_eq!(repository.snapshot(&first).unwrap(), None);
}

#[test]
fn a_sync_without_news_reads_no_object() {
    let (store, folder) = (RecordStore::new(MemoryStore::new()), tempfile::tempdir().unwrap());
    let store = Arc::new(store);
    let options = CreateOptions { cost: Cost::FLOOR, ..CreateOptions::default() };
    let mut repository = Repository::create(store.clone(), &secret(), folder.path(), &options).unwrap();
    commit(&mut repository, 1, 0);
    sync(&mut repository);
    store.take_calls();
    sync(&mut repository);
    let list = |prefix: &str| Call::List { prefix: prefix.into() };
    let lists = [ObjectName::GC, CommitName::PREFIX, ObjectName::FORGOTTEN].map(list);
    assert_eq!(store.take_calls(), lists);
}

#[test]
fn a_machine_that_sees_the_mark_first_hides_the_snapshot_as_well() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    commit(&mut create(&store, &folder.path().join("one")), 1, 0);
    store.put(&mark(1, ""), b"").unwrap();
    let mut other = Repository::open(Arc::new(store.clone()), &secret(), &folder.path().join("two")).unwrap();
    sync(&mut other);
    assert!(ids(&other).is_empty());
    store.delete(&mark(1, "")).unwrap();
    sync(&mut other);
    assert_eq!(ids(&other), [1]);
}

#[test]
fn what_is_no_mark_hides_nothing() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let mut repository = create(&store, folder.path());
    commit(&mut repository, 1, 0);
    for name in [mark(2, ""), mark(1, "0"), "forgotten/index".parse().unwrap()] {
        store.put(&name, b"").unwrap();
    }
    sync(&mut repository);
    assert_eq!(ids(&repository), [1]);
}
