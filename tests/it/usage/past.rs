//! How homes grew is known when the snapshots that said it are gone, on any machine, and told when it cannot be read.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::clocks::shim;
use crate::support::program::Program;
use crate::support::{noise, write_old};

const DAY: i64 = 24 * 3600;

struct Lab {
    program: Program,
}

impl Lab {
    fn new() -> Self {
        let mut program = Program::new();
        program.set("LD_PRELOAD", shim().to_str().unwrap());
        program.run(&["init"]).expect(0);
        Self { program }
    }

    fn set_day(&mut self, day: i64) {
        self.program.set("CLOCK_AHEAD", (day * DAY).to_string());
    }

    /// On that day, a home has this many bytes.
    fn save(&mut self, day: i64, user: &str, bytes: usize) {
        self.set_day(day);
        write_old(&self.program.home(user).join("data"), noise(bytes as u64, bytes));
        self.program.backup(&[]).expect(0);
    }

    /// Removes all snapshots but the newest, for good.
    fn lose_the_past(&self) {
        self.program.run(&["forget", "--keep-last", "1"]).expect(0);
        self.prune();
    }

    fn prune(&self) {
        let prune = ["prune", "--grace", "0", "--min-age", "0", "--max-unused", "0"];
        (0..2).for_each(|_| drop(self.program.run(&prune).expect(0)));
    }

    fn growth(&self, user: &str) -> [Option<i64>; 3] {
        let answer = self.program.run(&["usage", "--json", "--user", user]).expect(0).out;
        let row: Value = serde_json::from_str(answer.lines().next().unwrap()).unwrap();
        ["growth_day", "growth_week", "growth_month"].map(|key| row[key].as_i64())
    }

    /// What `--by time` says, newest first.
    fn moments(&self, arguments: &[&str]) -> Vec<Value> {
        let answer =
            self.program.run(&[&["usage", "--by", "time", "--json"], arguments].concat()).expect(0).out;
        answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn sizes(&self, arguments: &[&str]) -> Vec<u64> {
        self.moments(arguments).iter().filter_map(|moment| moment["bytes"].as_u64()).collect()
    }

    fn records(&self) -> Vec<PathBuf> {
        match fs::read_dir(self.program.repository.join("history")) {
            Ok(found) => found.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        }
    }
}

#[test]
fn growth_outlives_the_snapshots_that_said_it_and_the_machine() {
    let mut lab = Lab::new();
    for (day, ann) in [(0, 10_000), (33, 30_000), (39, 60_000), (40, 100_000)] {
        lab.save(day, "ann", ann);
        lab.save(day, "bob", 5_000);
    }
    lab.set_day(41);
    let (growth, sizes) = (lab.growth("ann"), lab.sizes(&[]));
    assert_eq!(growth, [Some(0), Some(70_000), Some(90_000)]);
    assert_eq!((sizes[0], sizes[sizes.len() - 1]), (105_000, 10_000));

    // Forgotten, and not yet gone.
    lab.program.run(&["forget", "--keep-last", "1"]).expect(0);
    assert_eq!(lab.growth("ann"), growth);
    assert_eq!((lab.sizes(&[]), lab.records()), (sizes.clone(), vec![]));

    // Gone.
    lab.lose_the_past();
    assert_eq!(lab.program.snapshots().len(), 1);
    assert!(!lab.records().is_empty());
    assert_eq!(lab.growth("ann"), growth);
    assert_eq!(lab.growth("bob"), [Some(0), Some(0), Some(0)]);
    // Of snapshots within a day, the last; but the first one's commit stays, since what bob's home needs lies in it.
    assert_eq!(lab.sizes(&[]), [105_000, 65_000, 35_000, 15_000, 10_000]);
    assert_eq!(lab.sizes(&["--user", "bob"]), [5_000; 4]);
    assert_eq!(lab.sizes(&["--since", "10 days ago"]).len(), 3);
    let stores: Vec<u64> =
        lab.moments(&[]).iter().filter_map(|moment| moment["store_bytes"].as_u64()).collect();
    assert_eq!(stores.len(), 1);
    assert!((100_000..200_000).contains(&stores[0]), "{stores:?}");

    // On another machine, and when the rest of it is gone as well.
    let mut elsewhere = Lab { program: lab.program.copied() };
    elsewhere.program.set("LD_PRELOAD", shim().to_str().unwrap());
    elsewhere.set_day(42);
    assert_eq!(elsewhere.growth("ann"), growth);
    elsewhere.save(45, "ann", 200_000);
    elsewhere.lose_the_past();
    assert_eq!(elsewhere.growth("ann"), [Some(100_000), Some(170_000), Some(190_000)]);
    assert_eq!(elsewhere.sizes(&["--user", "ann"]), [200_000, 100_000, 60_000, 30_000, 10_000, 10_000]);
    let answer = elsewhere.program.run(&["usage", "--json"]).expect(0).out;
    let summary: Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
    assert_eq!(summary["store"]["history"]["objects"].as_u64(), Some(elsewhere.records().len() as u64));
    assert_eq!(summary["store"]["other"]["objects"].as_u64(), Some(0));
    elsewhere.program.run(&["check", "--read-data"]).expect(0);
}

#[test]
fn a_past_that_cannot_be_read_is_told_and_stops_nothing() {
    let mut lab = Lab::new();
    lab.save(0, "ann", 10_000);
    lab.save(40, "ann", 20_000);
    lab.lose_the_past();
    assert_eq!(lab.growth("ann")[2], Some(10_000));
    let record = lab.records().remove(0);
    let bytes = fs::read(&record).unwrap();
    fs::write(&record, &bytes[..bytes.len() - 4096]).unwrap();
    let usage = lab.program.run(&["usage"]).expect(3);
    assert!(usage.err.contains("1 record of the past cannot be read"), "{}", usage.err);
    let check = lab.program.run(&["check"]).expect(0);
    let name = record.file_name().unwrap().to_str().unwrap();
    assert!((check.out + &check.err).contains(name));
    lab.save(41, "ann", 30_000);
    lab.lose_the_past();
    assert!(record.exists(), "what nobody can read, nobody removes");
    fs::remove_file(record).unwrap();
    assert_eq!(lab.growth("ann"), [Some(10_000), None, None]);
}

/// A prune whose clock is ten years ahead neither thins what is new nor hides anything later.
#[test]
fn a_prune_with_a_wrong_clock_keeps_what_it_should() {
    let mut lab = Lab::new();
    for day in 0..4 {
        lab.save(day, "ann", 10_000 * (day as usize + 1));
    }
    lab.set_day(3653);
    lab.lose_the_past();
    lab.set_day(5);
    assert_eq!(lab.sizes(&[]), [40_000, 30_000, 20_000, 10_000]);
    assert!(lab.moments(&[]).iter().all(|moment| moment["store_bytes"].is_null()));
}
