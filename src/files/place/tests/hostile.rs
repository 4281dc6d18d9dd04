//! Nothing outside the target is touched: links and second names planted beforehand, directories
//! swapped at the worst moment, mounts, trees too deep for the stack.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::RenameFlags;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::*;

const TESTS: &str = "files::place::tests::hostile::";

/// Something outside the target that would show every touch: also the time of the last change,
/// which nobody can set back.
struct Canary {
    directory: tempfile::TempDir,
    before: Vec<String>,
}

impl Canary {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("shadow"), b"secret").unwrap();
        fs::create_dir(directory.path().join("sub")).unwrap();
        fs::write(directory.path().join("sub/file"), b"more").unwrap();
        let before = Self::look(directory.path());
        Self { directory, before }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn look(path: &Path) -> Vec<String> {
        let mut seen = Vec::new();
        for name in ["", "shadow", "sub", "sub/file"] {
            let path = path.join(name);
            let s = stat(&path);
            seen.push(format!("{:?}", (s.st_mode, s.st_uid, s.st_gid, s.st_size, s.st_nlink, s.st_ino)));
            seen.push(format!(
                "{:?}",
                (s.st_mtime, s.st_mtime_nsec, s.st_ctime, s.st_ctime_nsec, xattrs(&path))
            ));
        }
        seen
    }

    fn assert_untouched(&self) {
        assert_eq!(fs::read(self.path().join("shadow")).unwrap(), b"secret");
        assert_eq!(fs::read(self.path().join("sub/file")).unwrap(), b"more");
        assert_eq!(open(self.path()).list().unwrap().len(), 2);
        assert_eq!(Self::look(self.path()), self.before);
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let (directory, place) = target();
    let place = &place.make_directory(b"inner").unwrap().0;
    let meta = unusual();
    for name in [&b""[..], b".", b"..", b"../x", b"/etc/x", b"a/b", b"a\0b"] {
        let refused = |result: Result<(), PlaceError>| {
            assert!(matches!(result, Err(PlaceError::NotAComponent { .. })), "{name:?}: {result:?}");
        };
        refused(place.make_directory(name).map(drop));
        refused(place.open_directory(name).map(drop));
        refused(place.stat(name).map(drop));
        refused(place.create_file(name, Placement::New).map(drop));
        refused(place.create_file(name, Placement::Replace).map(drop));
        refused(place.symlink(name, b"x", Placement::New, &meta).map(drop));
        refused(place.fifo(name, Placement::New, &meta).map(drop));
        refused(place.device(name, Device::Block(0), Placement::New, &meta).map(drop));
        refused(place.remove(name).map(drop));
        let id = FileId { device: 0, inode: 0 };
        refused(place.hard_link(Original { place, name, id }, b"x", Placement::New));
        refused(place.hard_link(Original { place, name: b"x", id }, name, Placement::New));
    }
    assert_eq!(open(directory.path()).list().unwrap().len(), 1);
}

#[test]
fn replacing_a_second_name_of_an_outside_file_leaves_the_file_alone() {
    let (directory, place) = target();
    let outside = tempfile::tempdir().unwrap();
    let shadow = outside.path().join("shadow");
    fs::write(&shadow, b"secret").unwrap();
    let before = stat(&shadow);
    let planted = directory.path().join("planted");
    let meta = unusual();
    let replacements: [&dyn Fn() -> bool; 3] = [
        &|| write(&place, b"planted", Placement::Replace, b"mine").is_ok(),
        &|| place.symlink(b"planted", b"x", Placement::Replace, &meta).is_ok(),
        &|| place.fifo(b"planted", Placement::Replace, &meta).is_ok(),
    ];
    for replace in replacements {
        let _ = fs::remove_file(&planted);
        fs::hard_link(&shadow, &planted).unwrap();
        assert!(replace());
        let after = stat(&shadow);
        assert_eq!(fs::read(&shadow).unwrap(), b"secret");
        assert_eq!(
            (after.st_mode, after.st_uid, after.st_gid),
            (before.st_mode, before.st_uid, before.st_gid)
        );
        assert_eq!((after.st_mtime_nsec, after.st_nlink), (before.st_mtime_nsec, 1));
    }
}

#[test]
fn what_is_planted_at_a_name_is_neither_followed_nor_opened() {
    let canary = Canary::new();
    let (directory, place) = target();
    let link = directory.path().join("link");
    symlink(canary.path(), &link).unwrap();
    symlink(canary.path().join("shadow"), directory.path().join("file")).unwrap();
    place.fifo(b"pipe", Placement::New, &unusual()).unwrap();
    for name in [&b"link"[..], b"pipe", b"file"] {
        assert!(matches!(place.make_directory(name), Err(PlaceError::NotADirectory { .. })));
        assert!(matches!(place.open_directory(name), Err(PlaceError::NotADirectory { .. })));
        assert!(matches!(write(&place, name, Placement::New, b"x"), Err(PlaceError::Exists { .. })));
    }
    canary.assert_untouched();
    write(&place, b"file", Placement::Replace, b"x").unwrap();
    // A pipe that nobody reads would block whoever opens it.
    write(&place, b"pipe", Placement::Replace, b"x").unwrap();
    assert_eq!(place.remove(b"link").unwrap().removed, 1);
    assert!(!link.exists());
    canary.assert_untouched();
}

