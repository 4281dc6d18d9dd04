//! Attacks by the owner of a home on a backup or restore that runs as root. Whatever he does, nothing
//! outside of his home is read for him or changed by him.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use homekeep::engine::backup::{BackupReport, HomeSelection};
use homekeep::engine::restore::{Action, Overwrite, RestoreTarget};
use homekeep::engine::{Problem, ProblemKind};
use homekeep::format::{EntryKind, flags};
use rustix::fs::{CWD, FileType, RenameFlags, renameat_with};
use tempfile::TempDir;

use crate::support::mount::Mount;
use crate::support::{
    LONG_AGO, SOMEBODY, Site, assert_same, copy_tree, is_root, make_node, plant, run, set_mtime, write_old,
};

/// What no snapshot may have: shorter than a chunk, so that it would be stored as one.
const CANARY: &[u8] = b"for root's eyes only";
/// How often an operation runs while somebody works against it.
const RUNS: usize = 20;

/// A tree outside of all homes, with names like those in a home.
struct Outside {
    folder: TempDir,
    copy: TempDir,
    changed: Vec<(i64, i64)>,
}

impl Outside {
    fn new() -> Self {
        let (folder, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        plant(folder.path());
        for name in ["notes", "work/data", "work/deep/er/script", "work/file"] {
            write_old(&folder.path().join(name), CANARY);
            fs::set_permissions(folder.path().join(name), PermissionsExt::from_mode(0o600)).unwrap();
        }
        set_mtime(&folder.path().join("work"), LONG_AGO, 1);
        copy_tree(folder.path(), copy.path());
        let changed = change_times(folder.path());
        Self { folder, copy, changed }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Not even something was set to what it was already.
    fn assert_untouched(&self) {
        assert_same(self.folder.path(), self.copy.path());
        assert_eq!(change_times(self.folder.path()), self.changed);
    }
}

fn change_times(top: &Path) -> Vec<(i64, i64)> {
    let mut find = Command::new("find");
    find.arg(top);
    let mut paths: Vec<_> = run(find, "findutils").lines().map(PathBuf::from).collect();
    paths.sort();
    let changed = |path: &PathBuf| fs::symlink_metadata(path).map(|m| (m.ctime(), m.ctime_nsec())).unwrap();
    paths.iter().map(changed).collect()
}

/// Fails if the canary is in the repository, whether a snapshot names it or not.
fn assert_not_saved(site: &Site) {
    let repository = site.repository();
    let id = repository.keys().chunk_id(CANARY);
    assert_eq!(repository.catalog().locate(&id).unwrap(), None, "the canary was saved");
}

/// Exchanges two names over and over while `operation` runs; in the end they are as in the beginning.
fn while_swapping(a: &Path, b: &Path, operation: impl FnOnce()) {
    struct Stop<'s>(&'s AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_over = AtomicBool::new(false);
    let swap = || renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut swaps = 0;
            // One of them may be away for a moment, when a restore replaces it.
            while !is_over.load(Ordering::Relaxed) || swaps % 2 == 1 {
                swaps += usize::from(swap().is_ok());
                if is_over.load(Ordering::Relaxed) && !(a.exists() && b.exists()) {
                    break;
                }
            }
        });
        let _stop = Stop(&is_over);
        operation();
    });
}

/// A site with a home that is somebody's, and something outside.
struct Attack {
    site: Site,
    home: PathBuf,
    outside: Outside,
}

impl Attack {
    /// None without root, who alone has something to lose.
    fn new() -> Option<Self> {
        is_root().then(|| {
            let site = Site::new();
            let home = site.home("ann");
            plant(&home);
            let mut chown = Command::new("chown");
            chown.args(["-hR", &format!("{SOMEBODY}:{SOMEBODY}")]).arg(&home);
            run(chown, "coreutils");
            Self { site, home, outside: Outside::new() }
        })
    }

    /// A backup in which single files may go wrong.
    fn backup(&self) -> BackupReport {
        self.site.backup_with(|_| {})
    }
}

fn kinds<'r>(report: &'r BackupReport, path: &str) -> Vec<&'r ProblemKind> {
    let of_path = |problem: &&Problem| problem.path == path.as_bytes();
    report.problems.iter().filter(of_path).map(|problem| &problem.kind).collect()
}

