//! What comes out, checked with the system's own tar, and what is said when it can't.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::engine::lookup::lookup;
use crate::engine::testing::{Bench, Home, path, states_of};

fn located(bench: &Bench, name: impl AsRef<[u8]>) -> Located {
    let snapshots = bench.snapshots();
    lookup(&mut bench.reader(), states_of(&snapshots, "ann")[0].root, &path(name)).unwrap()
}

fn bytes_of(bench: &Bench, name: &str) -> Result<Vec<u8>, BrowseError> {
    let mut bytes = Vec::new();
    dump_file(&mut bench.reader(), &located(bench, name), &mut bytes).map(|_| bytes)
}

/// Dumps `name` and unpacks it with tar into a new folder.
fn unpacked(bench: &Bench, name: impl AsRef<[u8]>) -> (tempfile::TempDir, ArchiveReport) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("archive");
    let mut archive = fs::File::create(&file).unwrap();
    let start = located(bench, name);
    let report = dump_archive(&mut bench.reader(), &start, &mut archive, &mut |_| {}).unwrap();
    let target = folder.path().join("target");
    fs::create_dir(&target).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--warning=no-timestamp", "--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(&file)
        .arg("-C")
        .arg(&target);
    let output = tar.output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (folder, report)
}

/// Bytes that neither repeat nor compress.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn a_files_bytes_come_out_as_they_were() {
    let mut bench = Bench::new();
    let large = noise(400 << 10);
    bench.home("ann").file("empty", "").file("small", "text").file("large", &large);
    bench.backup("2026-11-20T10:00Z");
    assert_eq!(bytes_of(&bench, "empty").unwrap(), b"");
    assert_eq!(bytes_of(&bench, "small").unwrap(), b"text");
    assert!(bytes_of(&bench, "large").unwrap() == large);
    assert!(matches!(bytes_of(&bench, ""), Err(BrowseError::NotFile { kind: Kind::Directory, .. })));
}