#[test]
fn removing_a_tree_does_not_follow_its_links() {
    let canary = Canary::new();
    let (directory, place) = target();
    let tree = directory.path().join("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    symlink(canary.path(), tree.join("a/link")).unwrap();
    symlink(canary.path().join("shadow"), tree.join("a/b/link")).unwrap();
    fs::write(tree.join("file"), b"").unwrap();
    place.fifo(b"pipe", Placement::New, &unusual()).unwrap();
    let removal = place.remove(b"tree").unwrap();
    assert_eq!((removal.removed, removal.problems.len()), (6, 0));
    assert_eq!(place.remove(b"pipe").unwrap().removed, 1);
    assert_eq!(place.remove(b"tree").unwrap().removed, 0);
    canary.assert_untouched();
}

#[test]
fn a_temporary_name_that_somebody_moved_is_noticed() {
    let (directory, place) = target();
    let shadow = directory.path().join("shadow");
    fs::write(&shadow, b"secret").unwrap();
    let file = place.create_file(b"name", Placement::Replace).unwrap();
    file.write_at(b"mine", 0).unwrap();
    let part = place.list().unwrap().into_iter().find(|listed| is_part_name(&listed.name)).unwrap();
    let part = at(directory.path(), &part.name);
    fs::rename(&part, directory.path().join("taken")).unwrap();
    fs::hard_link(&shadow, &part).unwrap();
    assert!(matches!(file.finish(&unusual()), Err(PlaceError::Swapped { .. })));
    assert_eq!(fs::read(&shadow).unwrap(), b"secret");
    assert_eq!(stat(&shadow).st_mode & 0o777, 0o644);
}

/// Swaps, again and again, the directory `dir` with a link to the outside, and begins anew when
/// the other side has removed one of the two.
fn swap_until(stop: &AtomicBool, place: &Place, outside: &Path) {
    let kind = |name| place.stat(name).ok().flatten().map(|found| found.kind);
    while !stop.load(Ordering::Relaxed) {
        let pair = (kind(b"dir"), kind(b"other"));
        let (directory, link) = (Some(Kind::Directory), Some(Kind::Symlink));
        if pair != (directory, link) && pair != (link, directory) {
            let _ = (place.remove(b"dir"), place.remove(b"other"));
            let _ = rfs::mkdirat(place, "dir", Mode::RWXU);
            let _ = rfs::symlinkat(outside, place, "other");
        }
        for _ in 0..17 {
            let _ = rfs::renameat_with(place, "dir", place, "other", RenameFlags::EXCHANGE);
        }
    }
}

/// One round of everything at the swapped name. Whether it got in.
fn disturb(place: &Place, round: u32) -> Result<(), PlaceError> {
    let placement = if round.is_multiple_of(2) { Placement::New } else { Placement::Replace };
    let meta = unusual();
    let (inner, _) = place.make_directory(b"dir")?;
    write(&inner, b"shadow", placement, b"overwritten")?;
    let (sub, _) = inner.make_directory(b"sub")?;
    write(&sub, b"file", placement, b"overwritten")?;
    sub.finish_directory(&meta);
    inner.symlink(b"link", b"/", placement, &meta)?;
    inner.finish_directory(&meta);
    if round.is_multiple_of(16) {
        let _ = write(place, b"dir", Placement::Replace, b"instead of the link");
    }
    if round.is_multiple_of(4) {
        place.remove(b"dir")?;
    } else {
        inner.remove(b"shadow")?;
        inner.remove(b"sub")?;
        inner.remove(b"link")?;
    }
    Ok(())
}

#[test]
fn a_directory_swapped_with_a_link_outside_leads_nowhere() {
    const ROUNDS: u32 = 20_000;
    let canary = Canary::new();
    let (_directory, place) = target();
    let stop = AtomicBool::new(false);
    let (mut got_in, mut stood_before_a_link) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| swap_until(&stop, &place, canary.path()));
        for round in 0..ROUNDS {
            match disturb(&place, round) {
                Ok(()) => got_in += 1,
                Err(PlaceError::NotADirectory { .. }) => stood_before_a_link += 1,
                Err(_) => {}
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    canary.assert_untouched();
    assert!(got_in > 0 && stood_before_a_link > 0, "{got_in} {stood_before_a_link}: no race was run");
}

#[test]
fn a_pipe_swapped_with_a_second_name_of_another_pipe_is_not_given_away() {
    if !is_root() {
        return;
    }
    let (directory, place) = target();
    let outside = directory.path().join("outside");
    rfs::mknodat(CWD, &outside, FileType::Fifo, Mode::RUSR, 0).unwrap();
    let before = stat(&outside);
    let (stop, mut noticed) = (AtomicBool::new(false), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = rfs::linkat(CWD, &outside, &place, "bait", AtFlags::empty());
                let _ = rfs::renameat_with(&place, "bait", &place, "pipe", RenameFlags::EXCHANGE);
                let _ = rfs::unlinkat(&place, "bait", AtFlags::empty());
            }
        });
        for _ in 0..20_000 {
            let made = place.fifo(b"pipe", Placement::New, &unusual());
            noticed += u32::from(matches!(made, Err(PlaceError::Swapped { .. })));
            let _ = rfs::unlinkat(&place, "pipe", AtFlags::empty());
        }
        stop.store(true, Ordering::Relaxed);
    });
    let after = stat(&outside);
    assert_eq!((after.st_uid, after.st_gid, after.st_mode), (before.st_uid, before.st_gid, before.st_mode));
    assert_eq!(after.st_mtime_nsec, before.st_mtime_nsec);
    eprintln!("{noticed} swaps hit the moment between making and opening");
}