#[test]
fn links_to_roots_files_are_saved_as_links() {
    let Some(attack) = Attack::new() else { return };
    symlink(attack.outside.path("notes"), attack.home.join("file")).unwrap();
    symlink(attack.outside.path("work"), attack.home.join("directory")).unwrap();
    symlink("/proc/self/root/etc/shadow", attack.home.join("magic")).unwrap();
    attack.site.backup();
    assert_not_saved(&attack.site);
    for name in ["file", "directory", "magic"] {
        assert!(matches!(attack.site.entry("ann", name).kind, EntryKind::Symlink(_)), "{name}");
    }
}

#[test]
fn a_directory_swapped_for_a_link_while_backups_run_leads_nowhere() {
    let Some(attack) = Attack::new() else { return };
    let decoy = attack.home.join("decoy");
    symlink(attack.outside.path("work"), &decoy).unwrap();
    while_swapping(&attack.home.join("work"), &decoy, || {
        for _ in 0..RUNS {
            attack.backup();
        }
    });
    assert_not_saved(&attack.site);
    attack.outside.assert_untouched();
}

#[test]
fn a_file_swapped_for_a_pipe_or_a_link_neither_hangs_a_backup_nor_leaks() {
    let Some(attack) = Attack::new() else { return };
    let (file, decoy) = (attack.home.join("notes"), attack.home.join("decoy"));
    for make in [
        &|| make_node(&decoy, FileType::Fifo),
        &|| symlink(attack.outside.path("notes"), &decoy).unwrap(),
        &|| fs::hard_link(attack.outside.path("notes"), &decoy).unwrap(),
    ] as [&dyn Fn(); 3]
    {
        make();
        while_swapping(&file, &decoy, || {
            for _ in 0..RUNS {
                attack.backup();
            }
        });
        fs::remove_file(&decoy).unwrap();
    }
    assert_not_saved(&attack.site);
}

#[test]
fn a_link_to_somebody_elses_file_is_recorded_without_content_and_restored_as_nothing() {
    let Some(attack) = Attack::new() else { return };
    let link = attack.home.join("mine now");
    fs::hard_link(attack.outside.path("notes"), &link).unwrap();
    for run in 0..2 {
        let report = attack.backup();
        assert_eq!(kinds(&report, "mine now"), [&ProblemKind::ForeignLink], "run {run}");
    }
    assert_not_saved(&attack.site);
    assert_eq!(attack.site.entry("ann", "mine now").attributes.flags, flags::FOREIGN_LINK);
    // An empty file in its place would pass for the content.
    let source = [attack.site.source("ann")];
    let target = attack.site.path("target");
    let restored = attack.site.restore_to(&source, RestoreTarget::PerUser(target.clone()), |_| {});
    assert!(!target.join("ann/mine now").exists());
    assert_eq!(restored.action("mine now"), None);
    assert_eq!(restored.report.problems.len(), 1, "{:?}", restored.report.problems);
    attack.site.restore_to(&source, RestoreTarget::InPlace, |options| options.overwrite = Overwrite::Always);
    assert_eq!(fs::read(&link).unwrap(), CANARY);
}

#[test]
fn what_is_mounted_in_a_home_is_entered_only_when_asked() {
    let Some(attack) = Attack::new() else { return };
    let place = |name: &str| attack.home.join(name);
    let outside = attack.outside.path("work");
    let _memory = Mount::new(&place("mounted here"), &["-t", "tmpfs", "none"]);
    let _bound = Mount::new(&place("work/bound"), &["--bind", outside.to_str().unwrap()]);
    fs::write(place("mounted here/file"), CANARY).unwrap();
    let processes = Mount::new(&place("processes"), &["-t", "proc", "none"]);
    let report = attack.backup();
    for path in ["mounted here", "work/bound", "processes"] {
        assert_eq!(kinds(&report, path), [&ProblemKind::OtherFileSystem], "{path}");
    }
    assert!(report.is_complete());
    assert_not_saved(&attack.site);
    drop(processes);
    attack.site.backup_with(|options| options.cross_file_systems = true);
    for path in ["mounted here/file", "work/bound/file"] {
        assert!(attack.site.has("ann", path), "{path}");
    }
}

#[test]
fn a_home_that_is_a_link_is_followed_only_where_nobody_else_makes_links() {
    let Some(attack) = Attack::new() else { return };
    symlink(attack.outside.path("work"), attack.site.homes().join("eve")).unwrap();
    attack.site.backup();
    assert!(attack.site.has("eve", "file"));
    let open = Site::new();
    symlink(attack.outside.path("work"), open.homes().join("eve")).unwrap();
    open.home("ann");
    fs::set_permissions(open.homes(), PermissionsExt::from_mode(0o1777)).unwrap();
    let report = open.backup();
    let users: Vec<_> = report.homes.iter().map(|home| home.record.user.as_slice()).collect();
    assert_eq!(users, [b"ann"]);
    assert_not_saved(&open);
}

