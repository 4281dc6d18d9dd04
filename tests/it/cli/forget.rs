//! `forget`: what it shows, what it hides, and what it refuses.

use std::fs;

use serde_json::Value;

use super::World;

/// A world with so many snapshots, and their short ids, oldest first.
fn history(snapshots: usize) -> (World, Vec<String>) {
    let world = World::with_repository();
    for n in 0..snapshots {
        world.write("homes/bob/work", &format!("version {n}"));
        world.backup(&["--tag", &format!("t{n}")]).expect(0);
    }
    let ids = ids(&world);
    assert_eq!(ids.len(), snapshots);
    (world, ids)
}

fn ids(world: &World) -> Vec<String> {
    let short_id = |snapshot: &Value| snapshot["short_id"].as_str().unwrap().to_owned();
    world.snapshots(&[]).iter().map(short_id).collect()
}

fn marks(world: &World) -> usize {
    fs::read_dir(world.path("repo/forgotten")).map_or(0, Iterator::count)
}

#[test]
fn a_policy_shows_in_a_dry_run_what_it_then_does() {
    let (world, ids_before) = history(4);
    let policy = ["forget", "--keep-last", "2", "--keep-tag", "t0"];
    let plan = world.run(policy.iter().chain(&["--dry-run"])).expect(0).out;
    let lines: Vec<_> = plan.lines().collect();
    assert_eq!(lines.len(), 6, "{plan}");
    let expected =
        [("keep", "tag t0"), ("forget", ""), ("keep", "last"), ("keep", "last; newest state of ann, bob")];
    for ((line, id), (action, because)) in lines[1..].iter().zip(&ids_before).zip(expected) {
        assert!(line.starts_with(id) && line.contains(action) && line.ends_with(because), "{plan}");
    }
    assert_eq!(lines[5], "1 snapshot would be forgotten, 3 kept");
    assert_eq!((marks(&world), ids(&world)), (0, ids_before.clone()));

    assert_eq!(world.run(policy).expect(0).out, "1 snapshot forgotten, 3 kept\n");
    assert_eq!(ids(&world), [&ids_before[0], &ids_before[2], &ids_before[3]].map(String::as_str));
    assert_eq!(world.run(policy).expect(0).out, "0 snapshots forgotten, 3 kept\n");
    assert_eq!((marks(&world), world.commits().len()), (1, 4));
    assert!(world.run(["undo"]).expect(0).out.contains(&ids_before[1]));
    world.run(["undo", &ids_before[1]]).expect(0);
    assert_eq!(ids(&world), ids_before);
    world.run(policy).expect(0);
    // The next backup builds on what is left.
    world.write("homes/bob/work", "once more");
    world.backup(&[]).expect(0);
    world.run(["restore", "latest", "--target", "out"]).expect(0);
    assert_eq!(fs::read_to_string(world.path("out/bob/work")).unwrap(), "once more");
}

#[test]
fn programs_get_each_decision_with_its_reasons() {
    let (world, ids) = history(3);
    let answer = world.run(["forget", "--keep-daily", "1", "--json", "-n"]).expect(0);
    let objects = answer.objects();
    let decisions: Vec<_> = objects.iter().filter(|object| object["message_type"] == "decision").collect();
    assert_eq!(decisions.len(), 3);
    assert!(decisions[0]["snapshot_id"].as_str().unwrap().starts_with(&ids[0]));
    assert_eq!(
        (&decisions[0]["action"], &decisions[0]["reasons"]),
        (&"forget".into(), &Value::Array(vec![]))
    );
    assert_eq!(decisions[2]["action"], "keep");
    let expected = serde_json::json!([
        {"reason": "daily", "oldest": false},
        {"reason": "newest_state", "users": [{"user": "ann"}, {"user": "bob"}]},
    ]);
    assert_eq!(decisions[2]["reasons"], expected);
    let summary = answer.summary();
    assert_eq!(
        (&summary["dry_run"], &summary["kept"], &summary["forgotten"]),
        (&true.into(), &1.into(), &2.into())
    );
}

#[test]
fn what_is_named_goes_unless_it_is_someones_newest_state() {
    let (world, ids_before) = history(3);
    let [first, second, third] = &ids_before[..] else { panic!("three snapshots") };
    let refused = world.run(["forget", first, third]).expect(3);
    assert!(
        refused.err.contains(&format!("{third} stays: newest state of ann, bob; --force")),
        "{}",
        refused.err
    );
    assert_eq!(ids(&world), [second.as_str(), third]);
    world.run(["forget", first]).expect(1);
    world.run(["forget", "latest"]).expect(2);
    world.run(["forget", "xyz"]).expect(1);
    world.run(["forget", second, "--keep-last", "1"]).expect(2);
    world.run(["forget", second, "--user", "ann"]).expect(2);
    world.run(["forget", "--keep-last", "1", "--force"]).expect(2);
    let all = world.run(["forget", second, third, "--force"]).expect(1);
    assert!(all.err.contains("--allow-forget-all"), "{}", all.err);
    assert_eq!(ids(&world), [second.as_str(), third]);
    world.run(["forget", third, "--force"]).expect(0);
    assert_eq!(ids(&world), [second.as_str()]);
    world.run(["forget", second, "--force", "--allow-forget-all"]).expect(0);
    assert!(ids(&world).is_empty());
}

