//! What a restore does with what it finds, and what it leaves alone.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use homekeep::engine::restore::{Action, Overwrite, RestoreOptions, RestoreTarget};

use crate::support::{
    LONG_AGO, Restored, SOMEBODY, Site, assert_same, copy_tree, is_root, noise, plant, set_mtime, set_xattr,
    write_old,
};

/// A site with the home of ann saved, and a copy of it that nobody touches.
struct Saved {
    site: Site,
    home: PathBuf,
    pristine: PathBuf,
}

impl Saved {
    fn new() -> Self {
        let site = Site::new();
        let (home, pristine) = (site.home("ann"), site.path("pristine"));
        plant(&home);
        copy_tree(&home, &pristine);
        site.backup();
        Self { site, home, pristine }
    }

    fn in_place(&self, change: impl FnOnce(&mut RestoreOptions)) -> Restored {
        self.site.restore_to(&[self.site.source("ann")], RestoreTarget::InPlace, change)
    }

    fn assert_is_as_saved(&self) {
        assert_same(&self.pristine, &self.home);
    }
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn what_was_lost_comes_back_in_place_and_the_rest_stays() {
    let saved = Saved::new();
    fs::remove_dir_all(saved.home.join("work/deep")).unwrap();
    fs::remove_file(saved.home.join("notes")).unwrap();
    fs::write(saved.home.join("extra"), "written since").unwrap();
    let restored = saved.in_place(|_| {});
    assert!(restored.report.is_complete(), "{:?}", restored.report.problems);
    assert_eq!(read(saved.home.join("extra")), "written since");
    fs::remove_file(saved.home.join("extra")).unwrap();
    set_mtime(&saved.home, LONG_AGO, 1);
    saved.assert_is_as_saved();
}

#[test]
fn a_vanished_home_comes_back_in_place() {
    let saved = Saved::new();
    fs::remove_dir_all(&saved.home).unwrap();
    saved.in_place(|_| {});
    saved.assert_is_as_saved();
}

#[test]
fn restoring_again_changes_nothing() {
    let saved = Saved::new();
    for overwrite in [Overwrite::UnlessModifiedSince, Overwrite::IfChanged, Overwrite::IfNewer] {
        let restored = saved.in_place(|options| options.overwrite = overwrite);
        assert_eq!((restored.report.restored, restored.report.directories), (0, 0));
        assert!(restored.changes.iter().all(|(_, action)| *action == Action::Unchanged));
        saved.assert_is_as_saved();
    }
}

#[test]
fn only_delete_removes_what_the_snapshot_has_not() {
    let saved = Saved::new();
    fs::create_dir_all(saved.home.join("work/new/deep")).unwrap();
    fs::write(saved.home.join("work/new/deep/file"), "x").unwrap();
    symlink("/etc/passwd", saved.home.join("new link")).unwrap();
    let restored = saved.in_place(|_| {});
    assert_eq!(restored.report.deleted, 0);
    assert!(saved.home.join("work/new/deep/file").exists());
    let restored = saved.in_place(|options| options.delete = true);
    assert_eq!(restored.action("work/new"), Some(Action::Delete));
    assert_eq!(restored.action("new link"), Some(Action::Delete));
    saved.assert_is_as_saved();
}

#[test]
fn delete_spares_what_is_excluded() {
    let saved = Saved::new();
    for name in ["spared", "work/spared", "gone"] {
        fs::write(saved.home.join(name), "x").unwrap();
    }
    saved.in_place(|options| {
        options.delete = true;
        options.excludes = vec!["spared".into()];
    });
    assert!(saved.home.join("spared").exists() && saved.home.join("work/spared").exists());
    assert!(!saved.home.join("gone").exists());
}

#[test]
fn each_way_to_overwrite_does_what_it_says() {
    use Action::{Create, Keep, KeepNewer, Replace, Unchanged};
    const NAMES: [&str; 5] = ["missing", "same", "older", "between", "newer"];
    for (overwrite, expected) in [
        (Overwrite::UnlessModifiedSince, [Create, Unchanged, Replace, Replace, KeepNewer]),
        (Overwrite::Always, [Create, Replace, Replace, Replace, Replace]),
        (Overwrite::IfChanged, [Create, Unchanged, Replace, Replace, Replace]),
        (Overwrite::IfNewer, [Create, Unchanged, Replace, Keep, Keep]),
        (Overwrite::Never, [Create, Keep, Keep, Keep, Keep]),
    ] {
        let site = Site::new();
        let home = site.home("ann");
        for name in NAMES {
            write_old(&home.join(name), "saved");
        }
        site.backup();
        fs::remove_file(home.join("missing")).unwrap();
        let in_an_hour = jiff::Timestamp::now().as_second() + 3600;
        for (name, mtime) in [("older", LONG_AGO - 100), ("between", LONG_AGO + 100), ("newer", in_an_hour)] {
            fs::write(home.join(name), "written since").unwrap();
            set_mtime(&home.join(name), mtime, 0);
        }
        let restored = site.restore_to(&[site.source("ann")], RestoreTarget::InPlace, |options| {
            options.overwrite = overwrite;
        });
        for (name, action) in NAMES.into_iter().zip(expected) {
            assert_eq!(restored.action(name), Some(action), "{overwrite:?} {name}");
            let is_kept = matches!(action, Keep | KeepNewer) && name != "same";
            let content = if is_kept { "written since" } else { "saved" };
            assert_eq!(read(home.join(name)), content, "{overwrite:?} {name}");
        }
    }
}

#[test]
fn a_changed_mode_or_owner_is_set_right_though_the_content_is_the_same() {
    let saved = Saved::new();
    fs::set_permissions(saved.home.join("notes"), PermissionsExt::from_mode(0o600)).unwrap();
    fs::set_permissions(saved.home.join("work"), PermissionsExt::from_mode(0o700)).unwrap();
    if is_root() {
        chown(saved.home.join("work/data"), Some(SOMEBODY), None).unwrap();
    }
    saved.in_place(|_| {});
    saved.assert_is_as_saved();
}

#[test]
fn a_changed_attribute_is_set_right_though_the_content_is_the_same() {
    let saved = Saved::new();
    set_xattr(&saved.home.join("notes"), "user.note", "changed");
    set_xattr(&saved.home.join("work/data"), "user.note", "added");
    saved.in_place(|_| {});
    saved.assert_is_as_saved();
}

#[test]
fn names_that_were_separated_are_joined_again() {
    let saved = Saved::new();
    fs::remove_file(saved.home.join("shared/data")).unwrap();
    fs::copy(saved.home.join("work/data"), saved.home.join("shared/data")).unwrap();
    set_mtime(&saved.home.join("shared/data"), LONG_AGO, 123_456_789);
    set_mtime(&saved.home.join("shared"), LONG_AGO, 1);
    saved.in_place(|options| options.overwrite = Overwrite::Always);
    saved.assert_is_as_saved();
}

#[test]
fn a_file_in_a_directorys_place_and_the_reverse_go_only_when_that_is_allowed() {
    let saved = Saved::new();
    let swap = || {
        fs::remove_dir_all(saved.home.join("work/deep")).unwrap();
        fs::write(saved.home.join("work/deep"), "a file").unwrap();
        fs::remove_file(saved.home.join("notes")).unwrap();
        fs::create_dir(saved.home.join("notes")).unwrap();
        fs::write(saved.home.join("notes/inside"), "x").unwrap();
    };
    swap();
    let restored = saved.in_place(|_| {});
    assert_eq!(restored.report.problems.len(), 2, "{:?}", restored.report.problems);
    assert_eq!(read(saved.home.join("notes/inside")), "x");
    assert_eq!(read(saved.home.join("work/deep")), "a file");
    saved.in_place(|options| options.overwrite = Overwrite::Always);
    saved.assert_is_as_saved();
    swap();
    saved.in_place(|options| options.delete = true);
    saved.assert_is_as_saved();
}

#[test]
fn one_file_or_directory_comes_back_alone() {
    let saved = Saved::new();
    let (site, pristine) = (&saved.site, &saved.pristine);
    for (path, target) in [("work/deep", "a"), ("notes", "b"), ("work/deep/er/script", "c"), ("pipe", "d")] {
        let source = [site.source_below("ann", path)];
        site.restore_to(&source, RestoreTarget::PerUser(site.path(target)), |_| {});
        let top = site.path(target).join("ann");
        let count = walk(&top).into_iter().filter(|below| !below.is_dir()).count();
        assert_eq!(count, 1, "{path}");
        let mtime = |path: &Path| fs::symlink_metadata(path).unwrap().mtime_nsec();
        assert_eq!(mtime(&top.join(path)), mtime(&pristine.join(path)));
    }
    let source = [site.source_below("ann", "work")];
    site.restore_to(&source, RestoreTarget::Contents(site.path("contents")), |_| {});
    assert_eq!(mode_and_time(&site.path("contents")), mode_and_time(&pristine.join("work")));
    // Its other name was not asked for.
    fs::remove_file(site.path("contents/data")).unwrap();
    fs::remove_file(pristine.join("work/data")).unwrap();
    set_mtime(&pristine.join("work"), LONG_AGO, 1);
    set_mtime(&site.path("contents"), LONG_AGO, 1);
    assert_same(&pristine.join("work"), &site.path("contents"));
}

fn mode_and_time(path: &Path) -> (u32, i64, i64) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.mode(), metadata.mtime(), metadata.mtime_nsec())
}

