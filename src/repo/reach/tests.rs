//! Walks compared with reading every tree of every snapshot, over random histories, damage and made-up trees.

use std::collections::HashSet;
use std::sync::Arc;

use super::*;
use crate::engine::testing::Bench;
use crate::format::{
    Attributes, BlockKind, Content, ContentList, Entry, Extent, MAX_PAGE_ENTRIES, Owner, Page, PageIndex,
    SnapshotRecord, TreeObject,
};
use crate::index::{Location, SegmentRow};
use crate::keys::Secret;
use crate::repo::{Reader, WriteTarget, WriterOptions};
use crate::store::{Fault, FaultStore};

/// Seeded numbers.
struct Numbers(blake3::OutputReader);

impl Numbers {
    fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }

    fn below(&mut self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        self.0.fill(&mut bytes);
        bytes
    }
}

/// Homes that share files, with long directories, large files and many changes.
fn history(seed: u64, snapshots: u64) -> Bench {
    let (mut bench, mut numbers) = (Bench::new(), Numbers::new(seed));
    for n in 0..700 {
        bench.home("ann").file(format!("long/{n}"), "");
    }
    for snapshot in 0..snapshots {
        for _ in 0..12 {
            let user = ["ann", "bob", "cem"][numbers.below(3) as usize];
            let name = format!("{}/{}/{}", numbers.below(3), numbers.below(3), numbers.below(4));
            let home = bench.home(user);
            match numbers.below(8) {
                0 if home.at(&name).exists() => home.remove(&name),
                1 => home.file(&name, numbers.bytes(300_000)),
                2 => home.file(format!("long/{}", numbers.below(900)), numbers.bytes(9)),
                _ => home.file(&name, numbers.below(20).to_string().repeat(500)),
            };
        }
        bench.backup(&format!("2026-11-20T10:{snapshot:02}Z"));
    }
    bench
}

fn records(bench: &Bench) -> Vec<SnapshotRecord> {
    bench.repository.snapshots().unwrap().into_iter().map(|snapshot| snapshot.record).collect()
}

fn reach(bench: &Bench, roots: &[SnapshotRecord], threads: usize) -> Reached {
    bench.repository.reach(&roots.iter().collect::<Vec<_>>(), threads).unwrap()
}

/// Everything that a snapshot needs, found by reading all of it.
fn needed(reader: &mut Reader, record: &SnapshotRecord) -> HashSet<ChunkId> {
    let mut needed = HashSet::new();
    let mut roots = Roots::default();
    roots.add(record);
    let mut rest = roots.trees().to_vec();
    while let Some(tree) = rest.pop() {
        needed.insert(tree);
        if let TreeObject::Index(index) = reader.tree(&tree).unwrap() {
            needed.extend(index.pages.iter().map(|(page, _)| *page));
        }
        for entry in reader.listing(&tree).unwrap() {
            match entry.kind {
                EntryKind::Directory(tree) => rest.push(tree),
                EntryKind::File(content) => content_needed(reader, &content, &mut needed),
                _ => {}
            }
        }
    }
    needed
}

fn content_needed(reader: &mut Reader, content: &Content, needed: &mut HashSet<ChunkId>) {
    for extent in &content.extents {
        let Extent::Data { id, .. } = extent else { continue };
        needed.insert(*id);
        if content.depth > 0 {
            let found = reader.find(BlockKind::Tree, id).unwrap();
            content_needed(reader, &ContentList::from_bytes(found.bytes()).unwrap().0, needed);
        }
    }
}

fn places(bench: &Bench) -> Vec<(ChunkId, Location)> {
    let mut places = Vec::new();
    bench.repository.catalog().scan_chunks(|id, place| places.push((*id, place))).unwrap();
    places
}

