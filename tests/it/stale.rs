//! Local indexes that are not what they should be: older copies, those of another repository, garbage, cut
//! short, with rows missing. No backup leaves anything out because of them, and no restore gives wrong bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use homekeep::codec::SnapshotId;
use homekeep::engine::Problem;
use homekeep::engine::backup::Outcome;
use homekeep::engine::restore::{RestoreError, RestoreSource, RestoreTarget};
use homekeep::repo::RepoError;
use rusqlite::Connection;

use crate::support::program::Program;
use crate::support::{Contents, Site, contents, noise, source_of, write_old};

const FILES: [&str; 2] = ["index.sqlite", "seen.sqlite"];

/// A machine with two snapshots, and copies of its index from before the second.
struct Machine {
    site: Site,
    /// What the homes held at each snapshot.
    states: BTreeMap<SnapshotId, Contents>,
    older: tempfile::TempDir,
}

impl Machine {
    fn new(seed: u64) -> Self {
        let site = Site::new();
        let home = site.home("ann");
        fs::create_dir_all(home.join("work/deep")).unwrap();
        for n in 0..12 {
            write_old(&home.join(format!("work/{n}")), noise(seed + n, 3000));
        }
        write_old(&home.join("work/deep/notes"), format!("notes of {seed}"));
        let older = tempfile::tempdir().unwrap();
        let mut machine = Self { site, states: BTreeMap::new(), older };
        machine.save();
        for file in FILES {
            fs::copy(machine.site.index(file), machine.older.path().join(file)).unwrap();
        }
        write_old(&home.join("work/3"), "edited");
        fs::rename(home.join("work/4"), home.join("moved")).unwrap();
        write_old(&home.join("new"), noise(seed + 100, 20_000));
        machine.save();
        machine
    }

    fn home(&self) -> std::path::PathBuf {
        self.site.home("ann")
    }

    /// Saves the homes. What a foreign index knows of and the store lacks may be called lost, which is the safe
    /// side; and a run that finds the index damaged at its very end begins again, so that there are two snapshots.
    fn save(&mut self) {
        let report = self.site.backup_with(|options| options.always = true);
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert!(matches!(report.outcome, Outcome::Saved { .. }));
        let state = contents(&self.home());
        for snapshot in Site::in_memory(self.site.shared_store()).repository().snapshots().unwrap() {
            self.states.entry(snapshot.record.id).or_insert_with(|| state.clone());
        }
    }

    /// Restores every snapshot: what comes back is right, and all of it unless something is complained of.
    fn complaints(&self, site: &Site) -> Vec<String> {
        let snapshots = site.repository().snapshots().unwrap();
        assert_eq!(snapshots.len(), self.states.len());
        let mut complaints = Vec::new();
        for snapshot in &snapshots {
            let state = &self.states[&snapshot.record.id];
            let target = tempfile::tempdir_in(site.path("")).unwrap();
            let (_, source) = source_of(snapshot, "ann").unwrap();
            let problems = restore(site, source, target.path());
            let found = contents(target.path());
            assert!(found.iter().all(|(path, bytes)| state.get(path) == Some(bytes)), "wrong bytes");
            assert!(found.len() == state.len() || !problems.is_empty(), "something is missing");
            complaints.extend(problems.iter().map(|problem| problem.kind.to_string()));
        }
        complaints
    }

    /// Spoils the index, saves the homes, once as they are and once after they changed, and looks at it all from
    /// here and from a machine that never saw the repository. Gives what was complained of here.
    fn survive(mut self, what: &str, spoil: impl Fn(&Site)) -> Vec<String> {
        eprintln!("{what}");
        spoil(&self.site);
        let mut complaints = self.complaints(&self.site);
        spoil(&self.site);
        self.save();
        spoil(&self.site);
        write_old(&self.home().join("work/5"), format!("edited after {what}"));
        // It was in the first snapshot, and in no other: what is known of it is old.
        write_old(&self.home().join("work/back"), noise(3, 3000));
        self.save();
        complaints.extend(self.complaints(&self.site));
        let elsewhere = Site::in_memory(self.site.shared_store());
        assert_eq!(self.complaints(&elsewhere), [""; 0], "{what}: seen from elsewhere");
        complaints
    }
}

