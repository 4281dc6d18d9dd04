//! A home that is half back is not its user's state: a backup that runs beside a restore, or after one that was killed or
//! that had no secrets, saves what is there, and the next restore looks behind it.

use std::fs;

use serde_json::Value;

use crate::support::let_times_settle;
use crate::support::program::{Ended, Program};
use crate::vault::{KEY, vault_folder, write};

fn world() -> Program {
    let program = Program::new();
    let ann = program.home("ann");
    for number in 0..60 {
        write(&ann.join(format!("work/file{number:02}")), &"x".repeat(100 + number), 0o644);
    }
    write(&ann.join(".ssh/id_rsa"), KEY, 0o600);
    let_times_settle();
    program.backup(&["--init"]).expect(0);
    program
}

fn lose(program: &Program) {
    fs::remove_dir_all(&program.homes).unwrap();
    fs::create_dir(&program.homes).unwrap();
}

fn restore(program: &Program) -> Ended {
    program.run(&["restore", "latest", "--in-place"])
}

fn files(program: &Program) -> usize {
    fs::read_dir(program.homes.join("ann/work")).map_or(0, Iterator::count)
}

fn attention(program: &Program) -> Value {
    let listed: Value = serde_json::from_str(&program.run(&["snapshots", "--json"]).expect(0).out).unwrap();
    listed.as_array().unwrap().last().unwrap()["homes"][0]["attention"].clone()
}

#[test]
fn a_restore_that_was_killed_does_not_make_half_a_home_the_state() {
    let program = world();
    lose(&program);
    let killer = ["strace", "-f", "-o", "/dev/null", "-e", "inject=renameat,renameat2:signal=KILL:when=45"];
    let mut killed = program.command_under(&killer, &["restore", "latest", "--in-place", "--jobs", "1"]);
    assert_ne!(crate::support::program::ended(&mut killed).code, Some(0));
    // More than the share below which a home counts as shrunk by itself, or nothing would be shown here.
    let there = files(&program);
    assert!((31..60).contains(&there), "{there} files are there");
    let saved = program.backup(&[]).expect(3);
    assert!(saved.err.contains("was interrupted"), "{}", saved.err);
    assert_eq!(attention(&program), "shrunk");
    lose(&program);
    restore(&program).expect(0);
    assert_eq!(files(&program), 60);
    program.backup(&[]).expect(0);
    assert_eq!(attention(&program), "normal", "what is back as a whole is the state again");
}

#[test]
fn a_home_whose_secrets_did_not_come_back_is_not_the_state() {
    let program = world();
    lose(&program);
    let away = program.path("away");
    fs::rename(vault_folder(&program), &away).unwrap();
    restore(&program).expect(3);
    program.backup(&[]).expect(3);
    fs::remove_dir_all(vault_folder(&program)).ok();
    fs::rename(&away, vault_folder(&program)).unwrap();
    restore(&program).expect(0);
    assert_eq!(fs::read_to_string(program.homes.join("ann/.ssh/id_rsa")).unwrap(), KEY);
    program.backup(&[]).expect(0);
}

#[test]
fn an_admin_confirms_that_a_home_is_as_it_should_be() {
    let program = world();
    fs::rename(vault_folder(&program), program.path("away")).unwrap();
    lose(&program);
    restore(&program).expect(3);
    program.backup(&[]).expect(3);
    program.backup(&["--confirm", "ann"]).expect(0);
    program.backup(&[]).expect(0);
    assert_eq!(attention(&program), "normal");
}

#[test]
fn a_part_of_a_home_that_comes_back_says_nothing_of_the_whole() {
    let program = world();
    fs::rename(vault_folder(&program), program.path("away")).unwrap();
    fs::remove_file(program.homes.join("ann/work/file07")).unwrap();
    program.run(&["restore", "latest:ann/work/file07", "--in-place"]).expect(0);
    program.run(&["restore", "latest:ann/.ssh/id_rsa", "--in-place"]).expect(3);
    fs::rename(program.path("away"), vault_folder(&program)).unwrap();
    program.backup(&[]).expect(0);
    assert_eq!(attention(&program), "normal");
}

/// What a killed restore leaves under a temporary name is half a file, or a secret outside of its place.
#[test]
fn temporary_files_of_a_killed_restore_are_not_saved() {
    let program = world();
    lose(&program);
    let killer = ["strace", "-f", "-o", "/dev/null", "-e", "inject=renameat,renameat2:signal=KILL:when=2"];
    let mut killed = program.command_under(&killer, &["restore", "latest", "--in-place", "--jobs", "1"]);
    assert_ne!(crate::support::program::ended(&mut killed).code, Some(0));
    program.backup(&[]);
    let listed = program.run(&["find", "*.part"]).out;
    assert!(!listed.contains(".homekeep-"), "{listed}");
}
