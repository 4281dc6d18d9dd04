//! Files that change, vanish or cannot be read while they are saved. The run goes on, and what it saved
//! is a state that the file once had, or is marked.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::path::Path;
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use homekeep::engine::ProblemKind;
use homekeep::engine::backup::{BackupReport, Outcome};
use homekeep::engine::restore::RestoreTarget;
use homekeep::format::{Attention, flags};
use rusqlite::Connection;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::support::{SOMEBODY, Site, assert_same, is_root, noise, plant, report_of, source_of, write_old};

/// How often homes are saved while somebody works in them.
const RUNS: usize = 15;

/// Takes snapshots while `work` is done over and over, then gives each saved state of `name` with its
/// marks to `check`; where the name was away, there is no state.
fn while_working(
    name: &str,
    prepare: impl FnOnce(&Path),
    work: impl Fn(&Path, usize) + Sync,
    mut check: impl FnMut(Vec<u8>, u64),
) -> Vec<BackupReport> {
    let site = Site::new();
    let home = site.home("ann");
    plant(&home);
    let path = home.join(name);
    prepare(&path);
    let is_over = AtomicBool::new(false);
    let reports = thread::scope(|scope| {
        scope.spawn(|| {
            (0..).take_while(|_| !is_over.load(Ordering::Relaxed)).for_each(|round| work(&path, round));
        });
        let reports: Vec<_> = (0..RUNS).map(|_| site.try_backup(&site.backup_options())).collect();
        is_over.store(true, Ordering::Relaxed);
        reports
    });
    for (n, snapshot) in site.repository().snapshots().unwrap().iter().enumerate() {
        let (_, source) = source_of(snapshot, "ann").unwrap();
        let target = site.path(format!("state-{n}"));
        let restored = site.restore_to(from_ref(&source), RestoreTarget::Contents(target.clone()), |_| {});
        assert!(restored.report.is_complete(), "{:?}", restored.report.problems);
        if let Some(entry) = site.find(&source, name) {
            check(fs::read(target.join(name)).unwrap(), entry.attributes.flags);
        }
    }
    reports.into_iter().map(Result::unwrap).collect()
}

#[test]
fn a_file_that_grows_is_saved_up_to_some_moment() {
    let text: Vec<u8> = (0..1_000_000u32).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    let append = |path: &Path, round: usize| {
        if let Some(more) = text.chunks(1000).nth(round + 1) {
            File::options().append(true).open(path).unwrap().write_all(more).unwrap();
        }
        thread::sleep(Duration::from_micros(100));
    };
    while_working(
        "log",
        |path| fs::write(path, &text[..1000]).unwrap(),
        append,
        |bytes, _| {
            assert!(text.starts_with(&bytes) && bytes.len() >= 1000, "{} bytes", bytes.len());
        },
    );
}

#[test]
fn a_file_that_is_replaced_is_one_of_its_versions() {
    let replace = |path: &Path, round: usize| {
        let new = path.with_extension("new");
        fs::write(&new, vec![b'a' + (round % 26) as u8; 200_000]).unwrap();
        fs::rename(&new, path).unwrap();
    };
    while_working(
        "document",
        |path| replace(path, 0),
        replace,
        // It may be marked: losing its name changes an inode, and a stat does not tell from what.
        |bytes, _| {
            assert_eq!(bytes.len(), 200_000);
            assert!(bytes.iter().all(|byte| *byte == bytes[0]));
        },
    );
}

/// Whether two writes within a tenth of a millisecond get the same time, so that no stat tells them apart.
fn is_clock_coarse(folder: &Path) -> bool {
    let file = File::create(folder.join("clock")).unwrap();
    let time_of_write = || {
        file.write_all_at(b"x", 0).unwrap();
        file.metadata().unwrap().modified().unwrap()
    };
    (0..20).any(|_| time_of_write() == time_of_write())
}

#[test]
fn a_file_that_is_overwritten_in_place_is_consistent_or_marked() {
    const PIECE: usize = 4096;
    let start = |path: &Path| fs::write(path, vec![255; 64 * PIECE]).unwrap();
    let overwrite = |path: &Path, round: usize| {
        let file = File::options().write(true).open(path).unwrap();
        for piece in 0..64 {
            file.write_all_at(&[round as u8; PIECE], (piece * PIECE) as u64).unwrap();
            thread::sleep(Duration::from_micros(50));
        }
        // Now and then it rests long enough to be read in peace.
        if round.is_multiple_of(2) {
            thread::sleep(Duration::from_millis(10));
        }
    };
    let folder = tempfile::tempdir().unwrap();
    if is_clock_coarse(folder.path()) {
        eprintln!("skipped: this kernel's file times do not tell fast writes apart");
        return;
    }
    let (mut marked, mut whole) = (0, 0);
    let reports = while_working("table", start, overwrite, |bytes, flags| {
        assert_eq!(bytes.len(), 64 * PIECE);
        if flags & flags::CHANGED != 0 {
            marked += 1;
            return;
        }
        whole += 1;
        // A state that it had: new from the beginning up to some place, and from there on old.
        let mut versions = bytes.clone();
        versions.dedup();
        let is_state = match versions[..] {
            [_] => true,
            [new, old] => old == new.wrapping_sub(1),
            _ => false,
        };
        assert!(is_state, "{versions:?}");
    });
    assert!(marked + whole > 0);
    let told = |report: &BackupReport| report.problems.iter().any(|p| p.kind == ProblemKind::Changed);
    assert!(reports.iter().filter(|report| told(report)).count() >= marked);
}

