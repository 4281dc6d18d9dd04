//! Everything in a home comes back, as a tool sees it that has no part in saving or restoring it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use homekeep::format::EntryKind;
use rustix::fs::FileType;
use rustix::process::geteuid;

use crate::support::{
    CHUNKER, LONG_AGO, SOMEBODY, Site, assert_same, bytes_stored, is_root, make_node, noise, plant,
    report_of, rsync_differences, set_acl, set_mtime, set_xattr, write_old, write_sparse,
};

/// Backs the one home up, restores it elsewhere, and compares.
fn assert_comes_back(site: &Site) -> PathBuf {
    site.backup();
    let restored = site.restore(&["ann"]).join("ann");
    assert_same(&site.home("ann"), &restored);
    restored
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_home_with_a_little_of_everything_comes_back() {
    let site = Site::new();
    plant(&site.home("ann"));
    assert_comes_back(&site);
}

#[test]
fn several_homes_come_back_each_under_its_name() {
    let site = Site::new();
    for user in ["ann", "bob", "\u{fffd}x y"] {
        plant(&site.home(user));
        write_old(&site.home(user).join("name"), user);
    }
    site.backup();
    let target = site.restore(&["ann", "bob", "\u{fffd}x y"]);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 3);
    for user in ["ann", "bob", "\u{fffd}x y"] {
        assert_same(&site.home(user), &target.join(user));
    }
}

#[test]
fn files_of_every_size_around_a_chunks_and_a_blocks_come_back() {
    let site = Site::new();
    let home = site.home("ann");
    let block = 64 << 10;
    for around in [1, CHUNKER.min, CHUNKER.average, CHUNKER.max, 2 * CHUNKER.max, block, 16 * block] {
        for length in [around - 1, around, around + 1] {
            let length = length as usize;
            write_old(&home.join(format!("noise-{length}")), noise(length as u64, length));
            write_old(&home.join(format!("zeros-{length}")), vec![0; length]);
        }
    }
    assert_comes_back(&site);
}

#[test]
fn a_large_file_comes_back_through_lists_of_lists_and_an_insertion_costs_little() {
    let site = Site::new();
    let path = site.home("ann").join("large");
    let mut bytes = noise(1, 64 << 20);
    write_old(&path, &bytes);
    assert_comes_back(&site);
    let EntryKind::File(content) = site.entry("ann", "large").kind else { panic!("not a file") };
    assert!(content.depth >= 2, "depth {}", content.depth);
    bytes.splice((30 << 20)..(30 << 20), *b"inserted");
    fs::write(&path, &bytes).unwrap();
    let added = bytes_stored(&site.backup());
    assert!(added < 200 << 10, "{added} bytes for an insertion of 8");
    assert_same(&site.home("ann"), &site.restore(&["ann"]).join("ann"));
}

#[test]
fn holes_stay_holes() {
    let site = Site::new();
    let home = site.home("ann");
    write_sparse(&home.join("holes"));
    File::create(home.join("only a hole")).unwrap().set_len(1 << 40).unwrap();
    let written = File::create(home.join("written zeros")).unwrap();
    written.write_all_at(&vec![0; 1 << 20], 0).unwrap();
    // rsync would read a terabyte to compare it; its size and blocks are compared below.
    let huge = fs::metadata(home.join("only a hole")).unwrap();
    site.backup();
    let restored = site.restore(&["ann"]).join("ann");
    let back = fs::metadata(restored.join("only a hole")).unwrap();
    assert_eq!((back.len(), back.blocks(), back.mtime()), (huge.len(), 0, huge.mtime()));
    for folder in [&home, &restored] {
        fs::remove_file(folder.join("only a hole")).unwrap();
        set_mtime(folder, LONG_AGO, 0);
    }
    assert_same(&home, &restored);
    let blocks = |folder: &Path, name| fs::metadata(folder.join(name)).unwrap().blocks();
    assert!(blocks(&restored, "holes") <= blocks(&home, "holes"));
    assert!(blocks(&home, "holes") < 2048, "this file system knows no holes");
}

