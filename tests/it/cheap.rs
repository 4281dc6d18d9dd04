//! What an operation costs: which calls of the store it makes, and which files it reads.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use homekeep::engine::Meter;
use homekeep::engine::backup::{BackupReport, Outcome, backup};
use homekeep::engine::restore::RestoreTarget;
use homekeep::format::Header;
use homekeep::repo::Repository;
use homekeep::store::{Call, MemoryStore, RecordStore, Store};

use crate::support::{
    LONG_AGO, Site, assert_same, copy_tree, files_read, is_root, let_times_settle, names, noise, plant,
    set_mtime, set_xattr, write_old,
};

/// A site whose store tells what was asked of it.
struct Watched {
    site: Site,
    store: Arc<RecordStore<MemoryStore>>,
}

impl Watched {
    fn new() -> Self {
        let store = Arc::new(RecordStore::new(MemoryStore::new()));
        Self { site: Site::on(store.clone()), store }
    }

    /// The same repository as another machine sees it.
    fn beside(&self) -> Self {
        Self { site: Site::beside(self.store.clone()), store: self.store.clone() }
    }

    /// The calls that an operation makes once the repository is open.
    fn calls<T>(&self, operation: impl FnOnce(&mut Repository) -> T) -> (T, Vec<Call>) {
        let mut repository = self.site.open().unwrap();
        self.store.take_calls();
        let result = operation(&mut repository);
        (result, self.store.take_calls())
    }

    /// A backup and its calls, each as a verb and a folder.
    fn backup(&self) -> (BackupReport, Vec<String>) {
        let options = self.site.backup_options();
        let (report, calls) =
            self.calls(|repository| backup(repository, &options, &Meter::default()).unwrap());
        assert!(report.is_complete(), "{:?}", report.problems);
        (report, calls.iter().map(brief).collect())
    }
}

fn brief(call: &Call) -> String {
    let folder = |name: &str| name.split_inclusive('/').next().unwrap_or_default().to_owned();
    match call {
        Call::Put { name, .. } => format!("put {}", folder(name.as_str())),
        Call::Get { name } => format!("get {}", folder(name.as_str())),
        Call::GetRange { name, .. } => format!("range {}", folder(name.as_str())),
        Call::GetTail { name, .. } => format!("tail {}", folder(name.as_str())),
        Call::List { prefix } => format!("list {prefix}"),
        Call::Delete { name } => format!("delete {}", folder(name.as_str())),
    }
}

const LOOK: [&str; 3] = ["list gc/", "list snapshots/", "list forgotten/"];

/// Asserts that a backup finds nothing to do, reads no file, and only lists.
fn assert_costs_nothing(watched: &Watched) {
    let (report, calls) = watched.backup();
    assert_eq!((files_read(&report), report.bytes_new()), (0, 0));
    assert!(matches!(report.outcome, Outcome::Unchanged { .. }), "{:?}", report.outcome);
    assert_eq!(calls, LOOK);
}

/// A home that was saved so long after its last change that nothing in it counts as recent.
fn settled() -> (Watched, PathBuf) {
    let watched = Watched::new();
    let home = watched.site.home("ann");
    plant(&home);
    let_times_settle();
    watched.site.backup();
    (watched, home)
}

#[test]
fn an_unchanged_home_costs_three_listings() {
    let (watched, _) = settled();
    assert_costs_nothing(&watched);
    assert_costs_nothing(&watched);
}

#[test]
fn a_small_change_is_one_object() {
    let (watched, home) = settled();
    fs::write(home.join("work/new"), "a few bytes").unwrap();
    let (report, calls) = watched.backup();
    assert_eq!(files_read(&report), 1);
    assert!(matches!(report.outcome, Outcome::Saved { objects: 1, .. }), "{:?}", report.outcome);
    assert_eq!(calls, [&LOOK[..], &["put snapshots/", "list gc/", "list gc/"]].concat());
}

