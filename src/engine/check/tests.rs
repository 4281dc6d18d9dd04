//! Every kind of damage is found, and told of exactly those who are hit.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::codec::SnapshotId;
use crate::engine::lookup::lookup;
use crate::engine::testing::{Bench, path};
use crate::format::{BlockKind, EntryKind, Extent, ObjectName};
use crate::index::Location;
use crate::keys::Secret;
use crate::repo::RepoError;
use crate::store::{Fault, FaultStore, Store};

const ALL: Option<Subset> = Some(Subset::All);

fn options(bench: &Bench, read: Option<Subset>, restore_sample: u64) -> CheckOptions {
    CheckOptions { read, restore_sample, scratch: bench.repository.cache().into(), threads: 2 }
}

fn run(bench: &mut Bench, read: Option<Subset>) -> CheckReport {
    let options = options(bench, read, 0);
    check(&mut bench.repository, &options, &Meter::default()).unwrap()
}

/// Bytes that do not compress, so that each chunk's place in an object is known.
fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

/// Three snapshots: ann changes one file each time, bob never changes, and both have a file in common.
fn three() -> (Bench, [SnapshotId; 3]) {
    let mut bench = Bench::new();
    bench.home("ann").file("work/report", noise(1, 3000)).file("shared", noise(9, 200_000));
    bench.home("bob").file("copy/of/it", noise(9, 200_000)).file("own", noise(5, 3000));
    let first = bench.backup("2026-11-20T10:00Z");
    bench.home("ann").file("work/report", noise(2, 3000));
    let second = bench.backup("2026-11-20T11:00Z");
    bench.home("ann").file("work/report", noise(3, 3000));
    let third = bench.backup("2026-11-20T12:00Z");
    (bench, [first, second, third])
}

/// Where a file's first chunk lies, as the given snapshot has it.
fn place_of(bench: &Bench, snapshot: SnapshotId, user: &str, name: &str) -> Location {
    let snapshots = bench.repository.snapshots().unwrap();
    let snapshot = snapshots.iter().find(|s| s.record.id == snapshot).unwrap();
    let home = snapshot.record.homes.iter().find(|home| home.user == user.as_bytes()).unwrap();
    let mut reader = bench.reader();
    let found = lookup(&mut reader, home.root.as_ref().unwrap(), &path(name)).unwrap();
    let id = match found.entry.kind {
        EntryKind::Directory(tree) => tree,
        EntryKind::File(content) => {
            let mut first = None;
            let visit = &mut |_: &mut crate::repo::Reader, extent| {
                if let Extent::Data { id, .. } = extent {
                    first.get_or_insert(id);
                }
                Ok::<_, RepoError>(())
            };
            reader.extents(&content, visit).unwrap();
            first.unwrap()
        }
        other => panic!("{other:?}"),
    };
    bench.repository.catalog().locate(&id).unwrap().unwrap()
}

/// Changes a bit in the block at a place, and names the object.
fn spoil(bench: &Bench, place: Location) -> ObjectName {
    let name = bench.repository.catalog().segment(place.segment).unwrap().name;
    let start = bench.repository.catalog().block(place.segment, place.block).unwrap().start as usize;
    bench.damage(|object, bytes| {
        if *object == name {
            bytes[start] ^= 1;
        }
    });
    name
}

/// `user:path`, and how many snapshots have it so.
fn lost(report: &CheckReport) -> BTreeSet<(String, usize)> {
    let place = |loss: &Loss| {
        format!("{}:{}", String::from_utf8_lossy(&loss.user), String::from_utf8_lossy(loss.path.as_bytes()))
    };
    report.losses.iter().map(|loss| (place(loss), loss.snapshots.len())).collect()
}

fn set<const N: usize>(expected: [(&str, usize); N]) -> BTreeSet<(String, usize)> {
    expected.into_iter().map(|(place, count)| (place.into(), count)).collect()
}