#[test]
fn links_come_back_as_links_wherever_they_point() {
    let site = Site::new();
    let home = site.home("ann");
    let longest = "x/".repeat(2047) + "y";
    assert_eq!(longest.len(), 4095);
    for (name, target) in [
        ("dangling", "no such thing"),
        ("absolute", "/etc/passwd"),
        ("up", "../../../.."),
        ("self", "self"),
        ("longest", &longest),
        ("not text", "\u{1}\n\t"),
    ] {
        symlink(target, home.join(name)).unwrap();
        set_mtime(&home.join(name), LONG_AGO, 999_999_999);
    }
    symlink(OsStr::from_bytes(b"\xff\xfe"), home.join("bytes")).unwrap();
    assert_comes_back(&site);
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    let site = Site::new();
    let home = site.home("ann");
    for directory in ["a", "b/c", "many"] {
        fs::create_dir_all(home.join(directory)).unwrap();
    }
    write_old(&home.join("a/file"), noise(1, 50_000));
    for name in ["a/again", "b/c/file", "z"] {
        fs::hard_link(home.join("a/file"), home.join(name)).unwrap();
    }
    write_old(&home.join("many/0"), "one of 300");
    for n in 1..300 {
        fs::hard_link(home.join("many/0"), home.join(format!("many/{n}"))).unwrap();
    }
    write_old(&home.join("empty 1"), "");
    fs::hard_link(home.join("empty 1"), home.join("empty 2")).unwrap();
    make_node(&home.join("pipe 1"), FileType::Fifo);
    fs::hard_link(home.join("pipe 1"), home.join("pipe 2")).unwrap();
    write_old(&home.join("twin"), noise(1, 50_000));
    let restored = assert_comes_back(&site);
    assert_eq!(fs::metadata(restored.join("z")).unwrap().nlink(), 4);
    assert_eq!(fs::metadata(restored.join("many/7")).unwrap().nlink(), 300);
    assert_eq!(fs::metadata(restored.join("twin")).unwrap().nlink(), 1);
}

#[test]
fn a_name_added_to_a_saved_file_joins_it() {
    let site = Site::new();
    let home = site.home("ann");
    fs::create_dir(home.join("a")).unwrap();
    write_old(&home.join("a/file"), "linked later");
    site.backup();
    fs::hard_link(home.join("a/file"), home.join("later")).unwrap();
    let restored = assert_comes_back(&site);
    assert_eq!(fs::metadata(restored.join("later")).unwrap().nlink(), 2);
}

#[test]
fn names_outside_of_the_home_and_excluded_ones_do_not_come_back() {
    let site = Site::new();
    let home = site.home("ann");
    write_old(&home.join("kept"), "one file");
    fs::hard_link(home.join("kept"), home.join("left out")).unwrap();
    fs::hard_link(home.join("kept"), site.path("outside")).unwrap();
    site.backup_with(|options| options.rules.excludes = vec!["left out".into()]);
    let restored = site.restore(&["ann"]).join("ann");
    assert_eq!(fs::read(restored.join("kept")).unwrap(), b"one file");
    assert_eq!(fs::read_dir(&restored).unwrap().count(), 1);
}

#[test]
fn sockets_are_passed_over_and_counted() {
    let site = Site::new();
    let home = site.home("ann");
    make_node(&home.join("socket"), FileType::Socket);
    make_node(&home.join("pipe"), FileType::Fifo);
    set_mtime(&home, LONG_AGO, 0);
    let report = site.backup();
    assert_eq!(report_of(&report, "ann").sockets, 1);
    let restored = site.restore(&["ann"]).join("ann");
    assert_eq!(rsync_differences(&home, &restored).trim(), "cS+++++++++ socket");
}

#[test]
fn devices_come_back_only_when_asked_for() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let home = site.home("ann");
    let number = rustix::fs::makedev(1, 3);
    for (name, kind) in [("char", FileType::CharacterDevice), ("block", FileType::BlockDevice)] {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, home.join(name), kind, mode, number).unwrap();
    }
    site.backup();
    let source = [site.source("ann")];
    for (devices, count) in [(false, 0), (true, 2)] {
        let target = site.path(format!("devices-{devices}"));
        let to = homekeep::engine::restore::RestoreTarget::Contents(target.clone());
        let restored = site.restore_to(&source, to, |options| options.devices = devices);
        assert_eq!(restored.report.is_complete(), devices);
        assert_eq!(fs::read_dir(&target).unwrap().count(), count);
    }
    assert_same(&home, &site.path("devices-true"));
}

#[test]
fn modes_come_back_with_every_bit() {
    let site = Site::new();
    let home = site.home("ann");
    let all = [0o000, 0o400, 0o644, 0o777, 0o1644, 0o2755, 0o4755, 0o6711, 0o7777];
    // What its owner cannot read, only root can save.
    for bits in all.into_iter().filter(|bits| geteuid().is_root() || bits & 0o500 == 0o500) {
        write_old(&home.join(format!("file-{bits:o}")), "x");
        set_mode(&home.join(format!("file-{bits:o}")), bits);
        fs::create_dir(home.join(format!("directory-{bits:o}"))).unwrap();
        set_mode(&home.join(format!("directory-{bits:o}")), bits);
    }
    make_node(&home.join("pipe"), FileType::Fifo);
    set_mode(&home.join("pipe"), 0o1000);
    assert_comes_back(&site);
}

