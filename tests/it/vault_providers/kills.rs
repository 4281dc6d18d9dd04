//! A process that dies at any of its system calls while it puts a document leaves the old one or the new one.
//! `strace` kills it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use homekeep::vault::{ProviderSettings, open};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};

use super::contract::document;

/// Where the child is to put.
const PATH_VARIABLE: &str = "HOMEKEEP_TEST_PUT_INTO";
const CALLS: [&str; 8] =
    ["openat", "write", "utimensat", "fsync", "renameat", "renameat2", "mkdir", "unlinkat"];
/// `strace` counts the calls of each thread by itself, and the thread that runs tests makes some, too. So many are made
/// before the put, so that only its own calls have higher numbers.
const CALLS_BEFORE: usize = 100;

/// The child's life; it is a test so that this binary can be run again for it alone.
#[test]
#[ignore = "a child of the test below"]
fn child() {
    let Some(path) = std::env::var_os(PATH_VARIABLE) else { return };
    for _ in 0..CALLS_BEFORE {
        make_each_call_once();
    }
    let provider = open(&ProviderSettings::Directory { path: path.into() }).unwrap();
    provider.put("ann", &document("ann", "new", 20_000)).unwrap();
}

/// None of them changes anything.
fn make_each_call_once() {
    let mut null =
        fs::File::from(rustix::fs::openat(CWD, "/dev/null", OFlags::WRONLY, Mode::empty()).unwrap());
    null.write_all(b"x").unwrap();
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    let _ = rustix::fs::fsync(&null);
    let _ = rustix::fs::utimensat(CWD, "", &times, AtFlags::empty());
    let _ = rustix::fs::renameat(CWD, "", CWD, "");
    let _ = rustix::fs::renameat_with(CWD, "", CWD, "", rustix::fs::RenameFlags::NOREPLACE);
    let _ = rustix::fs::unlinkat(CWD, "", AtFlags::empty());
    let _ = fs::create_dir("");
}

/// Whether the child came to its end.
fn put_in_child(path: &Path, call: &str, nth: usize) -> bool {
    let mut command = Command::new("strace");
    let fault = format!("inject={call}:signal=SIGKILL:when={}", CALLS_BEFORE + nth);
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &fault]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "vault_providers::kills::child", "--ignored", "--test-threads=1"]);
    let output = command.env(PATH_VARIABLE, path).output().unwrap();
    output.status.success()
}

#[test]
fn a_put_that_is_killed_leaves_the_old_document_or_the_new_one() {
    let (mut left_old, mut left_new) = (0, 0);
    let mut calls_killed = Vec::new();
    for has_old in [false, true] {
        for call in CALLS {
            for nth in 1.. {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("vault");
                let settings = ProviderSettings::Directory { path: path.clone() };
                let old = has_old.then(|| document("ann", "old", 10_000));
                if let Some(old) = &old {
                    open(&settings).unwrap().put("ann", old).unwrap();
                }
                let has_ended = put_in_child(&path, call, nth);
                let provider = open(&settings).unwrap();
                let found = provider.get("ann").unwrap();
                let new = Some(document("ann", "new", 20_000));
                assert!(found == new || (!has_ended && found == old), "{call} {nth}");
                assert_eq!(provider.list().unwrap().len(), usize::from(found.is_some()));
                provider.put("ann", &document("ann", "next", 0)).unwrap();
                assert_eq!(provider.get("ann").unwrap(), Some(document("ann", "next", 0)));
                if has_ended {
                    break;
                }
                left_old += usize::from(found == old);
                left_new += usize::from(found == new);
                calls_killed.push(call);
            }
        }
    }
    for call in ["openat", "write", "utimensat", "fsync", "mkdir"] {
        assert!(calls_killed.contains(&call), "no {call} was met: {calls_killed:?}");
    }
    assert!(calls_killed.iter().any(|call| call.starts_with("rename")), "{calls_killed:?}");
    assert!(left_old >= 8 && left_new >= 2, "{left_old} before the rename, {left_new} after it");
}

/// A power cut takes what was not synced: the bytes are, before the name leads to them, and then the name.
#[test]
fn a_put_syncs_the_bytes_then_takes_the_name_then_syncs_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault");
    open(&ProviderSettings::Directory { path: path.clone() }).unwrap().put("ann", b"{}").unwrap();
    let trace = folder.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o"]).arg(&trace);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", "vault_providers::kills::child", "--ignored", "--test-threads=1"]);
    assert!(command.env(PATH_VARIABLE, &path).output().unwrap().status.success());
    let text = fs::read_to_string(&trace).unwrap();
    let names =
        text.lines().filter_map(|line| line.split(['(', ' ']).find(|word| word.starts_with(['f', 'r'])));
    let calls: Vec<_> =
        names.skip(3 * CALLS_BEFORE).map(|name| name.trim_end_matches(['a', 't', '2'])).collect();
    assert_eq!(calls, ["fsync", "rename", "fsync"], "{text}");
}