/// Everything below a directory.
fn walk(top: &Path) -> Vec<PathBuf> {
    let (mut paths, mut directories) = (Vec::new(), vec![top.to_path_buf()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            }
            paths.push(entry.path());
        }
    }
    paths
}

#[test]
fn contents_go_into_a_directory_that_is_there_and_it_stays_what_it_is() {
    let saved = Saved::new();
    let target = saved.site.path("there");
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, PermissionsExt::from_mode(0o711)).unwrap();
    fs::write(target.join("mine"), "x").unwrap();
    let source = [saved.site.source_below("ann", "work")];
    saved.site.restore_to(&source, RestoreTarget::Contents(target.clone()), |_| {});
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o7777, 0o711);
    assert_eq!(read(target.join("mine")), "x");
    assert!(target.join("deep/er/script").exists());
}

#[test]
fn a_target_is_made_with_the_directories_above_it() {
    let saved = Saved::new();
    let target = saved.site.path("not/there/yet");
    saved.site.restore_to(&[saved.site.source("ann")], RestoreTarget::PerUser(target.clone()), |_| {});
    assert_same(&saved.home, &target.join("ann"));
}

#[test]
fn directories_above_what_comes_back_alone_are_the_users() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let home = site.home("ann");
    fs::create_dir_all(home.join("a/b")).unwrap();
    write_old(&home.join("a/b/file"), "x");
    for path in ["a/b/file", "a/b", "a", ""] {
        chown(home.join(path), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    }
    site.backup();
    let source = [site.source_below("ann", "a/b/file")];
    fs::remove_dir_all(home.join("a")).unwrap();
    site.restore_to(&source, RestoreTarget::InPlace, |_| {});
    for path in ["a", "a/b", "a/b/file"] {
        assert_eq!(fs::metadata(home.join(path)).unwrap().uid(), SOMEBODY, "{path}");
    }
}

