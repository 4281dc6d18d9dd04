//! Repairs of snapshots, segments and the local index: what is left comes back, what is lost stays told, and a
//! repair that dies leaves what was there.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use homekeep::engine::Meter;
use homekeep::engine::check::{CheckOptions, Subset, check};
use homekeep::engine::repair::{
    Outcome, RepairError, RepairOptions, SnapshotsReport, repair_index, repair_segments, repair_snapshots,
};
use homekeep::engine::restore::RestoreTarget;
use homekeep::format::{Attention, EntryKind, Extent, ObjectName};
use homekeep::repo::{Reader, RepoError, Snapshot};
use homekeep::store::{Fault, FaultStore, MemoryStore, Store};

use crate::support::{Contents, Site, contents, names, noise, source_of, write_old};

fn options() -> RepairOptions {
    RepairOptions { snapshots: None, forget: false, dry_run: false, level: 1, threads: 2 }
}

/// Reads everything, so that it is known what is damaged.
fn check_all(site: &Site) {
    let options =
        CheckOptions { read: Some(Subset::All), restore_sample: 0, scratch: site.cache(), threads: 2 };
    check(&mut site.open().unwrap(), &options, &Meter::default()).unwrap();
}

fn try_repair(site: &Site, options: &RepairOptions) -> Result<SnapshotsReport, RepairError> {
    repair_snapshots(&mut site.open()?, options, &Meter::default(), &mut |_| {})
}

fn repair(site: &Site) -> SnapshotsReport {
    try_repair(site, &options()).unwrap()
}

fn outcomes(report: &SnapshotsReport) -> Vec<Outcome> {
    report.snapshots.iter().map(|snapshot| snapshot.outcome).collect()
}

fn snapshots(site: &Site) -> Vec<Snapshot> {
    site.repository().snapshots().unwrap()
}

/// What a snapshot brings back of ann's home, with nothing going wrong.
fn restored(site: &Site, snapshot: &Snapshot) -> Contents {
    let (_, source) = source_of(snapshot, "ann").unwrap();
    let target: PathBuf = tempfile::tempdir_in(site.path("")).unwrap().keep();
    let restored = site.restore_to(&[source], RestoreTarget::Contents(target.clone()), |_| {});
    assert!(restored.report.is_complete(), "{:?}", restored.report.problems);
    contents(&target)
}

/// Three snapshots of ann's home, each with a file more in the directory `work`, and what was in them.
struct Three {
    site: Site,
    store: MemoryStore,
    states: Vec<Contents>,
}

impl Three {
    fn new() -> Self {
        let store = MemoryStore::new();
        let site = Site::on(Arc::new(store.clone()));
        let home = site.home("ann");
        fs::create_dir_all(home.join("work/in")).unwrap();
        write_old(&home.join("top"), noise(9, 5000));
        let mut states = Vec::new();
        for n in 0..3 {
            // Larger than a block, so that each file has blocks of its own.
            write_old(&home.join(format!("work/{n}")), noise(n, 200_000));
            write_old(&home.join("work/in/notes"), format!("notes {n}"));
            site.backup();
            states.push(contents(&home));
        }
        Self { site, store, states }
    }

    /// The same store, changed, as another machine sees it.
    fn with(&self, change: impl Fn(&ObjectName, Vec<u8>) -> Option<Vec<u8>>) -> (Site, MemoryStore) {
        let store = MemoryStore::new();
        for name in names(&self.store, "") {
            if let Some(bytes) = change(&name, self.store.get(&name).unwrap()) {
                store.put(&name, &bytes).unwrap();
            }
        }
        (Site::in_memory(Arc::new(store.clone())), store)
    }

    /// A byte is another in a block that has bytes of one file only.
    fn with_damaged(&self, path: &str) -> (Site, MemoryStore) {
        let EntryKind::File(content) = self.site.entry("ann", path).kind else { panic!("a file") };
        let repository = self.site.repository();
        let (mut chunks, mut reader) = (Vec::new(), repository.reader().unwrap());
        let mut note = |_: &mut Reader, extent: Extent| {
            if let Extent::Data { id, .. } = extent {
                chunks.push(id);
            }
            Ok::<_, RepoError>(())
        };
        reader.extents(&content, &mut note).unwrap();
        let catalog = repository.catalog();
        let place = catalog.locate(&chunks[chunks.len() / 2]).unwrap().unwrap();
        let name = catalog.segment(place.segment).unwrap().name;
        let at = catalog.block(place.segment, place.block).unwrap().start as usize + 10;
        self.with(|object, mut bytes| {
            if *object == name {
                bytes[at] ^= 1;
            }
            Some(bytes)
        })
    }
}

