//! Which state a restore takes, what it says about the choice, and what it says when there is none.

use std::fs;

use super::World;
use super::restore::world;

#[test]
fn the_newest_state_that_really_holds_a_home_is_taken_and_named() {
    let world = world();
    world.backup(&[]).expect(0);
    let ids = |world: &World| -> Vec<String> {
        world.snapshots(&[]).iter().map(|s| s["short_id"].as_str().unwrap().to_owned()).collect()
    };
    let good = ids(&world)[0].clone();
    for entry in fs::read_dir(world.path("homes/ann")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    world.write("homes/ann/.bashrc", "fresh");
    world.write("homes/bob/second", "more");
    world.backup(&[]).expect(3);
    let shrunk = ids(&world)[1].clone();

    let answer = world.run(["restore", "--target", "out"]).expect(0);
    assert!(world.path("out/ann/docs/thesis.tex").exists() && world.path("out/bob/second").exists());
    let told = format!("the home of ann is taken from snapshot {good} of ");
    assert!(answer.err.contains(&told) && answer.err.contains(&format!("in the newest, {shrunk} of ")));
    assert!(answer.err.contains("had far fewer files than before"), "{}", answer.err);
    assert!(answer.out.contains("from 2 snapshots"), "{}", answer.out);

    let objects = world.run(["restore", "--target", "json", "--json"]).expect(0).objects();
    let ann = objects.iter().find(|o| o["user"] == "ann").unwrap();
    assert_eq!((&ann["note"], &ann["newest_attention"]), (&"behind".into(), &"shrunk".into()));

    // An id means that snapshot.
    let answer = world.run(["restore", &format!("{shrunk}:ann"), "--target", "exact"]).expect(0);
    assert!(world.path("exact/.bashrc").exists() && !world.path("exact/docs").exists());
    assert!(answer.err.contains("warning: the home of ann had far fewer files"), "{}", answer.err);
}

#[test]
fn a_home_that_was_removed_on_purpose_does_not_come_back_by_itself() {
    let world = world();
    world.backup(&[]).expect(0);
    fs::remove_dir_all(world.path("homes/bob")).unwrap();
    world.backup(&["--confirm", "bob"]).expect(0);
    let answer = world.run(["restore", "--target", "out"]).expect(0);
    assert!(answer.err.contains("the home of bob was confirmed to be gone"), "{}", answer.err);
    assert!(world.path("out/ann").exists() && !world.path("out/bob").exists());
    let absent = world.run(["restore", "latest:bob", "--target", "out"]).expect(1);
    assert!(absent.err.contains("confirmed to be gone"), "{}", absent.err);
    world.run(["restore", "--user", "bob", "--target", "out"]).expect(1);
    world.run(["restore", "latest~1:bob", "--target", "back"]).expect(0);
    assert!(world.path("back/work").exists());
}

#[test]
fn what_names_nothing_says_what_there_is() {
    let world = world();
    let empty = world.run(["restore", "--target", "x"]).expect(1);
    assert!(empty.err.contains("there are no snapshots yet"), "{}", empty.err);
    world.backup(&[]).expect(0);
    let id = world.snapshots(&[])[0]["id"].as_str().unwrap().to_owned();
    let other = if id.starts_with("00") { "11" } else { "00" };
    let cases = [
        (other.to_owned(), 1, "hint: `homekeep snapshots` lists them"),
        ("yesterday".into(), 2, "names no snapshot: write `latest`"),
        ("@2001-01-01".into(), 1, "before the oldest of 1 snapshots"),
        ("latest~1".into(), 1, "before the oldest of 1 snapshots"),
        ("latest:carl".into(), 1, "no snapshot here has a home of \"carl\"; there are ann, bob"),
        ("latest:ann/docs/no/thing".into(), 1, "the nearest directory that exists is docs"),
        ("latest:ann/run.sh/x".into(), 1, "run.sh is a file, not a directory"),
        ("latest:ann/../bob".into(), 2, "is not a path in a home"),
        ("latest:/etc/passwd".into(), 1, "is in none of the homes"),
    ];
    for (spec, code, expected) in cases {
        let answer = world.run(["restore", &spec, "--target", "x"]).expect(code);
        assert!(answer.err.contains(expected), "{spec}: {}", answer.err);
    }
    let unknown = world.run(["restore", "--user", "carl", "--target", "x"]).expect(1);
    assert!(unknown.err.contains("there are ann, bob"), "{}", unknown.err);
    assert!(!world.path("x").exists());
}

#[test]
fn a_prefix_of_several_ids_lists_them() {
    let world = world();
    // Of seventeen ids two begin with the same digit.
    let (one, other) = loop {
        world.backup(&["--always"]).expect(0);
        let ids: Vec<String> =
            world.snapshots(&[]).iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect();
        let newest = ids.last().unwrap();
        let twin = ids[..ids.len() - 1].iter().find(|id| id[..1] == newest[..1]);
        if let Some(twin) = twin {
            break (newest.clone(), twin.clone());
        }
    };
    let answer = world.run(["restore", &one[..1], "--target", "x"]).expect(1);
    assert!(answer.err.contains(&one) && answer.err.contains(&other), "{}", answer.err);
    assert!(answer.err.contains("hint: give more digits"), "{}", answer.err);
}

#[test]
fn a_damaged_snapshot_is_told_and_costs_no_other() {
    let world = world();
    world.backup(&[]).expect(0);
    let good = world.commits();
    world.write("homes/ann/0", "changed");
    world.backup(&[]).expect(0);
    let new = world.commits().into_iter().find(|commit| !good.contains(commit)).unwrap();
    fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(&new, "not a commit").unwrap();
    let answer = world.run(["restore", "--cache-dir", "new", "--target", "out"]).expect(3);
    assert!(answer.err.contains("homekeep: warning: "), "{}", answer.err);
    assert_eq!(fs::read_to_string(world.path("out/ann/0")).unwrap(), "ann's 0");
    for command in [&["ls"][..], &["find", "work"], &["diff", "latest", "latest"], &["dump", "latest:ann/0"]]
    {
        world.run(["--cache-dir", "new"].iter().chain(command)).expect(3);
    }
}
