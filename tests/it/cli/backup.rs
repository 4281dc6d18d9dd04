//! `backup` and `snapshots`: the spellings that scripts rely on, and what comes of them.

use std::fs;

use super::World;

#[test]
fn a_folder_of_homes_or_each_home_can_be_named() {
    let world = World::with_repository();
    world.backup(&[]).expect(0);
    world.run(["snapshot", "homes/bob"]).expect(0);
    let snapshots = world.snapshots(&[]);
    let users = |n: usize| -> Vec<&str> {
        let homes = snapshots[n]["homes"].as_array().unwrap();
        homes.iter().map(|home| home["user"].as_str().unwrap()).collect()
    };
    assert_eq!((users(0), snapshots.len()), (vec!["ann", "bob"], 1), "bob's home did not change");
    world.run(["backup", "homes/bob", "--always"]).expect(0);
    assert_eq!(world.snapshots(&["--latest", "1"])[0]["homes"].as_array().unwrap().len(), 1);
    world.run(["backup", "homes/bob", "--homes", "homes"]).expect(2);
}

#[test]
fn every_flag_is_understood() {
    let world = World::with_repository();
    world.write("patterns", "# nothing\n*.bak\n");
    let line = "--quiet --dry-run --tag a,b --tag c -e *.tmp --exclude *.o --iexclude *.ISO \
        --exclude-file patterns --exclude-caches --exclude-if-present .nobackup --exclude-larger-than 1G \
        --one-file-system -x --no-default-excludes --git-ignore --ignore-file-name .leave --source s --host h \
        --compression -3 --always --verify-unchanged --no-sqlite-copy --confirm ann --shrink-percent 30 \
        --jobs 2 --user ann";
    let arguments: Vec<_> = line.split_whitespace().collect();
    let answer = world.backup(&arguments).expect(0);
    assert_eq!((answer.out.as_str(), answer.err.as_str()), ("", ""));
    for line in
        ["--force -n --compression max", "--cross-file-systems --compression fastest", "-vv", "-v -j 1"]
    {
        world.backup(&line.split(' ').collect::<Vec<_>>()).expect(0);
    }
    for line in ["--compression off", "--shrink-percent 0", "--jobs 0", "--exclude-larger-than 5X", "-q -v"] {
        world.backup(&line.split(' ').collect::<Vec<_>>()).expect(2);
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let world = World::with_repository();
    let noise: String =
        (0..400_000u64).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    world.write("homes/ann/noise", &noise);
    let answer = world.backup(&["-n"]).expect(0);
    assert!(answer.out.starts_with("would save: 2 homes, 12 files, "), "{}", answer.out);
    assert!(world.commits().is_empty() && !world.path("repo/segments").exists());
}

#[test]
fn source_and_host_are_named_by_flag_environment_or_cluster() {
    let mut world = World::with_repository();
    world.set("DB_CLUSTER_NAME", "cluster");
    world.backup(&["--host", "node"]).expect(0);
    world.set("HOMEKEEP_SOURCE", "environment");
    world.backup(&[]).expect(0);
    world.backup(&["--source", "flag"]).expect(0);
    let snapshots = world.snapshots(&[]);
    let sources: Vec<_> = snapshots.iter().map(|snapshot| snapshot["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["cluster", "environment", "flag"]);
    assert_eq!(snapshots[0]["host"], "node");
    assert_eq!(world.snapshots(&["--source", "flag"]).len(), 1);
    assert_eq!(world.snapshots(&["--host", "node"]).len(), 1);
}

#[test]
fn excludes_hold_and_are_listed() {
    let world = World::with_repository();
    fs::create_dir_all(world.path("homes/ann/.cache/x")).unwrap();
    world.write("homes/ann/a.tmp", "x");
    let answer = world.backup(&["-e", "*.tmp", "--json"]).expect(0);
    let summary = answer.summary();
    assert_eq!((&summary["excluded"], &summary["total_files_processed"]), (&2.into(), &11.into()));
    let listed = world.backup(&["-e", "*.tmp", "--list-excludes"]).expect(0);
    assert!(listed.out.contains("*.tmp") && listed.out.contains("/.cache/"), "{}", listed.out);
    let listed = world.run_bare(["backup", "--list-excludes", "--json", "--no-default-excludes"]).expect(0);
    assert!(listed.objects().iter().all(|rule| rule["origin"] != "default"));
}

#[test]
fn a_home_that_shrank_or_went_is_reported_until_it_is_confirmed() {
    let world = World::with_repository();
    world.backup(&[]).expect(0);
    for n in 1..10 {
        fs::remove_file(world.path(format!("homes/ann/{n}"))).unwrap();
    }
    fs::remove_dir_all(world.path("homes/bob")).unwrap();
    let answer = world.backup(&[]).expect(3);
    assert!(answer.err.contains("the home of ann has shrunk") && answer.err.contains("--confirm ann"));
    assert!(answer.err.contains("the home of bob is not there"), "{}", answer.err);
    let last = &world.snapshots(&["--latest", "1"])[0];
    assert_eq!(
        (&last["homes"][0]["attention"], &last["homes"][1]["attention"]),
        (&"shrunk".into(), &"missing".into())
    );
    world.backup(&["--confirm", "ann", "--confirm", "bob"]).expect(0);
    world.backup(&[]).expect(0);
}

#[test]
fn one_user_can_be_saved_without_the_others_being_missed() {
    let world = World::with_repository();
    world.backup(&[]).expect(0);
    world.write("homes/bob/more", "x");
    world.backup(&["--user", "bob"]).expect(0);
    let snapshots = world.snapshots(&[]);
    assert_eq!(snapshots[1]["homes"].as_array().unwrap().len(), 1);
    let answer = world.backup(&["--user", "eve"]).expect(1);
    assert!(answer.err.contains("eve"), "{}", answer.err);
}

#[test]
fn snapshots_are_listed_by_table_filter_and_id() {
    let world = World::with_repository();
    world.backup(&["--tag", "x,y"]).expect(0);
    world.write("homes/bob/more", "x");
    world.backup(&["--tag", "z"]).expect(0);
    let all = world.snapshots(&[]);
    let table = world.run(["snapshots"]).expect(0).out;
    let lines: Vec<_> = table.lines().collect();
    let words: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(words, ["id", "time", "source", "homes", "files", "size", "new", "tags", "problems"]);
    assert!(lines[1].starts_with(all[0]["short_id"].as_str().unwrap()), "{table}");
    assert!(lines[2].contains("ann, bob") && lines[2].contains('z'), "{table}");
    let id = all[1]["id"].as_str().unwrap();
    assert_eq!(world.snapshots(&[&id[..10]])[0]["id"], id);
    assert_eq!(world.snapshots(&["--tag", "y"])[0]["id"], all[0]["id"]);
    assert_eq!(world.snapshots(&["--user", "bob"])[0]["homes"].as_array().unwrap().len(), 1);
    assert!(world.snapshots(&["--user", "eve"]).is_empty());
    let compact = world.run(["snapshots", "--compact"]).expect(0).out;
    assert!(!compact.contains("tags"), "{compact}");
    let brief = world.snapshots(&["--compact"]);
    for (brief, full) in brief.iter().zip(&all) {
        let mut expected = full.as_object().unwrap().clone();
        expected.remove("homes").unwrap();
        assert_eq!(brief.as_object().unwrap(), &expected);
    }
    let of_bob = &world.snapshots(&["--compact", "--user", "bob"])[1];
    assert_eq!(of_bob["bytes"], all[1]["homes"][1]["bytes"]);
    world.run(["snapshots", "zz"]).expect(2);
}

#[test]
fn a_run_without_any_home_fails() {
    let world = World::with_repository();
    fs::create_dir(world.path("empty")).unwrap();
    let answer = world.run(["backup", "--homes", "empty"]).expect(1);
    assert!(answer.err.contains("no home"), "{}", answer.err);
    assert!(world.commits().is_empty());
}