#[test]
fn includes_and_excludes_choose_what_comes_back() {
    let site = Site::new();
    let home = site.home("ann");
    fs::create_dir_all(home.join("a/b/c")).unwrap();
    fs::create_dir_all(home.join("other/empty")).unwrap();
    for name in ["a/b/c/x.csv", "a/b/y.csv", "a/y.txt", "z.csv", "other/z.txt"] {
        write_old(&home.join(name), name);
    }
    site.backup();
    let found = |includes: &[&str], excludes: &[&str]| {
        let target = tempfile::tempdir_in(site.path("")).unwrap();
        let to = RestoreTarget::Contents(target.path().into());
        site.restore_to(&[site.source("ann")], to, |options| {
            options.includes = includes.iter().map(|s| s.to_string()).collect();
            options.excludes = excludes.iter().map(|s| s.to_string()).collect();
        });
        let mut paths: Vec<_> = walk(target.path())
            .iter()
            .map(|path| path.strip_prefix(target.path()).unwrap().to_str().unwrap().to_owned())
            .collect();
        paths.sort();
        paths
    };
    assert_eq!(found(&["*.csv"], &[]), ["a", "a/b", "a/b/c", "a/b/c/x.csv", "a/b/y.csv", "z.csv"]);
    assert_eq!(found(&["/a/b"], &["c"]), ["a", "a/b", "a/b/y.csv"]);
    assert_eq!(found(&[], &["a", "*.txt"]), ["other", "other/empty", "z.csv"]);
    assert_eq!(found(&["nothing"], &[]), [""; 0]);
}