#[test]
fn setuid_comes_back_only_for_files_of_the_homes_owner() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let home = site.home("ann");
    chown(&home, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    for (name, uid, gid) in [("own", SOMEBODY, SOMEBODY), ("group", SOMEBODY, 0), ("roots", 0, 0)] {
        fs::write(home.join(name), "x").unwrap();
        chown(home.join(name), Some(uid), Some(gid)).unwrap();
        set_mode(&home.join(name), 0o6755);
    }
    site.backup();
    let restored = site.restore(&["ann"]).join("ann");
    let modes = ["own", "group", "roots"].map(|name| mode(&restored.join(name)));
    assert_eq!(modes, [0o6755, 0o4755, 0o755], "{modes:?}");
}

#[test]
fn owners_without_a_name_and_of_large_numbers_come_back() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let home = site.home("ann");
    for (n, id) in [1, SOMEBODY, 1_000_000, 1 << 31, u32::MAX - 1].into_iter().enumerate() {
        fs::create_dir(home.join(format!("directory {n}"))).unwrap();
        write_old(&home.join(format!("directory {n}/file")), "x");
        symlink("x", home.join(format!("directory {n}/link"))).unwrap();
        make_node(&home.join(format!("directory {n}/pipe")), FileType::Fifo);
        for name in ["/file", "/link", "/pipe", ""] {
            lchown(home.join(format!("directory {n}{name}")), Some(id), Some(id ^ 1)).unwrap();
        }
    }
    chown(&home, Some(SOMEBODY), Some(1)).unwrap();
    assert_comes_back(&site);
}

#[test]
fn times_come_back_to_the_nanosecond_before_1970_and_after_2038() {
    let site = Site::new();
    let home = site.home("ann");
    for (n, seconds) in [-1, -2_000_000_000, 0, 1, LONG_AGO, 1 << 31, 1 << 32].into_iter().enumerate() {
        for nanoseconds in [0, 1, 999_999_999] {
            let path = home.join(format!("{n}-{nanoseconds}"));
            fs::create_dir(&path).unwrap();
            fs::write(path.join("file"), "x").unwrap();
            symlink("x", path.join("link")).unwrap();
            make_node(&path.join("pipe"), FileType::Fifo);
            for name in ["file", "link", "pipe", ""] {
                set_mtime(&path.join(name), seconds, nanoseconds);
            }
        }
    }
    set_mtime(&home, -5, 7);
    assert_comes_back(&site);
}

#[test]
fn attributes_and_access_lists_come_back() {
    let site = Site::new();
    let home = site.home("ann");
    for directory in ["plain", "default", "default/below"] {
        fs::create_dir(home.join(directory)).unwrap();
    }
    // Files below a default list take it over only if they had it.
    set_acl(&home.join("default"), &["-d", "-m", "u:12345:rwx,g:54321:r"]);
    for name in ["plain/file", "default/file", "default/below/file"] {
        write_old(&home.join(name), "x");
    }
    set_acl(&home.join("default/file"), &["-b"]);
    set_acl(&home.join("plain/file"), &["-m", "u:12345:rw,m:r"]);
    set_xattr(&home.join("plain/file"), "user.empty", "");
    set_xattr(&home.join("plain/file"), "user.long", &"v".repeat(3000));
    set_xattr(&home.join("plain"), "user.of a directory", "yes");
    if is_root() {
        symlink("x", home.join("link")).unwrap();
        set_xattr(&home.join("link"), "trusted.of a link", "yes");
        make_node(&home.join("pipe"), FileType::Fifo);
        set_xattr(&home.join("pipe"), "trusted.of a pipe", "yes");
    }
    assert_comes_back(&site);
}

#[test]
fn names_of_any_bytes_come_back() {
    let site = Site::new();
    let home = site.home("ann");
    let all_bytes: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
    let mut names: Vec<Vec<u8>> = vec![
        all_bytes,
        vec![b'n'; 255],
        b"\xff\xfe".to_vec(),
        b"two\nlines".to_vec(),
        b"\n".to_vec(),
        b" ".to_vec(),
        b"-rf".to_vec(),
        b"--delete".to_vec(),
        b"..foo".to_vec(),
        b"...".to_vec(),
        // One digit more, and it would be a restore's own temporary name, which is not saved.
        b".homekeep-0123456789abcde.part".to_vec(),
        b"*?[a]\\".to_vec(),
    ];
    names.extend(["Case", "case", "CASE", "\u{e9}", "e\u{301}"].map(|name| name.as_bytes().to_vec()));
    for name in &names {
        let name = OsStr::from_bytes(name);
        write_old(&home.join(name), name.as_bytes());
        fs::create_dir_all(home.join("in").join(name)).unwrap();
        write_old(&home.join("in").join(name).join(name), "below");
    }
    assert_comes_back(&site);
}
