//! `check`: what it answers to people and to programs, and how it ends.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Answer, World};

/// Two snapshots; the second has one file of ann's in another version.
fn two() -> World {
    let world = World::with_repository();
    world.backup(&[]).expect(0);
    world.write("homes/ann/3", "ann's 3, changed");
    world.backup(&[]).expect(0);
    world
}

/// Changes a bit of the first block of a commit: the data that came with it.
fn spoil(commit: &Path) {
    let mut bytes = fs::read(commit).unwrap();
    bytes[90] ^= 1;
    fs::write(commit, bytes).unwrap();
}

fn commits(world: &World) -> Vec<std::path::PathBuf> {
    let mut commits = world.commits();
    commits.sort();
    commits
}

fn of<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|object| object["message_type"] == kind).collect()
}

fn check(world: &World, arguments: &[&str]) -> Answer {
    world.run(["check"].iter().chain(arguments))
}

#[test]
fn a_sound_repository_ends_with_0() {
    let world = two();
    let answer = check(&world, &[]).expect(0);
    assert!(answer.out.starts_with("checked 2 snapshots of 2 homes, 4 objects ("), "{}", answer.out);
    assert!(answer.out.contains("everything is there") && answer.err.is_empty(), "{}", answer.err);
    let answer = check(&world, &["--read-data", "--restore-sample", "5"]).expect(0);
    assert!(
        answer.out.contains("read 4 of them (") && answer.out.contains("restored 5 files ("),
        "{}",
        answer.out
    );
    for part in ["1/2", "2/2", "50%", "1M"] {
        check(&world, &["--read-data-subset", part]).expect(0);
    }
    assert_eq!(check(&world, &["--quiet", "--read-data"]).expect(0).out, "");
    for arguments in [&["--read-data-subset", "3/2"][..], &["--read-data", "--read-data-subset", "1/2"]] {
        check(&world, arguments).expect(2);
    }
}

#[test]
fn damage_is_told_by_user_file_and_snapshot_and_healed_by_the_next_backup() {
    let world = two();
    let ids: Vec<String> =
        world.snapshots(&[]).iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect();
    spoil(&commits(&world)[1]);
    check(&world, &[]).expect(0);
    let answer = check(&world, &["--read-data"]).expect(14);
    let line = answer.err.lines().find(|line| line.contains("ann:3")).unwrap();
    let expected = format!(
        "homekeep: ann:3: 16 B of 16 B are lost in snapshot {}; the newest that is whole is in snapshot {} of ",
        &ids[1][..8],
        &ids[0][..8]
    );
    assert!(line.starts_with(&expected), "{line}");
    assert!(answer.out.contains("DAMAGED: 1 file or directory is lost, 1 snapshot lacks something"));

    let objects = check(&world, &["--read-data", "--json"]).expect(14).objects();
    let losses = of(&objects, "loss");
    assert_eq!(losses.len(), 1);
    assert_eq!((&losses[0]["user"], &losses[0]["path"]), (&"ann".into(), &"3".into()));
    assert_eq!((&losses[0]["bytes_lost"], &losses[0]["type"]), (&16.into(), &"file".into()));
    assert_eq!(losses[0]["snapshots"], Value::from(vec![ids[1].clone()]));
    assert_eq!(losses[0]["intact_snapshot_id"], ids[0].as_str());
    let errors = of(&objects, "error");
    assert_eq!((errors.len(), &errors[0]["code"]), (1, &"damaged_object".into()));
    let summary = &of(&objects, "summary")[0];
    assert_eq!((&summary["damaged"], &summary["losses"]), (&true.into(), &1.into()));

    world.backup(&[]).expect(3);
    let answer = check(&world, &["--read-data"]).expect(0);
    assert!(answer.err.contains("nothing is lost by it"), "{}", answer.err);
    let restored = world.text("restored");
    world.run(["restore", &ids[1], "--target", &restored]).expect(0);
    assert_eq!(fs::read_to_string(world.path("restored/ann/3")).unwrap(), "ann's 3, changed");
}

#[test]
fn a_lost_snapshot_is_told() {
    let world = two();
    let ids: Vec<String> =
        world.snapshots(&[]).iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect();
    fs::remove_file(&commits(&world)[1]).unwrap();
    let objects = check(&world, &["--json"]).expect(14).objects();
    let lost = of(&objects, "lost_snapshot");
    assert_eq!((lost.len(), &lost[0]["snapshot_id"]), (1, &ids[1].as_str().into()));
}

#[test]
fn what_needs_attention_ends_with_3_and_what_is_harmless_with_0() {
    let world = two();
    fs::write(world.path("repo/READ ME"), "mine").unwrap();
    fs::write(world.path("repo/segments-of-mine"), "mine").unwrap();
    fs::write(world.path("repo/snapshots/.tmp-1_"), "half").unwrap();
    let answer = check(&world, &[]).expect(0);
    for text in ["READ ME is no object", "segments-of-mine is no object", "1 temporary file (4 B)"] {
        assert!(answer.err.contains(text), "{}", answer.err);
    }
    world.write("password", "secret");
    world.run(["key", "add", "--new-password-file", &world.text("password")]).expect(0);
    let slots = fs::read_dir(world.path("repo/keys")).unwrap().map(|slot| slot.unwrap().path());
    let mut slots: Vec<_> = slots.collect();
    slots.sort_by_key(|slot| fs::metadata(slot).unwrap().modified().unwrap());
    let newest = slots.pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&newest, bytes).unwrap();
    let answer = check(&world, &[]).expect(3);
    assert!(answer.out.contains("everything is there, but 1 object needs attention"), "{}", answer.out);
}
