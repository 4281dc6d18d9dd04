//! Machines whose clocks are wrong, disagree, or change during a run: no snapshot is lost, and `latest` is what
//! was saved last.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::program::Program;
use crate::support::{copy_tree, run, write_old};

const DAY: i64 = 24 * 3600;
const TEN_YEARS: i64 = 3652 * DAY;

/// A library that puts every clock ahead by so many seconds, and by so many more at each look.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long looks;

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) {
        const char *ahead = getenv("CLOCK_AHEAD"), *step = getenv("CLOCK_STEP");
        long long look = __atomic_fetch_add(&looks, 1, __ATOMIC_RELAXED);
        time->tv_sec += (ahead ? atoll(ahead) : 0) + (step ? atoll(step) * look : 0);
    }
    return result;
}
"#;

/// Where the compiled library is; made once.
pub fn shim() -> &'static Path {
    static SHIM_PATH: OnceLock<PathBuf> = OnceLock::new();
    SHIM_PATH.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        std::fs::write(folder.join("clock.c"), SHIM).unwrap();
        let library = folder.join("clock.so");
        let mut gcc = Command::new("gcc");
        gcc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(folder.join("clock.c"));
        run(gcc, "gcc");
        library
    })
}

/// A machine with a home, a clock of its own, and what its snapshots hold.
struct Machine {
    program: Program,
    saved: Vec<(String, PathBuf)>,
}

impl Machine {
    fn new() -> Self {
        let mut program = Program::new();
        program.set("LD_PRELOAD", shim().to_str().unwrap());
        program.run(&["init"]).expect(0);
        Self { program, saved: Vec::new() }
    }

    fn set_clock(&mut self, ahead: i64, step: i64) {
        self.program.set("CLOCK_AHEAD", ahead.to_string());
        self.program.set("CLOCK_STEP", step.to_string());
    }

    /// Changes the home and saves it by a clock that is so much ahead.
    fn save(&mut self, ahead: i64, step: i64) {
        self.set_clock(ahead, step);
        let known = self.program.snapshots();
        let n = self.saved.len();
        write_old(&self.program.home("ann").join("file"), format!("state {n}, {ahead} ahead"));
        write_old(&self.program.home("ann").join(format!("file {n}")), "more");
        self.program.backup(&[]).expect(0);
        let contents = self.program.path(&format!("saved-{n}"));
        copy_tree(&self.program.homes, &contents);
        let mut new = self.program.snapshots();
        new.retain(|id| !known.contains(id));
        assert_eq!(new.len(), 1, "{n}, {ahead} ahead: {new:?}");
        self.saved.push((new.remove(0), contents));
    }

    /// Every snapshot restores, and the latest is the one that was saved last.
    fn assert_whole(&self) {
        for (id, contents) in &self.saved {
            self.program.assert_restores(id, contents);
        }
        self.program.assert_restores("latest", &self.saved.last().unwrap().1);
    }
}

#[test]
fn the_shim_shows_the_program_another_clock() {
    let mut machine = Machine::new();
    machine.save(TEN_YEARS, 0);
    let listed = machine.program.run(&["snapshots", "--json"]).expect(0).out;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let time: jiff::Timestamp = listed[0]["time"].as_str().unwrap().parse().unwrap();
    let ahead = time.as_second() - jiff::Timestamp::now().as_second();
    assert!((TEN_YEARS - DAY..TEN_YEARS + DAY).contains(&ahead), "{ahead} seconds ahead");
}

#[test]
fn snapshots_dated_ten_years_off_are_kept_and_the_latest_is_what_was_saved_last() {
    let mut machine = Machine::new();
    for ahead in [0, TEN_YEARS, 0, -TEN_YEARS, 0, -TEN_YEARS, TEN_YEARS, DAY, -DAY] {
        machine.save(ahead, 0);
        machine.assert_whole();
    }
    // Seen by any clock, they are in the order in which they were made.
    for ahead in [0, TEN_YEARS, -TEN_YEARS] {
        machine.set_clock(ahead, 0);
        machine.assert_whole();
    }
}

#[test]
fn a_clock_that_jumps_during_a_run_costs_nothing() {
    let mut machine = Machine::new();
    for step in [DAY, -DAY, 3600, -3600, 1, -1] {
        machine.save(0, step);
        machine.set_clock(0, 0);
        machine.assert_whole();
    }
}

/// Several machines save their homes into one repository, each by a clock of its own.
#[test]
fn machines_whose_clocks_disagree_each_keep_their_latest() {
    let mut one = Machine::new();
    let mut other = Machine { program: one.program.copied_without_repository(), saved: Vec::new() };
    other.program.repository = one.program.repository.clone();
    other.program.homes = other.program.path("homes");
    for (machine, source) in [(&mut one, "one"), (&mut other, "other")] {
        machine.program.set("LD_PRELOAD", shim().to_str().unwrap());
        machine.program.set("HOMEKEEP_SOURCE", source);
    }
    for ahead in [0, DAY, 0] {
        one.save(ahead, 0);
        other.save(-TEN_YEARS + ahead, 0);
    }
    for (machine, source) in [(&one, "one"), (&other, "other")] {
        for (id, contents) in &machine.saved {
            machine.program.assert_restores(id, contents);
        }
        let target = tempfile::tempdir().unwrap();
        let target = target.path().to_str().unwrap();
        machine.program.run(&["restore", "latest", "--source", source, "--target", target]).expect(0);
        let file = std::fs::read(Path::new(target).join("ann/file")).unwrap();
        assert_eq!(file, std::fs::read(machine.program.home("ann").join("file")).unwrap(), "{source}");
    }
}

/// A policy that keeps what is young, and a prune that waits, go neither by a clock that ran ahead nor by one that
/// fell back.
#[test]
fn retention_and_pruning_by_a_wrong_clock_keep_what_was_saved_last() {
    for ahead in [TEN_YEARS, -TEN_YEARS] {
        let mut machine = Machine::new();
        machine.save(0, 0);
        machine.save(ahead, 0);
        machine.save(0, 0);
        machine.set_clock(ahead, 0);
        machine.program.run(&["forget", "--keep-last", "1", "--prune", "--min-age", "0s"]).expect(0);
        machine.set_clock(0, 0);
        let last = machine.saved.last().unwrap().clone();
        machine.program.assert_restores("latest", &last.1);
        assert!(machine.program.snapshots().contains(&last.0), "{ahead}: what was saved last was forgotten");
        machine.saved.retain(|(id, _)| machine.program.snapshots().contains(id));
        machine.save(0, 0);
        machine.assert_whole();
    }
}
