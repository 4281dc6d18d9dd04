//! A file that was written elsewhere takes its place, and only such a file.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

/// A private directory with a file of four bytes that has the unusual time.
fn written() -> (tempfile::TempDir, Place, u64) {
    let (directory, place) = target();
    let meta = EntryMeta { owner: None, mode: 0o600, ..unusual() };
    let file = place.create_file(b"file", Placement::New).unwrap();
    file.write_at(b"four", 0).unwrap();
    assert!(file.finish(&meta).unwrap().is_empty());
    let inode = fs::metadata(directory.path().join("file")).unwrap().ino();
    (directory, place, inode)
}

#[test]
fn a_file_that_is_as_it_was_written_is_moved_and_gets_its_metadata() {
    for stands in [None, Some("older"), Some("link")] {
        let (from, place, inode) = written();
        let (to, target) = target();
        let outside = tempfile::NamedTempFile::new().unwrap();
        match stands {
            Some("link") => symlink(outside.path(), to.path().join("file")).unwrap(),
            Some(text) => fs::write(to.path().join("file"), text).unwrap(),
            None => {}
        }
        let node = target.adopt(b"file", Written { place: &place, size: 4 }, &unusual()).unwrap().unwrap();
        assert!(node.problems.is_empty());
        assert_eq!(node.id.inode, inode);
        let found = stat(&to.path().join("file"));
        assert_eq!((found.st_ino, found.st_mode & 0o7777), (inode, 0o751));
        assert_eq!((found.st_mtime, found.st_mtime_nsec as u32), (1_234_567_890, 123_456_789));
        if let Some(owner) = unusual().owner {
            assert_eq!((found.st_uid, found.st_gid), (owner.uid, owner.gid));
        }
        assert!(!from.path().join("file").exists() && !has_parts(to.path()));
        assert_eq!(outside.as_file().metadata().unwrap().len(), 0);
    }
}

#[test]
fn anything_else_is_left_where_it_is() {
    let (from, place, inode) = written();
    let (to, target) = target();
    symlink("file", from.path().join("link")).unwrap();
    fs::create_dir(from.path().join("directory")).unwrap();
    let later = EntryMeta { mtime_ns: 5, ..unusual() };
    let cases = [
        (&b"file"[..], 5, unusual()),
        (b"file", 4, later),
        (b"missing", 4, unusual()),
        (b"link", 4, unusual()),
        (b"directory", 0, unusual()),
    ];
    for (name, size, meta) in cases {
        assert!(target.adopt(name, Written { place: &place, size }, &meta).unwrap().is_none(), "{name:?}");
    }
    assert!(target.adopt(b"../file", Written { place: &place, size: 4 }, &unusual()).is_err());
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);
    assert_eq!(fs::metadata(from.path().join("file")).unwrap().ino(), inode);
}

#[test]
fn a_directory_in_the_way_is_not_replaced() {
    let (_from, place, _) = written();
    let (to, target) = target();
    fs::create_dir(to.path().join("file")).unwrap();
    let refused = target.adopt(b"file", Written { place: &place, size: 4 }, &unusual());
    assert!(matches!(refused, Err(PlaceError::IsADirectory { .. })));
    assert!(!has_parts(to.path()));
}

#[test]
fn a_directory_is_private_if_nobody_else_may_enter() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, place) = target();
    for mode in [0o750, 0o701, 0o777] {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert!(!place.is_private(), "{mode:o}");
    }
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(place.is_private());
    if is_root() {
        std::os::unix::fs::chown(directory.path(), Some(12_345), None).unwrap();
        assert!(!place.is_private());
    }
}
