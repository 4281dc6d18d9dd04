//! Homes on disk and repositories of them, for tests that go through the whole engine.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use homekeep::codec::ChunkerParameters;
use homekeep::engine::Meter;
use homekeep::engine::backup::{BackupOptions, BackupReport, HomeSelection, backup};
use homekeep::files::rules::RuleOptions;
use homekeep::keys::Secret;
use homekeep::repo::{CreateOptions, Repository};
use homekeep::store::LocalStore;
use rustix::fs::{AtFlags, CWD, Mode, Timespec, Timestamps};

/// Chunks so small that files of a few mebibytes have lists of lists.
pub const TINY: CreateOptions = CreateOptions {
    chunker: ChunkerParameters { min: 1024, average: 4096, max: 8192 },
    block_len: 65_536,
    cost: homekeep::keys::Cost::FLOOR,
};

/// Makes a repository in a folder.
pub fn create(folder: &Path, secret: &Secret, cache: &Path, options: &CreateOptions) -> Repository {
    let store = Arc::new(LocalStore::create(folder).unwrap());
    Repository::create(store, secret, cache, options).unwrap()
}

/// Takes a snapshot of every home in a folder.
pub fn save(repository: &mut Repository, homes: &Path) -> BackupReport {
    let options = BackupOptions {
        sqlite_program: homekeep::files::live_sqlite::OWN_PROGRAM.into(),
        homes: HomeSelection::Under(homes.into()),
        users: vec![],
        source: "lab".into(),
        host: "node".into(),
        tags: vec![],
        rules: RuleOptions { default_excludes: false, ..RuleOptions::default() },
        secrets: homekeep::files::rules::SecretOptions::default(),
        vault: None,
        level: 3,
        threads: 2,
        always: false,
        dry_run: false,
        cross_file_systems: false,
        verify_unchanged: false,
        sqlite_copies: false,
        confirmed: vec![],
        shrink_percent: 10,
        is_privileged: false,
        never: vec![],
    };
    backup(repository, &options, &Meter::default()).unwrap()
}

/// Writes a file with a fixed time, and its folders.
pub fn file(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    date(path, 1_600_000_000, 123_456_789);
}

/// Sets modification and access time.
pub fn date(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Sets the mode.
pub fn mode(path: &Path, bits: u32) {
    rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(bits), AtFlags::empty()).unwrap();
}

/// Sets an extended attribute; false where the file system has none.
pub fn xattr(path: &Path, name: &str, value: &[u8]) -> bool {
    rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).is_ok()
}

/// Gives every directory below and including `folder` a fixed time, deepest first.
pub fn date_directories(folder: &Path) {
    for found in walkdir::WalkDir::new(folder).contents_first(true) {
        let found = found.unwrap();
        if found.file_type().is_dir() {
            date(found.path(), 1_500_000_000 + found.path().as_os_str().as_bytes().len() as i64, 1);
        }
    }
}

/// Text that compresses and is nowhere the same.
pub fn prose(seed: u64, length: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(length + 32);
    for n in seed.. {
        if text.len() >= length {
            break;
        }
        text.extend(
            format!("line {n} of {seed}: {:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes(),
        );
    }
    text.truncate(length);
    text
}
