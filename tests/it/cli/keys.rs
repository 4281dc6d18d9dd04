//! `key`: ways in are added, listed, changed and removed, and the last one stays.

use serde_json::Value;

use super::{World, mode};

fn keys(world: &World) -> Vec<Value> {
    serde_json::from_str(&world.run(["key", "list", "--json"]).expect(0).out).unwrap()
}

#[test]
fn keys_are_added_listed_and_removed() {
    let world = World::with_repository();
    world.run(["key", "add", "--new-key-file", "second", "--label", "for bob"]).expect(0);
    assert_eq!(mode(&world.path("second")), 0o600);
    world.write("password", "open sesame\n");
    world.run(["key", "add", "--new-password-file", "password"]).expect(0);
    let all = keys(&world);
    assert_eq!(all.len(), 3);
    let current: Vec<_> = all.iter().filter(|key| key["current"] == true).collect();
    assert_eq!((current.len(), &current[0]["label"]), (1, &"init".into()));
    let bobs = all.iter().find(|key| key["label"] == "for bob").unwrap();
    assert_eq!(bobs["kind"], "key-file");
    let table = world.run(["key", "list"]).expect(0).out;
    assert!(table.lines().any(|line| line.starts_with('*') && line.ends_with("init")), "{table}");

    let (repo, cache) = (world.text("repo"), world.text("cache"));
    let places = ["-r", &repo, "--cache-dir", &cache, "snapshots"];
    world.run_bare(places.iter().chain(&["--key-file", "second"])).expect(0);
    world.run_bare(places.iter().chain(&["--password-file", "password"])).expect(0);

    let own = current[0]["short_id"].as_str().unwrap();
    world.run(["key", "remove", own]).expect(2);
    world.run(["key", "remove", bobs["short_id"].as_str().unwrap()]).expect(0);
    world.run_bare(places.iter().chain(&["--key-file", "second"])).expect(12);
    world.run(["key", "remove", "zz"]).expect(1);
    let answer = world.run(["cat", "key", own]).expect(0);
    assert!(answer.out.contains("key-file") && !answer.out.contains("wrapped"), "{}", answer.out);
}

#[test]
fn the_last_key_stays() {
    let world = World::with_repository();
    let own = keys(&world)[0]["id"].as_str().unwrap().to_owned();
    let answer = world.run(["key", "remove", &own]).expect(1);
    assert!(answer.err.contains("only key slot left"), "{}", answer.err);
}

#[test]
fn a_key_is_replaced_by_another() {
    let world = World::with_repository();
    world.run(["key", "passwd", "--new-key-file", "new"]).expect(0);
    world.run(["snapshots"]).expect(12);
    std::fs::rename(world.path("new"), world.path("key")).unwrap();
    assert_eq!(keys(&world).len(), 1);
    // Nobody is there to be asked for a passphrase.
    world.run(["key", "passwd"]).expect(13);
    world.run(["snapshots"]).expect(0);
}
