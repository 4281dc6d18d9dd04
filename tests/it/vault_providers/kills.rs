//! A process that dies at any of its system calls while it puts a document leaves the old one or the new one.
//! `strace` kills it.

use std::path::Path;
use std::process::Command;

use homekeep::vault::{ProviderSettings, open};

use super::contract::document;

/// Where the child is to put.
const PATH_VARIABLE: &str = "HOMEKEEP_TEST_PUT_INTO";
const CALLS: [&str; 8] =
    ["openat", "write", "utimensat", "fsync", "renameat", "renameat2", "mkdir", "unlinkat"];

/// The child's life; it is a test so that this binary can be run again for it alone.
#[test]
#[ignore = "a child of the test below"]
fn child() {
    let Some(path) = std::env::var_os(PATH_VARIABLE) else { return };
    let provider = open(&ProviderSettings::Directory { path: path.into() }).unwrap();
    provider.put("ann", &document("ann", "new", 20_000)).unwrap();
}

/// Whether the child came to its end.
fn put_in_child(path: &Path, call: &str, nth: usize) -> bool {
    let mut command = Command::new("strace");
    let fault = format!("inject={call}:signal=SIGKILL:when={nth}");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &fault]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "vault_providers::kills::child", "--ignored", "--test-threads=1"]);
    let output = command.env(PATH_VARIABLE, path).output().unwrap();
    output.status.success()
}

#[test]
fn a_put_that_is_killed_leaves_the_old_document_or_the_new_one() {
    let mut kills = 0;
    let mut left_old = 0;
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
                left_old += usize::from(found == old);
                if has_ended {
                    break;
                }
                kills += 1;
            }
        }
    }
    assert!(kills >= 20 && left_old >= 10, "{kills} kills, {left_old} of them before the rename");
}