#[test]
fn a_first_backup_writes_segments_and_last_the_snapshot_and_reads_nothing() {
    let watched = Watched::new();
    write_old(&watched.site.home("ann").join("large"), noise(1, 36 << 20));
    let (report, calls) = watched.backup();
    let Outcome::Saved { objects, bytes_stored, .. } = report.outcome else { panic!("nothing saved") };
    let puts = calls.iter().filter(|call| call.starts_with("put")).count();
    assert_eq!((puts as u64, objects), (3, 3), "{calls:?}");
    let expected =
        [&LOOK[..], &["put segments/", "put segments/", "put snapshots/", "list gc/", "list gc/"]].concat();
    assert_eq!(calls, expected);
    let stored: u64 = ["segments/", "snapshots/"]
        .iter()
        .flat_map(|prefix| watched.store.list(prefix).unwrap())
        .map(|listed| listed.length)
        .sum();
    assert_eq!(bytes_stored, stored);
}

#[test]
fn one_users_restore_reads_that_users_bytes_once() {
    let watched = Watched::new();
    for (seed, user) in [(1, "ann"), (2, "bob"), (3, "eve")] {
        for n in 0..20 {
            write_old(&watched.site.home(user).join(format!("{n}")), noise(seed * 100 + n, 100_000));
        }
    }
    watched.site.backup();
    let source = [watched.site.source("bob")];
    let target = RestoreTarget::PerUser(watched.site.path("target"));
    watched.site.repository();
    watched.store.take_calls();
    // Two threads may both need the block in which the one's last file ends and the other's first begins.
    watched.site.restore_to(&source, target, |options| options.threads = 1);
    let ranges = watched.store.take_calls().into_iter().filter_map(|call| match call {
        Call::GetRange { length, .. } => Some(length),
        _ => None,
    });
    let read: usize = ranges.sum();
    // Trees are shared, and read by who plans and by who tells the local index.
    let size = 20 * 100_000;
    assert!((size..size + (256 << 10)).contains(&read), "{read} bytes for {size}");
}

