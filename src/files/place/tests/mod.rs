//! Tests of the restore target: what is made is exactly what was asked for (`kinds`, `adopted`), and nothing
//! outside is touched (`hostile`). Those that need root say so and pass when run by anybody else.

mod adopted;
mod hostile;
mod kinds;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{self as rfs, AtFlags, CWD, Stat};

use super::*;
use crate::files::owners::Ids;
use crate::format::Xattr;

/// Set in test processes that a test starts for a limit or a mount of their own.
const CHILD: &str = "HOMEKEEP_TEST_CHILD";

pub(super) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

fn open(path: &Path) -> Place {
    Place::open_target(path, IfMissing::Fail).unwrap()
}

fn target() -> (tempfile::TempDir, Place) {
    let directory = tempfile::tempdir().unwrap();
    let place = open(directory.path());
    (directory, place)
}

fn at(directory: &Path, name: &[u8]) -> PathBuf {
    directory.join(OsStr::from_bytes(name))
}

/// Metadata that nothing has by itself.
fn unusual() -> EntryMeta {
    let owner = rustix::process::geteuid().is_root().then_some(Ids { uid: 12_345, gid: 23_456 });
    EntryMeta { owner, mode: 0o751, mtime_s: 1_234_567_890, mtime_ns: 123_456_789, xattrs: Vec::new() }
}

fn stat(path: &Path) -> Stat {
    rfs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).unwrap()
}

/// Attributes of the thing itself, sorted by name.
fn xattrs(path: &Path) -> Vec<Xattr> {
    let mut names = vec![0; 64 << 10];
    let length = rfs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut xattrs: Vec<_> = names
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let length = rfs::lgetxattr(path, name, &mut value[..]).unwrap();
            value.truncate(length);
            Xattr { name: name.to_vec(), value }
        })
        .collect();
    xattrs.sort_by(|a, b| a.name.cmp(&b.name));
    xattrs
}

fn write(place: &Place, name: &[u8], placement: Placement, bytes: &[u8]) -> Result<(), PlaceError> {
    let file = place.create_file(name, placement)?;
    file.write_at(bytes, 0)?;
    file.finish(&unusual()).map(drop)
}

/// Whether there are temporary names left in `directory`.
fn has_parts(directory: &Path) -> bool {
    open(directory).list().unwrap().iter().any(|listed| is_part_name(&listed.name))
}

/// Runs the test of this name alone in a process of its own, behind `wrapper`.
fn run_alone(wrapper: &[&str], test: &str) {
    let binary = std::env::current_exe().unwrap();
    let mut words = wrapper.iter().map(OsStr::new).chain([binary.as_os_str()]);
    let program = words.next().unwrap();
    let output = Command::new(program)
        .args(words)
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}\n{complaint}");
}