/// Stores the chunks of some places once more, as a machine does that does not know them.
fn copy(bench: &mut Bench, places: &[(ChunkId, Location)]) {
    let cache = tempfile::tempdir().unwrap();
    let store = Arc::new(bench.store.clone());
    let mut other = Repository::open(store, &Secret::KeyFile([7; 32].into()), cache.path()).unwrap();
    let options = WriterOptions { level: 1, threads: 1, target: WriteTarget::Store };
    let writer = other.writer(&options).unwrap();
    let (mut session, mut reader) = (writer.session().unwrap(), bench.reader());
    for (id, place) in places {
        match bench.repository.catalog().block(place.segment, place.block).unwrap().kind {
            kind @ BlockKind::Data => session.data(reader.find(kind, id).unwrap().bytes()).unwrap(),
            kind @ BlockKind::Tree => session.tree(reader.find(kind, id).unwrap().bytes()).unwrap(),
        };
    }
    session.flush().unwrap();
    let newest = bench.repository.snapshots().unwrap().pop().unwrap().record;
    let record = SnapshotRecord { supersession: newest.supersession + 1, ..newest };
    other.commit(writer.finish().unwrap(), record).unwrap();
    bench.repository.sync(&mut |_, _| {}).unwrap();
}

#[test]
fn what_is_reached_is_what_reading_everything_shows() {
    for seed in 0..3 {
        let bench = history(seed, 6);
        let (records, mut reader) = (records(&bench), bench.reader());
        let all: Vec<_> = records.iter().map(|record| needed(&mut reader, record)).collect();
        for (from, to, threads) in [(0, 6, 1), (0, 6, 3), (2, 4, 2), (5, 6, 2), (3, 3, 2)] {
            let reached = reach(&bench, &records[from..to], threads);
            let expected: HashSet<_> = all[from..to].iter().flatten().copied().collect();
            assert!((0..to - from).all(|root| reached.is_complete(root)));
            for (id, _) in places(&bench) {
                assert_eq!(reached.is_reached(&id), expected.contains(&id), "{id:?}");
            }
        }
    }
}

#[test]
fn usage_counts_each_place_of_what_is_reached() {
    let mut bench = history(7, 6);
    let some: Vec<_> = places(&bench).into_iter().step_by(3).collect();
    copy(&mut bench, &some);
    let records = records(&bench);
    let reached = reach(&bench, &records[2..3], 2);
    let usage = reached.usage(bench.repository.catalog()).unwrap();
    for segment in bench.repository.catalog().segments().unwrap() {
        let inside: Vec<_> =
            places(&bench).into_iter().filter(|(_, place)| place.segment == segment.row).collect();
        let live = inside.iter().filter(|(id, _)| reached.is_reached(id)).count() as u64;
        let found = usage[&segment.row];
        assert_eq!((found.chunks, found.live_chunks), (inside.len() as u64, live));
        assert!(found.bytes < segment.length);
        assert_eq!(found.live_bytes == 0, live == 0);
        assert_eq!(found.live_bytes == found.bytes, live == found.chunks, "{found:?}");
    }
    assert!(usage.values().any(|u| u.live_chunks > 0 && u.live_chunks < u.chunks));
}

