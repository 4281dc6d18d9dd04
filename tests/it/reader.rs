//! A reader that was written from docs/format.md alone, in another language, reads what this program
//! writes: `tests/reader/read_homekeep.py`.
//!
//! Runs where python3 has the packages in `tests/reader/requirements.txt`, or, with
//! `HOMEKEEP_TEST_READER=1`, installs them into a virtual environment below `target/`.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use homekeep::engine::backup::Outcome;
use homekeep::format::{EntryKind, TreeObject};
use homekeep::keys::{KeyFile, Secret};
use homekeep::repo::Repository;

use super::setup::{self, TINY, date, date_directories, file, mode, prose, xattr};
use super::{fixtures, manifest};

const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reader/read_homekeep.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reader/requirements.txt");
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/format-1.json");

#[test]
fn the_vectors_are_those_of_an_independent_reader() {
    let Some(python) = python() else { return };
    succeed(Command::new(python).args([READER, "vectors", VECTORS]));
}

#[test]
fn the_fixtures_are_read_by_an_independent_reader() {
    let Some(python) = python() else { return };
    for fixture in fixtures::all() {
        let reader = || {
            let mut command = Command::new(&python);
            command.arg(READER).arg("--repo").arg(fixture.folder.join("repository"));
            command.args(fixture.secret_arguments());
            command
        };
        let listed = String::from_utf8(succeed(reader().arg("snapshots")).stdout).unwrap();
        let listed: Vec<_> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(listed, fixture.snapshots.iter().map(|s| &s.id).collect::<Vec<_>>(), "{}", fixture.name);
        for snapshot in &fixture.snapshots {
            let target = tempfile::tempdir().unwrap();
            let mut command = reader();
            succeed(command.arg("extract").arg(&snapshot.id).arg(target.path()));
            for (user, expected) in snapshot.homes.as_object().unwrap() {
                let mut found = manifest::of_directory(&target.path().join(user));
                let mut expected = expected.clone();
                if !rustix::process::geteuid().is_root() {
                    forget_owners(&mut expected);
                    forget_owners(&mut found);
                }
                assert_eq!(found, expected, "{} {} {user}", fixture.name, snapshot.id);
            }
        }
    }
}

/// Only root can give files away.
fn forget_owners(manifest: &mut serde_json::Value) {
    for entry in manifest.as_object_mut().unwrap().values_mut() {
        entry.as_object_mut().unwrap().remove("owner");
    }
}

#[test]
fn an_independent_reader_brings_back_what_the_engine_saved() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [homes, store, cache, key, target] =
        ["homes", "store", "cache", "key", "target"].map(|name| folder.path().join(name));
    write_homes(&homes);
    KeyFile::create(&key, &[0x5a; 32]).unwrap();
    let secret = Secret::KeyFile(KeyFile::read(&key).unwrap().secret);
    let mut repository = setup::create(&store, &secret, &cache, &TINY);
    let first = setup::save(&mut repository, &homes);
    assert!(matches!(first.outcome, Outcome::Saved { .. }));
    has_lists_indexes_and_segments(&repository);
    file(&homes.join("bob/later"), b"written after the first snapshot");
    date_directories(&homes);
    setup::save(&mut repository, &homes);

    std::fs::create_dir(&target).unwrap();
    let mut command = Command::new(&python);
    command.arg(READER).arg("--repo").arg(&store).arg("--key-file").arg(&key);
    succeed(command.arg("extract").arg("latest").arg(&target));
    assert_same(&homes.join("ann"), &target.join("ann"));
    assert_same(&homes.join("bob"), &target.join("bob"));
    let sparse = target.join("ann/sparse").metadata().unwrap();
    assert!(sparse.blocks() * 512 < sparse.len() / 2, "holes were filled");

    std::fs::write(&key, std::fs::read_to_string(&key).unwrap().replace("5a5a5a", "5b5a5a")).unwrap();
    let mut command = Command::new(&python);
    command.arg(READER).arg("--repo").arg(&store).arg("--key-file").arg(&key).arg("snapshots");
    assert!(!command.output().unwrap().status.success(), "a mistyped key was accepted");
}