#[test]
fn a_new_machine_reads_the_end_of_each_object_once() {
    let watched = Watched::new();
    write_old(&watched.site.home("ann").join("large"), noise(1, 20 << 20));
    for n in 0..3 {
        write_old(&watched.site.home("ann").join(format!("{n}")), "small");
        watched.site.backup();
    }
    let other = watched.beside();
    let (report, calls) = other.calls(|repository| repository.sync(&mut |_, _| {}).unwrap());
    assert_eq!((report.commits_added, report.damaged.len()), (3, 0));
    let mut tails = Vec::new();
    for call in calls {
        match call {
            Call::GetTail { name, .. } => tails.push(name),
            Call::GetRange { start, length, .. } => assert_eq!((start, length), (0, Header::LEN)),
            Call::List { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    tails.sort();
    let all = [names(&*watched.store, "segments/"), names(&*watched.store, "snapshots/")].concat();
    assert_eq!(tails, all);
    let (_, calls) = other.calls(|repository| repository.sync(&mut |_, _| {}).unwrap());
    assert_eq!(calls, ["gc/", "snapshots/", "forgotten/"].map(|prefix| Call::List { prefix: prefix.into() }));
}

#[test]
fn the_first_backup_after_a_restore_reads_and_writes_nothing() {
    let watched = Watched::new();
    for user in ["ann", "bob"] {
        plant(&watched.site.home(user));
    }
    watched.site.backup();
    let other = watched.beside();
    let sources = ["ann", "bob"].map(|user| other.site.source(user));
    other.site.restore_to(&sources, RestoreTarget::PerUser(other.site.homes()), |_| {});
    assert_costs_nothing(&other);
    fs::write(other.site.home("bob").join("notes"), "edited").unwrap();
    let (report, _) = other.backup();
    assert_eq!(files_read(&report), 1);
    assert_same(&other.site.home("bob"), &other.site.restore(&["bob"]).join("bob"));
}

#[test]
fn the_first_backup_after_a_restore_in_place_reads_nothing() {
    let (watched, home) = settled();
    fs::remove_dir_all(home.join("work")).unwrap();
    let source = [watched.site.source("ann")];
    watched.site.restore_to(&source, RestoreTarget::InPlace, |_| {});
    assert_costs_nothing(&watched);
}

#[test]
fn what_a_restore_left_out_or_kept_is_looked_at_by_the_next_backup() {
    let watched = Watched::new();
    plant(&watched.site.home("ann"));
    watched.site.backup();
    let other = watched.beside();
    let sources = [other.site.source("ann")];
    fs::write(other.site.home("ann").join("notes"), "kept").unwrap();
    other.site.restore_to(&sources, RestoreTarget::PerUser(other.site.homes()), |options| {
        options.excludes = vec!["data".into()];
    });
    let (report, _) = other.backup();
    assert_eq!(files_read(&report), 1);
    assert_same(&other.site.home("ann"), &other.site.restore(&["ann"]).join("ann"));
    assert!(!other.site.has("ann", "work/data"));
}

#[test]
fn without_a_local_index_files_are_known_by_size_and_time() {
    let (watched, home) = settled();
    watched.site.forget_cache();
    let (report, calls) = watched.backup();
    assert_eq!(files_read(&report), 0);
    assert!(calls.iter().all(|call| !call.starts_with("put")), "{calls:?}");
    assert_costs_nothing(&watched);
    watched.site.forget_cache();
    fs::write(home.join("notes"), "edited").unwrap();
    let (report, _) = watched.backup();
    assert_eq!(files_read(&report), 1);
    assert_same(&home, &watched.site.restore(&["ann"]).join("ann"));
}

#[test]
fn without_a_local_index_a_file_modified_during_the_last_run_is_read_again() {
    let watched = Watched::new();
    let home = watched.site.home("ann");
    let now = jiff::Timestamp::now().as_second();
    for (name, mtime) in [("recent", now), ("old", LONG_AGO)] {
        fs::write(home.join(name), "one").unwrap();
        set_mtime(&home.join(name), mtime, 0);
    }
    watched.site.backup();
    watched.site.forget_cache();
    // As by a clock that had not ticked since the file was read.
    fs::write(home.join("recent"), "two").unwrap();
    set_mtime(&home.join("recent"), now, 0);
    let (report, _) = watched.backup();
    assert_eq!(files_read(&report), 1);
    assert_same(&home, &watched.site.restore(&["ann"]).join("ann"));
}

#[test]
fn a_file_that_changed_about_now_is_read_again_until_it_is_old() {
    let watched = Watched::new();
    write_old(&watched.site.home("ann").join("file"), "x");
    let reads = || files_read(&watched.backup().0);
    assert_eq!((reads(), reads()), (1, 1));
    let_times_settle();
    // Once more, now that it can be trusted, and no more after that.
    assert_eq!((reads(), reads(), reads()), (1, 0, 0));
}

#[test]
fn every_file_is_read_when_that_is_asked_for() {
    let (watched, _) = settled();
    let files = watched.backup().0.homes[0].record.files;
    let report = watched.site.backup_with(|options| options.verify_unchanged = true);
    // Two of them are names of one file, which is read twice only when two threads meet there.
    assert!((files - 1..=files).contains(&files_read(&report)));
    assert_costs_nothing(&watched);
}

#[test]
fn a_renamed_directory_is_not_read_again() {
    let (watched, home) = settled();
    fs::rename(home.join("work"), home.join("empty/moved")).unwrap();
    let (report, _) = watched.backup();
    assert_eq!((files_read(&report), report.bytes_new()), (0, 0));
    assert_same(&home, &watched.site.restore(&["ann"]).join("ann"));
}

#[test]
fn a_change_of_metadata_alone_is_saved_without_data() {
    let (watched, home) = settled();
    let data = home.join("work/data");
    let change_owner = |path: &Path| {
        let owner = if is_root() { 4711 } else { rustix::process::geteuid().as_raw() };
        chown(path, Some(owner), None).unwrap();
    };
    let changes: [(&str, &dyn Fn()); 6] = [
        ("mode", &|| fs::set_permissions(&data, PermissionsExt::from_mode(0o604)).unwrap()),
        ("attribute", &|| set_xattr(&data, "user.mark", "new")),
        ("time", &|| set_mtime(&data, LONG_AGO + 5, 1)),
        ("mode of a directory", &|| {
            fs::set_permissions(home.join("work/deep"), PermissionsExt::from_mode(0o711)).unwrap();
        }),
        ("attribute of a directory", &|| set_xattr(&home.join("work/deep/er"), "user.mark", "new")),
        ("owner", &|| change_owner(&home.join("notes"))),
    ];
    for (what, change) in changes {
        change();
        let (report, _) = watched.backup();
        assert_eq!(report.bytes_new(), 0, "{what}");
        let is_noop = what == "owner" && !is_root();
        assert_eq!(matches!(report.outcome, Outcome::Saved { .. }), !is_noop, "{what}");
        assert_same(&home, &watched.site.restore(&["ann"]).join("ann"));
    }
}

/// Turns the bytes of one of the index's files, which is told by its number, into others.
type Damage<'d> = &'d dyn Fn(&[u8], usize) -> Vec<u8>;

#[test]
fn an_index_that_is_lost_damaged_old_or_anothers_changes_no_result() {
    let (watched, home) = settled();
    let site = &watched.site;
    let files = ["index.sqlite", "seen.sqlite"];
    let old = files.map(|file| fs::read(site.index(file)).unwrap());
    let (stranger, _) = settled();
    let others = files.map(|file| fs::read(stranger.site.index(file)).unwrap());
    let junk = noise(1, 200_000);
    let damages: [(&str, Damage<'_>); 7] = [
        ("nothing", &|_, _| Vec::new()),
        ("garbage", &|_, _| junk.clone()),
        ("half", &|bytes, _| bytes[..bytes.len() / 2].to_vec()),
        ("a page and a half", &|bytes, _| bytes[..6000].to_vec()),
        ("garbage behind the first page", &|bytes, _| [&bytes[..4096], &junk[..bytes.len() - 4096]].concat()),
        ("old", &|_, which| old[which].clone()),
        ("another's", &|_, which| others[which].clone()),
    ];
    for (n, (what, damage)) in damages.into_iter().enumerate() {
        for which in [&[0][..], &[1], &[0, 1]] {
            for which in which {
                let path = site.index(files[*which]);
                fs::write(&path, damage(&fs::read(&path).unwrap(), *which)).unwrap();
            }
            fs::write(home.join("work/data"), noise(n as u64, 150_000 + which.len())).unwrap();
            fs::write(home.join("notes"), format!("{what} {which:?}")).unwrap();
            let report = site.try_backup(&site.backup_options());
            let report = report.unwrap_or_else(|error| panic!("{what} {which:?}: {error:?}"));
            assert!(matches!(report.outcome, Outcome::Saved { .. }), "{what} {which:?}");
            assert_same(&home, &site.restore(&["ann"]).join("ann"));
        }
    }
}

#[test]
fn a_copy_of_a_home_stores_no_data() {
    let (watched, home) = settled();
    copy_tree(&home, &watched.site.homes().join("bob"));
    let (report, _) = watched.backup();
    assert_eq!(report.bytes_new(), 0);
    assert!(files_read(&report) > 0);
}

#[test]
fn a_dry_run_of_a_backup_puts_nothing() {
    let watched = Watched::new();
    write_old(&watched.site.home("ann").join("file"), noise(1, 50_000));
    let mut options = watched.site.backup_options();
    options.dry_run = true;
    let (report, calls) =
        watched.calls(|repository| backup(repository, &options, &Meter::default()).unwrap());
    assert_eq!(report.outcome, Outcome::DryRun { bytes_new: 50_000 });
    assert!(calls.iter().all(|call| matches!(call, Call::List { .. })), "{calls:?}");
    // A home that was never saved is read as if for the first time.
    assert_eq!(files_read(&watched.backup().0), 1);
}
