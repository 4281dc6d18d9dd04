//! Trees that are unusually deep or wide. Deeper ones than a path can name are made, compared and
//! removed step by step, relative to open directories.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, Timespec, Timestamps, futimens, mkdirat, openat, unlinkat,
};

use crate::support::{
    LONG_AGO, Site, assert_same, bytes_stored, copy_tree, files_read, noise, report_of, set_mtime, write_old,
};

/// A chain of directories in `top`, each with a file; removed when dropped.
struct Chain {
    top: PathBuf,
    name: String,
}

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn enter(directory: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    openat(directory, name, DIRECTORY, Mode::empty())
}

impl Chain {
    fn make(top: PathBuf, name: &str, levels: usize) -> Self {
        let chain = Self { top, name: name.into() };
        let mut at = chain.open();
        for level in 0..levels {
            write_at(&at, level);
            mkdirat(&at, name, Mode::from_raw_mode(0o750)).unwrap();
            at = enter(&at, name).unwrap();
        }
        chain
    }

    /// The same chain in another place, where something else has made it.
    fn at(&self, top: PathBuf) -> Self {
        Self { top, name: self.name.clone() }
    }

    fn open(&self) -> OwnedFd {
        openat(CWD, &self.top, DIRECTORY, Mode::empty()).unwrap()
    }

    /// Goes down both chains as long as they are the same; gives how many levels that is.
    fn assert_same(&self, other: &Self) -> usize {
        let (mut left, mut right) = (self.open(), other.open());
        for level in 0.. {
            assert_eq!(describe(&left), describe(&right), "level {level}");
            match (enter(&left, &self.name), enter(&right, &self.name)) {
                (Ok(next), Ok(next_right)) => (left, right) = (next, next_right),
                (Err(_), Err(_)) => return level,
                _ => panic!("one chain ends at level {level}"),
            }
        }
        unreachable!("chains end")
    }
}

/// Modification times are long past, as in most directories.
fn write_at(directory: &OwnedFd, level: usize) {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(directory, "file", flags, Mode::from_raw_mode(0o640)).unwrap();
    let mut file = fs::File::from(file);
    write!(file, "at level {level}").unwrap();
    let time = Timespec { tv_sec: LONG_AGO, tv_nsec: 0 };
    futimens(&file, &Timestamps { last_access: time, last_modification: time }).unwrap();
}

/// What a directory is and has, as far as the two kinds of entries in a chain go.
fn describe(directory: &OwnedFd) -> (Vec<String>, String) {
    let stat = rustix::fs::fstat(directory).unwrap();
    let own = format!(
        "{:o} {} {} {}.{}",
        stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime, stat.st_mtime_nsec
    );
    let names = Dir::read_from(directory).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<_> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let mut content = own;
    if let Ok(file) = openat(directory, "file", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        fs::File::from(file).read_to_string(&mut content).unwrap();
    }
    (names, content)
}

impl Drop for Chain {
    fn drop(&mut self) {
        let mut at = self.open();
        while let Ok(next) = enter(&at, &self.name) {
            let _not_there = unlinkat(&at, "file", AtFlags::empty());
            at = next;
        }
        let top = rustix::fs::fstat(self.open()).unwrap();
        while rustix::fs::fstat(&at).is_ok_and(|stat| stat.st_ino != top.st_ino) {
            at = enter(&at, "..").unwrap();
            unlinkat(&at, self.name.as_str(), AtFlags::REMOVEDIR).unwrap();
        }
    }
}

fn assert_chain_comes_back(name: &str, levels: usize) {
    let site = Site::new();
    let chain = Chain::make(site.home("ann"), name, levels);
    let report = site.backup();
    assert_eq!(report_of(&report, "ann").record.directories, levels as u64 + 1);
    let restored = chain.at(site.restore(&["ann"]).join("ann"));
    assert_eq!(chain.assert_same(&restored), levels);
    let again = site.backup();
    assert_eq!(report_of(&again, "ann").record.files, levels as u64);
}

#[test]
fn two_hundred_levels_of_long_names_come_back() {
    assert_chain_comes_back(&"n".repeat(250), 200);
}

#[test]
fn three_thousand_levels_come_back() {
    assert_chain_comes_back("d", 3000);
}

#[test]
fn a_change_among_twenty_thousand_files_costs_a_few_kilobytes() {
    let site = Site::new();
    let wide = site.home("ann").join("wide");
    fs::create_dir(&wide).unwrap();
    for n in 0..20_000 {
        write_old(&wide.join(format!("file-{n:05}")), n.to_string());
    }
    set_mtime(&wide, LONG_AGO, 0);
    site.backup();
    assert_same(&wide, &site.restore(&["ann"]).join("ann/wide"));
    fs::write(wide.join("file-07777"), "edited").unwrap();
    fs::write(wide.join("new"), "new").unwrap();
    fs::remove_file(wide.join("file-12345")).unwrap();
    let report = site.backup();
    assert!(bytes_stored(&report) < 64 << 10, "{} bytes", bytes_stored(&report));
    assert_same(&wide, &site.restore(&["ann"]).join("ann/wide"));
}

#[test]
fn directories_that_are_equal_are_stored_once() {
    let site = Site::new();
    let home = site.home("ann");
    for n in 0..50 {
        write_old(&home.join(format!("{n}")), noise(n, 5000));
    }
    let first = bytes_stored(&site.backup());
    let copy = site.home("bob");
    copy_tree(&home, &copy);
    let second = site.backup();
    assert!(bytes_stored(&second) < first / 10, "{} after {first}", bytes_stored(&second));
    assert_eq!(second.bytes_new(), 0);
    assert!(files_read(&second) >= 50);
    assert_eq!(site.source("ann").entry.kind, site.source("bob").entry.kind);
}

/// A path that no system call takes as a whole is still one in a report.
#[test]
fn a_file_below_the_longest_path_can_be_restored_alone() {
    let site = Site::new();
    let name = "n".repeat(250);
    let chain = Chain::make(site.home("ann"), &name, 30);
    site.backup();
    let path = format!("{}file", format!("{name}/").repeat(29));
    let source = site.source_below("ann", &path);
    let target = site.path("alone");
    let to = homekeep::engine::restore::RestoreTarget::Contents(target.clone());
    let restored = site.restore_to(&[source], to, |_| {});
    assert!(restored.report.is_complete(), "{:?}", restored.report.problems);
    assert_eq!(fs::read_to_string(Path::new(&target).join("file")).unwrap(), "at level 29");
    drop(chain);
}