fn is_clean(report: &CheckReport) -> bool {
    !report.is_damaged() && !report.has_problems()
}

#[test]
fn a_sound_repository_is_clean_however_it_is_looked_at() {
    let (mut bench, _) = three();
    let quick = run(&mut bench, None);
    assert!(is_clean(&quick) && quick.findings.is_empty());
    assert_eq!((quick.snapshots, quick.homes, quick.objects, quick.orphans), (3, 2, 5, 0));
    let report = run(&mut bench, ALL);
    assert!(is_clean(&report) && report.findings.is_empty());
    let read = report.read.unwrap();
    assert_eq!((read.objects, read.bytes), (report.objects, report.bytes));
    assert!(read.chunks > 50 && read.raw_bytes > 209_000);
    let mut objects = 0;
    for part in 1..=3 {
        objects += run(&mut bench, Some(Subset::Part { part, of: 3 })).read.unwrap().objects;
    }
    assert_eq!(objects, report.objects);
}

#[test]
fn a_damaged_version_of_a_file_is_told_with_what_still_comes_back() {
    let (mut bench, [first, second, third]) = three();
    let object = spoil(&bench, place_of(&bench, second, "ann", "work/report"));
    assert!(is_clean(&run(&mut bench, None)), "nothing was read");
    let report = run(&mut bench, ALL);
    assert_eq!(lost(&report), set([("ann:work/report", 1)]));
    assert_eq!(report.incomplete, [second]);
    let loss = &report.losses[0];
    assert_eq!((loss.size, loss.bytes_lost, &loss.snapshots[..]), (3000, 3000, &[second][..]));
    assert!(matches!(loss.intact, Intact::In { id, .. } if id == third));
    assert_eq!(report.findings.len(), 1);
    assert!(report.findings[0].matters && report.findings[0].error.object() == Some(object));
    assert!(report.lost_snapshots.is_empty());

    // Once known, it need not be read again to be told.
    assert_eq!(lost(&run(&mut bench, None)), set([("ann:work/report", 1)]));
    spoil(&bench, place_of(&bench, first, "ann", "work/report"));
    spoil(&bench, place_of(&bench, third, "ann", "work/report"));
    let report = run(&mut bench, ALL);
    assert_eq!(report.losses.iter().filter(|loss| loss.path == path("work/report")).count(), 3);
    let is_nowhere = |loss: &&Loss| loss.path == path("work/report") && loss.intact == Intact::Nowhere;
    assert_eq!(report.losses.iter().filter(is_nowhere).count(), 3);
}

#[test]
fn a_chunk_that_two_users_share_is_lost_to_both_in_all_snapshots() {
    let (mut bench, [first, second, third]) = three();
    spoil(&bench, place_of(&bench, first, "ann", "shared"));
    let report = run(&mut bench, ALL);
    let hit = lost(&report);
    assert!(hit.contains(&("ann:shared".into(), 3)) && hit.contains(&("bob:copy/of/it".into(), 3)));
    assert_eq!(report.incomplete, [third, second, first]);
    let shared = report.losses.iter().find(|loss| loss.path == path("shared")).unwrap();
    assert!(shared.bytes_lost >= 1 << 10 && shared.bytes_lost < shared.size);
    assert_eq!(shared.snapshots, [third, second, first]);
}

#[test]
fn a_damaged_directory_is_a_loss_of_those_who_have_it() {
    let (mut bench, [_, second, third]) = three();
    // All trees of the second run are in one block: ann's home and its directory.
    spoil(&bench, place_of(&bench, second, "ann", "work"));
    let report = run(&mut bench, None);
    assert_eq!(report.incomplete, [second]);
    assert_eq!(lost(&report), set([("ann:", 1)]));
    assert_eq!(report.losses[0].kind, crate::engine::Kind::Directory);
    assert!(matches!(report.losses[0].intact, Intact::In { id, .. } if id == third));
    assert_eq!(lost(&run(&mut bench, ALL)), set([("ann:", 1)]));
}