#[test]
fn directories_on_the_way_to_what_is_included_are_as_in_the_snapshot_if_they_are_new() {
    let saved = Saved::new();
    fs::set_permissions(saved.home.join("work"), PermissionsExt::from_mode(0o705)).unwrap();
    fs::remove_dir_all(saved.home.join("work/deep")).unwrap();
    saved.in_place(|options| options.includes = vec!["script".into()]);
    assert_eq!(mode_and_time(&saved.home.join("work")).0 & 0o777, 0o705);
    let (back, before) = (saved.home.join("work/deep"), saved.pristine.join("work/deep"));
    assert_same(&before, &back);
}

#[test]
fn owners_can_be_mapped() {
    if !is_root() {
        return;
    }
    let saved = Saved::new();
    for (path, uid, gid) in [("notes", 70_001, 70_002), ("nothing", 70_003, 70_002), ("link", 70_001, 0)] {
        std::os::unix::fs::lchown(saved.home.join(path), Some(uid), Some(gid)).unwrap();
    }
    saved.site.backup();
    let target = saved.site.path("mapped");
    let to = RestoreTarget::Contents(target.clone());
    saved.site.restore_to(&[saved.site.source("ann")], to, |options| {
        options.owner_map = "70001=80001,@70002=@80002".parse().unwrap();
    });
    for (path, uid, gid) in [("notes", 80_001, 80_002), ("nothing", 70_003, 80_002), ("link", 80_001, 0)] {
        let metadata = fs::symlink_metadata(target.join(path)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (uid, gid), "{path}");
    }
}

/// Runs the same restore dry and for real; the first must change nothing, and tell all that the second does.
fn assert_dry_run_tells_all(saved: &Saved, target: &RestoreTarget, change: fn(&mut RestoreOptions)) {
    let before = tempfile::tempdir().unwrap();
    copy_tree(saved.site.path("").as_path(), before.path());
    let sources = [saved.site.source("ann")];
    let run = |dry_run| {
        saved.site.restore_to(&sources, target.clone(), |options| {
            change(options);
            options.dry_run = dry_run;
        })
    };
    let dry = run(true);
    for place in ["homes", "target", "there"].map(|name| (saved.site.path(name), before.path().join(name))) {
        assert_eq!(place.0.exists(), place.1.exists());
        if place.0.exists() {
            assert_same(&place.0, &place.1);
        }
    }
    let real = run(false);
    assert_eq!(dry.changes, real.changes);
    let counts = |run: &Restored| {
        let report = &run.report;
        [report.restored, report.directories, report.bytes, report.unchanged, report.kept, report.deleted]
    };
    assert_eq!(counts(&dry), counts(&real));
}

#[test]
fn a_dry_run_changes_nothing_and_tells_what_the_real_run_does() {
    let new = |saved: &Saved| RestoreTarget::PerUser(saved.site.path("target"));
    let saved = Saved::new();
    assert_dry_run_tells_all(&saved, &new(&saved), |_| {});
    let saved = Saved::new();
    assert_dry_run_tells_all(&saved, &new(&saved), |options| options.includes = vec!["script".into()]);
    let saved = Saved::new();
    let to = RestoreTarget::Contents(saved.site.path("there"));
    assert_dry_run_tells_all(&saved, &to, |options| options.excludes = vec!["data".into()]);
}

#[test]
fn a_dry_run_in_place_tells_what_the_real_run_does() {
    for change in [
        |_: &mut RestoreOptions| {},
        |options: &mut RestoreOptions| options.delete = true,
        |options: &mut RestoreOptions| options.overwrite = Overwrite::Always,
        |options: &mut RestoreOptions| options.overwrite = Overwrite::Never,
    ] {
        let saved = Saved::new();
        fs::remove_dir_all(saved.home.join("work/deep")).unwrap();
        fs::write(saved.home.join("work/deep"), "a file").unwrap();
        fs::write(saved.home.join("notes"), "changed").unwrap();
        fs::remove_dir_all(saved.home.join("shared")).unwrap();
        fs::create_dir_all(saved.home.join("new/directory")).unwrap();
        fs::remove_file(saved.home.join("pipe")).unwrap();
        fs::create_dir_all(saved.home.join("pipe/directory")).unwrap();
        assert_dry_run_tells_all(&saved, &RestoreTarget::InPlace, change);
    }
}

