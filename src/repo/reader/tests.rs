//! Reading what lies in several segments when some of them do not give it.

use super::*;
use crate::codec::{Codec, Packed};
use crate::engine::testing::Bench;
use crate::format::{
    Attributes, ChunkEntry, EntryKind, ObjectName, Owner, Page, PageIndex, SegmentKind, SegmentWriter,
};
use crate::keys::Secret;
use crate::repo::writer::put_segment;
use crate::repo::{Repository, WriteTarget, WriterOptions};
use crate::store::{MemoryStore, Store};

/// Two machines that do not know of each other store the same chunk: where it lies in both segments.
fn stored_twice() -> (Bench, ChunkId, Vec<KnownSegment>) {
    let mut bench = Bench::new();
    let cache = tempfile::tempdir().unwrap();
    let secret = Secret::KeyFile([7; 32].into());
    let store = Arc::new(bench.store.clone());
    bench.home("ann").file("a", "the data");
    bench.backup("2026-11-20T10:00Z");
    let mut other = Repository::open(store, &secret, cache.path()).unwrap();
    let options = WriterOptions { level: 1, threads: 1, target: WriteTarget::Store };
    let writer = other.writer(&options).unwrap();
    let mut session = writer.session().unwrap();
    let id = session.data(b"the data").unwrap().id;
    session.flush().unwrap();
    let mut record = bench.repository.snapshots().unwrap().pop().unwrap().record;
    record.supersession += 1;
    other.commit(writer.finish().unwrap(), record).unwrap();
    bench.repository.sync(&mut |_, _| {}).unwrap();
    let places = bench.repository.catalog().locate_all(&id).unwrap();
    let segments = places.iter().map(|p| bench.repository.catalog().segment(p.segment).unwrap());
    let segments = segments.collect();
    (bench, id, segments)
}

fn read(bench: &Bench, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
    let mut bytes = Vec::new();
    bench.reader().data(id, &mut bytes).map(|()| bytes)
}

#[test]
fn a_chunk_is_read_from_another_segment_when_one_is_damaged_or_gone() {
    for spoil in [
        |store: &MemoryStore, name: &crate::format::ObjectName| store.delete(name).unwrap(),
        |store: &MemoryStore, name: &crate::format::ObjectName| {
            let mut bytes = store.get(name).unwrap();
            bytes[100] ^= 1;
            store.delete(name).unwrap();
            store.put(name, &bytes).unwrap();
        },
    ] {
        for spoiled in 0..2 {
            let (bench, id, segments) = stored_twice();
            assert_eq!(segments.len(), 2);
            spoil(&bench.store, &segments[spoiled].name);
            assert_eq!(read(&bench, &id).unwrap(), b"the data");
            spoil(&bench.store, &segments[1 - spoiled].name);
            assert!(read(&bench, &id).unwrap_err().is_damage());
        }
    }
}

#[test]
fn the_error_of_a_chunk_that_no_segment_gives_is_the_first() {
    let (bench, id, segments) = stored_twice();
    for segment in &segments {
        bench.store.delete(&segment.name).unwrap();
    }
    let first = bench.repository.catalog().locate(&id).unwrap().unwrap().segment;
    let first = bench.repository.catalog().segment(first).unwrap().name;
    let error = read(&bench, &id).unwrap_err();
    assert_eq!(error.to_string(), format!("{first} is not in the repository"));
}

/// Whoever has the key can seal a segment whose table calls the bytes of one chunk by the name of another. Block, seal
/// and lengths are as they should be; only the id tells.
#[test]
fn bytes_that_a_sealed_table_calls_by_another_id_are_not_given() {
    let mut bench = Bench::new();
    let keys = Arc::clone(&bench.repository.keys);
    let [wanted, other] = [b"the data", b"not that"].map(|bytes| keys.chunk_id(bytes));
    let mut segment = SegmentWriter::new(SegmentKind::Bulk);
    let packed = Packed { codec: Codec::Stored, bytes: b"the datanot that".to_vec() };
    let chunks = [other, wanted].map(|id| ChunkEntry { id, length: 8 });
    segment.push(BlockKind::Data, packed, chunks.to_vec());
    let put = put_segment(&bench.store, &keys, segment, None, ObjectName::segment).unwrap();
    put.enter(&mut bench.repository.catalog).unwrap();
    for id in [wanted, other] {
        let error = read(&bench, &id).unwrap_err();
        assert!(matches!(error, RepoError::Damaged { .. }), "{error}");
    }
}

/// A page with a file of each name.
fn page(names: &[&str]) -> Vec<u8> {
    let entry = |name: &&str| Entry {
        name: name.as_bytes().to_vec(),
        kind: EntryKind::Fifo,
        mode: 0o600,
        owner: Owner::default().into(),
        mtime_s: 0,
        mtime_ns: 0,
        attributes: Attributes::default(),
    };
    Page { entries: names.iter().map(entry).collect() }.to_bytes()
}

/// A listing in which names come twice or out of order would lead two files to one place.
#[test]
fn a_long_listing_has_as_many_entries_as_it_says_all_in_order() {
    let mut bench = Bench::new();
    bench.home("ann").file("a", "a");
    bench.backup("2026-11-20T10:00Z");
    let [ab, bc, cd, none] =
        bench.store_trees([page(&["a", "b"]), page(&["b", "c"]), page(&["c", "d"]), page(&[])]);
    let cases = [
        (vec![(ab, 2), (cd, 2)], Some("abcd")),
        (vec![(ab, 2), (bc, 2)], None),
        (vec![(cd, 2), (ab, 2)], None),
        (vec![(ab, 2), (cd, 3)], None),
        (vec![(ab, 1), (cd, 2)], None),
        (vec![(ab, 2), (none, 0)], None),
    ];
    for (pages, expected) in cases {
        let [index] = bench.store_trees([PageIndex { pages }.to_bytes()]);
        match (bench.reader().listing(&index), expected) {
            (Ok(listing), Some(expected)) => {
                assert_eq!(
                    listing.iter().flat_map(|entry| entry.name.clone()).collect::<Vec<_>>(),
                    expected.as_bytes()
                );
            }
            (Err(RepoError::MalformedTree(_) | RepoError::Format { .. }), None) => {}
            (other, expected) => panic!("{other:?}, not {expected:?}"),
        }
    }
}
