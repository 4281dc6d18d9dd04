//! What is called different, what it comes to, and what is not even read.

use super::*;
use crate::engine::testing::{Bench, path, states_of};
use crate::format::Page;

/// `change path` for each difference between the two newest states of a home, and the totals.
fn compared(bench: &Bench, user: &str) -> (Vec<String>, DiffTotals) {
    let snapshots = bench.snapshots();
    let states = states_of(&snapshots, user);
    differences(&mut bench.reader(), Some(states[1].root), Some(states[0].root))
}

fn differences(
    reader: &mut Reader,
    before: Option<&Entry>,
    after: Option<&Entry>,
) -> (Vec<String>, DiffTotals) {
    let mut lines = Vec::new();
    let totals = diff(reader, before, after, &mut |difference| {
        let path = String::from_utf8_lossy(difference.path.as_bytes());
        lines.push(format!("{:?} {path}", difference.change));
        Ok::<_, BrowseError>(())
    });
    (lines, totals.unwrap())
}

#[test]
fn each_change_is_told_by_what_it_is() {
    let mut bench = Bench::new();
    let home = bench.home("ann");
    home.file("same/deep/a", "a").file("content", "old").file("mode", "m").symlink("link", "x").fifo("type");
    home.file("gone/a", "four").file("gone/b/c", "").directory("quiet").file("grown/a", "");
    bench.backup("2026-11-20T10:00Z");
    home.file("content", "newer")
        .mode("mode", 0o600)
        .symlink("link", "y")
        .remove("type")
        .file("type/new", "12");
    home.remove("gone").file("added/a", "abcdef").mode("quiet", 0o700).file("grown/b", "");
    bench.backup("2026-11-20T11:00Z");
    let (lines, totals) = compared(&bench, "ann");
    let expected = [
        "Added added",
        "Added added/a",
        "Content content",
        "Removed gone",
        "Removed gone/a",
        "Removed gone/b",
        "Removed gone/b/c",
        "Added grown/b",
        "Content link",
        "Metadata mode",
        "Metadata quiet",
        "Type type",
        "Added type/new",
    ];
    assert_eq!(lines, expected);
    assert_eq!(totals.added, Counts { files: 3, directories: 1, others: 0 });
    assert_eq!(totals.removed, Counts { files: 2, directories: 2, others: 0 });
    assert_eq!((totals.content_changed, totals.type_changed, totals.metadata_changed), (2, 1, 2));
    assert_eq!((totals.bytes_added, totals.bytes_removed), (5 + 2 + 6, 3 + 4));
}

#[test]
fn equal_directories_are_not_read() {
    let mut bench = Bench::new();
    bench.home("ann").file("x", "");
    bench.backup("2026-11-20T10:00Z");
    let snapshots = bench.snapshots();
    let root = states_of(&snapshots, "ann")[0].root;
    let named =
        |name: &str, kind: &EntryKind| Entry { name: name.into(), kind: kind.clone(), ..root.clone() };
    // Nothing has this id: whoever looked for it would fail.
    let missing = EntryKind::Directory(ChunkId([1; 32]));
    let pages = [EntryKind::Fifo, EntryKind::Symlink(vec![])]
        .map(|kind| Page { entries: vec![named("a", &missing), named("b", &kind), named("c", &missing)] });
    let trees = bench.store_trees(pages.map(|page| page.to_bytes()));
    let roots = trees.map(|tree| named("ann", &EntryKind::Directory(tree)));
    let (lines, _) = differences(&mut bench.reader(), Some(&roots[0]), Some(&roots[1]));
    assert_eq!(lines, ["Type b"]);
    let ended = diff(&mut bench.reader(), Some(&roots[0]), None, &mut |_| Ok::<_, BrowseError>(()));
    assert!(matches!(ended, Err(BrowseError::Read { path: p, .. }) if p == path("a")));
}

#[test]
fn one_side_alone_is_added_or_removed_with_all_below_it() {
    let mut bench = Bench::new();
    bench.home("ann").file("a/b", "four");
    bench.backup("2026-11-20T10:00Z");
    let snapshots = bench.snapshots();
    let root = states_of(&snapshots, "ann")[0].root;
    let (lines, totals) = differences(&mut bench.reader(), None, Some(root));
    assert_eq!(lines, ["Added ", "Added a", "Added a/b"]);
    assert_eq!((totals.added.directories, totals.bytes_added), (2, 4));
    let (lines, _) = differences(&mut bench.reader(), Some(root), None);
    assert_eq!(lines, ["Removed ", "Removed a", "Removed a/b"]);
    assert!(differences(&mut bench.reader(), None, None).0.is_empty());
}

#[test]
fn two_files_or_a_file_and_a_directory_can_be_compared() {
    let mut bench = Bench::new();
    bench.home("ann").file("one", "1").file("two", "22").file("d/x", "");
    bench.backup("2026-11-20T10:00Z");
    let snapshots = bench.snapshots();
    let (root, mut reader) = (states_of(&snapshots, "ann")[0].root, bench.reader());
    let mut entry = |name: &str| crate::engine::lookup::lookup(&mut reader, root, &path(name)).unwrap().entry;
    let (one, two, directory) = (entry("one"), entry("two"), entry("d"));
    assert_eq!(differences(&mut bench.reader(), Some(&one), Some(&two)).0, ["Content "]);
    assert_eq!(differences(&mut bench.reader(), Some(&one), Some(&directory)).0, ["Type ", "Added x"]);
}

#[test]
fn other_link_groups_are_no_change_but_other_names_are() {
    let mut bench = Bench::new();
    let home = bench.home("ann");
    home.file("a", "x").mtime("a", 1_000, 0).hard_link("b", "a");
    bench.backup("2026-11-20T10:00Z");
    home.remove("a").remove("b").file("a", "x").mtime("a", 1_000, 0).hard_link("b", "a");
    bench.backup("2026-11-20T11:00Z");
    assert_eq!(compared(&bench, "ann").0, [""; 0]);
    home.remove("b");
    bench.backup("2026-11-20T12:00Z");
    assert_eq!(compared(&bench, "ann").0, ["Metadata a", "Removed b"]);
}

#[test]
fn a_large_file_counts_by_the_chunks_that_changed() {
    let id = |n: u8| ChunkId([n; 32]);
    let data = |n: u8| Extent::Data { id: id(n), length: 10 };
    let content = |depth, extents: &[Extent]| Content { depth, extents: extents.to_vec() };
    let before = content(0, &[data(1), data(2), Extent::Hole { length: 100 }]);
    let after = content(0, &[data(1), data(3), data(4)]);
    assert_eq!((bytes_only_in(&after, &before), bytes_only_in(&before, &after)), (20, 10));
    assert_eq!(bytes_only_in(&content(1, &[data(1)]), &before), 10);
}

#[test]
fn a_deep_tree_is_compared_to_its_end() {
    let mut bench = Bench::new();
    let home = bench.home("ann");
    let deep = "d/".repeat(3 * OPEN_PAGES);
    home.file(format!("{deep}file"), "1").file("z", "1");
    bench.backup("2026-11-20T10:00Z");
    home.file(format!("{deep}file"), "2").file("z", "2");
    bench.backup("2026-11-20T11:00Z");
    assert_eq!(compared(&bench, "ann").0, [format!("Content {deep}file"), "Content z".into()]);
}