#[test]
fn verification_finds_a_single_flipped_byte() {
    let site = Site::new();
    let home = site.home("ann");
    write_old(&home.join("data"), noise(1, 200_000));
    crate::support::write_sparse(&home.join("holes"));
    write_old(&home.join("shorter"), "some bytes");
    site.backup();
    let verify = || {
        let restored = site.restore_to(&[site.source("ann")], RestoreTarget::InPlace, |options| {
            options.verify = true;
        });
        let problems: Vec<_> =
            restored.report.problems.iter().map(|p| String::from_utf8(p.path.clone()).unwrap()).collect();
        (restored.report.verified, problems)
    };
    assert_eq!(verify(), (3, vec![]));
    let flip = |name: &str, at: u64| {
        let file = fs::File::options().read(true).write(true).open(home.join(name)).unwrap();
        let (mut byte, before) = ([0], file.metadata().unwrap());
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
        set_mtime(&home.join(name), before.mtime(), before.mtime_nsec());
    };
    flip("data", 123_456);
    assert_eq!(verify(), (2, vec!["data".to_string()]));
    flip("data", 123_456);
    // What should read as zeros can be wrong as well.
    flip("holes", 3 << 20);
    assert_eq!(verify(), (2, vec!["holes".to_string()]));
}

/// Writes into a file so that its stat says nothing of it.
fn slip(path: &Path, bytes: &[u8], at: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    let before = file.metadata().unwrap();
    file.write_all_at(bytes, at).unwrap();
    set_mtime(path, before.mtime(), before.mtime_nsec());
}

#[test]
fn verification_looks_at_every_file_that_was_to_be_restored_and_at_no_other() {
    let site = Site::new();
    let home = site.home("ann");
    fs::create_dir_all(home.join("work/deep")).unwrap();
    for name in ["notes", "work/data", "work/left.tmp", "work/deep/data", "work/deep/left.tmp"] {
        write_old(&home.join(name), format!("of {name}"));
    }
    crate::support::write_sparse(&home.join("holes"));
    site.backup();
    let verify = |change: fn(&mut RestoreOptions)| {
        let restored = site.restore_to(&[site.source("ann")], RestoreTarget::InPlace, |options| {
            options.verify = true;
            change(options);
        });
        let problems: Vec<_> =
            restored.report.problems.iter().map(|p| String::from_utf8(p.path.clone()).unwrap()).collect();
        (restored.report.verified, problems)
    };
    assert_eq!(verify(|_| {}), (6, vec![]));
    // Zeros in place of a hole are the same bytes.
    slip(&home.join("holes"), &[0; 70_000], 3 << 20);
    assert_eq!(verify(|_| {}), (6, vec![]));
    for name in ["work/deep/data", "work/deep/left.tmp", "work/left.tmp"] {
        slip(&home.join(name), b"OF", 0);
    }
    let all = ["work/deep/data", "work/deep/left.tmp", "work/left.tmp"].map(String::from);
    let (verified, mut problems) = verify(|_| {});
    problems.sort();
    assert_eq!((verified, &problems[..]), (3, &all[..]));
    assert_eq!(verify(|options| options.excludes = vec!["*.tmp".into()]), (3, vec![all[0].clone()]));
    let (verified, mut problems) = verify(|options| options.includes = vec!["deep".into()]);
    problems.sort();
    assert_eq!((verified, &problems[..]), (0, &all[..2]));
    assert_eq!(verify(|options| options.includes = vec!["notes".into(), "*.tmp".into()]).0, 1);
    // What was kept on purpose is not what the snapshot has.
    fs::write(home.join("notes"), "of notes, and more").unwrap();
    let (verified, problems) = verify(|options| {
        options.overwrite = Overwrite::Never;
        options.includes = vec!["notes".into(), "holes".into()];
    });
    assert_eq!((verified, problems), (1, vec!["notes".to_string()]));
    fs::remove_file(home.join("notes")).unwrap();
    slip(&home.join("holes"), &[1], (3 << 20) + 69_999);
    let (verified, problems) = verify(|options| options.includes = vec!["notes".into(), "holes".into()]);
    assert_eq!((verified, problems), (1, vec!["holes".to_string()]), "the notes are back");
}
