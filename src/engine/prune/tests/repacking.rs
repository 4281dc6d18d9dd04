//! Which segments are worth emptying, seen in what a dry run would move.

use super::*;
use crate::codec::Hash;
use crate::format::{Content, Entry, EntryKind, Extent, Page};
use crate::index::SegmentRow;
use crate::repo::SegmentUsage;

/// Bytes that do not shrink.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A repository with a segment of its own for each list, which says how long the chunks in it are. The one snapshot has a
/// file with the first chunk of each.
fn with_segments(segments: &[&[usize]]) -> Bench {
    let mut bench = Bench::new();
    bench.home("ann").file("a", "a");
    bench.backup("2026-11-20T10:00Z");
    let newest = bench.repository.snapshots().unwrap().remove(0).record;
    let writing = WriterOptions { level: 1, threads: 1, target: WriteTarget::Store };
    let (mut extents, mut deps, mut seed) = (Vec::new(), Vec::new(), 0);
    for lengths in segments {
        let writer = bench.repository.writer(&writing).unwrap();
        let mut session = writer.session().unwrap();
        for (at, length) in lengths.iter().enumerate() {
            seed += 1;
            let id = session.data(&noise(seed, *length)).unwrap().id;
            if at == 0 {
                extents.push(Extent::Data { id, length: *length as u64 });
            }
        }
        session.flush().unwrap();
        let finished = bench.repository.put_rest(writer.finish().unwrap()).unwrap();
        let row = finished.segments.into_iter().next().unwrap();
        deps.push(bench.repository.catalog().segment(row).unwrap().hash.short());
    }
    let root = newest.homes[0].root.clone().unwrap();
    let file = |(n, extent): (usize, Extent)| Entry {
        name: format!("{n:03}").into(),
        kind: EntryKind::File(Content { depth: 0, extents: vec![extent] }),
        ..root.clone()
    };
    let page = Page { entries: extents.into_iter().enumerate().map(file).collect() };
    let writer = bench.repository.writer(&writing).unwrap();
    let mut session = writer.session().unwrap();
    let tree = session.tree(&page.to_bytes()).unwrap().id;
    session.flush().unwrap();
    let mut record = SnapshotRecord { deps, supersession: 1, ..newest };
    record.homes[0].root.as_mut().unwrap().kind = EntryKind::Directory(tree);
    bench.repository.commit(writer.finish().unwrap(), record).unwrap();
    // The first commit goes.
    prune(&mut bench.repository, &options(), &Meter::default()).unwrap();
    bench
}

/// How much of each segment is needed, the emptiest first.
fn usage(bench: &Bench) -> Vec<(SegmentRow, SegmentUsage)> {
    let records: Vec<_> = bench.repository.snapshots().unwrap().into_iter().map(|s| s.record).collect();
    let reached = bench.repository.reach(&records.iter().collect::<Vec<_>>(), 1).unwrap();
    let mut usage: Vec<_> = reached.usage(bench.repository.catalog()).unwrap().into_iter().collect();
    usage.sort_by_key(|(_, usage)| std::cmp::Reverse(1000 * (usage.bytes - usage.live_bytes) / usage.bytes));
    usage
}

fn length(bench: &Bench, (row, _): (SegmentRow, SegmentUsage)) -> u64 {
    let segments = bench.repository.catalog().segments().unwrap();
    segments.iter().find(|segment| segment.row == row).unwrap().length
}

fn repacked(bench: &mut Bench, max_unused: MaxUnused, max_repack: u64) -> Amount {
    let options = PruneOptions { dry_run: true, max_unused, max_repack, ..options() };
    prune(&mut bench.repository, &options, &Meter::default()).unwrap().repacked
}

const NOTHING: Amount = Amount { objects: 0, bytes: 0 };

#[test]
fn the_emptiest_segments_are_emptied_until_little_enough_is_wasted() {
    let mut bench = with_segments(&[&[20_000, 30_000], &[10_000, 90_000], &[20_000]]);
    let usage = usage(&bench);
    let wasted = |n: usize| usage[n].1.bytes - usage[n].1.live_bytes;
    assert!(
        wasted(0) > 80_000 && wasted(1) > 25_000 && usage[2..].iter().all(|(_, u)| u.bytes == u.live_bytes)
    );
    let (worst, worse) = (length(&bench, usage[0]), length(&bench, usage[1]));
    let all = wasted(0) + wasted(1);
    let mut repacked = |allowed| repacked(&mut bench, MaxUnused::Bytes(allowed), u64::MAX);
    let both = Amount { objects: 2, bytes: worst + worse };
    let one = Amount { objects: 1, bytes: worst };
    assert_eq!(repacked(0), both);
    assert_eq!(repacked(wasted(1) - 1), both);
    assert_eq!(repacked(wasted(1)), one);
    assert_eq!(repacked(all - 1), one);
    assert_eq!(repacked(all), NOTHING);
}

#[test]
fn no_more_is_moved_in_a_run_than_is_allowed() {
    let mut bench = with_segments(&[&[20_000, 30_000], &[10_000, 90_000], &[20_000]]);
    let usage = usage(&bench);
    let needed = |n: usize| usage[n].1.live_bytes;
    assert!(needed(0) < needed(1));
    let mut repacked = |allowed| repacked(&mut bench, MaxUnused::Bytes(0), allowed).objects;
    assert_eq!(repacked(needed(0) + needed(1)), 2);
    assert_eq!(repacked(needed(0) + needed(1) - 1), 1);
    assert_eq!(repacked(needed(0)), 1);
    assert_eq!(repacked(needed(0) - 1), 0);
}

#[test]
fn what_frees_less_than_the_new_commit_takes_is_left_alone() {
    let mut bench = with_segments(&[&[10_000, 3_000]]);
    assert_eq!(repacked(&mut bench, MaxUnused::Bytes(0), u64::MAX), NOTHING);
    let mut bench = with_segments(&[&[10_000, 9_000]]);
    assert_eq!(repacked(&mut bench, MaxUnused::Bytes(0), u64::MAX).objects, 1);
}

#[test]
fn more_than_sixty_four_small_segments_are_merged_though_nothing_is_wasted() {
    for (segments, expected) in [(64, 0), (65, 65)] {
        let mut bench = with_segments(&vec![&[500_usize][..]; segments]);
        assert_eq!(repacked(&mut bench, MaxUnused::Bytes(u64::MAX), u64::MAX).objects, expected);
        assert_eq!(repacked(&mut bench, MaxUnused::Unlimited, u64::MAX), NOTHING);
    }
}

/// What is condemned and needed all the same is not used for anything new, so it is emptied when anything is.
#[test]
fn condemned_segments_that_are_needed_are_emptied_with_others() {
    for (wasted, expected) in [(9_000, 2), (3_000, 0)] {
        let mut bench = with_segments(&[&[10_000, wasted], &[10_000]]);
        let usage = usage(&bench);
        let full: Vec<Hash> = bench
            .repository
            .catalog()
            .segments()
            .unwrap()
            .into_iter()
            .filter(|segment| {
                segment.row != usage[0].0 && segment.name.as_str().starts_with(ObjectName::SEGMENTS)
            })
            .map(|segment| segment.hash)
            .collect();
        assert_eq!(full.len(), 1);
        put_record(&bench.store, record(GcKind::Condemned, vec![full[0].short()], now_ms()));
        assert_eq!(repacked(&mut bench, MaxUnused::Bytes(0), u64::MAX).objects, expected);
    }
}
