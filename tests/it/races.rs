//! Races of real processes: eight machines back up homes that have much in common into one repository and forget
//! snapshots, two others prune it in a loop without any grace, and all of them are stopped, continued and
//! killed at moments that nobody chose. Whatever was reported as saved and was not forgotten restores bit for bit.

use std::fs;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::program::{Ended, Program};
use crate::support::{copy_tree, noise, write_old};

/// Machines that back up.
const MACHINES: u64 = 8;
/// Machines that prune.
const PRUNERS: u64 = 2;
/// Backups of each machine; HOMEKEEP_TEST_RACE_ROUNDS sets more.
const ROUNDS: u64 = 5;
/// Contents that the homes draw from, so that chunks are given up by one snapshot and used again by another.
const CONTENTS: u64 = 12;

/// The processes that run now.
#[derive(Default)]
struct Running(Mutex<Vec<(Pid, bool)>>);

impl Running {
    /// Runs a process to its end, in which others may interfere. `may_die` says whether it may be killed.
    fn run(&self, program: &Program, arguments: &[&str], may_die: bool) -> Ended {
        let mut command = program.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child: Child = command.spawn().unwrap();
        let pid = Pid::from_child(&child);
        self.0.lock().unwrap().push((pid, may_die));
        loop {
            // Within the lock: a process that was waited for is in the list no more, and its number may be another's.
            let mut running = self.0.lock().unwrap();
            if child.try_wait().unwrap().is_some() {
                running.retain(|(other, _)| *other != pid);
                break;
            }
            drop(running);
            thread::sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Stops a process for a moment, or kills it.
    fn interfere(&self, dice: &mut Dice) {
        let chosen = {
            let running = self.0.lock().unwrap();
            let chosen = running.get(dice.roll(running.len().max(1) as u64) as usize).copied();
            match chosen {
                Some((pid, true)) if dice.roll(12) == 0 => drop(kill_process(pid, Signal::KILL)),
                Some((pid, _)) => drop(kill_process(pid, Signal::STOP)),
                None => {}
            }
            chosen
        };
        thread::sleep(Duration::from_millis(5 + dice.roll(60)));
        // One that is stopped cannot have ended, so its number is still its own.
        let running = self.0.lock().unwrap();
        if let Some((pid, _)) = chosen.filter(|(pid, _)| running.iter().any(|(other, _)| other == pid)) {
            let _ = kill_process(pid, Signal::CONT);
        }
    }
}

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A snapshot that was reported, with what it has to hold.
struct Saved {
    id: String,
    contents: std::path::PathBuf,
}

/// The id of the snapshot that a backup reported.
fn reported(ended: &Ended) -> String {
    let summary = ended.out.lines().rev().find(|line| line.contains("\"summary\"")).unwrap();
    let summary: Value = serde_json::from_str(summary).unwrap();
    summary["snapshot_id"].as_str().unwrap().to_owned()
}

/// One machine's life: work, back up, now and then forget. Returns what was reported and not forgotten.
fn live(machine: u64, program: &Program, running: &Running, rounds: u64) -> Vec<Saved> {
    let mut dice = Dice(machine + 1);
    let mut saved: Vec<Saved> = Vec::new();
    let source = format!("machine-{machine}");
    for round in 0..rounds {
        for user in ["ann", "bob"] {
            let home = program.home(user);
            for _ in 0..3 {
                let bytes = noise(dice.roll(CONTENTS), 20_000);
                write_old(&home.join(format!("f{}", dice.roll(6))), bytes);
            }
            write_old(&home.join("log"), format!("{machine} {round}"));
        }
        let homes = program.homes.to_str().unwrap();
        let arguments =
            ["backup", "--json", "--source", &source, "--shrink-percent", "100", "--homes", homes];
        let ended = running.run(program, &arguments, true);
        if ended.code == Some(0) {
            let id = reported(&ended);
            let contents = program.path(&format!("saved-{round}"));
            copy_tree(&program.homes, &contents);
            saved.retain(|other| other.id != id);
            saved.push(Saved { id, contents });
        } else {
            // Killed, or outrun by prunes; never anything else.
            assert!(ended.code.is_none() || ended.err.contains("pruned the repository"), "{ended:?}");
        }
        if saved.len() > 1 && dice.roll(2) == 0 {
            let forgotten = saved.remove(dice.roll(saved.len() as u64 - 1) as usize);
            // The mark may be there although whoever put it was killed: what it names may be gone from now on.
            running.run(program, &["forget", "--force", &forgotten.id], true);
        }
    }
    saved
}

#[test]
fn whatever_processes_do_to_each_other_what_was_reported_as_saved_restores() {
    let rounds = std::env::var("HOMEKEEP_TEST_RACE_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let base = Program::new();
    base.run(&["init"]).expect(0);
    let machine = || {
        let mut machine = Program::new();
        fs::copy(base.key(), machine.key()).unwrap();
        machine.repository.clone_from(&base.repository);
        machine
    };
    let (running, is_over) = (Arc::new(Running::default()), AtomicBool::new(false));
    let machines: Vec<Program> = (0..MACHINES).map(|_| machine()).collect();
    let mut pruners: Vec<Program> = (0..PRUNERS).map(|_| machine()).collect();
    // One prunes on a machine that also backs up: they share an index.
    pruners[0].cache.clone_from(&machines[0].cache);
    let saved: Vec<Vec<Saved>> = thread::scope(|scope| {
        for pruner in &pruners {
            let (running, is_over) = (&running, &is_over);
            scope.spawn(move || {
                let prune = ["prune", "--grace", "0", "--min-age", "0", "--max-unused", "0", "--force-prune"];
                while !is_over.load(Ordering::SeqCst) {
                    let ended = running.run(pruner, &prune, true);
                    // Killed, or in the way of another prune: then it says what became of its repack.
                    assert!(matches!(ended.code, None | Some(0 | 3)), "{ended:?}");
                }
            });
        }
        let (running, is_over) = (&running, &is_over);
        scope.spawn(move || {
            let mut dice = Dice(99);
            while !is_over.load(Ordering::SeqCst) {
                running.interfere(&mut dice);
            }
        });
        let lives: Vec<_> = machines
            .iter()
            .zip(0..)
            .map(|(program, number)| scope.spawn(move || live(number, program, running, rounds)))
            .collect();
        let saved = lives.into_iter().map(|life| life.join());
        let saved: Vec<_> = saved.collect();
        is_over.store(true, Ordering::SeqCst);
        saved.into_iter().map(Result::unwrap).collect()
    });
    let elsewhere = machine();
    for saved in saved.iter().flatten() {
        elsewhere.assert_restores(&saved.id, &saved.contents);
    }
    assert!(saved.iter().flatten().count() as u64 >= MACHINES, "hardly anything was saved");
    for (number, machine) in machines.iter().enumerate() {
        let source = format!("machine-{number}");
        let id =
            reported(&machine.backup(&["--json", "--source", &source, "--shrink-percent", "100"]).expect(0));
        machine.assert_restores(&id, &machine.homes);
    }
    elsewhere.run(&["prune", "--grace", "0", "--min-age", "0", "--force-prune"]).expect(0);
    for saved in saved.iter().flatten() {
        elsewhere.assert_restores(&saved.id, &saved.contents);
    }
    machine().run(&["check", "--read-data"]).expect(0);
}
