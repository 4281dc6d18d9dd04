//! The commands: tables for people, objects and CSV for programs, and what each way of asking answers.

use std::fs;

use serde_json::Value;

use crate::support::program::Program;
use crate::support::{noise, write_old};

/// Three homes: a file that all have, one that two have, and one for each.
fn world() -> Program {
    let program = Program::new();
    for (user, own) in [("ann", 30_000), ("bob", 20_000), ("cem", 10_000)] {
        let home = program.home(user);
        fs::create_dir_all(home.join("work/deep")).unwrap();
        write_old(&home.join("all.dat"), noise(1, 10_000));
        write_old(&home.join("work/own.csv"), noise(own, own as usize));
        if user != "cem" {
            write_old(&home.join("work/deep/two.CSV"), noise(2, 60_001));
        }
    }
    program.run(&["init"]).expect(0);
    program.backup(&[]).expect(0);
    program
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} of {value}"))
}

#[test]
fn each_user_has_a_row_and_the_parts_of_the_store_add_up() {
    let program = world();
    let answer = objects(&program.run(&["usage", "--json"]).expect(0).out);
    let users: Vec<&str> = answer[..3].iter().map(|user| user["user"].as_str().unwrap()).collect();
    assert_eq!(users, ["ann", "bob", "cem"], "by fair share");
    assert_eq!((number(&answer[0], "bytes"), number(&answer[0], "files")), (100_001, 3));
    assert_eq!(answer[0]["quota"], Value::Null);
    let summary = &answer[3];
    let sum = ["needed", "garbage", "upkeep", "unknown"].iter().map(|key| number(summary, key)).sum::<u64>();
    let listed = walkdir::WalkDir::new(&program.repository).into_iter().map(Result::unwrap);
    let stored: u64 = listed.filter(|e| e.file_type().is_file()).map(|e| e.metadata().unwrap().len()).sum();
    assert_eq!((sum, number(&summary["store"], "bytes")), (stored, stored));
    let fair: u64 = answer[..3].iter().map(|user| number(user, "fair_bytes")).sum();
    assert_eq!(fair, number(summary, "needed"));
    assert_eq!(number(&summary["store"], "data_shared"), 70_001);

    let table = program.run(&["usage"]).expect(0).out;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("user") && !lines[0].contains("source"), "{table}");
    assert!(lines[1].starts_with("ann") && lines[4].starts_with("total"), "{table}");
    assert!(table.contains("data that several users need") && table.contains(&stored.to_string()), "{table}");

    let csv = program.run(&["usage", "--csv", "--sort", "user", "--top", "2"]).expect(0).out;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("source,user,bytes,files,"), "{csv}");
    assert_eq!(lines.len(), 3);
    assert!(lines[1].contains(",ann,100001,3,") && lines[2].contains(",bob,"), "{csv}");
}

#[test]
fn a_path_costs_what_no_path_before_it_has() {
    let program = world();
    let answer = objects(&program.run(&["usage", "ann", "--json", "--depth", "3"]).expect(0).out);
    let of = |path: &str| answer.iter().find(|row| row["path"] == path).unwrap_or_else(|| panic!("{path}"));
    assert_eq!(answer[0]["path"], ".");
    assert_eq!((number(of("."), "bytes"), number(of("."), "files")), (100_001, 3));
    assert_eq!(number(of("work/deep/two.CSV"), "stored_bytes"), 60_001);
    assert_eq!(number(of("all.dat"), "stored_bytes"), 10_000);
    let trees = number(of("."), "stored_bytes") - 100_001;
    assert!((1..2000).contains(&trees), "{trees}");
    // A second name costs nothing.
    let home = program.home("ann");
    fs::copy(home.join("work/own.csv"), home.join("work/same.csv")).unwrap();
    program.backup(&[]).expect(0);
    let answer = objects(&program.run(&["usage", "ann/work", "--json"]).expect(0).out);
    let same = answer.iter().find(|row| row["path"] == "work/same.csv").unwrap();
    assert_eq!((number(same, "bytes"), number(same, "stored_bytes")), (30_000, 0));
    let table = program.run(&["usage", "ann", "--by", "path", "--top", "1"]).expect(0).out;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(program.run(&["usage", "nobody/x"]).err.contains("nobody"));
}

#[test]
fn files_are_told_apart_by_extension_and_age() {
    let program = world();
    let types = objects(&program.run(&["usage", "--by", "type", "--json"]).expect(0).out);
    assert_eq!((&types[0]["type"], number(&types[0], "files")), (&"csv".into(), 5));
    assert_eq!(number(&types[0], "stored_bytes"), 60_001 + 60_000);
    assert_eq!((number(&types[1], "stored_bytes"), number(&types[1], "bytes")), (10_000, 30_000));
    write_old(&program.home("cem").join("old"), "x");
    fs::write(program.home("cem").join("new"), noise(77, 5000)).unwrap();
    program.backup(&[]).expect(0);
    let ages = objects(&program.run(&["usage", "--by", "age", "--json", "--user", "cem"]).expect(0).out);
    let ages: Vec<_> = ages.iter().map(|age| (age["age"].as_str().unwrap(), number(age, "files"))).collect();
    assert_eq!(ages, [("up to 7 days", 1), ("more than 730 days", 3)]);
}

