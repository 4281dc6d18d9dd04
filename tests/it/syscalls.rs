//! The real program, killed or lied to at its system calls by `strace`. It never ends with 0 unless all is
//! there, what it reported before comes back bit for bit, and the next run succeeds.

mod disk;
pub mod tracer;

use std::fs;
use std::path::PathBuf;

use crate::support::program::Program;
use crate::support::{copy_tree, noise, write_old};
use disk::{assert_durable, assert_durable_after};
use tracer::{Injection, injections, run_with};

/// A repository with a snapshot of a home that has changed since, and another that will be made.
struct Before {
    program: Program,
    /// What the snapshot holds, and its id.
    saved: PathBuf,
    snapshot: String,
}

impl Before {
    fn new() -> Self {
        let program = Program::new();
        let home = program.home("ann");
        fs::create_dir_all(home.join("work/deep")).unwrap();
        for n in 0..4 {
            write_old(&home.join(format!("work/{n}")), noise(n, 3000));
        }
        write_old(&home.join("work/deep/notes"), "notes");
        program.run(&["init"]).expect(0);
        program.backup(&[]).expect(0);
        let saved = program.path("saved");
        copy_tree(&program.homes, &saved);
        let snapshot = program.snapshots().remove(0);
        write_old(&home.join("work/2"), "edited");
        fs::rename(home.join("work/3"), home.join("moved")).unwrap();
        write_old(&home.join("new"), noise(9, 5000));
        Self { program, saved, snapshot }
    }

    fn arguments(&self) -> [&str; 3] {
        ["backup", "--homes", self.program.homes.to_str().unwrap()]
    }

    /// Saves once more with a fault on the way, then without, and looks at what is there each time.
    fn assert_backup_survives(&self, injection: &Injection) {
        let program = self.program.copied();
        let disturbed = run_with(&program, injection, &self.arguments());
        if disturbed.code == Some(0) {
            let newest = program.snapshots().pop().unwrap();
            assert_ne!(newest, self.snapshot, "{injection:?}: success was reported without a snapshot");
            program.assert_restores(&newest, &program.homes);
        }
        program.backup(&[]).expect(0);
        program.assert_restores("latest", &program.homes);
        program.assert_restores(&self.snapshot, &self.saved);
    }

    /// A repository with a second snapshot, and the first one forgotten.
    fn forgotten(self) -> Self {
        self.program.backup(&[]).expect(0);
        self.program.run(&["forget", &self.snapshot]).expect(0);
        self
    }

    /// Runs a command with a fault on the way, then without. The newest snapshot is whole after each.
    fn assert_survives(&self, injection: &Injection, arguments: &[&str], is_done: impl Fn(&Program) -> bool) {
        let program = self.program.copied();
        let disturbed = run_with(&program, injection, arguments);
        program.assert_restores("latest", &program.homes);
        assert!(disturbed.code != Some(0) || is_done(&program), "{injection:?}: done, and nothing happened");
        // What was done, and only reported as failed, cannot be done again.
        if !is_done(&program) {
            program.run(arguments).expect(0);
        }
        assert!(is_done(&program), "{injection:?}");
        program.run(&["check", "--read-data"]).expect(0);
        program.assert_restores("latest", &program.homes);
        program.backup(&["--always"]).expect(0);
    }
}

#[test]
fn a_backup_can_be_killed_or_fail_at_its_system_calls() {
    let before = Before::new();
    let injections = injections(&before.program.copied(), &before.arguments());
    assert!(injections.len() >= 40, "only {} places to fail at", injections.len());
    for injection in injections {
        before.assert_backup_survives(&injection);
    }
}

#[test]
fn the_making_of_a_repository_can_be_killed_or_fail_at_its_system_calls() {
    let injections = injections(&Program::new(), &["init"]);
    assert!(injections.len() >= 30, "only {} places to fail at", injections.len());
    for injection in injections {
        let program = Program::new();
        let disturbed = run_with(&program, &injection, &["init"]);
        // What was made before the kill may be all of it; if not, making it again is all there is to do.
        let opens = program.run(&["snapshots"]);
        assert!(opens.code == Some(0) || disturbed.code != Some(0), "{injection:?}: {disturbed:?} {opens:?}");
        if opens.code != Some(0) {
            let again = program.run(&["init"]);
            assert_eq!(again.code, Some(0), "{injection:?}: {disturbed:?} {again:?}");
        }
        write_old(&program.home("ann").join("file"), "ann's");
        program.backup(&[]).expect(0);
        program.assert_restores("latest", &program.homes);
    }
}

/// A power cut takes what was written and not synced, in any order. Nothing that was reported is among it, and
/// nothing that something durable refers to.
#[test]
fn what_the_program_reports_is_synced_by_then_and_what_is_referred_to_before() {
    let program = Program::new();
    assert_durable(&program, &["init"]);
    write_old(&program.home("ann").join("small"), "ann's");
    let backup = ["backup", "--homes", program.homes.to_str().unwrap()];
    assert_durable(&program, &backup);
    // More than one segment, put by threads.
    write_old(&program.home("bob").join("large"), noise(1, 40 << 20));
    assert_durable(&program, &backup);
    write_old(&program.home("bob").join("small"), "bob's");
    assert_durable(&program, &backup);
    program.assert_restores("latest", &program.homes);
    let new_key = program.path("new-key");
    write_old(&program.home("ann").join("small"), "ann's, and not what the first snapshot has");
    assert_durable(&program, &backup);
    let first = program.snapshots().remove(0);
    assert_durable(&program, &["forget", &first]);
    program.assert_restores("latest", &program.homes);
    assert_durable(&program, &["key", "add", "--new-key-file", new_key.to_str().unwrap()]);
}