#[test]
fn a_tree_of_5000_levels_goes_with_64_open_files() {
    const LEVELS: u64 = 5000;
    if std::env::var_os(CHILD).is_none() {
        return run_alone(&[], &format!("{TESTS}a_tree_of_5000_levels_goes_with_64_open_files"));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) }).unwrap();
    let (_directory, place) = target();
    let mut inner = place.make_directory(b"deep").unwrap().0;
    for level in 1..LEVELS {
        write(&inner, b"file", Placement::New, b"").unwrap();
        if level.is_multiple_of(1000) {
            inner.make_directory(b"beside").unwrap().0.make_directory(b"below").unwrap();
        }
        inner = inner.make_directory(&[b'n'; 100]).unwrap().0;
    }
    let removal = place.remove(b"deep").unwrap();
    assert!(removal.problems.is_empty(), "{:?}", removal.problems);
    assert_eq!(removal.removed, LEVELS + (LEVELS - 1) + 2 * 4);
    assert!(place.list().unwrap().is_empty());
}

#[test]
fn removing_stops_at_mount_points_and_takes_the_rest() {
    if !is_root() {
        return;
    }
    if std::env::var_os(CHILD).is_none() {
        if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
            return eprintln!("skipped: needs a mount namespace");
        }
        let test = format!("{TESTS}removing_stops_at_mount_points_and_takes_the_rest");
        return run_alone(&["unshare", "-m", "--propagation", "private"], &test);
    }
    let canary = Canary::new();
    let (directory, place) = target();
    let tree = directory.path().join("tree");
    fs::create_dir_all(tree.join("a/mounted")).unwrap();
    fs::create_dir_all(tree.join("b")).unwrap();
    fs::write(tree.join("a/file"), b"").unwrap();
    // The same file system once more: the device number does not tell.
    let status = Command::new("mount").arg("--bind").args([canary.path(), &tree.join("a/mounted")]).status();
    assert!(status.unwrap().success());
    let removal = place.remove(b"tree").unwrap();
    assert_eq!(removal.removed, 2);
    assert!(matches!(removal.problems[..], [PlaceError::MountPoint { .. }]), "{:?}", removal.problems);
    assert!(matches!(open(&tree.join("a")).remove(b"mounted"), Err(PlaceError::MountPoint { .. })));
    canary.assert_untouched();
    assert!(tree.join("a/mounted/shadow").exists() && !tree.join("b").exists());
}

/// Moves the middle of a deep tree next to something that has the names of what is still to be
/// removed further up, which is where `..` then leads.
#[test]
fn a_tree_moved_while_it_is_removed_does_not_lead_the_removal_out() {
    const LEVELS: usize = 40;
    let outside = tempfile::tempdir().unwrap();
    let mut moved = 0;
    for round in 0..100 {
        let (directory, place) = target();
        let mut path = directory.path().join("tree");
        for _ in 0..LEVELS {
            fs::create_dir_all(path.join("beside")).unwrap();
            path.push("d");
        }
        fs::create_dir_all(&path).unwrap();
        let away = outside.path().join(format!("{round}"));
        fs::create_dir_all(away.join("beside/keep")).unwrap();
        let middle = path.ancestors().nth(LEVELS / 2).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| moved += u32::from(fs::rename(middle, away.join("d")).is_ok()));
            let _ = place.remove(b"tree");
        });
        assert!(away.join("beside/keep").exists());
    }
    assert!(moved > 0, "no race was run");
}
