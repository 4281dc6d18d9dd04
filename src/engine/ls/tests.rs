//! What a listing shows, and that the shape of a tree does not matter to it.

use super::*;
use crate::engine::lookup::lookup;
use crate::engine::testing::{Bench, path, states_of};
use crate::format::SPLIT_ENTRIES;

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