#[test]
fn what_is_damaged_is_stored_again_by_the_next_backup_and_then_nothing_is_lost() {
    for kind in [BlockKind::Data, BlockKind::Tree] {
        let (mut bench, [_, _, third]) = three();
        let name = if kind == BlockKind::Data { "work/report" } else { "work" };
        spoil(&bench, place_of(&bench, third, "ann", name));
        assert!(run(&mut bench, ALL).is_damaged());
        bench.backup("2026-11-20T13:00Z");
        for read in [None, ALL] {
            let report = run(&mut bench, read);
            assert!(is_clean(&report), "{:?}", report.losses);
            // The object is as it was; what it had lies elsewhere.
            assert_eq!(report.findings.len(), usize::from(read.is_some()));
        }
        // The snapshots that were there before are whole again, on any machine.
        let mut other = elsewhere(&bench);
        other.sync(&mut |_, _| {}).unwrap();
        let options = options(&bench, ALL, 1000);
        let report = check(&mut other, &options, &Meter::default()).unwrap();
        assert!(is_clean(&report), "{:?}", report.losses);
        let sample = report.sample.unwrap();
        assert_eq!((sample.files, sample.failures), (16, vec![]));
    }
}

#[test]
fn a_segment_that_was_brought_back_is_trusted_again() {
    let (mut bench, [_, second, _]) = three();
    let place = place_of(&bench, second, "ann", "work/report");
    spoil(&bench, place);
    assert!(run(&mut bench, ALL).is_damaged());
    assert_eq!(bench.repository.distrusted().unwrap(), [place.segment].into());
    spoil(&bench, place);
    assert!(is_clean(&run(&mut bench, ALL)));
    assert!(bench.repository.distrusted().unwrap().is_empty());
    assert!(is_clean(&run(&mut bench, None)));
}

/// The repository as a machine sees it that never saw it before.
fn elsewhere(bench: &Bench) -> Repository {
    let cache = tempfile::tempdir().unwrap().keep();
    Repository::open(Arc::new(bench.store.clone()), &Secret::KeyFile([7; 32].into()), &cache).unwrap()
}

#[test]
fn an_object_that_is_gone_or_cut_is_found_without_reading() {
    for is_cut in [true, false] {
        let way = |bench: &Bench, name: &ObjectName| {
            let bytes = bench.store.get(name).unwrap();
            bench.store.delete(name).unwrap();
            if is_cut {
                bench.store.put(name, &bytes[..bytes.len() / 2]).unwrap();
            }
        };
        let (mut bench, ids) = three();
        let names: Vec<_> = bench.repository.snapshots().unwrap().into_iter().map(|s| s.name).collect();
        way(&bench, &names[1]);
        let report = run(&mut bench, None);
        assert!(report.is_damaged());
        assert_eq!(report.lost_snapshots.iter().map(|lost| lost.id).collect::<Vec<_>>(), [ids[1]]);
        assert!(report.findings.iter().any(|f| f.matters && f.error.object().as_ref() == Some(&names[1])));
        assert!(!report.incomplete.contains(&ids[0]) && !report.incomplete.contains(&ids[2]));

        // The first commit has what all others build on.
        way(&bench, &names[0]);
        let report = run(&mut bench, None);
        assert!(report.incomplete.contains(&ids[2]));
        assert!(report.losses.iter().any(|loss| loss.user == b"bob" && loss.path.is_home()));
    }
}

#[test]
fn a_commit_whose_end_is_damaged_is_a_lost_snapshot_though_the_index_knows_it() {
    let (mut bench, [_, second, _]) = three();
    let name = bench.repository.snapshots().unwrap()[1].name.clone();
    bench.damage(|object, bytes| {
        if *object == name {
            let end = bytes.len() - 100;
            bytes[end] ^= 1;
        }
    });
    let report = run(&mut bench, ALL);
    assert_eq!(report.lost_snapshots.iter().map(|lost| lost.id).collect::<Vec<_>>(), [second]);
    assert!(report.is_damaged());
}