/// The state without a file.
fn without(state: &Contents, path: &str) -> Contents {
    let mut state = state.clone();
    state.remove(&PathBuf::from(path)).unwrap();
    state
}

#[test]
fn a_snapshot_that_lost_a_file_is_published_without_it_and_says_so() {
    let three = Three::new();
    let (site, store) = three.with_damaged("work/1");
    check_all(&site);
    let before = snapshots(&site);
    let report = repair(&site);
    assert!(!report.is_complete());
    assert!(matches!(
        outcomes(&report)[..],
        [Outcome::Whole | Outcome::Renewed, Outcome::Repaired, Outcome::Repaired]
    ));
    let other = Site::beside(Arc::new(store));
    let after = snapshots(&other);
    assert!(restored(&other, &after[0]) == three.states[0]);
    for n in 1..3 {
        assert_eq!(report.snapshots[n].problems.len(), 1);
        assert_eq!(report.snapshots[n].problems[0].path, b"work/1");
        assert!(restored(&other, &after[n]) == without(&three.states[n], "work/1"));
        let (was, is) = (&before[n].record, &after[n].record);
        assert_eq!((was.id, was.time_ms, was.lost()), (is.id, is.time_ms, 0));
        assert_eq!((is.lost(), is.supersession), (1, was.supersession + 1));
        let (was, is) = (&was.homes[0], &is.homes[0]);
        assert_eq!((is.problems, is.files, is.attention), (1, was.files - 1, Attention::Normal));
        assert_eq!(is.bytes, was.bytes - 200_000);
    }
    // Nothing rests on the damaged object any more.
    assert_eq!(outcomes(&repair(&site)), [Outcome::Whole; 3]);
}

#[test]
fn what_is_gone_from_the_store_is_left_out_wherever_it_was_needed() {
    let three = Three::new();
    let second = &names(&three.store, "snapshots/")[1];
    let (site, store) = three.with(|name, bytes| (name != second).then_some(bytes));
    // The record of the second snapshot is gone with its commit; the third needs what else was in it.
    let report = repair(&site);
    assert_eq!(outcomes(&report), [Outcome::Whole, Outcome::Repaired]);
    let other = Site::beside(Arc::new(store));
    let after = snapshots(&other);
    assert!(restored(&other, &after[0]) == three.states[0]);
    assert!(restored(&other, &after[1]) == without(&three.states[2], "work/1"));
    assert_eq!(outcomes(&repair(&other)), [Outcome::Whole; 2]);
}

#[test]
fn a_snapshot_of_which_nothing_is_left_is_forgotten_only_if_asked_for() {
    let store = MemoryStore::new();
    let site = Site::on(Arc::new(store.clone()));
    // More than rides in a commit: trees and data lie in a segment of their own.
    write_old(&site.home("ann").join("file"), noise(1, 9 << 20));
    site.backup();
    store.delete(&names(&store, "segments/")[0]).unwrap();
    let site = Site::beside(Arc::new(store));
    let outcome =
        |options: RepairOptions| (outcomes(&try_repair(&site, &options).unwrap()), snapshots(&site).len());
    assert_eq!(outcome(options()), (vec![Outcome::Lost], 1));
    let forget = RepairOptions { forget: true, ..options() };
    assert_eq!(outcome(RepairOptions { dry_run: true, ..forget.clone() }), (vec![Outcome::Forgotten], 1));
    assert_eq!(outcome(forget), (vec![Outcome::Forgotten], 0));
}

#[test]
fn a_dry_run_writes_nothing() {
    let three = Three::new();
    let (site, store) = three.with_damaged("work/1");
    check_all(&site);
    let before = names(&store, "");
    let report = try_repair(&site, &RepairOptions { dry_run: true, ..options() }).unwrap();
    assert!(matches!(outcomes(&report)[1..], [Outcome::Repaired, Outcome::Repaired]));
    assert_eq!(names(&store, ""), before);
}