/// Two homes with what a format could get wrong.
fn write_homes(homes: &Path) {
    let ann = homes.join("ann");
    file(&ann.join("empty"), b"");
    file(&ann.join("large"), &prose(1, 6 << 20));
    file(&ann.join("noise"), &noise(9 << 20));
    file(&ann.join("repeats"), &prose(2, 50_000).repeat(100));
    file(&ann.join("deep/er/file"), b"deep");
    for n in 0..2500 {
        file(&ann.join(format!("many/{n:05}")), n.to_string().as_bytes());
    }
    let sparse = std::fs::File::create(ann.join("sparse")).unwrap();
    sparse.set_len(8 << 20).unwrap();
    sparse.write_all_at(&prose(3, 20_001), 1 << 20).unwrap();
    sparse.write_all_at(&prose(4, 4096), 5 << 20).unwrap();
    drop(sparse);
    date(&ann.join("sparse"), -5, 999_999_999);
    std::fs::hard_link(ann.join("empty"), ann.join("deep/linked")).unwrap();
    std::fs::hard_link(ann.join("large"), ann.join("deep/er/large")).unwrap();
    symlink("../nowhere", ann.join("dangling")).unwrap();
    date(&ann.join("dangling"), 77, 7);
    let odd = std::ffi::OsStr::from_bytes(b"no utf-8 \xff\xfe\nsecond line");
    file(&ann.join(odd), b"odd");
    mode(&ann.join("deep/er/file"), 0o4711);
    mode(&ann.join("deep/er"), 0o3700);
    xattr(&ann.join("empty"), "user.note", b"\x00\xff");
    xattr(&ann.join("deep"), "user.empty", b"");
    let pipe = ann.join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o640),
        0,
    )
    .unwrap();
    file(&homes.join("bob/copy of large"), &prose(1, 6 << 20));
    mode(&homes.join("bob"), 0o700);
    date_directories(homes);
}

/// What does not compress fills a segment that is not a commit.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// The test is worth nothing if the rarer objects do not occur.
fn has_lists_indexes_and_segments(repository: &Repository) {
    assert!(!repository.store().list("segments/").unwrap().is_empty());
    let mut reader = repository.reader().unwrap();
    let snapshots = repository.snapshots().unwrap();
    let EntryKind::Directory(root) = snapshots[0].record.homes[0].root.as_ref().unwrap().kind.clone() else {
        panic!("a home is a directory")
    };
    let entries = reader.listing(&root).unwrap();
    let kind = |name: &str| entries.iter().find(|e| e.name == name.as_bytes()).unwrap().kind.clone();
    assert!(matches!(kind("repeats"), EntryKind::File(content) if content.depth > 0));
    let EntryKind::Directory(many) = kind("many") else { panic!("many is a directory") };
    assert!(matches!(reader.tree(&many), Ok(TreeObject::Index(_))));
}

fn assert_same(source: &Path, restored: &Path) {
    let mut rsync = Command::new("rsync");
    rsync.args(["-aHAXnc", "--delete", "--itemize-changes"]);
    rsync.arg(source.join("")).arg(restored.join(""));
    let output = succeed(&mut rsync);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(manifest::of_directory(source), manifest::of_directory(restored));
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {}\n{errors}", output.status);
    output
}

/// A Python that has what the reader needs; none when the test is to be skipped.
fn python() -> Option<PathBuf> {
    if std::env::var_os("HOMEKEEP_TEST_READER").is_some_and(|value| value == "1") {
        return Some(installed());
    }
    let has_packages =
        Command::new("python3").args(["-c", "import argon2, blake3, cryptography, zstandard"]).output();
    if has_packages.is_ok_and(|output| output.status.success()) {
        return Some("python3".into());
    }
    eprintln!(
        "skipped: python3 lacks what {REQUIREMENTS} names; HOMEKEEP_TEST_READER=1 installs it below target/"
    );
    None
}

/// Tests run in parallel, and one of them installs.
fn installed() -> PathBuf {
    static ENVIRONMENT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let install = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reader-venv");
        let python = folder.join("bin/python");
        if !python.exists() {
            assert!(Command::new("python3").args(["-m", "venv"]).arg(&folder).status().unwrap().success());
        }
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]);
        assert!(pip.status().unwrap().success(), "the reader's packages cannot be installed");
        python
    };
    ENVIRONMENT.get_or_init(install).clone()
}
