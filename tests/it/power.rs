//! Power cuts: the repository is on a real ext4, and what its disk holds at some instant is mounted elsewhere.
//! What was reported as saved before is there, bit for bit, and the next run succeeds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::mount::Mount;
use crate::support::program::Program;
use crate::support::{copy_tree, is_root, noise, run, write_old};
use crate::syscalls::tracer::{Injection, injections, run_with};

/// Nothing is written to disk because time passes, nor because a name is replaced: only what is synced is.
const OPTIONS: &str = "loop,commit=300,noauto_da_alloc";
/// Of the calls at which a run can be killed, so many are taken.
const CUTS: usize = 12;
const PRUNE: [&str; 5] = ["prune", "--min-age", "0s", "--max-unused", "0%"];

/// A repository on a disk that loses power now and then.
struct Machine {
    program: Program,
    /// Id and contents of each snapshot that was reported.
    saved: Vec<(String, PathBuf)>,
    _disk: Mount,
}

impl Machine {
    fn new() -> Self {
        let mut program = Program::new();
        let image = program.path("image");
        fs::File::create(&image).unwrap().set_len(48 << 20).unwrap();
        let mut mkfs = Command::new("mkfs.ext4");
        mkfs.args(["-q", "-F"]).arg(&image).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
        run(mkfs, "e2fsprogs");
        let disk = Mount::new(&program.path("disk"), &["-o", OPTIONS, image.to_str().unwrap()]);
        program.repository = disk.path().join("repository");
        program.run(&["init"]).expect(0);
        let mut machine = Self { program, saved: Vec::new(), _disk: disk };
        machine.work(0);
        machine.save();
        machine
    }

    /// Changes the homes.
    fn work(&self, day: u64) {
        let home = self.program.home("ann");
        fs::create_dir_all(home.join("work")).unwrap();
        write_old(&home.join(format!("work/{day}")), noise(day, 3000));
        write_old(&home.join("log"), format!("day {day}\n").repeat(day as usize + 1));
    }

    fn save(&mut self) {
        self.program.backup(&[]).expect(0);
        let id = self.program.snapshots().pop().unwrap();
        let contents = self.program.path(&id);
        copy_tree(&self.program.homes, &contents);
        self.saved.push((id, contents));
    }

    /// What the disk holds at this instant, on another machine: everything reported is there.
    fn assert_survives_a_power_cut(&self, when: &str, keeps_index: bool) {
        let mut other = self.program.copied_without_repository();
        let image = other.path("image");
        copy_sparse(&self.program.path("image"), &image);
        // Mounting replays the journal, as after a power cut.
        let disk = Mount::new(&other.path("disk"), &["-o", OPTIONS, image.to_str().unwrap()]);
        other.repository = disk.path().join("repository");
        if !keeps_index {
            fs::remove_dir_all(&other.cache).unwrap();
        }
        eprintln!("power cut {when}");
        for (id, contents) in &self.saved {
            other.assert_restores(id, contents);
        }
        other.backup(&[]).expect(0);
        other.run(&PRUNE).expect(0);
        other.run(&["check", "--read-data"]).expect(0);
        other.assert_restores("latest", &other.homes);
    }

    /// Kills at calls on the repository that a command makes, no more than [`CUTS`].
    fn kills(&self, arguments: &[&str]) -> Vec<Injection> {
        let kills = injections(&self.program.copied(), arguments);
        let kills: Vec<_> = kills.into_iter().filter(|one| one.is_kill() && one.is_on_store).collect();
        let step = kills.len().div_ceil(CUTS);
        kills.into_iter().step_by(step).collect()
    }
}

/// Copies the image as it is at one instant: the kernel may write to it meanwhile, in an order of its own, and then it
/// is copied again.
fn copy_sparse(from: &Path, to: &Path) {
    loop {
        let mut cp = Command::new("cp");
        cp.arg("--sparse=always").arg(from).arg(to);
        run(cp, "coreutils");
        if fs::read(from).unwrap() == fs::read(to).unwrap() {
            return;
        }
    }
}

#[test]
fn what_was_reported_as_saved_survives_a_power_cut_at_any_call_of_a_later_run() {
    if !is_root() {
        return;
    }
    let mut machine = Machine::new();
    machine.assert_survives_a_power_cut("after the first report", false);
    machine.work(1);
    let backup = ["backup", "--homes", machine.program.homes.to_str().unwrap()].map(str::to_owned);
    let backup = backup.each_ref().map(String::as_str);
    for (day, kill) in (2..).zip(machine.kills(&backup)) {
        machine.work(day);
        let ended = run_with(&machine.program, &kill, &backup);
        assert_ne!(ended.code, Some(0), "{kill:?} did not hit");
        machine.assert_survives_a_power_cut(&format!("at {kill:?}"), day % 2 == 0);
        machine.save();
        machine.assert_survives_a_power_cut("after a report", day % 2 == 1);
    }
}

#[test]
fn what_was_reported_as_saved_survives_a_power_cut_at_any_call_of_a_prune() {
    if !is_root() {
        return;
    }
    let mut machine = Machine::new();
    for day in 1..4 {
        machine.work(day);
        machine.save();
    }
    let forget_oldest = |machine: &mut Machine| {
        let (oldest, _) = machine.saved.remove(0);
        machine.program.run(&["forget", &oldest]).expect(0);
    };
    forget_oldest(&mut machine);
    for (day, kill) in (4..).zip(machine.kills(&PRUNE)) {
        run_with(&machine.program, &kill, &PRUNE);
        machine.assert_survives_a_power_cut(&format!("at {kill:?} of a prune"), day % 2 == 0);
        machine.work(day);
        machine.save();
        forget_oldest(&mut machine);
    }
}