/// Restores, and again when the index is found to be damaged: so the program asks for it.
fn restore(site: &Site, source: RestoreSource, target: &Path) -> Vec<Problem> {
    for _ in 0..=FILES.len() {
        let to = RestoreTarget::Contents(target.into());
        match site.try_restore(std::slice::from_ref(&source), to, |_| {}) {
            Ok(restored) => return restored.report.problems,
            Err(RestoreError::Index(error) | RestoreError::Repository(RepoError::Index(error))) => {
                assert!(error.is_damage(), "{error:?}");
                error.discard_damaged(&site.cache());
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the index is damaged each time it is made anew");
}

fn replace(site: &Site, file: &str, bytes: &[u8]) {
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(site.index(&format!("{file}{suffix}")));
    }
    fs::write(site.index(file), bytes).unwrap();
}

#[test]
fn an_older_copy_of_the_index_leaves_nothing_out() {
    for files in [&FILES[..1], &FILES[1..], &FILES] {
        let machine = Machine::new(0);
        let older: Vec<_> =
            files.iter().map(|file| fs::read(machine.older.path().join(file)).unwrap()).collect();
        let complaints = machine.survive(&format!("an older {files:?}"), |site| {
            files.iter().zip(&older).for_each(|(file, bytes)| replace(site, file, bytes));
        });
        assert_eq!(complaints, [""; 0], "{files:?}");
    }
}

#[test]
fn the_index_of_another_repository_leaves_nothing_out() {
    // One with homes of its own, and one with the very same, on the same machine.
    for seed in [1000, 0] {
        let other = Machine::new(seed);
        for files in [&FILES[..1], &FILES[1..], &FILES] {
            let foreign: Vec<_> =
                files.iter().map(|file| fs::read(other.site.index(file)).unwrap()).collect();
            let complaints = Machine::new(0).survive(&format!("another's {files:?}"), |site| {
                files.iter().zip(&foreign).for_each(|(file, bytes)| replace(site, file, bytes));
            });
            assert_eq!(complaints, [""; 0], "{files:?}");
        }
    }
}

#[test]
fn garbage_for_an_index_leaves_nothing_out() {
    let garbage: [&[u8]; 5] = [b"", b"SQLite format 3\0", &[0; 8192], &[0x55; 8192], &noise(1, 40_000)];
    for file in FILES {
        for bytes in garbage {
            let what = format!("{} bytes of garbage for {file}", bytes.len());
            let complaints = Machine::new(0).survive(&what, |site| replace(site, file, bytes));
            assert_eq!(complaints, [""; 0], "{what}");
        }
    }
}

#[test]
fn an_index_cut_short_or_with_a_page_of_zeros_leaves_nothing_out() {
    for file in FILES {
        let length = fs::metadata(Machine::new(0).site.index(file)).unwrap().len() as usize;
        for page in (0..length).step_by(4096) {
            for is_cut in [true, false] {
                let what =
                    format!("{file} with page {} {}", page / 4096, if is_cut { "cut" } else { "zero" });
                let complaints = Machine::new(0).survive(&what, |site| {
                    let mut bytes = fs::read(site.index(file)).unwrap();
                    match is_cut {
                        true => bytes.truncate(page + 100),
                        false => bytes.iter_mut().skip(page).take(4096).for_each(|byte| *byte = 0),
                    }
                    replace(site, file, &bytes);
                });
                assert_eq!(complaints, [""; 0], "{what}");
            }
        }
    }
}

fn tables(path: &Path) -> Vec<String> {
    let database = Connection::open(path).unwrap();
    let mut query = database
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn an_index_without_some_of_its_rows_leaves_nothing_out_of_a_backup() {
    for file in FILES {
        for table in tables(&Machine::new(0).site.index(file)) {
            for which in ["1", "random() % 2"] {
                // SQLite would not lose rows by itself. What was asked for may be refused here, but not elsewhere.
                Machine::new(0).survive(&format!("{file}: {table} without rows where {which}"), |site| {
                    let database = Connection::open(site.index(file)).unwrap();
                    database.execute_batch(&format!("DELETE FROM {table} WHERE {which}")).unwrap();
                });
            }
        }
    }
}

#[test]
fn the_program_throws_a_damaged_index_away_and_says_so() {
    let program = Program::new();
    write_old(&program.home("ann").join("file"), "ann's");
    program.run(&["init"]).expect(0);
    program.backup(&[]).expect(0);
    let folder = fs::read_dir(&program.cache).unwrap().next().unwrap().unwrap().path();
    let index = folder.join("index.sqlite");
    let whole = fs::read(&index).unwrap();
    let mut refused = 0;
    for page in 1..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096..][..4096].fill(0x55);
        fs::write(&index, bytes).unwrap();
        let ended = program.run(&["ls", "latest:ann"]);
        if ended.code != Some(0) {
            refused += 1;
            assert!(ended.err.contains("run the same command again"), "{ended:?}");
            let again = program.run(&["ls", "latest:ann"]).expect(0);
            assert!(again.out.contains("file"), "{again:?}");
        }
    }
    assert!(refused > 0, "no page of the index matters");
}