#[test]
fn holes_read_as_zeros() {
    let mut bench = Bench::new();
    let home = bench.home("ann");
    let file = fs::File::create(home.at("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", (3 << 20) + 7).unwrap();
    bench.backup("2026-11-20T10:00Z");
    let bytes = bytes_of(&bench, "sparse").unwrap();
    assert_eq!(bytes, fs::read(home.at("sparse")).unwrap());
    let (folder, report) = unpacked(&bench, "sparse");
    assert!(fs::read(folder.path().join("target/sparse")).unwrap() == bytes);
    assert_eq!((report.files, report.bytes), (1, bytes.len() as u64));
}

#[test]
fn tar_brings_back_every_kind_of_entry() {
    let mut bench = Bench::new();
    let home = bench.home("ann");
    let long = "n".repeat(200);
    home.file("a/file", "text").hard_link("b/again", "a/file").symlink("link", &long).fifo("pipe");
    home.file("mode", "").mode("mode", 0o4751).directory("empty").mode("empty", 0o1700);
    home.file("old", "x").mtime("old", -5, 250_000_000).file("fine", "").mtime(
        "fine",
        1_000_000,
        123_456_789,
    );
    home.file("block", noise(512))
        .file(format!("{long}/{long}/{long}"), "deep")
        .symlink("links-link", "link");
    home.hard_link(format!("{long}/again"), format!("{long}/{long}/{long}"));
    let mut awkward = vec![b'\xff'; 150];
    awkward.splice(98..101, *b"..x");
    home.file(&awkward, "awkward").file("new\nline", "").file(b"\xfe", "").file("..dots", "");
    let has_xattrs = set_xattr(&home.at("a/file"), b"user.a=b%", b"\0value\n");
    bench.backup("2026-11-20T10:00Z");
    let (folder, report) = unpacked(&bench, "");
    assert_same(&home, &folder.path().join("target/ann"));
    assert_eq!((report.hard_links, report.others), (2, 3));
    if has_xattrs {
        let restored = folder.path().join("target/ann/b/again");
        let mut value = [0; 32];
        let length = rustix::fs::getxattr(&restored, OsStr::from_bytes(b"user.a=b%"), &mut value).unwrap();
        assert_eq!(&value[..length], b"\0value\n");
    }
}

/// Not every file system has them.
fn set_xattr(path: &Path, name: &[u8], value: &[u8]) -> bool {
    rustix::fs::setxattr(path, OsStr::from_bytes(name), value, rustix::fs::XattrFlags::empty()).is_ok()
}

fn assert_same(home: &Home, restored: &Path) {
    let mut rsync = Command::new("rsync");
    rsync.args(["-aHAXn", "--checksum", "--delete", "--itemize-changes"]);
    rsync.arg(home.at("")).arg(restored.join(""));
    let output = rsync.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert!(output.status.success());
    for name in ["fine", "old", "a/file", "pipe"] {
        let times = |path: &Path| path.symlink_metadata().map(|m| (m.mtime(), m.mtime_nsec())).unwrap();
        assert_eq!(times(&home.at(name)), times(&restored.join(name)), "{name}");
    }
}

#[test]
fn a_part_of_a_home_has_its_own_name_in_the_archive() {
    let mut bench = Bench::new();
    bench.home("ann").file("a/b/c", "text").file("a/d", "");
    bench.backup("2026-11-20T10:00Z");
    let (folder, report) = unpacked(&bench, "a/b");
    assert_eq!(fs::read(folder.path().join("target/b/c")).unwrap(), b"text");
    assert_eq!(report, ArchiveReport { files: 1, bytes: 4, directories: 1, ..ArchiveReport::default() });
}

#[test]
fn numbers_and_names_too_large_for_a_header_come_through() {
    let owner = crate::format::Owner {
        uid: u32::MAX - 1,
        gid: 3_000_000,
        user: "u".repeat(40),
        group: "g".repeat(100),
    };
    let entry = Entry {
        name: b"x".to_vec(),
        kind: EntryKind::CharDevice(rustix::fs::makedev(4, 300)),
        mode: 0o600,
        owner: owner.into(),
        mtime_s: 1 << 40,
        mtime_ns: 0,
        attributes: Default::default(),
    };
    let member = header::Member::new(&entry, b"x", tar::EntryType::Char).device(rustix::fs::makedev(4, 300));
    let mut bytes = member.to_bytes().unwrap();
    bytes.extend([0; 1024]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("archive");
    fs::write(&file, bytes).unwrap();
    let list = |flag: &str| {
        let output = Command::new("tar").args(["--utc", flag, "-tvf"]).arg(&file).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (numbers, names) = (list("--numeric-owner"), list("--full-time"));
    assert!(numbers.contains("4294967294/3000000") && numbers.contains("4,300"), "{numbers}");
    assert!(names.contains(&format!("{}/{}", "u".repeat(40), "g".repeat(100))), "{names}");
}

#[test]
fn what_is_missing_or_damaged_is_named_with_its_file() {
    let mut bench = Bench::new();
    bench.home("ann").file("d/file", noise(40 << 10)).file("small", "text");
    bench.backup("2026-11-20T10:00Z");
    let Located { path, entry } = located(&bench, "d/file");
    let EntryKind::File(content) = &entry.kind else { panic!("not a file") };
    let spoiled = |spoil: &dyn Fn(&mut Extent)| {
        let mut content = content.clone();
        spoil(&mut content.extents[0]);
        let file =
            Located { path: path.clone(), entry: Entry { kind: EntryKind::File(content), ..entry.clone() } };
        dump_file(&mut bench.reader(), &file, &mut io::sink()).unwrap_err()
    };
    let missing = spoiled(&|extent| *extent = Extent::Data { id: ChunkId([1; 32]), length: 5 });
    assert_eq!(missing.to_string(), "cannot read d/file");
    assert!(matches!(missing, BrowseError::Read { source: RepoError::MissingChunk(_), .. }));
    let longer = spoiled(&|extent| {
        if let Extent::Data { length, .. } = extent {
            *length += 1;
        }
    });
    assert!(matches!(longer, BrowseError::Read { source: RepoError::Format { .. }, .. }));
    let list_of_a_chunk = Located {
        path: path.clone(),
        entry: Entry { kind: EntryKind::File(Content { depth: 1, ..content.clone() }), ..entry.clone() },
    };
    assert!(dump_file(&mut bench.reader(), &list_of_a_chunk, &mut io::sink()).is_err());
    let start = located(&bench, "");
    bench.damage(|_, bytes| bytes.iter_mut().skip(200).for_each(|byte| *byte ^= 1));
    let mut reader = bench.reader();
    let damaged =
        dump_file(&mut reader, &Located { path: path.clone(), entry }, &mut io::sink()).unwrap_err();
    assert!(matches!(&damaged, BrowseError::Read { path: p, .. } if *p == path), "{damaged}");
    assert!(dump_archive(&mut reader, &start, &mut io::sink(), &mut |_| {}).is_err());
}

#[test]
fn a_list_of_another_depth_is_refused() {
    let mut bench = Bench::new();
    bench.home("ann").file("large", noise(150 << 10));
    bench.backup("2026-11-20T10:00Z");
    let Located { path, entry } = located(&bench, "large");
    let EntryKind::File(content) = &entry.kind else { panic!("not a file") };
    assert_eq!(content.depth, 1, "the file is large enough for lists");
    let deeper = Content { depth: 2, ..content.clone() };
    let file = Located { path, entry: Entry { kind: EntryKind::File(deeper), ..entry } };
    let error = dump_file(&mut bench.reader(), &file, &mut io::sink()).unwrap_err();
    assert!(matches!(error, BrowseError::Read { source: RepoError::MalformedTree(_), .. }), "{error:?}");
}

#[test]
fn a_file_saved_without_content_is_no_empty_file() {
    let mut bench = Bench::new();
    bench.home("ann").file("d/file", "").file("d/other", "x");
    bench.backup("2026-11-20T10:00Z");
    let Located { path, mut entry } = located(&bench, "d/file");
    entry.attributes.flags |= flags::FOREIGN_LINK;
    let file = Located { path, entry };
    let error = dump_file(&mut bench.reader(), &file, &mut io::sink()).unwrap_err();
    assert!(matches!(error, BrowseError::WithoutContent { .. }));
    let mut left_out = Vec::new();
    let report =
        dump_archive(&mut bench.reader(), &file, &mut io::sink(), &mut |p| left_out.push(p.clone())).unwrap();
    assert_eq!((report.without_content, left_out), (1, vec![file.path.clone()]));
}

#[test]
fn an_output_that_is_full_is_told_from_a_bad_repository() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut bench = Bench::new();
    bench.home("ann").file("file", "x");
    bench.backup("2026-11-20T10:00Z");
    let error = dump_file(&mut bench.reader(), &located(&bench, "file"), &mut Full).unwrap_err();
    assert!(matches!(error, BrowseError::Write(_)));
}