#[test]
fn what_can_be_read_of_a_damaged_segment_no_longer_depends_on_it() {
    let three = Three::new();
    let (site, store) = three.with_damaged("work/2");
    check_all(&site);
    let damaged = site.repository().distrusted().unwrap();
    let damaged: Vec<_> =
        damaged.iter().map(|row| site.repository().catalog().segment(*row).unwrap().name).collect();
    let report = repair_segments(&mut site.open().unwrap(), &options(), &Meter::default()).unwrap();
    assert_eq!(report.salvaged.segments, damaged);
    assert!(report.salvaged.chunks > 0 && report.salvaged.objects > 0);
    // Only the newest snapshot has the file.
    assert_eq!(report.incomplete, [snapshots(&site)[2].record.id]);
    assert_eq!(outcomes(&repair(&site))[2], Outcome::Repaired);
    damaged.iter().for_each(|name| store.delete(name).unwrap());
    let other = Site::beside(Arc::new(store));
    let after = snapshots(&other);
    assert!(restored(&other, &after[1]) == three.states[1]);
    assert!(restored(&other, &after[2]) == without(&three.states[2], "work/2"));
}

#[test]
fn snapshots_whose_data_was_stored_again_are_renewed() {
    let three = Three::new();
    let (site, store) = three.with_damaged("work/0");
    check_all(&site);
    // The home has it still: the next backup stores it again, and all snapshots are whole.
    site.backup_with(|options| {
        options.homes = three.site.backup_options().homes;
        options.always = true;
    });
    let damaged: Vec<_> = site.repository().distrusted().unwrap().into_iter().collect();
    let name = site.repository().catalog().segment(damaged[0]).unwrap().name;
    let report = repair_segments(&mut site.open().unwrap(), &options(), &Meter::default()).unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.renewed.len(), 3);
    store.delete(&name).unwrap();
    let other = Site::beside(Arc::new(store));
    for (snapshot, state) in snapshots(&other).iter().zip(&three.states) {
        assert!(restored(&other, snapshot) == *state);
        assert_eq!(snapshot.record.lost(), 0);
    }
}

#[test]
fn a_repair_can_die_at_any_call() {
    let three = Three::new();
    let (checked, damaged) = three.with_damaged("work/1");
    check_all(&checked);
    for fault in [Fault::Freeze, Fault::Torn] {
        for nth in 1.. {
            let store = MemoryStore::new();
            for name in names(&damaged, "") {
                store.put(&name, &damaged.get(&name).unwrap()).unwrap();
            }
            let site = Site::in_memory(Arc::new(store.clone()));
            check_all(&site);
            let faulty = Arc::new(FaultStore::at_call(store.clone(), fault, nth));
            let site = site.reopened(faulty.clone());
            let result = try_repair(&site, &options());
            assert!(result.is_ok() || faulty.fired(), "{fault:?} {nth}: {:?}", result.err());
            let site = site.reopened(Arc::new(store.clone()));
            repair(&site);
            let after = snapshots(&Site::beside(Arc::new(store.clone())));
            assert_eq!(after.len(), 3, "{fault:?} {nth}");
            let other = Site::beside(Arc::new(store));
            assert!(restored(&other, &after[0]) == three.states[0]);
            for (repaired, state) in after.iter().zip(&three.states).skip(1) {
                assert_eq!(repaired.record.lost(), 1, "{fault:?} {nth}");
                assert!(restored(&other, repaired) == without(state, "work/1"));
            }
            if !faulty.fired() {
                assert!(nth > 8, "{fault:?} met {nth} calls only");
                break;
            }
        }
    }
}

#[test]
fn the_index_is_made_anew_from_the_ends_of_segments() {
    let three = Three::new();
    let before = snapshots(&three.site);
    fs::write(three.site.index("index.sqlite"), [0x55; 8192]).unwrap();
    let mut repository = three.site.open().unwrap();
    let repaired = repair_index(&mut repository, true, &mut |_, _| {}).unwrap();
    assert_eq!((repaired.synced.commits_added, repaired.images_removed), (3, 0));
    assert!(repaired.synced.damaged.is_empty());
    assert_eq!(repository.snapshots().unwrap(), before);
    drop(repository);
    assert!(restored(&three.site, &before[2]) == three.states[2]);
}
