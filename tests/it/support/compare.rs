//! Compares trees: by rsync, which has no part in saving or restoring them, or by what a reader sees.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Fails unless rsync finds nothing to do between the two trees, in either direction: some things,
/// such as names that are linked and should not be, it only sees in one. Contents are compared byte
/// by byte, times to the nanosecond.
pub fn assert_same(left: &Path, right: &Path) {
    for (from, to) in [(left, right), (right, left)] {
        let differences = rsync_differences(from, to);
        assert!(differences.is_empty(), "{} → {}:\n{differences}", from.display(), to.display());
    }
}

/// What rsync would do to make `to` like `from`.
pub fn rsync_differences(from: &Path, to: &Path) -> String {
    let mut rsync = Command::new("rsync");
    rsync.args(["-aHAXn", "--checksum", "--modify-window=-1", "--numeric-ids", "--delete"]);
    rsync.arg("--itemize-changes").arg(from.join("")).arg(to.join(""));
    run(rsync, "rsync")
}

/// A copy of a tree, made by rsync.
pub fn copy_tree(from: &Path, to: &Path) {
    let mut rsync = Command::new("rsync");
    rsync.args(["-aHAXS", "--numeric-ids", "--modify-window=-1"]).arg(from.join("")).arg(to);
    run(rsync, "rsync");
}

/// What a tree is to a reader: each path with a file's bytes, or what stands for another kind.
pub type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// Everything below a directory, for comparisons too many for rsync.
pub fn contents(top: &Path) -> Contents {
    let (mut found, mut directories) = (Contents::new(), vec![top.to_path_buf()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let value = if metadata.is_dir() {
                directories.push(path.clone());
                b"directory".to_vec()
            } else if metadata.is_symlink() {
                fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
            } else {
                fs::read(&path).unwrap()
            };
            found.insert(path.strip_prefix(top).unwrap().into(), value);
        }
    }
    found
}

/// Runs a program of a package that the tests need; returns what it printed.
pub fn run(mut command: Command, package: &str) -> String {
    let output = match command.output() {
        Err(error) => panic!("{:?}: {error}; install the package {package}", command.get_program()),
        Ok(output) => output,
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}
