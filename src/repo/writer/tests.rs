//! What a pipeline does to the index beside others that use it.

use super::*;
use crate::engine::testing::Bench;
use crate::index::ListedSegment;

const OPTIONS: WriterOptions = WriterOptions { level: 1, threads: 1, target: WriteTarget::Store };

/// A repository with one snapshot, and the id of its only home's tree.
fn bench() -> (Bench, ChunkId) {
    let mut bench = Bench::new();
    bench.home("ann").file("file", b"content");
    bench.backup("2026-11-01T00:00:00Z");
    let root = bench.snapshots()[0].record.homes[0].root.clone().unwrap();
    match root.kind {
        crate::format::EntryKind::Directory(tree) => (bench, tree),
        _ => unreachable!("a home is a directory"),
    }
}

#[test]
fn nobody_beside_a_writer_keeps_the_log_of_the_index_from_being_emptied() {
    let (bench, tree) = bench();
    let catalog = CatalogWriter::new(Catalog::open(bench.repository.cache()).unwrap());
    let writer = bench.repository.writer(&OPTIONS).unwrap();
    let mut session = writer.session().unwrap();
    let mut reader = bench.repository.reader().unwrap().passing();
    assert!(session.data(b"something new").unwrap().new);
    assert!(session.reuse(&tree).unwrap().is_some());
    reader.tree(&tree).unwrap();
    assert!(catalog.empty_log().unwrap());

    // Who holds a moment that begins before something is written does keep it.
    let mut holding = bench.repository.reader().unwrap();
    holding.tree(&tree).unwrap();
    catalog.catalog().reader().unwrap();
    let mut other = CatalogWriter::new(Catalog::open(bench.repository.cache()).unwrap());
    other.set_image_segments(1).unwrap();
    assert!(!catalog.empty_log().unwrap());
    drop(holding);
    assert!(catalog.empty_log().unwrap());
}

#[test]
fn a_log_that_grew_long_is_emptied_at_the_next_segment_while_sessions_live() {
    let (bench, tree) = bench();
    let mut catalog = CatalogWriter::new(Catalog::open(bench.repository.cache()).unwrap());
    let writer = bench.repository.writer(&OPTIONS).unwrap();
    let mut session = writer.session().unwrap();
    session.reuse(&tree).unwrap();
    let mut holding = bench.repository.reader().unwrap();
    holding.tree(&tree).unwrap();
    let name = ObjectName::descriptor();
    for round in 0..20 {
        catalog.add_gc_record(&name, &vec![round; 4 << 20]).unwrap();
    }
    assert!(catalog.has_long_log());
    drop(holding);
    // No block of it can be compressed.
    let (mut state, mut bytes) = (1u64, vec![0; 16 << 10]);
    while lock(&writer.shared.done).objects == 0 {
        for word in bytes.as_chunks_mut::<8>().0 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *word = (state ^ state >> 33).to_le_bytes();
        }
        session.data(&bytes).unwrap();
    }
    assert!(!catalog.has_long_log());
    session.flush().unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_segment_that_was_used_and_is_gone_is_not_taken_for_one_that_came_after_it() {
    let (mut bench, tree) = bench();
    let segments = bench.repository.catalog().segments().unwrap();
    let ListedSegment { row, name, length, .. } = segments.into_iter().max_by_key(|s| s.row).unwrap();
    let (header, toc) = bench.repository.read_toc(&name, length).unwrap();
    let writer = bench.repository.writer(&OPTIONS).unwrap();
    let mut session = writer.session().unwrap();
    assert_eq!(session.reuse(&tree).unwrap(), Some(row));

    // A prune on this machine deletes it, and then something else is entered.
    bench.repository.catalog.remove_segments(&[row]).unwrap();
    let other = bench.repository.catalog.add_segment(&name, &Hash([9; 32]), length, &header, &toc).unwrap();
    assert_ne!(other, row);
    session.flush().unwrap();
    let record = bench.snapshots()[0].record.clone();
    let committed = bench.repository.commit(writer.finish().unwrap(), record);
    assert!(matches!(committed, Err(RepoError::IndexChanged)), "{committed:?}");
}
