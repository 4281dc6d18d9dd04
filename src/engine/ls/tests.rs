//! What a listing shows, and that the shape of a tree does not matter to it.

use super::*;
use crate::codec::ChunkId;
use crate::engine::lookup::lookup;
use crate::engine::testing::{Bench, path, states_of};
use crate::format::{Page, PageIndex, SPLIT_ENTRIES};
use crate::repo::RepoError;

fn listed(bench: &Bench, start: &str, depth: Depth) -> Vec<String> {
    let snapshots = bench.snapshots();
    let mut reader = bench.reader();
    let start = lookup(&mut reader, states_of(&snapshots, "ann")[0].root, &path(start)).unwrap();
    let mut paths = Vec::new();
    ls(&mut reader, &start, depth, &mut |path, _| {
        paths.push(path.to_string());
        Ok::<_, BrowseError>(())
    })
    .unwrap();
    paths
}

#[test]
fn children_or_everything_or_the_file_itself() {
    let mut bench = Bench::new();
    bench.home("ann").file("a/b/c", "").file("a/d", "").directory("e").file("f", "");
    bench.backup("2026-11-20T10:00Z");
    assert_eq!(listed(&bench, "", Depth::Children), ["a", "e", "f"]);
    assert_eq!(listed(&bench, "", Depth::Everything), ["a", "a/b", "a/b/c", "a/d", "e", "f"]);
    assert_eq!(listed(&bench, "a", Depth::Children), ["a/b", "a/d"]);
    assert_eq!(listed(&bench, "a/d", Depth::Everything), ["a/d"]);
    assert!(listed(&bench, "e", Depth::Everything).is_empty());
}

#[test]
fn a_visitor_ends_the_listing_with_its_own_error() {
    let mut bench = Bench::new();
    bench.home("ann").file("a", "").file("b", "");
    bench.backup("2026-11-20T10:00Z");
    let snapshots = bench.snapshots();
    let mut reader = bench.reader();
    let start = lookup(&mut reader, states_of(&snapshots, "ann")[0].root, &path("")).unwrap();
    let mut shown = 0;
    let ended = ls(&mut reader, &start, Depth::Children, &mut |_, _| {
        shown += 1;
        Err(BrowseError::Write(std::io::ErrorKind::BrokenPipe.into()))
    });
    assert!(matches!(ended, Err(BrowseError::Write(_))) && shown == 1);
}

#[test]
fn pages_let_go_on_the_way_down_are_taken_up_where_they_were() {
    let mut bench = Bench::new();
    let home = bench.home("ann");
    let mut deep = String::new();
    let mut expected = Vec::new();
    for _ in 0..100 {
        for name in ["a", "c"] {
            home.file(format!("{deep}{name}"), "");
            expected.push(format!("{deep}{name}"));
        }
        expected.push(format!("{deep}b"));
        deep += "b/";
    }
    home.file(format!("{deep}end"), "");
    expected.push(format!("{deep}end"));
    let long = (0..2 * SPLIT_ENTRIES).map(|n| format!("z/{n:06}"));
    expected.push("z".into());
    long.for_each(|name| {
        home.file(&name, "");
        expected.push(name);
    });
    bench.backup("2026-11-20T10:00Z");
    let mut found = listed(&bench, "", Depth::Everything);
    assert!(found.iter().position(|p| p == "b/b").unwrap() < found.iter().position(|p| p == "c").unwrap());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn an_index_that_is_no_index_of_pages_is_refused() {
    let mut bench = Bench::new();
    bench.home("ann").file("x", "");
    bench.backup("2026-11-20T10:00Z");
    let snapshots = bench.snapshots();
    let root = states_of(&snapshots, "ann")[0].root;
    let page = |name: &str| {
        let entry = Entry { name: name.into(), kind: EntryKind::Fifo, ..root.clone() };
        Page { entries: vec![entry] }.to_bytes()
    };
    let index = |ids: &[ChunkId]| PageIndex { pages: ids.iter().map(|id| (*id, 1)).collect() }.to_bytes();
    let [a, b, empty] = bench.store_trees([page("a"), page("b"), Page::default().to_bytes()]);
    let [good] = bench.store_trees([index(&[a, b])]);
    let trees = bench.store_trees([index(&[b, a]), index(&[a, a]), index(&[a, good])]);
    let list = |tree: ChunkId| {
        let entry = Entry { kind: EntryKind::Directory(tree), ..root.clone() };
        let start = Located { path: path("d"), entry };
        let mut names = 0;
        let ended = ls(&mut bench.reader(), &start, Depth::Everything, &mut |_, _| {
            names += 1;
            Ok::<_, BrowseError>(())
        });
        (names, ended)
    };
    assert!(matches!(list(good), (2, Ok(()))));
    for tree in trees {
        let (_, ended) = list(tree);
        let refused = |error: &RepoError| matches!(error, RepoError::Format { .. });
        assert!(
            matches!(ended, Err(BrowseError::Read { path: p, source }) if p == path("d") && refused(&source))
        );
    }
    let [with_empty] = bench.store_trees([index(&[empty, a])]);
    let root = Entry { kind: EntryKind::Directory(with_empty), ..root.clone() };
    assert!(lookup(&mut bench.reader(), &root, &path("a")).is_ok());
    assert!(lookup(&mut bench.reader(), &root, &path("0")).is_err());
}