#[test]
fn a_file_that_is_cut_short_and_filled_again_is_never_empty() {
    let text = vec![b'x'; 100_000];
    let cut = |path: &Path, _| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(50_000).unwrap();
        file.write_all_at(&text[50_000..], 50_000).unwrap();
    };
    while_working(
        "file",
        |path| fs::write(path, &text).unwrap(),
        cut,
        |bytes, flags| {
            assert!((50_000..=100_000).contains(&bytes.len()), "{} bytes, marks {flags}", bytes.len());
            assert!(bytes.iter().all(|byte| *byte == b'x') || flags & flags::CHANGED != 0);
        },
    );
}

#[test]
fn a_file_that_comes_and_goes_is_whole_or_absent() {
    let text = noise(1, 30_000);
    let come_and_go = |path: &Path, _| {
        fs::write(path.with_extension("new"), &text).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
        fs::remove_file(path).unwrap();
    };
    while_working("file", |_| {}, come_and_go, |bytes, flags| assert_eq!((bytes == text, flags), (true, 0)));
}

#[test]
fn a_directory_that_is_renamed_and_a_mode_that_changes_end_no_run() {
    let text = noise(1, 30_000);
    let prepare = |path: &Path| {
        fs::create_dir(path.parent().unwrap()).unwrap();
        write_old(path, &text);
    };
    let rename = |path: &Path, round: usize| {
        let directory = path.parent().unwrap();
        let away = directory.with_extension("away");
        fs::set_permissions(path, PermissionsExt::from_mode(0o600 + (round % 8) as u32)).unwrap();
        fs::rename(directory, &away).unwrap();
        fs::rename(&away, directory).unwrap();
    };
    while_working("folder/file", prepare, rename, |bytes, _| assert_eq!(bytes, text));
}

#[test]
fn what_vanishes_between_listing_and_looking_is_counted_and_no_problem() {
    let site = Site::new();
    let home = site.home("ann");
    let is_over = AtomicBool::new(false);
    let vanished = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for n in 0..500 {
                    fs::write(home.join(n.to_string()), "x").unwrap();
                }
                for n in 0..500 {
                    fs::remove_file(home.join(n.to_string())).unwrap();
                }
            }
        });
        let run = || site.try_backup(&site.backup_options());
        let found = (0..500).find_map(|_| {
            let report = run();
            let is_found = report.as_ref().is_ok_and(|report| report_of(report, "ann").vanished > 0);
            (is_found || report.is_err()).then_some(report)
        });
        is_over.store(true, Ordering::Relaxed);
        found
    });
    let report = vanished.expect("nothing vanished in 500 runs").unwrap();
    assert_eq!(report.problems, []);
}

/// Runs as another user, with no right of root's. Only this thread, and those it starts, are.
fn as_somebody<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    let become_somebody = || {
        let (uid, gid) = (Uid::from_raw(SOMEBODY), Gid::from_raw(SOMEBODY));
        set_thread_groups(&[]).unwrap();
        set_thread_res_gid(gid, gid, gid).unwrap();
        set_thread_res_uid(uid, uid, uid).unwrap();
        run()
    };
    thread::scope(|scope| scope.spawn(become_somebody).join().unwrap())
}

/// Gives everything of a site to somebody.
fn give_away(site: &Site) {
    let mut command = std::process::Command::new("chown");
    command.args(["-hR", &format!("{SOMEBODY}:{SOMEBODY}")]).arg(site.path(""));
    crate::support::run(command, "coreutils");
}

fn kind_at<'r>(report: &'r BackupReport, user: &str, path: &str) -> Option<&'r ProblemKind> {
    let is_it = |p: &&homekeep::engine::Problem| p.user == user.as_bytes() && p.path == path.as_bytes();
    report.problems.iter().find(is_it).map(|problem| &problem.kind)
}