/// The files in one of the repository's folders.
fn objects(program: &Program, folder: &str) -> Vec<PathBuf> {
    let listed = fs::read_dir(program.repository.join(folder));
    listed.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// As a machine that never saw the repository, after another was killed before it synced what is in the folder.
fn assert_durable_elsewhere(program: &Program, arguments: &[&str], folder: &str) {
    fs::remove_dir_all(&program.cache).unwrap();
    let unsynced = objects(program, folder);
    assert!(!unsynced.is_empty(), "there is nothing in {folder}");
    assert_durable_after(program, arguments, &unsynced);
}

/// Whoever deletes must not be overtaken by the power: not by what it wrote before, and not by what it only saw of
/// others, the marks and the records by which it deletes.
#[test]
fn what_a_prune_or_an_undo_relies_on_is_synced_before_anything_is_removed() {
    let program = Program::new();
    let (kept, gone) = (program.home("ann").join("kept"), program.home("ann").join("gone"));
    program.run(&["init"]).expect(0);
    write_old(&kept, noise(1, 30_000));
    for n in [2, 3] {
        write_old(&gone, noise(n, 30_000));
        program.backup(&[]).expect(0);
    }
    fs::remove_file(&gone).unwrap();
    program.backup(&[]).expect(0);
    let [first, second, third] = &program.snapshots()[..] else { panic!("three snapshots") };
    let prune = ["prune", "--min-age", "0s", "--max-unused", "0%", "--grace"];
    let wait = [&prune[..], &["1d"]].concat();
    let delete = [&prune[..], &["0s"]].concat();
    let has_commit = |id: &str| {
        let days = objects(&program, "snapshots").into_iter();
        let mut commits = days.flat_map(|day| fs::read_dir(day).unwrap().map(|entry| entry.unwrap().path()));
        commits.any(|commit| commit.to_str().unwrap().contains(id))
    };

    // Forgotten and taken back, with nothing between.
    program.run(&["forget", second]).expect(0);
    assert_durable(&program, &["undo", second]);
    // Condemned meanwhile: it is stored again.
    program.run(&["forget", second]).expect(0);
    assert_durable_elsewhere(&program, &wait, "forgotten");
    assert_durable_elsewhere(&program, &["undo", second], "gc");
    let text = program.run(&["snapshots"]).expect(0).out;
    assert!(text.contains(&second[..8]), "{text}");
    program.assert_restores("latest", &program.homes);

    // Repacked, published again, condemned and deleted in one run.
    program.run(&["forget", first]).expect(0);
    assert_durable_elsewhere(&program, &delete, "forgotten");
    assert!(!has_commit(first), "nothing was deleted");
    // One condemns, another deletes.
    program.run(&["forget", second]).expect(0);
    program.run(&wait).expect(0);
    assert!(has_commit(second), "it was deleted at once");
    assert_durable_elsewhere(&program, &delete, "gc");
    assert!(!has_commit(second), "nothing was deleted");
    assert_eq!(program.snapshots().as_slice(), std::slice::from_ref(third));
    program.assert_restores("latest", &program.homes);
}

/// Forgetting writes one object, and taking it back removes one: each of their calls on the repository matters.
#[test]
fn forgetting_and_undoing_can_be_killed_or_fail_at_their_system_calls() {
    let mut before = Before::new();
    before.program.backup(&[]).expect(0);
    let id = before.snapshot.clone();
    let lists = |program: &Program| program.snapshots().contains(&id);
    for injection in injections(&before.program.copied(), &["forget", &id]).iter().filter(|i| i.is_on_store) {
        before.assert_survives(injection, &["forget", &id], |program| !lists(program));
    }
    before = before.forgotten();
    for injection in injections(&before.program.copied(), &["undo", &id]).iter().filter(|i| i.is_on_store) {
        before.assert_survives(injection, &["undo", &id], lists);
    }
}

#[test]
fn a_prune_can_be_killed_or_fail_at_its_system_calls() {
    let before = Before::new();
    let (program, gone) = (&before.program, before.program.home("ann").join("gone"));
    program.backup(&[]).expect(0);
    write_old(&gone, noise(77, 30_000));
    program.backup(&[]).expect(0);
    let only_there = program.snapshots().pop().unwrap();
    fs::remove_file(&gone).unwrap();
    program.backup(&[]).expect(0);
    program.run(&["forget", &only_there]).expect(0);
    let prune = ["prune", "--min-age", "0s", "--max-unused", "0%"];
    // The mark of a snapshot goes when its last commit is gone.
    let is_done = |program: &Program| {
        fs::read_dir(program.repository.join("forgotten")).is_ok_and(|marks| marks.count() == 0)
    };
    for injection in injections(&program.copied(), &prune).iter().filter(|i| i.is_on_store) {
        before.assert_survives(injection, &prune, is_done);
    }
}