#[test]
fn the_repository_in_a_home_is_not_saved_into_itself() {
    let site = Site::new();
    let home = site.home("ann");
    plant(&home);
    let own = home.join("backups");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("segment"), CANARY).unwrap();
    let report = site.backup_with(|options| {
        options.homes = HomeSelection::Paths(vec![home.clone()]);
        options.never = vec![own];
    });
    assert_eq!(report.homes[0].excluded, 1);
    assert_not_saved(&site);
}

/// Restores over and over while a directory in the target and a link to the outside change places.
fn assert_restore_stays_inside(attack: &Attack, target: RestoreTarget, restored: &Path, swapped: &str) {
    attack.site.backup();
    let source = [attack.site.source("ann")];
    let restore = |delete| {
        let run = attack.site.try_restore(&source, target.clone(), |options| {
            options.overwrite = Overwrite::Always;
            options.delete = delete;
        });
        // He can spoil his own home, but not end the run.
        run.unwrap();
    };
    restore(false);
    let decoy = restored.join("decoy");
    let at = restored.join(swapped);
    for delete in [false, true] {
        let _there_already = symlink(attack.outside.path(swapped), &decoy);
        while_swapping(&at, &decoy, || (0..RUNS).for_each(|_| restore(delete)));
    }
    attack.outside.assert_untouched();
}

#[test]
fn a_restore_into_a_target_stays_inside_while_directories_are_swapped_for_links() {
    for swapped in ["work", "work/deep", "work/deep/er"] {
        let Some(attack) = Attack::new() else { return };
        let target = attack.site.path("target");
        let to = RestoreTarget::PerUser(target.clone());
        assert_restore_stays_inside(&attack, to, &target.join("ann"), swapped);
    }
}

#[test]
fn a_restore_in_place_stays_inside_while_directories_are_swapped_for_links() {
    for swapped in ["work", "shared"] {
        let Some(attack) = Attack::new() else { return };
        let home = attack.home.clone();
        assert_restore_stays_inside(&attack, RestoreTarget::InPlace, &home, swapped);
    }
}

#[test]
fn what_was_planted_at_a_name_is_replaced_and_not_written_through() {
    let Some(attack) = Attack::new() else { return };
    attack.site.backup();
    let source = [attack.site.source("ann")];
    let pristine = attack.site.path("pristine");
    copy_tree(&attack.home, &pristine);
    let notes = attack.home.join("notes");
    let plants: [(&str, &dyn Fn()); 4] = [
        ("link", &|| symlink(attack.outside.path("notes"), &notes).unwrap()),
        ("dangling link", &|| symlink(attack.outside.path("new"), &notes).unwrap()),
        ("pipe", &|| make_node(&notes, FileType::Fifo)),
        ("socket", &|| make_node(&notes, FileType::Socket)),
    ];
    for (what, plant) in plants {
        fs::remove_file(&notes).unwrap();
        plant();
        set_mtime(&notes, LONG_AGO, 0);
        let restored = attack.site.restore_to(&source, RestoreTarget::InPlace, |_| {});
        assert_eq!(restored.action("notes"), Some(Action::Replace), "{what}");
        assert_same(&pristine, &attack.home);
        attack.outside.assert_untouched();
    }
    // A link changes its file's change time and number of names, but nothing else.
    fs::remove_file(&notes).unwrap();
    fs::hard_link(attack.outside.path("notes"), &notes).unwrap();
    attack.site.restore_to(&source, RestoreTarget::InPlace, |_| {});
    assert_same(&pristine, &attack.home);
    assert_same(attack.outside.folder.path(), attack.outside.copy.path());
}

#[test]
fn a_directory_planted_as_a_link_is_not_entered() {
    let Some(attack) = Attack::new() else { return };
    attack.site.backup();
    let source = [attack.site.source("ann")];
    fs::remove_dir_all(attack.home.join("work")).unwrap();
    symlink(attack.outside.path("work"), attack.home.join("work")).unwrap();
    for overwrite in [Overwrite::UnlessModifiedSince, Overwrite::Always] {
        let restored = attack.site.restore_to(&source, RestoreTarget::InPlace, |options| {
            options.overwrite = overwrite;
        });
        assert_eq!(restored.report.is_complete(), overwrite == Overwrite::Always);
        attack.outside.assert_untouched();
    }
    assert!(fs::symlink_metadata(attack.home.join("work")).unwrap().is_dir());
}
