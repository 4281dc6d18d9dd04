//! `--best-effort`: code 0 whatever happens, and the truth in what is told.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Machine, summary};
use crate::support::is_root;
use crate::support::program::{Ended, Program};

fn saved() -> Program {
    let program = Program::new();
    fs::write(program.home("ann").join("file"), "ann's").unwrap();
    program.run(&["init"]).expect(0);
    let homes = program.homes.to_str().unwrap().to_owned();
    program.run(&["backup", "--homes", &homes, "--source", "one"]).expect(0);
    program
}

/// The code that is told as the true one, in JSON and to people.
fn told_code(ended: &Ended) -> u64 {
    let lines: Vec<Value> = ended.err.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let forgiven = lines.iter().find(|object| object["message_type"] == "best_effort");
    forgiven.unwrap_or_else(|| panic!("{}", ended.err))["code"].as_u64().unwrap()
}

type Spoil = fn(&mut Program, &mut Vec<String>);

#[test]
fn every_kind_of_failure_ends_with_0_and_is_told() {
    let cases: [(&str, u64, Spoil); 12] = [
        ("another key", 12, |program, _| {
            fs::remove_file(program.key()).unwrap();
            let other = Program::new();
            other.run(&["init"]).expect(0);
            fs::copy(other.key(), program.key()).unwrap();
        }),
        ("no key", 13, |program, _| fs::remove_file(program.key()).unwrap()),
        ("a key that is none", 13, |program, _| fs::write(program.key(), "no key").unwrap()),
        ("no repository", 10, |program, _| fs::remove_dir_all(&program.repository).unwrap()),
        ("a repository that is a file", 10, |program, _| {
            fs::remove_dir_all(&program.repository).unwrap();
            fs::write(&program.repository, "").unwrap();
        }),
        ("no descriptor", 14, |program, _| fs::remove_file(program.repository.join("format")).unwrap()),
        ("a damaged descriptor", 15, |program, _| {
            fs::write(program.repository.join("format"), "something else").unwrap();
        }),
        ("no snapshots", 1, |program, _| fs::remove_dir_all(program.repository.join("snapshots")).unwrap()),
        ("several sources", 2, |program, _| {
            fs::write(program.home("ann").join("file"), "more").unwrap();
            let homes = program.homes.to_str().unwrap().to_owned();
            program.run(&["backup", "--homes", &homes, "--source", "two"]).expect(0);
        }),
        ("no such snapshot", 1, |_, arguments| arguments.push("abcdef".into())),
        ("no snapshot at all", 2, |_, arguments| arguments.push("yesterday".into())),
        ("a configuration that cannot be read", 2, |program, _| {
            fs::write(program.path("wrong.toml"), "this is [ not toml").unwrap();
            program.set("HOMEKEEP_CONFIG", program.path("wrong.toml").to_str().unwrap());
        }),
    ];
    for (what, code, spoil) in cases {
        let mut program = saved();
        let mut arguments: Vec<String> = ["restore", "--all-homes", "--target"].map(String::from).into();
        arguments.push(program.path("target").to_str().unwrap().to_owned());
        spoil(&mut program, &mut arguments);
        let plain: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let failed = program.run(&plain);
        assert_eq!(failed.code, Some(code as i32), "{what}: {}", failed.err);
        let forgiven = program.run(&[&plain[..], &["--best-effort"]].concat()).expect(0);
        let line = format!("because of --best-effort, this ends with code 0 instead of {code}: ");
        assert!(forgiven.err.contains(&line), "{what}: {}", forgiven.err);
        assert!(forgiven.err.contains("homekeep: error: "), "{what}: {}", forgiven.err);
        let json = program.run(&[&plain[..], &["--best-effort", "--json"]].concat()).expect(0);
        assert_eq!(told_code(&json), code, "{what}");
        let summary = summary(&json);
        assert_eq!(summary["exit_code"], code, "{what}: {summary}");
        assert!(!summary["message"].as_str().unwrap().is_empty(), "{what}");
        assert!(!program.path("target").exists() || is_empty(&program.path("target")), "{what}");
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn problems_of_single_homes_are_told_as_without_it() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001), ("bob", 2002), ("carol", 2003)]);
    machine.add("ann", 2001);
    machine.add("carol", 2003);
    fs::write(machine.home("carol"), "in the way").unwrap();
    let told = machine.restore(&["--best-effort", "--json"]).expect(0);
    assert_eq!(told_code(&told), 3);
    let summary = summary(&told);
    assert_eq!((&summary["exit_code"], &summary["users_failed"]), (&3.into(), &1.into()));
    assert_eq!(summary["users_without_account"], 1);
    machine.assert_back("ann", 2001);
    // All is well: nothing is to be forgiven.
    fs::remove_file(machine.home("carol")).unwrap();
    machine.add("bob", 2002);
    let told = machine.restore(&["--best-effort"]).expect(0);
    assert!(!told.err.contains("--best-effort"), "{}", told.err);
}

#[test]
fn a_command_line_that_is_not_understood_is_no_effort() {
    let program = saved();
    program.run(&["restore", "--all-homes", "--best-effort", "--no-such-flag"]).expect(2);
    program.run(&["restore", "--all-homes", "--user", "ann", "--best-effort"]).expect(2);
}
