//! Places that run full: no room for bytes, or for files. The error names the place, nothing is lost, and once
//! there is room the next run succeeds.

use std::fs;
use std::path::Path;

use crate::support::mount::Mount;
use crate::support::program::{Ended, Program};
use crate::support::{assert_same, copy_tree, is_root, noise, write_old};

/// What a full place is mounted with when it is not full.
const ROOMY: &str = "size=64m,nr_inodes=100k";
/// Room comes in pages.
const PAGE: u64 = 4096;

/// A program one of whose places can be made small.
struct Small {
    program: Program,
    place: Mount,
    /// What the one snapshot holds, and its id.
    saved: std::path::PathBuf,
    snapshot: String,
}

impl Small {
    /// With a snapshot, and a home that has changed since.
    fn new(place: impl Fn(&Program) -> std::path::PathBuf) -> Self {
        let program = Program::new();
        let place = Mount::with_room(&place(&program), ROOMY);
        let home = program.home("ann");
        fs::create_dir(home.join("work")).unwrap();
        for n in 0..10 {
            write_old(&home.join(format!("work/{n}")), noise(n, 2000));
        }
        program.run(&["init"]).expect(0);
        program.backup(&[]).expect(0);
        let saved = program.path("saved");
        copy_tree(&program.homes, &saved);
        let snapshot = program.snapshots().remove(0);
        write_old(&home.join("work/3"), "edited");
        write_old(&home.join("new"), noise(50, 40_000));
        Self { program, place, saved, snapshot }
    }

    /// Lets `operate` run with no room, and with a little more each time, in pages and in files, until it succeeds.
    /// Each time begins with `prepare`, for which there is room enough.
    fn with_ever_more_room(
        &self,
        prepare: impl Fn(u64),
        operate: impl Fn() -> Ended,
        check: impl Fn(&Ended),
    ) {
        for unit in ["size", "nr_inodes"] {
            let mut failures = 0;
            for more in 0.. {
                prepare(more);
                let used = self.used(unit);
                let more = if unit == "size" { more * PAGE } else { more };
                self.place.change(&format!("{unit}={}", (used + more).max(1)));
                let ended = operate();
                self.place.change(ROOMY);
                check(&ended);
                if ended.code == Some(0) {
                    break;
                }
                failures += 1;
                assert!(failures < 200, "it never has enough {unit}: {ended:?}");
            }
            assert!(failures > 0, "there was always enough {unit}");
        }
    }

    fn used(&self, unit: &str) -> u64 {
        let stat = rustix::fs::statvfs(self.place.path()).unwrap();
        match unit {
            "size" => (stat.f_blocks - stat.f_bfree) * stat.f_frsize,
            _ => stat.f_files - stat.f_ffree,
        }
    }

    fn assert_names_place(&self, ended: &Ended) {
        let place = self.place.path().to_str().unwrap();
        assert!(ended.err.contains(place), "{place} is not named: {ended:?}");
    }

    /// Nothing is lost, and the next run saves everything.
    fn assert_all_is_well(&self) {
        self.program.assert_restores(&self.snapshot, &self.saved);
        let after = self.program.copied();
        after.backup(&[]).expect(0);
        after.assert_restores("latest", &self.program.homes);
    }
}

#[test]
fn a_repository_without_room_is_named_and_loses_nothing() {
    if !is_root() {
        return;
    }
    let small = Small::new(|program| program.repository.clone());
    small.with_ever_more_room(
        // What the last run stored is no help: there is something new to save each time.
        |more| write_old(&small.program.home("ann").join("newer"), noise(100 + more, 30_000)),
        || small.program.backup(&[]),
        |ended| {
            if ended.code != Some(0) {
                assert_eq!(ended.code, Some(1), "{ended:?}");
                small.assert_names_place(ended);
            }
            small.assert_all_is_well();
        },
    );
}

#[test]
fn a_cache_without_room_is_named_and_loses_nothing() {
    if !is_root() {
        return;
    }
    let small = Small::new(|program| program.cache.clone());
    small.with_ever_more_room(
        |_| empty(&small.program.cache),
        || small.program.backup(&[]),
        |ended| {
            if ended.code != Some(0) {
                assert_eq!(ended.code, Some(1), "{ended:?}");
                small.assert_names_place(ended);
            }
            small.assert_all_is_well();
        },
    );
}

#[test]
fn a_restore_without_room_is_named_and_goes_on_when_there_is() {
    if !is_root() {
        return;
    }
    let small = Small::new(|program| program.path("target"));
    let target = small.place.path().to_str().unwrap().to_owned();
    let restore = || small.program.run(&["restore", &small.snapshot, "--target", &target]);
    small.with_ever_more_room(
        |_| empty(Path::new(&target)),
        restore,
        |ended| {
            if ended.code != Some(0) {
                assert_eq!(ended.code, Some(1), "{ended:?}");
                small.assert_names_place(ended);
                restore().expect(0);
            }
            assert_same(&small.saved.join("ann"), &small.place.path().join("ann"));
        },
    );
}

fn empty(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
}