#[test]
fn forgetting_frees_what_no_other_snapshot_needs() {
    let program = world();
    write_old(&program.home("bob").join("later"), noise(5, 40_000));
    program.backup(&[]).expect(0);
    fs::remove_file(program.home("bob").join("later")).unwrap();
    program.backup(&[]).expect(0);
    let rows = objects(&program.run(&["usage", "--by", "snapshot", "--json"]).expect(0).out);
    let data: Vec<u64> = rows.iter().map(|row| number(row, "freed_data")).collect();
    assert_eq!(data, [0, 40_000, 0]);
    let ids = program.snapshots();
    let freed = |ids: &[&str]| {
        let answer = program.run(&[&["usage", "--json"], ids].concat()).expect(0).out;
        number(&objects(&answer)[0], "freed_data")
    };
    assert_eq!((freed(&[&ids[1][..]]), freed(&["latest"])), (40_000, 0));
    assert_eq!(freed(&[&ids[0][..], &ids[1], &ids[2]]), 130_001 + 40_000);
    let csv = program.run(&["usage", &ids[0], &ids[1], "--csv"]).expect(0).out;
    assert!(
        csv.starts_with("snapshot_ids,freed_bytes,") && csv.contains(&format!("\n{} {},", ids[0], ids[1])),
        "{csv}"
    );
    let said = program.run(&["usage", &ids[1][..8]]).expect(0).out;
    assert!(said.starts_with("forgetting this snapshot would free 39."), "{said}");
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let program = world();
    for (arguments, said) in [
        (&["usage", "--sort", "beauty"][..], "--sort takes one of"),
        (&["usage", "--by", "path"], "takes one user"),
        (&["usage", "--by", "type", "ann"], "only --by path takes a name"),
        (&["usage", "--since", "soon"], "soon"),
        (&["usage", "--tag", "x"], "--by snapshot"),
        (&["usage", "--json", "--csv"], "cannot be used with"),
        (&["stats", "--user", "ann"], "tells users apart"),
    ] {
        let ended = program.run(arguments).expect(2);
        let text = ended.err + &ended.out;
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
}

#[test]
fn stats_count_as_restic_does() {
    let program = world();
    write_old(&program.home("bob").join("later"), noise(5, 40_000));
    program.backup(&[]).expect(0);
    let stats =
        |mode: &str| objects(&program.run(&["stats", "--mode", mode, "--json"]).expect(0).out).remove(0);
    let restore = stats("restore-size");
    assert_eq!(
        (number(&restore, "total_size"), number(&restore, "snapshots_count")),
        (2 * 210_002 + 40_000, 2)
    );
    assert_eq!(number(&restore, "total_file_count"), 17);
    let contents = stats("files-by-contents");
    assert_eq!((number(&contents, "total_size"), number(&contents, "total_file_count")), (170_001, 6));
    let raw = stats("raw-data");
    assert!(number(&raw, "total_size") > 170_001 && number(&raw, "total_size") < 175_000, "{raw}");
    assert!(number(&raw, "total_uncompressed_size") >= number(&raw, "total_size"), "{raw}");
    let human = program.run(&["stats", "latest"]).expect(0).out;
    assert!(human.starts_with("1 snapshot, 9 files, "), "{human}");
}

#[test]
fn who_is_over_the_quota_is_told_and_everything_is_saved() {
    let mut program = world();
    let config = program.path("homekeep.toml");
    let write = |text: &str| fs::write(&config, text).unwrap();
    write("[quota]\ndefault = \"90K\"\nusers = { ann = \"1M\" }\n");
    program.set("HOMEKEEP_CONFIG", config.to_str().unwrap());
    write_old(&program.home("bob").join("more"), noise(8, 5000));
    let ended = program.backup(&[]).expect(0);
    assert!(
        ended.err.contains("bob is over the quota: 92.8 KiB in the home, 90.0 KiB are allowed"),
        "{}",
        ended.err
    );
    assert!(!ended.err.contains("ann is over") && ended.out.contains("saved snapshot"), "{ended:?}");
    let answer = objects(&program.run(&["usage", "--json"]).expect(0).out);
    assert_eq!(answer[3]["over_quota"][0]["user"], "bob");
    assert_eq!(answer[3]["over_quota"].as_array().unwrap().len(), 1);

    write("[quota]\nof = \"stored\"\nusers = { ann = \"60K\" }\n");
    write_old(&program.home("bob").join("more"), noise(9, 5000));
    let summary = objects(&program.backup(&["--json"]).expect(0).out).pop().unwrap();
    assert_eq!(summary["over_quota"][0]["user"], "ann");
    assert_eq!(number(&summary["over_quota"][0], "limit"), 60 << 10);
}
