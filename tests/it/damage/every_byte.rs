//! Every byte of every object of a tiny repository: flipped, cut off, zeroed; and what is put behind it.

use std::collections::HashSet;

use homekeep::format::ObjectName;
use homekeep::store::Store;

use super::checking::assert_checked;
use super::examine::{Machine, examine};
use super::reading::reading;
use super::tiny::Tiny;
use super::with;

/// Every form of damage is given to the decoders. The first of each answer goes through every verb, and one in so
/// many of the others, lest something should look at the bytes in a way that `reading` does not know.
const EVERY: usize = 128;
/// The variable that sets another number; with 1, every form of damage goes through every verb.
const EVERY_VARIABLE: &str = "HOMEKEEP_TEST_EVERY";

fn every() -> usize {
    std::env::var(EVERY_VARIABLE).map_or(EVERY, |every| every.parse().expect("a number above zero"))
}

/// Damages the objects below `prefix` in every way that `damages` gives for their bytes, and lets a
/// machine that never saw the repository use it, and one that knows it.
fn assert_survives(tiny: &Tiny, prefix: &str, damages: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    let repository = tiny.site.repository();
    let objects = tiny.names(prefix);
    assert!(!objects.is_empty(), "there is nothing below {prefix}");
    for name in objects {
        let (mut answers, sound) = (HashSet::new(), tiny.store.get(&name).unwrap());
        for (n, bytes) in damages(&sound).into_iter().enumerate().filter(|(_, bytes)| *bytes != sound) {
            if !answers.insert(reading(&repository, &name, &bytes)) && n % every() != 0 {
                continue;
            }
            for machine in [Machine::New, Machine::Old] {
                let complaints = examine(tiny, machine, with(&tiny.store, &[(&name, Some(&bytes))]));
                assert_named(&name, &complaints);
                assert_checked(tiny, machine, with(&tiny.store, &[(&name, Some(&bytes))]), &[&name]);
            }
        }
    }
}

/// What is wrong need not matter. If it does, it has a name.
fn assert_named(name: &ObjectName, complaints: &[String]) {
    let is_named = |text: &String| text.contains(name.as_str());
    assert!(complaints.is_empty() || complaints.iter().any(is_named), "{name}: {complaints:?}");
}

/// One bit of each byte, chosen by its place.
fn flipped(bytes: &[u8]) -> Vec<Vec<u8>> {
    let flip = |at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1 << (at % 8);
        bytes
    };
    (0..bytes.len()).map(flip).collect()
}

/// Every shorter length.
fn cut(bytes: &[u8]) -> Vec<Vec<u8>> {
    (0..bytes.len()).map(|length| bytes[..length].to_vec()).collect()
}

/// What file systems and disks make of a file: sectors and pages of zeros, ends that were never written,
/// and something behind the end.
fn zeroed_or_grown(bytes: &[u8]) -> Vec<Vec<u8>> {
    let zeroed = |start: usize, length: usize| {
        let mut bytes = bytes.to_vec();
        let end = bytes.len().min(start + length);
        bytes[start..end].fill(0);
        bytes
    };
    let mut damages = Vec::new();
    for length in [1, 16, 512, 4096] {
        damages.extend((0..bytes.len()).step_by(length).map(|start| zeroed(start, length)));
    }
    damages.extend((0..bytes.len()).step_by(512).map(|start| zeroed(start, bytes.len())));
    let behind: [&[u8]; 4] = [&[0], &[0; 512], &[0xff; 4096], bytes];
    damages.extend(behind.map(|more| [bytes, more].concat()));
    damages
}

/// The descriptor, the key slots and the marks, which are short.
const SHORT: [&str; 3] = ["format", "keys/", "forgotten/"];

#[test]
fn every_flipped_byte_of_what_opens_and_marks_gives_right_results_or_names_the_object() {
    let tiny = Tiny::new();
    SHORT.iter().for_each(|prefix| assert_survives(&tiny, prefix, flipped));
}

#[test]
fn what_opens_and_marks_cut_zeroed_or_grown_gives_right_results_or_names_the_object() {
    let tiny = Tiny::new();
    for prefix in SHORT {
        assert_survives(&tiny, prefix, cut);
        assert_survives(&tiny, prefix, zeroed_or_grown);
    }
}

#[test]
fn every_flipped_byte_of_a_segment_gives_right_results_or_names_it() {
    assert_survives(&Tiny::new(), "segments/", flipped);
}

#[test]
fn a_segment_cut_at_every_length_zeroed_or_grown_gives_right_results_or_names_it() {
    let tiny = Tiny::new();
    assert_survives(&tiny, "segments/", cut);
    assert_survives(&tiny, "segments/", zeroed_or_grown);
}

#[test]
fn every_flipped_byte_of_a_commit_gives_right_results_or_names_it() {
    assert_survives(&Tiny::new(), "snapshots/", flipped);
}

#[test]
fn a_commit_cut_at_every_length_zeroed_or_grown_gives_right_results_or_names_it() {
    let tiny = Tiny::new();
    assert_survives(&tiny, "snapshots/", cut);
    assert_survives(&tiny, "snapshots/", zeroed_or_grown);
}

#[test]
fn every_flipped_byte_of_an_index_image_gives_right_results() {
    assert_survives(&Tiny::with_image(), "index/", flipped);
}

#[test]
fn an_index_image_cut_at_every_length_zeroed_or_grown_gives_right_results() {
    let tiny = Tiny::with_image();
    assert_survives(&tiny, "index/", cut);
    assert_survives(&tiny, "index/", zeroed_or_grown);
}

#[test]
fn every_flipped_byte_of_a_record_of_garbage_collection_gives_right_results_or_names_it() {
    assert_survives(&Tiny::with_records(), "gc/", flipped);
}

#[test]
fn a_record_of_garbage_collection_cut_zeroed_or_grown_gives_right_results_or_names_it() {
    let tiny = Tiny::with_records();
    assert_survives(&tiny, "gc/", cut);
    assert_survives(&tiny, "gc/", zeroed_or_grown);
}

#[test]
fn every_flipped_byte_of_history_gives_right_results_or_names_it() {
    assert_survives(&Tiny::with_history(), "history/", flipped);
}

#[test]
fn history_cut_at_every_length_zeroed_or_grown_gives_right_results_or_names_it() {
    let tiny = Tiny::with_history();
    assert_survives(&tiny, "history/", cut);
    assert_survives(&tiny, "history/", zeroed_or_grown);
}

/// A new machine that begins with an image has not read the segments whose ends the image repeats.
#[test]
fn damage_behind_an_index_image_gives_right_results_or_names_the_object() {
    let tiny = Tiny::with_image();
    for prefix in ["segments/", "snapshots/"] {
        assert_survives(&tiny, prefix, |bytes| {
            [flipped(bytes), cut(bytes)].concat().into_iter().step_by(8).collect()
        });
    }
}
