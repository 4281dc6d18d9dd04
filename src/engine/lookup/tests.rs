//! What is found at a path, and what is said of one that leads nowhere.

use super::*;
use crate::engine::testing::{Bench, path, states_of};
use crate::format::SPLIT_ENTRIES;

#[test]
fn a_path_leads_to_its_entry() {
    let mut bench = Bench::new();
    bench.home("ann").file("a/b/c.txt", "text").symlink("a/link", "b").file(b"a/\xff", "");
    bench.backup("2026-11-20T10:00Z");
    let snapshots = bench.snapshots();
    let (root, mut reader) = (states_of(&snapshots, "ann")[0].root, bench.reader());
    for (name, kind) in [
        (&b""[..], Kind::Directory),
        (b"a/b", Kind::Directory),
        (b"a/b/c.txt", Kind::File),
        (b"a/link", Kind::Symlink),
        (b"a/\xff", Kind::File),
    ] {
        let found = lookup(&mut reader, root, &path(name)).unwrap();
        assert_eq!((Kind::of(&found.entry), found.path), (kind, path(name)));
    }
}

#[test]
fn an_error_says_how_far_the_path_leads() {
    let mut bench = Bench::new();
    bench.home("ann").file("a/b/c.txt", "text").symlink("a/link", "b");
    bench.backup("2026-11-20T10:00Z");
    let snapshots = bench.snapshots();
    let (root, mut reader) = (states_of(&snapshots, "ann")[0].root, bench.reader());
    let mut error = |name: &str| lookup(&mut reader, root, &path(name)).unwrap_err();
    assert!(matches!(error("a/b/x/y"), BrowseError::NotFound { nearest, .. } if nearest == path("a/b")));
    assert!(matches!(error("x"), BrowseError::NotFound { nearest, .. } if nearest.is_home()));
    let file = error("a/b/c.txt/x");
    assert!(
        matches!(&file, BrowseError::NotDirectory { path: p, kind: Kind::File } if *p == path("a/b/c.txt"))
    );
    assert_eq!(file.to_string(), "a/b/c.txt is a file, not a directory");
    assert!(matches!(error("a/link/c.txt"), BrowseError::NotDirectory { kind: Kind::Symlink, .. }));
}

#[test]
fn every_name_of_a_long_listing_is_found_and_no_other() {
    let mut bench = Bench::new();
    let count = 3 * SPLIT_ENTRIES;
    let home = bench.home("ann");
    for n in 0..count {
        home.file(format!("long/{:06}", 2 * n), "");
    }
    bench.backup("2026-11-20T10:00Z");
    let snapshots = bench.snapshots();
    let (root, mut reader) = (states_of(&snapshots, "ann")[0].root, bench.reader());
    let tree = match lookup(&mut reader, root, &path("long")).unwrap().entry.kind {
        EntryKind::Directory(tree) => tree,
        other => panic!("{other:?}"),
    };
    assert!(matches!(reader.tree(&tree), Ok(TreeObject::Index(index)) if index.pages.len() > 3));
    for n in (0..2 * count).step_by(5) {
        let name = format!("{n:06}");
        let found = child(&mut reader, &tree, name.as_bytes()).unwrap();
        assert_eq!(found.map(|entry| entry.name), (n % 2 == 0).then(|| name.into_bytes()));
    }
    assert_eq!(child(&mut reader, &tree, b"zz").unwrap(), None);
}