#[test]
fn a_shrunk_home_keeps_the_state_before_it() {
    let (world, ids_before) = history(2);
    for n in 0..10 {
        fs::remove_file(world.path(format!("homes/ann/{n}"))).unwrap();
    }
    world.backup(&[]).expect(3);
    world.write("homes/bob/work", "x");
    world.backup(&[]).expect(3);
    let answer = world.run(["forget", "--keep-last", "1", "--verbose"]).expect(0);
    let line = answer.out.lines().find(|line| line.starts_with(&ids_before[1])).unwrap();
    assert!(line.ends_with("last state before the home shrank or went missing: ann"), "{}", answer.out);
    assert_eq!(ids(&world).len(), 2);
    world.run(["restore", "latest:ann", "--target", "out"]).expect(0);
    assert!(world.path("out/9").exists());
    world.backup(&["--confirm", "ann"]).expect(0);
    world.run(["forget", "--keep-last", "1"]).expect(0);
    assert_eq!(ids(&world).len(), 1);
}

#[test]
fn the_policy_may_stand_in_the_configuration_file() {
    let (world, ids_before) = history(3);
    world.run(["forget"]).expect(2);
    world.write("c.toml", "[forget]\nkeep-last = 2\nkeep-tag = [\"t0\"]\n");
    let with = |more: &[&str]| world.run(["--config", "c.toml", "forget"].iter().chain(more));
    assert!(with(&["-n"]).expect(0).out.ends_with("0 snapshots would be forgotten, 3 kept\n"));
    assert!(
        with(&["-n", "--keep-tag", "t1"]).expect(0).out.ends_with("1 snapshot would be forgotten, 2 kept\n")
    );
    assert!(
        with(&["-n", "--keep-last", "1"]).expect(0).out.ends_with("1 snapshot would be forgotten, 2 kept\n")
    );
    // What is named does not ask a policy.
    with(&[&ids_before[0]]).expect(0);
    assert_eq!(ids(&world), ids_before[1..]);
    assert!(world.run(["forget", "--keep-within", "2h30m"]).expect(2).err.contains("minutes are min"));
    world.run(["forget", "--keep-last", "1", "--group-by", "path"]).expect(2);
    world.run(["forget", "--keep-last", "-1"]).expect(2);
}

#[test]
fn a_policy_for_one_user_spares_what_holds_other_homes() {
    let (world, _) = history(2);
    for n in 0..3 {
        world.write("homes/ann/new", &format!("version {n}"));
        world.backup(&["--user", "ann"]).expect(0);
    }
    let answer = world.run(["forget", "--user", "ann", "--keep-last", "1"]).expect(0);
    assert_eq!(answer.out, "2 snapshots forgotten, 1 kept\n");
    assert!(
        answer.err.contains("2 snapshots with homes of other users too were left alone"),
        "{}",
        answer.err
    );
    assert_eq!(ids(&world).len(), 3);
    world.run(["forget", "--user", "anne", "--keep-last", "1"]).expect(1);
    // By source alone the one of ann is all that is kept of the day, but for bob's newest state.
    let by = |grouping: &str| {
        let answer = world.run(["forget", "--keep-daily", "1", "-n", "--group-by", grouping]).expect(0);
        answer.out.lines().filter(|line| line.contains("keep ") && line.contains("daily")).count()
    };
    assert_eq!((by("source"), by("source,user"), by("")), (1, 2, 1));
}

#[test]
fn space_is_given_back_when_asked_for() {
    let (world, ids_before) = history(3);
    world.run(["forget", "--keep-last", "1", "--max-unused", "0"]).expect(2);
    world.run(["forget", "--keep-last", "1", "--prune", "-n"]).expect(0);
    assert_eq!(world.commits().len(), 3);
    let answer =
        world.run(["forget", "--keep-last", "1", "--prune", "--json", "--min-age", "0", "--grace", "0"]);
    let objects = answer.expect(0).objects();
    let kinds: Vec<_> = objects.iter().map(|object| object["message_type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["decision", "decision", "decision", "summary", "prune"]);
    assert!(objects[4]["deleted"]["objects"].as_u64().unwrap() > 0, "{}", objects[4]);
    assert_eq!(ids(&world), ids_before[2..]);
    assert!(world.commits().len() < 3);
    world.run(["restore", "latest", "--target", "out"]).expect(0);
    assert_eq!(fs::read_to_string(world.path("out/bob/work")).unwrap(), "version 2");
}
