//! Objects in each other's places, objects that are not there, and old ones under new names.

use homekeep::codec::Hash;
use homekeep::format::{CommitName, ObjectName};
use homekeep::store::Store;

use super::checking::assert_checked;
use super::examine::{Machine, examine};
use super::tiny::Tiny;
use super::with;

const MACHINES: [Machine; 2] = [Machine::New, Machine::Old];

#[test]
fn two_objects_that_changed_places_are_not_taken_for_each_other() {
    let tiny = Tiny::with_image();
    let all = tiny.names("");
    for (n, one) in all.iter().enumerate() {
        for other in &all[n + 1..] {
            let [bytes, other_bytes] = [one, other].map(|name| tiny.store.get(name).unwrap());
            for machine in MACHINES {
                let changes = [(one, Some(&other_bytes[..])), (other, Some(&bytes[..]))];
                assert_named(&[one, other], &examine(&tiny, machine, with(&tiny.store, &changes)));
                assert_checked(&tiny, machine, with(&tiny.store, &changes), &[one, other]);
            }
        }
    }
}

#[test]
fn an_object_in_the_place_of_another_is_not_taken_for_it() {
    let tiny = Tiny::with_records();
    let all = tiny.names("");
    for name in &all {
        for other in all.iter().filter(|other| *other != name) {
            let bytes = tiny.store.get(other).unwrap();
            for machine in MACHINES {
                let store = || with(&tiny.store, &[(name, Some(&bytes))]);
                assert_named(&[name], &examine(&tiny, machine, store()));
                assert_checked(&tiny, machine, store(), &[name]);
            }
        }
    }
}

#[test]
fn a_missing_object_gives_right_results_or_a_complaint() {
    for tiny in [Tiny::new(), Tiny::with_image(), Tiny::with_records()] {
        for name in tiny.names("") {
            // Nothing here says what a complaint is about: `examine` has seen to it that there is one.
            for machine in MACHINES {
                examine(&tiny, machine, with(&tiny.store, &[(&name, None)]));
                assert_checked(&tiny, machine, with(&tiny.store, &[(&name, None)]), &[&name]);
            }
        }
    }
}

/// Somebody who can write into the store, but has no key, presents an old snapshot as a new form of the newest.
#[test]
fn an_old_snapshot_under_a_newer_ones_name_is_named_and_not_believed() {
    let tiny = Tiny::new();
    let commits = tiny.names("snapshots/");
    let named: Vec<_> = commits.iter().map(|name| CommitName::parse(name).unwrap()).collect();
    for (old, new) in [(0, 1), (1, 0), (0, 2)] {
        let bytes = tiny.store.get(&commits[old]).unwrap();
        let hash = Hash::of(&bytes);
        let raised = CommitName { supersession: named[new].supersession + 1, hash, ..named[new].clone() };
        let same = CommitName { hash, ..named[new].clone() };
        for forged in [raised, same] {
            let forged = forged.to_object_name();
            for machine in MACHINES {
                let store = || with(&tiny.store, &[(&forged, Some(&bytes))]);
                assert_named(&[&forged], &examine(&tiny, machine, store()));
                assert_checked(&tiny, machine, store(), &[&forged]);
            }
        }
    }
}

/// A whole segment under another's name is read like any other until a check hashes it; then what is not in it
/// is said to be missing, by its chunk.
fn assert_named(names: &[&ObjectName], complaints: &[String]) {
    let is_named = |text: &String| names.iter().any(|name| text.contains(name.as_str()));
    let is_missing = |text: &String| text.contains("is in no segment of the repository");
    let is_told = complaints.iter().any(|text| is_named(text) || is_missing(text));
    assert!(complaints.is_empty() || is_told, "{names:?}: {complaints:?}");
}
