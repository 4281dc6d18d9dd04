//! How many records of snapshots a verb reads: those that it is about, however many are kept.

use std::fs;

use homekeep::engine::Meter;
use homekeep::engine::backup::{Outcome, backup};
use homekeep::engine::select::{Choice, Filter, PathSpec};
use homekeep::engine::undo::{UndoOptions, undo};
use homekeep::repo::Repository;
use jiff::{Timestamp, ZonedDateTime};
use rusqlite::Connection;

use crate::support::Site;
use crate::support::program::Program;

/// A site with so many snapshots of three homes. One of the homes is gone since the second, and one is empty in the last.
fn kept(snapshots: usize) -> Site {
    let site = Site::new();
    for user in ["ann", "bob", "cem"] {
        for file in 0..20 {
            fs::write(site.home(user).join(format!("file{file}")), format!("{user} {file}")).unwrap();
        }
    }
    site.backup_with(|_| {});
    fs::remove_dir_all(site.home("cem")).unwrap();
    for number in 2..snapshots {
        fs::write(site.home("ann").join("notes"), format!("{number}")).unwrap();
        site.backup_with(|_| {});
    }
    fs::remove_dir_all(site.home("bob")).unwrap();
    fs::write(site.home("bob").join("new"), "empty but for this").unwrap();
    site.backup_with(|_| {});
    site
}

/// How many records an operation reads of a repository that was opened for it.
fn records_read(site: &Site, operation: impl FnOnce(&mut Repository)) -> u64 {
    let mut repository = site.open().unwrap();
    operation(&mut repository);
    repository.records_read()
}

fn choose(repository: &mut Repository, text: &str) {
    repository.sync(&mut |_, _| {}).unwrap();
    let spec = PathSpec::parse(text.as_bytes(), &ZonedDateTime::now()).unwrap();
    let summaries = repository.summaries().unwrap();
    let choice = Choice::new(&summaries, &spec, &Filter::default(), Timestamp::now()).unwrap();
    choice.read(repository).unwrap().place().unwrap();
}

/// What each of some operations reads, by name.
fn costs(snapshots: usize) -> Vec<(&'static str, u64)> {
    let site = kept(snapshots);
    assert_eq!(site.repository().summaries().unwrap().len(), snapshots);
    let oldest = site.repository().summaries().unwrap()[0].id;
    let options = site.backup_options();
    let run = |repository: &mut Repository| backup(repository, &options, &Meter::default()).unwrap();
    let mut costs = Vec::new();
    let mut measure = |name, operation: &mut dyn FnMut(&mut Repository)| {
        costs.push((name, records_read(&site, operation)));
    };
    measure("sync", &mut |repository| drop(repository.sync(&mut |_, _| {}).unwrap()));
    measure("unchanged backup", &mut |repository| {
        assert!(matches!(run(repository).outcome, Outcome::Unchanged { .. }));
    });
    measure("latest", &mut |repository| choose(repository, "latest"));
    measure("latest:ann", &mut |repository| choose(repository, "latest:ann"));
    measure("latest~1:ann", &mut |repository| choose(repository, "latest~1:ann/notes"));
    measure("now", &mut |repository| choose(repository, "@now:ann"));
    measure("an id", &mut |repository| choose(repository, &oldest.to_hex()[..12]));
    measure("forget and undo", &mut |repository| {
        repository.sync(&mut |_, _| {}).unwrap();
        repository.forget(oldest).unwrap();
        undo(repository, oldest, &UndoOptions { level: 1, threads: 1 }).unwrap();
    });
    fs::write(site.home("ann").join("notes"), "and once more").unwrap();
    measure("backup of a change", &mut |repository| {
        assert!(matches!(run(repository).outcome, Outcome::Saved { .. }));
    });
    costs
}

#[test]
fn a_verb_reads_as_many_records_of_five_snapshots_as_of_forty() {
    let few = costs(5);
    assert_eq!(few, costs(40));
    for (name, records) in &few {
        let expected = match *name {
            "sync" => 0..=0,
            "latest:ann" | "latest~1:ann" | "now" | "an id" | "forget and undo" => 1..=1,
            // The newest, the last that holds the home that shrunk, and the last before one went missing.
            _ => 2..=3,
        };
        assert!(expected.contains(records), "{name}: {records}");
    }
}

#[test]
fn a_record_that_cannot_be_read_is_the_indexs_fault_and_the_next_command_makes_it_anew() {
    let program = Program::new();
    fs::write(program.home("ann").join("notes"), "1").unwrap();
    program.run(&["init"]).expect(0);
    program.backup(&[]).expect(0);
    spoil_records(&program, &[]);
    let failed = program.run(&["ls", "latest"]).expect(1);
    assert!(
        failed.err.contains("the local index is damaged") && failed.err.contains("made anew"),
        "{}",
        failed.err
    );
    program.run(&["ls", "latest"]).expect(0);
    spoil_records(&program, &[]);
    fs::write(program.home("ann").join("notes"), "2").unwrap();
    let codes = [0, 1].map(|_| program.backup(&[]).code);
    assert!(codes.contains(&Some(0)), "{codes:?}");
    program.run(&["check", "--read-data"]).expect(0);
}

/// Makes the record in the local index unreadable of each snapshot that is not among `readable`.
fn spoil_records(program: &Program, readable: &[&str]) {
    let folder = fs::read_dir(&program.cache).unwrap().next().unwrap().unwrap().path();
    let connection = Connection::open(folder.join("index.sqlite")).unwrap();
    let mut names = connection.prepare("SELECT name FROM snapshots").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let is_readable = |name: &str| readable.iter().any(|id| name.contains(id));
    for name in names.iter().filter(|name| !is_readable(name)) {
        connection.execute("UPDATE snapshots SET record = x'00' WHERE name = ?1", [name]).unwrap();
    }
}

#[test]
fn verbs_answer_where_no_other_record_can_be_read() {
    let program = Program::new();
    let home = program.home("ann");
    program.run(&["init"]).expect(0);
    for number in 0..6 {
        fs::write(home.join("notes"), format!("{number}")).unwrap();
        program.backup(&[]).expect(0);
    }
    let ids = program.snapshots();
    spoil_records(&program, &[&ids[1], &ids[5]]);
    let target = program.path("restored");
    let runs: [&[&str]; 11] = [
        &["snapshots"],
        &["ls"],
        &["ls", "latest:ann/notes"],
        &["ls", "-R", &ids[1]],
        &["dump", "latest:ann/notes"],
        &["diff", &ids[1], "latest"],
        &["find", "notes", "--snapshot", "latest"],
        &["restore", "latest:ann/notes", "--target", target.to_str().unwrap()],
        &["forget", "--dry-run", "--keep-last", "1"],
        &["forget", &ids[1]],
        &["undo", &ids[1]],
    ];
    for arguments in runs {
        program.run(arguments).expect(0);
    }
    assert_eq!(fs::read_to_string(target.join("notes")).unwrap(), "5");
    program.backup(&[]).expect(0);
    fs::write(home.join("notes"), "and once more").unwrap();
    program.backup(&[]).expect(0);
    assert_eq!(program.run(&["snapshots", "--compact"]).expect(0).out.lines().count(), 1 + 7);
    // They really could not be read.
    assert_ne!(program.run(&["ls", &ids[2]]).code, Some(0));
}