#[test]
fn a_sound_segment_in_the_place_of_another_has_nothing_of_what_belongs_there() {
    let (mut bench, [first, second, third]) = three();
    let names: Vec<_> = bench.repository.snapshots().unwrap().into_iter().map(|s| s.name).collect();
    let bytes = bench.store.get(&names[1]).unwrap();
    bench.damage(|object, there| {
        if *object == names[2] {
            there.clone_from(&bytes);
        }
    });
    let report = run(&mut bench, ALL);
    assert!(report.losses.iter().any(|loss| loss.snapshots == [third]), "{report:?}");
    assert_eq!(report.lost_snapshots.iter().map(|lost| lost.id).collect::<Vec<_>>(), [third]);
    assert!(!report.incomplete.contains(&first) && !report.incomplete.contains(&second));
    let told = &report.findings;
    assert!(told.iter().any(|f| f.matters && f.error.object().as_ref() == Some(&names[2])), "{told:?}");
}

#[test]
fn a_damaged_slot_needs_attention_and_loses_nothing() {
    let (mut bench, _) = three();
    let secret = Secret::KeyFile([8; 32].into());
    let slot = bench.repository.add_slot(&secret, crate::keys::Cost::FLOOR, "other").unwrap();
    bench.damage(|object, bytes| {
        if *object == ObjectName::key(&slot.hash) {
            bytes[70] ^= 1;
        }
    });
    let report = run(&mut bench, None);
    assert!(!report.is_damaged() && report.has_problems());
    assert_eq!(report.findings[0].error.object(), Some(ObjectName::key(&slot.hash)));
}

#[test]
fn foreign_names_and_orphans_are_told_and_harmless() {
    let (mut bench, _) = three();
    bench.store.put(&"notes.txt".parse().unwrap(), b"mine").unwrap();
    bench.store.put(&"segments/ab/cd".parse().unwrap(), b"mine").unwrap();
    let options =
        crate::repo::WriterOptions { level: 1, threads: 1, target: crate::repo::WriteTarget::Store };
    let writer = bench.repository.writer(&options).unwrap();
    let mut session = writer.session().unwrap();
    for n in 0..40 {
        session.data(&noise(n, 1 << 20)[..60 << 10]).unwrap();
        session.data(&noise(100 + n, 1 << 20)[..60 << 10]).unwrap();
    }
    session.flush().unwrap();
    drop(writer.finish().unwrap());
    let report = run(&mut bench, ALL);
    assert!(is_clean(&report));
    assert_eq!(report.foreign, ["notes.txt", "segments/ab/cd"]);
}

#[test]
fn a_sample_is_restored_compared_and_removed() {
    let (mut bench, [_, second, _]) = three();
    let before = entries(&bench);
    let options = options(&bench, None, 5);
    let report = check(&mut bench.repository, &options, &Meter::default()).unwrap();
    let sample = report.sample.unwrap();
    assert_eq!((sample.files, sample.failures.len()), (5, 0));
    let mut after = entries(&bench);
    after.remove("seen.sqlite");
    assert!(after.is_subset(&before), "{after:?}");

    spoil(&bench, place_of(&bench, second, "ann", "work/report"));
    let options = CheckOptions { restore_sample: u64::MAX, ..options };
    let report = check(&mut bench.repository, &options, &Meter::default()).unwrap();
    let sample = report.sample.as_ref().unwrap();
    assert_eq!((sample.files, sample.failures.len()), (11, 1));
    let failure = &sample.failures[0];
    assert_eq!((&failure.user[..], &failure.path), (&b"ann"[..], &path("work/report")));
    assert_eq!(failure.snapshot, second);
    assert!(report.is_damaged());
}