#[test]
fn exact_deps_find_everything_elsewhere_or_say_what_is_nowhere_else() {
    let mut bench = history(8, 5);
    let before = records(&bench);
    let half: Vec<_> = places(&bench).into_iter().step_by(2).collect();
    copy(&mut bench, &half);
    let (places, segments) = (places(&bench), bench.repository.catalog().segments().unwrap());
    for record in &before {
        let reached = reach(&bench, std::slice::from_ref(record), 2);
        for avoided in &segments {
            let avoid = HashSet::from([avoided.row]);
            let exact = reached.exact_deps(&bench.repository, &record.deps, &avoid).unwrap();
            let lies_in = |id: &ChunkId, set: &dyn Fn(SegmentRow) -> bool| {
                places.iter().any(|(other, place)| other == id && set(place.segment))
            };
            let ids: HashSet<_> =
                places.iter().map(|(id, _)| *id).filter(|id| reached.is_reached(id)).collect();
            let nowhere: HashSet<_> =
                ids.iter().copied().filter(|id| !lies_in(id, &|row| !avoid.contains(&row))).collect();
            assert_eq!(exact.lost.iter().copied().collect::<HashSet<_>>(), nowhere);
            assert!(exact.segments.is_disjoint(&avoid));
            for id in ids.difference(&nowhere) {
                assert!(lies_in(id, &|row| exact.segments.contains(&row)));
            }
        }
        let exact = reached.exact_deps(&bench.repository, &record.deps, &HashSet::new()).unwrap();
        let named: HashSet<_> = segments
            .iter()
            .filter(|segment| record.deps.contains(&segment.hash.short()))
            .map(|segment| segment.row)
            .collect();
        let own = bench.repository.catalog().segment_of(&hash_of(&bench, record)).unwrap().unwrap();
        assert!(
            exact.segments.iter().all(|row| named.contains(row) || *row == own || is_copy(&segments, row))
        );
        assert_eq!(exact.lost, []);
    }
}

fn hash_of(bench: &Bench, record: &SnapshotRecord) -> crate::codec::Hash {
    let known = bench.repository.commits().unwrap();
    let own = known.iter().find(|commit| commit.record == *record);
    own.expect("it is known").hash
}

/// The copies came last.
fn is_copy(segments: &[crate::index::ListedSegment], row: &SegmentRow) -> bool {
    segments.iter().map(|segment| segment.row).max() == Some(*row)
}

#[test]
fn a_missing_segment_makes_those_incomplete_that_need_it_and_no_others() {
    let mut bench = history(9, 5);
    let (records, mut reader) = (records(&bench), bench.reader());
    let needed: Vec<_> = records.iter().map(|record| needed(&mut reader, record)).collect();
    let mut outcomes = HashSet::new();
    for segment in bench.repository.catalog().segments().unwrap() {
        let inside: HashSet<_> = places(&bench)
            .into_iter()
            .filter(|(_, place)| place.segment == segment.row)
            .map(|(id, _)| id)
            .collect();
        let (store, name) = (&bench.store, &segment.name);
        let bytes = crate::store::Store::get(store, name).unwrap();
        bench.repository.catalog.remove_segments(&[segment.row]).unwrap();
        let reached = reach(&bench, &records, 2);
        for (root, needed) in needed.iter().enumerate() {
            assert_eq!(reached.is_complete(root), needed.is_disjoint(&inside), "{root}");
            outcomes.insert(reached.is_complete(root));
        }
        assert!(reached.damage().keys().all(|id| inside.contains(id)));
        let exact = reached.exact_deps(&bench.repository, &[], &HashSet::new()).unwrap();
        assert_eq!(exact.lost, reached.damage().keys().copied().collect::<Vec<_>>());
        crate::store::Store::put(store, name, &bytes).unwrap();
        bench.repository.forget_index().unwrap();
        bench.repository.sync(&mut |_, _| {}).unwrap();
        drop(bytes);
    }
    assert_eq!(outcomes.len(), 2);
}

#[test]
fn a_damaged_tree_block_makes_those_incomplete_that_need_it_unless_there_is_a_copy() {
    let mut bench = history(10, 4);
    let (records, mut reader) = (records(&bench), bench.reader());
    let needed: Vec<_> = records.iter().map(|record| needed(&mut reader, record)).collect();
    let mut blocks = Vec::new();
    bench.repository.catalog().scan_blocks(|row, number, block| blocks.push((row, number, *block))).unwrap();
    let places = places(&bench);
    let spoil = |bench: &Bench, row: SegmentRow, start: u64| {
        let name = bench.repository.catalog().segment(row).unwrap().name;
        bench.damage(|object, bytes| {
            if *object == name {
                bytes[start as usize] ^= 1;
            }
        });
    };
    for (row, number, block) in &blocks {
        spoil(&bench, *row, block.start);
        let reached = reach(&bench, &records, 2);
        let inside: HashSet<_> = places
            .iter()
            .filter(|(_, place)| (place.segment, place.block) == (*row, *number))
            .map(|(id, _)| *id)
            .collect();
        for (root, needed) in needed.iter().enumerate() {
            let is_hurt = block.kind == BlockKind::Tree && !needed.is_disjoint(&inside);
            assert_eq!(reached.is_complete(root), !is_hurt, "{root}");
        }
        assert!(reached.damage().keys().all(|id| inside.contains(id)));
        spoil(&bench, *row, block.start);
    }
    copy(&mut bench, &places);
    for (row, _, block) in &blocks {
        spoil(&bench, *row, block.start);
    }
    let reached = reach(&bench, &records, 2);
    assert!((0..records.len()).all(|root| reached.is_complete(root)));
}