#[test]
fn what_cannot_be_read_is_its_homes_problem_and_tried_again() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    for user in ["ann", "bob"] {
        plant(&site.home(user));
    }
    give_away(&site);
    let secret = site.home("ann").join("work/data");
    let closed = site.home("ann").join("work/deep");
    fs::remove_file(site.home("ann").join("shared/data")).unwrap();
    for path in [&secret, &closed] {
        chown(path, Some(0), Some(0)).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o000)).unwrap();
    }
    let options = site.backup_options();
    for _ in 0..2 {
        let report = as_somebody(|| site.try_backup(&options).unwrap());
        for path in ["work/data", "work/deep"] {
            let kind = kind_at(&report, "ann", path);
            assert!(matches!(kind, Some(ProblemKind::Unreadable(_))), "{path}: {kind:?}");
        }
        assert_eq!(report_of(&report, "bob").record.problems, 0);
        assert!(!report.is_complete());
        assert!(site.has("ann", "notes") && !site.has("ann", "work/deep"));
    }
    for path in [&secret, &closed] {
        chown(path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let report = as_somebody(|| site.try_backup(&options).unwrap());
    assert!(report.is_complete(), "{:?}", report.problems);
    assert_same(&site.home("ann"), &site.restore(&["ann"]).join("ann"));
    assert_same(&site.home("bob"), &site.restore(&["bob"]).join("bob"));
}

#[test]
fn a_home_that_cannot_be_opened_is_missing_and_the_others_are_saved() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    for user in ["ann", "bob"] {
        plant(&site.home(user));
    }
    give_away(&site);
    let options = site.backup_options();
    as_somebody(|| site.try_backup(&options).unwrap());
    chown(site.home("ann"), Some(0), Some(0)).unwrap();
    fs::set_permissions(site.home("ann"), PermissionsExt::from_mode(0o700)).unwrap();
    write_old(&site.home("bob").join("new"), "x");
    let report = as_somebody(|| site.try_backup(&options).unwrap());
    assert!(matches!(kind_at(&report, "ann", ""), Some(ProblemKind::Unreadable(_))));
    assert_eq!(report_of(&report, "ann").record.attention, Attention::Missing);
    assert!(site.has("bob", "new"));
    // What was saved of it before is still its state.
    assert!(site.has("ann", "notes"));
}

/// A site whose one home has a live database with a row for each number below `rows`, all of them
/// committed and none of them in the database's own file yet.
fn with_database(rows: i64) -> (Site, Connection) {
    let site = Site::new();
    let home = site.home("ann");
    // The copy is made as the home's owner, who must be able to get there.
    fs::set_permissions(site.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    File::create(home.join("data.sqlite")).unwrap();
    if rustix::process::geteuid().is_root() {
        for path in [&home, &home.join("data.sqlite")] {
            chown(path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        }
    }
    let database = Connection::open(home.join("data.sqlite")).unwrap();
    let prepare = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (n INTEGER)";
    database.execute_batch(prepare).unwrap();
    (0..rows).for_each(|n| insert(&database, n));
    (site, database)
}

fn insert(database: &Connection, n: i64) {
    database.execute("INSERT INTO t VALUES (?1)", [n]).unwrap();
}

/// The number of rows, which are the numbers below it, after a check of the whole database.
fn sound_rows(path: &Path) -> i64 {
    let database = Connection::open(path).unwrap();
    let query = |sql| database.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(query("PRAGMA integrity_check"), "ok");
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (count, next): (i64, i64) =
        database.query_row("SELECT count(*), coalesce(max(n) + 1, 0) FROM t", [], row).unwrap();
    assert_eq!(count, next);
    count
}

#[test]
fn a_live_database_comes_back_with_its_committed_rows_and_without_its_log() {
    let (site, database) = with_database(100);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let is_over = &is_over;
        scope.spawn(move || {
            (100..).take_while(|_| !is_over.load(Ordering::Relaxed)).for_each(|n| insert(&database, n));
        });
        for _ in 0..3 {
            let report = site.backup();
            assert_eq!(report.problems, []);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(site.entry("ann", "data.sqlite").attributes.flags, flags::SQLITE_COPY);
    let restored = site.restore(&["ann"]).join("ann");
    let names: Vec<_> = fs::read_dir(&restored).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["data.sqlite"]);
    assert!(sound_rows(&restored.join("data.sqlite")) >= 100);
}

#[test]
fn a_database_that_nobody_writes_to_is_no_news() {
    let (site, _database) = with_database(5);
    site.backup();
    let report = site.backup();
    assert!(matches!(report.outcome, Outcome::Unchanged { .. }), "{:?}", report.outcome);
}

#[test]
fn a_database_that_cannot_be_copied_is_saved_as_bytes_with_its_log_and_marked() {
    let (site, _database) = with_database(20);
    let report = site.backup_with(|options| options.sqlite_program = "/bin/false".into());
    assert!(matches!(kind_at(&report, "ann", "data.sqlite"), Some(ProblemKind::LiveDatabase(_))));
    assert_eq!(site.entry("ann", "data.sqlite").attributes.flags, flags::SQLITE_RAW);
    let restored = site.restore(&["ann"]).join("ann");
    assert!(restored.join("data.sqlite-wal").exists());
    assert_eq!(sound_rows(&restored.join("data.sqlite")), 20);
}
