//! The protocol by which writers, prunes and those who publish snapshots again share a store without locks, as a model
//! of which every state is explored. docs/safety.md has the protocol and the argument in prose.
//!
//! Actors take one step at a time, in every order; a step is one access to the store, or a decision on what
//! was read. That an actor is killed, or sleeps for a year, needs no step: it takes none. Time, grace and
//! minimum age are not modelled: what holds here holds without them.
//!
//! The store begins with one snapshot: `FIRST`, whose commit carries a chunk, and which names `old`, which
//! holds another, and `spare`, which holds none of its own. Configurations say who takes part. With the rules all of
//! them hold; and each rule is broken on purpose in one of them, which shows that it is needed, and that
//! the model would see it: run a test with `--nocapture` for the shortest trace to what goes wrong.
//!
//! `HOMEKEEP_MODEL=all` explores larger configurations too, which takes half an hour and 4 GB:
//! `cargo test --test it protocol -- --nocapture --test-threads 1`.

mod explore;
mod look;
mod promise;
mod prune;
mod republish;
mod set;
mod state;
mod store;
mod symmetry;
mod words;
mod writer;

use self::explore::{Found, explore};
use self::set::Set;
use self::state::{Base, Listing, Plan, Reader, Republish, Setup, Wrong};
use self::store::{Comparison, FIRST, OLD};

const ALONE: Plan = Plan { base: Base::None, spare: false };
const WITH_SPARE: Plan = Plan { base: Base::None, spare: true };
const OVER_FIRST: Plan = Plan { base: Base::First, spare: false };
const OVER_OTHER: Plan = Plan { base: Base::Other, spare: false };
const ANY: &[Plan] = &[OVER_FIRST, WITH_SPARE];

const REPACK: Republish = Republish::Repack { id: 0, poor: Set::of(&[OLD]) };
const REPACK_ALL: Republish = Republish::Repack { id: 0, poor: Set::of(&[OLD, FIRST]) };
const REPACK_WRITTEN: Republish = Republish::Repack { id: 1, poor: Set::of(&[3]) };
const UNDO: Republish = Republish::Undo { id: 0 };

/// One writer, one prune; the first snapshot may be forgotten.
const WRITING: Setup = Setup { writers: &[ANY], prunes: 1, forgettable: &[0], ..Setup::EMPTY };
const REPACKING: Setup = Setup { prunes: 2, republishers: &[REPACK], ..Setup::EMPTY };
const UNDOING: Setup = Setup { prunes: 2, republishers: &[UNDO], is_forgotten: true, ..Setup::EMPTY };
/// A writer whose first attempt others may publish again before it makes the next.
const REPACKING_WRITTEN: Setup =
    Setup { writers: &[&[WITH_SPARE]], prunes: 2, republishers: &[REPACK_WRITTEN], ..Setup::EMPTY };

/// Expects that the promise is broken when one of the rules is, and kept when none is.
fn assert_needed(wrong: Wrong, setup: Setup) {
    match explore(&Setup { wrong: Some(wrong), ..setup }) {
        Found::Broken { states, trace } => println!("{wrong:?}, broken after {states} states:\n{trace}"),
        Found::Holds { states } => panic!("{wrong:?} breaks nothing in {states} states"),
    }
}

fn assert_holds(name: &str, setup: Setup) {
    match explore(&setup) {
        Found::Holds { states } => println!("{name}: holds, {states} states"),
        Found::Broken { states, trace } => panic!("{name}: broken after {states} states:\n{trace}"),
    }
}

/// Larger configurations are explored when somebody asks for it.
fn is_thorough() -> bool {
    std::env::var_os("HOMEKEEP_MODEL").is_some()
}

#[test]
fn a_writer_must_look_after_it_has_published() {
    assert_needed(Wrong::NoLook, WRITING);
    assert_needed(Wrong::LookBeforePublishing, WRITING);
}

#[test]
fn an_attempt_must_not_be_numbered_like_what_others_publish_again() {
    assert_needed(Wrong::AttemptsNumberedAsRepublished, Setup { prunes: 1, ..REPACKING_WRITTEN });
    assert_holds("an attempt published again", REPACKING_WRITTEN);
}

#[test]
fn a_prune_must_list_commits_again_after_it_has_condemned() {
    assert_needed(Wrong::DeleteWithoutListingAgain, WRITING);
}

#[test]
fn a_prune_must_judge_commits_by_records_that_were_listed_after_them() {
    let two_repacks = Setup { republishers: &[REPACK, REPACK_ALL], ..REPACKING };
    assert_needed(Wrong::JudgeByOldRecords, two_repacks);
}

#[test]
fn a_prune_must_carry_out_only_what_was_condemned_before_it_listed_commits_again() {
    assert_needed(Wrong::CarryOutUnlisted, Setup { prunes: 2, ..WRITING });
}

#[test]
fn the_record_of_what_was_deleted_must_stand_before_the_condemnation_goes() {
    assert_needed(Wrong::WithdrawBeforeDeleted, WRITING);
}