fn entry(name: &str, kind: EntryKind) -> Entry {
    Entry {
        name: name.into(),
        kind,
        mode: 0o700,
        owner: Owner::default().into(),
        mtime_s: 0,
        mtime_ns: 0,
        attributes: Attributes::default(),
    }
}

fn directory(name: &str, tree: ChunkId) -> Entry {
    entry(name, EntryKind::Directory(tree))
}

fn page(entries: Vec<Entry>) -> Vec<u8> {
    Page { entries }.to_bytes()
}

/// A snapshot of one home with this tree.
fn with_tree(bench: &Bench, tree: ChunkId) -> SnapshotRecord {
    let mut record = bench.snapshots().pop().unwrap().record;
    record.homes.truncate(1);
    record.homes[0].root.as_mut().unwrap().kind = EntryKind::Directory(tree);
    record
}

#[test]
fn made_up_trees_are_damage_of_those_who_name_them() {
    let mut bench = Bench::new();
    bench.home("ann").file("a", "data");
    bench.backup("2026-11-20T10:00Z");
    let absent = ChunkId([9; 32]);
    let list = |depth, id, length| Content { depth, extents: vec![Extent::Data { id, length }] };
    let [empty, garbage] = bench.store_trees([page(vec![]), b"garbage".to_vec()]);
    let [chunks] = bench.store_trees([ContentList(Content::default()).to_bytes()]);
    let file = |content| page(vec![entry("f", EntryKind::File(content))]);
    let index = PageIndex { pages: vec![(empty, 1), (garbage, 1)] }.to_bytes();
    let broken = bench.store_trees([
        page(vec![directory("d", absent)]),
        page(vec![directory("d", garbage)]),
        page(vec![directory("d", chunks)]),
        file(list(1, empty, 5)),
        file(list(1, chunks, 5)),
        file(list(0, absent, 5)),
        index,
    ]);
    let [sound] = bench.store_trees([page(vec![directory("d", empty), directory("e", empty)])]);
    let all: Vec<_> = broken.iter().chain([&sound]).map(|tree| with_tree(&bench, *tree)).collect();
    let reached = reach(&bench, &all, 2);
    let complete: Vec<_> = (0..all.len()).map(|root| reached.is_complete(root)).collect();
    assert_eq!(complete, [false, false, false, false, false, false, false, true]);
    assert!(!reach(&bench, &[with_tree(&bench, absent)], 2).is_complete(0));
    assert!(reach(&bench, &[with_tree(&bench, sound)], 2).is_complete(0));
}

#[test]
fn trees_of_great_depth_or_with_endlessly_many_paths_are_walked_in_time() {
    let mut bench = Bench::new();
    bench.home("ann").file("a", "data");
    bench.backup("2026-11-20T10:00Z");
    let writer =
        bench.repository.writer(&WriterOptions { level: 1, threads: 1, target: WriteTarget::Store }).unwrap();
    let mut session = writer.session().unwrap();
    let mut tree = session.tree(&page(vec![])).unwrap().id;
    for _ in 0..50 {
        let names = (0..MAX_PAGE_ENTRIES).map(|n| directory(&format!("{n:04}"), tree));
        tree = session.tree(&page(names.collect())).unwrap().id;
    }
    for _ in 0..20_000 {
        tree = session.tree(&page(vec![directory("d", tree)])).unwrap().id;
    }
    session.flush().unwrap();
    let record = with_tree(&bench, tree);
    let committed = SnapshotRecord { supersession: 1, ..record.clone() };
    bench.repository.commit(writer.finish().unwrap(), committed).unwrap();
    let reached = reach(&bench, &[record], 2);
    assert!(reached.is_complete(0));
    assert!(reached.is_reached(&tree));
}

