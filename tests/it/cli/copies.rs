//! `copy` as scripts use it: which repositories, which snapshots, what is answered.

use std::fs;

use super::{Answer, World};

/// A world with two repositories; the second has a key of its own.
fn two_repositories() -> World {
    let world = World::with_repository();
    world.run_bare(["init", "--repo", "other", "--key-file", "other-key", "--cache-dir", "cache"]).expect(0);
    world
}

fn to_other(world: &World, arguments: &[&str]) -> Answer {
    let other = ["--repo", "other", "--key-file", "other-key", "--cache-dir", "cache"];
    world.run_bare(arguments.iter().chain(&other))
}

fn copy(world: &World, arguments: &[&str]) -> Answer {
    let from = ["copy", "--from-repo", "repo", "--from-key-file", "key"];
    to_other(world, &[&from[..], arguments].concat())
}

#[test]
fn all_snapshots_are_copied_once_and_found_under_their_ids() {
    let world = two_repositories();
    world.backup(&["--tag", "first"]).expect(0);
    world.write("homes/ann/new", "more");
    world.backup(&[]).expect(0);
    let first = copy(&world, &[]).expect(0);
    assert!(first.out.contains("copied 2 snapshots; 0 here already; "), "{}", first.out);
    let ids = |snapshots: &str| {
        let snapshots: Vec<serde_json::Value> = serde_json::from_str(snapshots).unwrap();
        snapshots.iter().map(|s| (s["id"].clone(), s["tags"].clone(), s["lost"].clone())).collect::<Vec<_>>()
    };
    let there = to_other(&world, &["snapshots", "--json"]).expect(0);
    let here = world.run(["snapshots", "--json"]).expect(0);
    assert_eq!(ids(&there.out), ids(&here.out));
    let second = copy(&world, &[]).expect(0);
    assert!(second.out.starts_with("copied 0 snapshots; 2 here already; "), "{}", second.out);
    let bytes = to_other(&world, &["dump", "latest:ann/new"]).expect(0);
    assert_eq!(bytes.out, "more");
}

#[test]
fn snapshots_are_chosen_as_in_the_list() {
    let world = two_repositories();
    world.backup(&["--tag", "kept"]).expect(0);
    world.backup(&["--always"]).expect(0);
    let planned = copy(&world, &["--dry-run", "--json", "--tag", "kept"]).expect(0);
    assert_eq!(planned.objects()[0]["outcome"], "planned");
    assert_eq!(
        (&planned.summary()["snapshots_copied"], &planned.summary()["dry_run"]),
        (&1.into(), &true.into())
    );
    let copied = copy(&world, &["--json", "--latest", "1", "--user", "bob"]).expect(0);
    assert_eq!(
        (&copied.objects()[0]["outcome"], &copied.objects()[0]["homes"]),
        (&"copied".into(), &1.into())
    );
    assert_eq!(copied.summary()["objects_added"], 1);
    copy(&world, &["--user", "nobody"]).expect(1);
    copy(&world, &["ffffffffffff"]).expect(1);
    copy(&world, &["latest"]).expect(0);
    let there = to_other(&world, &["snapshots", "--json"]).expect(0);
    let there: Vec<serde_json::Value> = serde_json::from_str(&there.out).unwrap();
    assert_eq!((there.len(), there[0]["homes"].as_array().unwrap().len()), (1, 2));
}

#[test]
fn the_environment_and_the_configuration_name_the_source_too() {
    let mut world = two_repositories();
    world.backup(&[]).expect(0);
    let text = format!(
        "[repository]\nrepo = {:?}\nkey-file = {:?}\ncache-dir = {:?}\n[copy]\nfrom-repo = {:?}\nfrom-key-file = {:?}\n",
        world.path("other"),
        world.path("other-key"),
        world.path("cache"),
        world.path("repo"),
        world.path("key")
    );
    world.write("homekeep.toml", &text);
    world.set("HOMEKEEP_CONFIG", world.path("homekeep.toml"));
    world.run_bare(["copy"]).expect(0);
    world.set("HOMEKEEP_FROM_REPO", world.path("nowhere"));
    world.run_bare(["copy"]).expect(10);
}

#[test]
fn each_trouble_with_two_repositories_says_which_is_meant() {
    let world = two_repositories();
    world.backup(&[]).expect(0);
    let from = |arguments: &[&str]| to_other(&world, &[&["copy"], arguments].concat());
    assert!(from(&[]).expect(2).err.contains("--from-repo"));
    assert!(from(&["--from-repo", "nowhere"]).expect(10).err.contains("--from-repo"));
    assert!(from(&["--from-repo", "repo"]).expect(13).err.contains("--from-key-file"));
    let wrong = from(&["--from-repo", "repo", "--from-key-file", "other-key"]).expect(12);
    assert!(wrong.err.contains("--from-key-file"), "{}", wrong.err);
    from(&["--from-repo", "repo", "--from-key-file", "key", "--from-password-file", "key"]).expect(2);
    from(&["--from-repo", "s3://bucket", "--from-key-file", "key"]).expect(2);
    let same = world.run(["copy", "--from-repo", "repo", "--from-key-file", "key"]).expect(2);
    assert!(same.err.contains("the same"), "{}", same.err);
    let missing = ["copy", "--from-repo", "repo", "--from-key-file", "key", "--repo", "new"];
    world.run(missing).expect(10);
    assert!(!world.path("new").exists());
}

#[test]
fn what_the_source_lost_is_3_and_stays_told() {
    let world = two_repositories();
    // One thread makes one block of all files.
    world.backup(&["--jobs", "1"]).expect(0);
    let commit = &world.commits()[0];
    let mut bytes = fs::read(commit).unwrap();
    // The first block has the files; the trees come behind it.
    bytes[100] ^= 1;
    fs::write(commit, bytes).unwrap();
    let copied = copy(&world, &[]).expect(3);
    assert!(copied.err.contains("ann:0: cannot be read: "), "{}", copied.err);
    assert!(copied.out.contains("that cannot be read"), "{}", copied.out);
    let there = to_other(&world, &["snapshots"]).expect(0);
    assert!(there.out.contains("11 lost"), "{}", there.out);
}
