//! `repair` as scripts use it: what is answered, and with which code.

use std::fs;

use super::World;

/// A world whose only snapshot has lost what its files held.
fn with_lost_files() -> World {
    let world = World::with_repository();
    // One thread makes one block of all files.
    world.backup(&["--jobs", "1"]).expect(0);
    let commit = &world.commits()[0];
    let mut bytes = fs::read(commit).unwrap();
    // The first block has the files; the trees come behind it.
    bytes[100] ^= 1;
    fs::write(commit, bytes).unwrap();
    world.run(["check", "--read-data"]).expect(14);
    world
}

#[test]
fn snapshots_are_repaired_once_and_stay_marked() {
    let world = with_lost_files();
    let planned = world.run(["repair", "snapshots", "--dry-run", "--json"]).expect(3);
    assert_eq!(
        (&planned.summary()["snapshots_repaired"], &planned.summary()["lost"]),
        (&1.into(), &11.into())
    );
    let repaired = world.run(["repair", "snapshots"]).expect(3);
    assert!(repaired.err.contains("ann:0: cannot be read: "), "{}", repaired.err);
    assert!(repaired.out.contains("without 11 files and directories"), "{}", repaired.out);
    let again = world.run(["repair", "snapshots"]).expect(0);
    assert!(again.out.contains("1 snapshot lacks nothing; 0 repaired"), "{}", again.out);
    assert!(world.run(["snapshots"]).expect(0).out.contains("11 lost"));
    assert_eq!(world.snapshots(&[])[0]["lost"], 11);
    world.run(["repair", "snapshots", "ffffffff"]).expect(1);
}

#[test]
fn segments_are_repaired_and_what_is_incomplete_is_named() {
    let world = with_lost_files();
    let answer = world.run(["repair", "segments"]).expect(3);
    assert!(answer.err.contains("homekeep repair snapshots"), "{}", answer.err);
    assert!(answer.out.contains("1 segment is damaged; stored "), "{}", answer.out);
    let sound = World::with_repository();
    sound.backup(&[]).expect(0);
    let answer = sound.run(["repair", "segments"]).expect(0);
    assert!(answer.out.contains("check --read-data"), "{}", answer.out);
}

#[test]
fn an_index_is_read_anew() {
    let world = World::with_repository();
    world.backup(&[]).expect(0);
    let answer = world.run(["repair", "index", "--drop-images", "--json"]).expect(0);
    assert_eq!(answer.summary()["snapshots"], 1);
    world.run(["check"]).expect(0);
}