#[test]
fn what_lies_in_damaged_blocks_is_lost_unless_it_lies_elsewhere_too() {
    let mut bench = history(11, 3);
    let (records, all) = (records(&bench), places(&bench));
    let mut blocks: Vec<_> = all.iter().map(|(_, place)| (place.segment, place.block)).collect();
    blocks.sort_unstable();
    blocks.dedup();
    for (segment, block) in &blocks {
        bench.repository.distrust(*segment, &[*block]).unwrap();
        let inside: HashSet<_> = all
            .iter()
            .filter(|(_, place)| (place.segment, place.block) == (*segment, *block))
            .map(|(id, _)| *id)
            .collect();
        let reached = reach(&bench, &records, 2);
        assert!(inside.iter().all(|id| !reached.is_reached(id)));
        assert!(reached.damage().keys().all(|id| inside.contains(id)));
        bench.repository.trust(*segment).unwrap();
    }
    copy(&mut bench, &all);
    let (segment, block) = blocks[0];
    bench.repository.distrust(segment, &[block]).unwrap();
    let reached = reach(&bench, &records, 2);
    assert!((0..records.len()).all(|root| reached.is_complete(root)) && reached.damage().is_empty());
    let usage = reached.usage(bench.repository.catalog()).unwrap();
    assert!(usage[&segment].live_chunks < usage[&segment].chunks);
    let exact = reached.exact_deps(&bench.repository, &records[0].deps, &HashSet::new()).unwrap();
    assert_eq!(exact.lost, []);
    let lies_there = |id: &ChunkId, place: &Location| {
        exact.segments.contains(&place.segment)
            && (place.segment, place.block) != (segment, block)
            && reached.is_reached(id)
    };
    let found: HashSet<_> =
        places(&bench).iter().filter(|(id, place)| lies_there(id, place)).map(|(id, _)| *id).collect();
    assert!(all.iter().all(|(id, _)| !reached.is_reached(id) || found.contains(id)));
}

/// A walk that was not made to its end must not pass for one: what it did not come to would be called unneeded.
#[test]
fn a_store_that_stops_answering_ends_a_walk_with_an_error() {
    let bench = history(7, 2);
    let (records, cache) = (records(&bench), tempfile::tempdir().unwrap());
    let records: Vec<&SnapshotRecord> = records.iter().collect();
    let reach_at = |call| {
        let store = match call {
            None => FaultStore::without_fault(bench.store.clone()),
            Some(call) => FaultStore::at_call(bench.store.clone(), Fault::Freeze, call),
        };
        let store = Arc::new(store);
        let secret = Secret::KeyFile([7; 32].into());
        let mut repository = Repository::open(store.clone(), &secret, cache.path()).unwrap();
        repository.sync(&mut |_, _| {}).unwrap();
        let calls = store.calls();
        let reached = repository.reach(&records, 2);
        (calls, store.calls() - calls, reached)
    };
    // The first machine of all has to read what the second finds in its index.
    drop(reach_at(None));
    let (before, calls, reached) = reach_at(None);
    assert!(reached.unwrap().is_complete(0));
    assert!(calls >= 2, "{calls} calls only");
    for call in [before + 1, before + calls / 2, before + calls] {
        let (_, _, reached) = reach_at(Some(call));
        assert!(matches!(reached, Err(RepoError::Store(_))), "call {call}");
    }
}