#[test]
fn a_condemnation_must_stand_until_all_of_it_is_recorded_as_deleted() {
    assert_needed(Wrong::WithdrawSpared, UNDOING);
}

#[test]
fn one_listing_is_not_a_look() {
    let spread = Setup { records: Listing::Spread, ..WRITING };
    assert_needed(Wrong::ListOnce, spread);
    assert_holds("listings take time", spread);
}

/// The longest of the traces: two prunes pass what was deleted on from record to record, one step in each of the two
/// listings, in front of a writer that so sees it in none.
#[test]
fn a_deleted_record_must_not_be_replaced_while_a_commit_names_what_it_speaks_of() {
    let spread =
        Setup { writers: &[&[WITH_SPARE]], records: Listing::Spread, prunes: 2, is_lean: true, ..WRITING };
    assert_needed(Wrong::MergeAtOnce, Setup { forgettable: &[], ..spread });
    assert_needed(Wrong::MergeUnlisted, Setup { forgettable: &[], ..spread });
}

#[test]
fn only_what_was_condemned_before_the_objects_were_listed_can_be_gone() {
    let three = Setup { prunes: 3, republishers: &[REPACK], is_lean: true, ..Setup::EMPTY };
    assert_needed(Wrong::TakeUnlistedAsGone, three);
}

#[test]
fn the_old_commit_must_count_until_the_new_one_has_passed() {
    assert_needed(Wrong::OldCommitNotRoot, REPACKING);
}

#[test]
fn an_undo_must_look_after_it_removed_the_mark() {
    assert_needed(Wrong::UndoWithoutLook, UNDOING);
}

#[test]
fn a_reader_must_pick_the_highest_commit_that_passes_or_is_whole() {
    for reader in [Reader::Highest, Reader::Passing(Comparison::Deps), Reader::Passing(Comparison::Exact)] {
        match explore(&Setup { reader, ..REPACKING_WRITTEN }) {
            Found::Broken { states, trace } => println!("{reader:?}, broken after {states} states:\n{trace}"),
            Found::Holds { states } => panic!("{reader:?} breaks nothing in {states} states"),
        }
    }
}

#[test]
fn the_rules_hold_while_two_write() {
    let two = Setup { writers: &[ANY, ANY], is_lean: true, ..WRITING };
    assert_holds("2 writers, 1 prune, forget", two);
    let other = Setup { writers: &[ANY, &[OVER_OTHER, ALONE]], ..WRITING };
    assert_holds("2 writers, one over the other, 1 prune, forget", other);
    let few = Setup { writers: &[&[WITH_SPARE], &[WITH_SPARE]], prunes: 2, ..two };
    assert_holds("2 writers, 2 prunes, forget", few);
}

#[test]
fn the_rules_hold_while_some_publish_again() {
    assert_holds("2 prunes, 2 repacks", Setup { republishers: &[REPACK, REPACK_ALL], ..REPACKING });
    let by_deps = Setup { comparison: Comparison::Deps, ..REPACKING };
    assert_holds("2 prunes, repack, compared by deps", by_deps);
    assert_holds("2 prunes, 2 undos", Setup { republishers: &[UNDO, UNDO], ..UNDOING });
    assert_holds("1 writer, 1 prune, repack, forget", Setup { republishers: &[REPACK], ..WRITING });
    let undo = Setup { forgettable: &[], republishers: &[UNDO], is_forgotten: true, ..WRITING };
    assert_holds("1 writer, 1 prune, undo", undo);
}

#[test]
fn larger_configurations_hold_too() {
    if !is_thorough() {
        return;
    }
    let spread = |setup: Setup| Setup { records: Listing::Spread, ..setup };
    let two = Setup { prunes: 2, ..WRITING };
    assert_holds("1 writer, 2 prunes, forget", two);
    assert_holds("1 writer, 2 prunes, forget, records take time", spread(two));
    assert_holds("1 writer, 2 prunes, forget, commits take time", Setup { commits: Listing::Spread, ..two });
    assert_holds("1 writer, 2 prunes, repack", Setup { republishers: &[REPACK], forgettable: &[], ..two });
    let undo = Setup { republishers: &[UNDO], is_forgotten: true, forgettable: &[], ..two };
    assert_holds("1 writer, 2 prunes, undo", undo);
    assert_holds("2 prunes, undo, records take time", spread(UNDOING));
    assert_holds("2 prunes, repack, records take time", spread(REPACKING));
    let both = Setup { republishers: &[REPACK, UNDO], forgettable: &[0], ..REPACKING };
    assert_holds("2 prunes, repack, undo, forget", both);
    assert_holds("3 prunes, undo", Setup { prunes: 3, ..UNDOING });
    assert_holds(
        "3 prunes, repack, commits take time",
        Setup { prunes: 3, commits: Listing::Spread, ..REPACKING },
    );
    assert_holds("2 writers, 2 prunes, forget", Setup { writers: &[ANY, ANY], is_lean: true, ..two });
    let other = Setup { writers: &[ANY, &[OVER_OTHER, ALONE]], is_lean: true, ..two };
    assert_holds("2 writers, one over the other, 2 prunes, forget", other);
}
