//! What is found where, and that shared directories are searched once.

use jiff::Timestamp;

use super::*;
use crate::engine::Kind;
use crate::engine::diff::Change;
use crate::engine::select::{Filter, states};
use crate::engine::testing::{Bench, path, states_of};

fn patterns(patterns: &[&str]) -> FindOptions {
    FindOptions { patterns: patterns.iter().map(|p| p.to_string()).collect(), ..FindOptions::default() }
}

/// The paths in the newest state, `*` before a repeat.
fn found(bench: &Bench, options: FindOptions) -> Vec<String> {
    let snapshots = bench.snapshots();
    let newest = &states_of(&snapshots, "ann")[..1];
    found_in(bench, newest, options).0.into_iter().map(|(_, path)| path).collect()
}

/// `(id of the snapshot, path)`, `*` before a path for a repeat.
fn found_in(
    bench: &Bench,
    states: &[HomeState<'_>],
    options: FindOptions,
) -> (Vec<(String, String)>, FindReport) {
    let query = Query::new(options).unwrap();
    let mut found = Vec::new();
    let report = find(&mut bench.reader(), states, &query, &mut |f| {
        let mark = if f.is_repeat { "*" } else { "" };
        found.push((f.state.snapshot.record.id.to_hex(), format!("{mark}{}", f.path)));
        Ok::<_, BrowseError>(())
    });
    (found, report.unwrap())
}

#[test]
fn patterns_are_names_or_paths_of_any_bytes() {
    let mut bench = Bench::new();
    let home = bench.home("ann");
    home.file("a/notes.md", "").file("b/Notes.MD", "").file("a/x.log/y", "").file(b"a/\xff.md", "");
    bench.backup("2026-11-20T10:00Z");
    assert_eq!(found(&bench, patterns(&["notes.md"])), ["a/notes.md"]);
    assert_eq!(found(&bench, patterns(&["*.md"])), ["a/notes.md", "a/\u{fffd}.md"]);
    assert_eq!(found(&bench, patterns(&["?.md"])), ["a/\u{fffd}.md"]);
    assert_eq!(found(&bench, patterns(&["*.md", "!notes*"])), ["a/\u{fffd}.md"]);
    assert_eq!(found(&bench, patterns(&["a/*.md"])), ["a/notes.md", "a/\u{fffd}.md"]);
    assert_eq!(found(&bench, patterns(&["*.log/"])), ["a/x.log"]);
    assert_eq!(found(&bench, patterns(&["**/y", "/b"])), ["a/x.log/y", "b"]);
    let absolute = format!("{}/*/Notes*", home.at("").display());
    assert_eq!(found(&bench, patterns(&[&absolute.replace("//", "/")])), ["b/Notes.MD"]);
    let folded = FindOptions { ipatterns: vec!["NOTES.md".into()], ..FindOptions::default() };
    assert_eq!(found(&bench, folded), ["a/notes.md", "b/Notes.MD"]);
    let below = FindOptions { below: path("a"), ..patterns(&["*.md", "*.MD"]) };
    assert_eq!(found(&bench, below), ["a/notes.md", "a/\u{fffd}.md"]);
    let error = Query::new(patterns(&["[a"])).unwrap_err();
    assert_eq!(error.to_string(), "\"[a\" is not a usable pattern");
}

#[test]
fn kinds_sizes_and_times_narrow_a_search() {
    let mut bench = Bench::new();
    let home = bench.home("ann");
    home.file("small", "1").file("large", "12345").directory("d").symlink("link", "small").fifo("pipe");
    home.mtime("small", 100, 5).mtime("large", 200, 0);
    bench.backup("2026-11-20T10:00Z");
    let any = FindOptions::default;
    let at = |s, ns| Some(Timestamp::new(s, ns).unwrap());
    assert_eq!(found(&bench, any()), ["d", "large", "link", "pipe", "small"]);
    let kinds = vec![Kind::Directory, Kind::Fifo];
    assert_eq!(found(&bench, FindOptions { kinds, ..any() }), ["d", "pipe"]);
    assert_eq!(found(&bench, FindOptions { larger_than: Some(1), ..any() }), ["large"]);
    assert_eq!(found(&bench, FindOptions { smaller_than: Some(5), ..any() }), ["small"]);
    assert_eq!(found(&bench, FindOptions { older_than: at(100, 6), ..any() }), ["small"]);
    assert_eq!(found(&bench, FindOptions { older_than: at(100, 5), ..any() }), [""; 0]);
    assert_eq!(
        found(&bench, FindOptions { newer_than: at(100, 5), older_than: at(201, 0), ..any() }),
        ["large"]
    );
}

#[test]
fn what_snapshots_share_is_read_once_and_found_in_each() {
    let mut bench = Bench::new();
    let home = bench.home("ann");
    home.file("deep/er/match", "").file("changing/match", "").file("changing/other", "0");
    for n in 0..20 {
        home.file(format!("same-{n:02}/x"), "");
    }
    for hour in 0..10 {
        home.file("changing/other", hour.to_string());
        bench.backup(&format!("2026-11-20T{hour:02}:00Z"));
    }
    let snapshots = bench.snapshots();
    let states = states_of(&snapshots, "ann");
    let (found, report) = found_in(&bench, &states, patterns(&["match"]));
    let expected: Vec<_> = states
        .iter()
        .enumerate()
        .flat_map(|(n, state)| {
            let mark = if n == 0 { "" } else { "*" };
            ["changing/match", "deep/er/match"]
                .map(|p| (state.snapshot.record.id.to_hex(), format!("{mark}{p}")))
        })
        .collect();
    assert_eq!(found, expected);
    // All 24 directories once, and after that the home and the one that changed.
    let expected =
        FindReport { matches: 20, distinct: 2, directories_read: 24 + 9 * 2, directories_known: 9 * 21 };
    assert_eq!(report, expected);
}

#[test]
fn homes_are_searched_each_in_its_own_place() {
    let mut bench = Bench::new();
    for user in ["ann", "bob"] {
        bench.home(user).file("d/x", "").mtime("d/x", 1, 0).mtime("d", 1, 0);
    }
    bench.backup("2026-11-20T10:00Z");
    let snapshots = bench.snapshots();
    let all = states(&snapshots, &Filter::default(), Timestamp::MAX);
    let absolute = bench.homes().join("bob/d/x");
    let (found, _) = found_in(&bench, &all, patterns(&[absolute.to_str().unwrap()]));
    assert_eq!(found.len(), 1);
    let (found, report) = found_in(&bench, &all, patterns(&["x"]));
    assert_eq!((found.len(), report.distinct), (2, 2));
}

#[test]
fn a_path_has_a_history() {
    let mut bench = Bench::new();
    let home = bench.home("ann");
    home.file("d/f", "1").mtime("d/f", 1, 0);
    let first = bench.backup("2026-11-20T10:00Z");
    home.file("other", "x");
    let second = bench.backup("2026-11-20T11:00Z");
    home.file("d/f", "2").mtime("d/f", 1, 0);
    let third = bench.backup("2026-11-20T12:00Z");
    home.remove("d").file("d", "no directory");
    let fourth = bench.backup("2026-11-20T13:00Z");
    home.remove("d").file("d/f", "2").mtime("d/f", 2, 0);
    let fifth = bench.backup("2026-11-20T14:00Z");
    let snapshots = bench.snapshots();
    let states = states_of(&snapshots, "ann");
    let versions = history(&mut bench.reader(), &states, &path("d/f")).unwrap();
    let told: Vec<_> = versions
        .iter()
        .map(|v| (v.oldest.record.id, v.newest.record.id, v.snapshots, v.change, v.entry.is_some()))
        .collect();
    let expected = [
        (fifth, fifth, 1, Some(Change::Added), true),
        (fourth, fourth, 1, Some(Change::Removed), false),
        (third, third, 1, Some(Change::Content), true),
        (first, second, 2, None, true),
    ];
    assert_eq!(told, expected);
    assert_eq!(history(&mut bench.reader(), &states, &path("d")).unwrap().len(), 4);
    assert_eq!(history(&mut bench.reader(), &states, &path("never")).unwrap().len(), 1);
}

#[test]
fn a_new_empty_home_says_nothing_of_what_it_lacks() {
    let mut bench = Bench::new();
    let home = bench.home("ann");
    (0..10).for_each(|n| {
        home.file(format!("{n}"), "some bytes");
    });
    bench.backup("2026-11-20T10:00Z");
    (1..10).for_each(|n| {
        home.remove(format!("{n}"));
    });
    bench.backup("2026-11-20T11:00Z");
    let snapshots = bench.snapshots();
    let states = states_of(&snapshots, "ann");
    let count = |name: &str| history(&mut bench.reader(), &states, &path(name)).unwrap()[0].snapshots;
    assert_eq!((count("0"), count("5")), (2, 1));
}