fn entries(bench: &Bench) -> BTreeSet<String> {
    let folder = bench.repository.cache().read_dir().unwrap();
    folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_interrupted_check_says_so() {
    let (mut bench, _) = three();
    let (options, meter) = (options(&bench, ALL, 0), Meter::default());
    meter.interrupt();
    let result = check(&mut bench.repository, &options, &meter);
    assert!(matches!(result, Err(CheckError::Interrupted)));
}

#[test]
fn nothing_in_the_store_is_changed() {
    let (mut bench, [_, second, _]) = three();
    spoil(&bench, place_of(&bench, second, "ann", "work/report"));
    let objects = |bench: &Bench| -> Vec<_> {
        let listed = bench.store.list("").unwrap();
        listed.into_iter().map(|l| (bench.store.get(&l.name).unwrap(), l.name)).collect()
    };
    let before = objects(&bench);
    let options = options(&bench, ALL, 100);
    check(&mut bench.repository, &options, &Meter::default()).unwrap();
    assert_eq!(objects(&bench), before);
}

#[test]
fn a_commit_that_does_not_name_all_it_needs_is_told() {
    let (mut bench, _) = three();
    let options =
        crate::repo::WriterOptions { level: 1, threads: 1, target: crate::repo::WriteTarget::Store };
    let writer = bench.repository.writer(&options).unwrap();
    let mut record = bench.repository.snapshots().unwrap().pop().unwrap().record;
    (record.supersession, record.deps) = (1, vec![]);
    bench.repository.commit(writer.finish().unwrap(), record).unwrap();
    let report = run(&mut bench, None);
    assert!(!report.is_damaged() && report.has_problems());
    assert!(matches!(report.findings[0].error, RepoError::Unnamed(_)));
}

/// What cannot be read, found by reading everything: user, path and snapshot.
fn unreadable(repository: &Repository) -> BTreeSet<(Vec<u8>, Vec<u8>, SnapshotId)> {
    let (mut reader, mut unreadable) = (repository.reader().unwrap(), BTreeSet::new());
    for snapshot in repository.snapshots().unwrap() {
        for home in &snapshot.record.homes {
            let Some(EntryKind::Directory(root)) = home.root.as_ref().map(|root| &root.kind) else {
                continue;
            };
            let mut rest = vec![(crate::engine::HomePath::home(), *root)];
            while let Some((path, tree)) = rest.pop() {
                let mut lose = |path: &crate::engine::HomePath| {
                    unreadable.insert((home.user.clone(), path.as_bytes().to_vec(), snapshot.record.id));
                };
                let Ok(listing) = reader.listing(&tree) else {
                    lose(&path);
                    continue;
                };
                for entry in listing {
                    let path = path.join(&entry.name);
                    match &entry.kind {
                        EntryKind::Directory(tree) => rest.push((path, *tree)),
                        EntryKind::File(content) => {
                            let mut visit = |reader: &mut crate::repo::Reader, extent| match extent {
                                Extent::Data { id, length } => reader.with_data(&id, length, |_| ()),
                                Extent::Hole { .. } => Ok(()),
                            };
                            if reader.extents(content, &mut visit).is_err() {
                                lose(&path);
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    unreadable
}

#[test]
fn whatever_byte_is_damaged_exactly_what_cannot_be_read_is_told() {
    let (bench, ids) = three();
    let (mut told, mut lost_snapshots) = (0, 0);
    for object in bench.store.list("snapshots/").unwrap() {
        let steps = 40;
        for at in (0..steps).map(|step| (object.length * step / steps) as usize) {
            let flip = || {
                bench.damage(|name, bytes| {
                    if *name == object.name {
                        bytes[at] ^= 0x10;
                    }
                });
            };
            flip();
            let mut repository = elsewhere(&bench);
            let report = check(&mut repository, &options(&bench, ALL, 0), &Meter::default()).unwrap();
            assert_eq!(report.findings.len(), 1, "{at}");
            let losses: BTreeSet<_> = report
                .losses
                .iter()
                .flat_map(|loss| loss.snapshots.iter().map(move |id| (loss, *id)))
                .map(|(loss, id)| (loss.user.clone(), loss.path.as_bytes().to_vec(), id))
                .collect();
            assert_eq!(losses, unreadable(&repository), "{at}");
            let known: Vec<_> = repository.snapshots().unwrap().iter().map(|s| s.record.id).collect();
            let lost: BTreeSet<_> = ids.iter().filter(|id| !known.contains(id)).collect();
            assert_eq!(report.lost_snapshots.iter().map(|lost| &lost.id).collect::<BTreeSet<_>>(), lost);
            told += usize::from(!losses.is_empty());
            lost_snapshots += lost.len();
            flip();
        }
    }
    assert!(told > 30 && lost_snapshots > 0, "{told} {lost_snapshots}");
}

#[test]
fn a_damaged_image_of_the_index_costs_nothing() {
    let (mut bench, _) = three();
    bench.repository.publish_index().unwrap();
    bench.damage(|object, bytes| {
        if object.as_str().starts_with("index/") {
            let end = bytes.len() - 100;
            bytes[end] ^= 1;
        }
    });
    for read in [None, ALL] {
        let report = run(&mut bench, read);
        assert!(is_clean(&report));
        assert_eq!(report.findings.len(), 1);
    }
}

#[test]
fn what_a_prune_has_deleted_is_no_damage() {
    use crate::engine::prune::{MaxUnused, PruneOptions, prune};
    let (mut bench, [first, second, _]) = three();
    bench.repository.forget(first).unwrap();
    bench.repository.forget(second).unwrap();
    let pruning = PruneOptions {
        host: "here".into(),
        grace: std::time::Duration::ZERO,
        min_age: std::time::Duration::ZERO,
        max_unused: MaxUnused::Percent(0.0),
        max_repack: u64::MAX,
        level: 1,
        threads: 2,
        dry_run: false,
        force: false,
    };
    for _ in 0..2 {
        prune(&mut bench.repository, &pruning, &Meter::default()).unwrap();
    }
    let report = run(&mut bench, ALL);
    assert!(is_clean(&report) && report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.snapshots, 1);
    let mut other = elsewhere(&bench);
    let report = check(&mut other, &options(&bench, ALL, 0), &Meter::default()).unwrap();
    assert!(is_clean(&report) && report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn a_store_that_fails_once_is_no_damage_of_what_it_holds() {
    let (bench, _) = three();
    let (mut nth, mut ended) = (0, 0);
    loop {
        nth += 1;
        let store = Arc::new(FaultStore::at_call(bench.store.clone(), Fault::FailBefore, nth));
        let cache = tempfile::tempdir().unwrap();
        let secret = Secret::KeyFile([7; 32].into());
        let checked = Repository::open(store.clone(), &secret, cache.path())
            .map_err(CheckError::from)
            .and_then(|mut other| check(&mut other, &options(&bench, ALL, 0), &Meter::default()));
        match checked {
            Ok(report) => assert!(is_clean(&report) && report.findings.is_empty(), "{nth}"),
            Err(_) => ended += 1,
        }
        if !store.fired() {
            break;
        }
    }
    assert!(nth > 20 && ended > 5 && ended < nth, "{ended} of {nth}");
}

#[test]
fn what_one_machine_could_not_read_another_tries_for_itself() {
    let (mut bench, [_, second, _]) = three();
    let place = place_of(&bench, second, "ann", "work/report");
    spoil(&bench, place);
    assert!(run(&mut bench, ALL).is_damaged());
    spoil(&bench, place);
    bench.repository.publish_index().unwrap();
    let other = elsewhere(&bench);
    assert!(other.catalog().segment_count().unwrap() > 0, "it began with the image");
    assert!(other.distrusted().unwrap().is_empty());
    assert_eq!(bench.repository.distrusted().unwrap().len(), 1);
}
