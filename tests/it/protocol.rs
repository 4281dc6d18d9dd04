//! The protocol by which writers and prunes share a store without locks.

mod explore;
mod promise;
mod prune;
mod republish;
mod set;
mod state;
mod store;
mod writer;

use self::explore::{Found, explore};
use self::set::Set;
use self::state::{Base, Listing, Numbering, Plan, Reader, Republish, Setup, Wrong};
use self::store::{FIRST, Look, OLD};

const REPACK: Republish = Republish::Repack { id: 0, poor: Set::of(&[OLD]) };
const REPACK_ALL: Republish = Republish::Repack { id: 0, poor: Set::of(&[OLD, FIRST]) };
const REPACK_WRITTEN: Republish = Republish::Repack { id: 1, poor: Set::of(&[3]) };
const ALONE: Plan = Plan { base: Base::None, spare: false };
const OVER_FIRST: Plan = Plan { base: Base::First, spare: false };
const WITH_SPARE: Plan = Plan { base: Base::None, spare: true };
const OVER_OTHER: Plan = Plan { base: Base::Other, spare: false };

const UNDO: Republish = Republish::Undo { id: 0 };
const ONE_WRITER: &[&[Plan]] = &[&[OVER_FIRST, WITH_SPARE]];
const RULES: Setup = Setup { numbering: Numbering::Leap, ..Setup::EMPTY };

/// A finding about the rules as they were first written down: the setup breaks a promise.
fn assert_broken(name: &str, setup: &Setup) {
    match explore(setup) {
        Found::Broken { states, trace } => println!("{name}: broken after {states} states\n{trace}"),
        Found::Holds { states } => panic!("{name}: holds, {states} states"),
    }
}

fn assert_holds(name: &str, setup: &Setup) {
    match explore(setup) {
        Found::Holds { states } => println!("{name}: holds, {states} states"),
        Found::Broken { states, trace } => panic!("{name}: broken after {states} states\n{trace}"),
    }
}

/// A writer's next attempt and a repack of its first have the same supersession, and other contents.
#[test]
fn an_attempt_must_not_be_numbered_like_a_republished_one() {
    let setup =
        Setup { writers: &[&[WITH_SPARE]], prunes: 1, republishers: &[REPACK_WRITTEN], ..Setup::EMPTY };
    assert_broken("next number", &setup);
    assert_holds("leap", &Setup { numbering: Numbering::Leap, ..setup });
}

#[test]
fn the_second_round_of_a_prune_must_read_the_records_again() {
    let two_repacks = Setup { prunes: 2, republishers: &[REPACK, REPACK_ALL], ..RULES };
    assert_broken("old records", &Setup { wrong: Some(Wrong::LookWithOldRecords), ..two_repacks });
    assert_holds("new records", &two_repacks);
}

#[test]
fn what_is_carried_out_must_have_been_read_before_the_second_listing() {
    let wrong = Some(Wrong::CarryOutUnlisted);
    assert_broken(
        "later records",
        &Setup { writers: ONE_WRITER, prunes: 2, forgettable: &[0], wrong, ..RULES },
    );
}

#[test]
fn condemned_records_must_be_listed_before_deleted_ones() {
    let setup = Setup { writers: ONE_WRITER, prunes: 1, forgettable: &[0], ..RULES };
    assert_broken("backwards", &Setup { listing: Listing::PagesBackwards, ..setup });
    assert_holds("in order", &Setup { listing: Listing::Pages, ..setup });
}

#[test]
fn a_reader_must_pick_the_highest_commit_that_is_whole() {
    let setup = Setup { writers: &[&[WITH_SPARE]], prunes: 2, republishers: &[REPACK_WRITTEN], ..RULES };
    for reader in [Reader::Highest, Reader::Passing(Look::Deps), Reader::Passing(Look::Exact)] {
        assert_broken("other readers", &Setup { reader, ..setup });
    }
    assert_holds("whole", &setup);
}

#[test]
fn each_wrong_order_is_found() {
    let writing = Setup { writers: ONE_WRITER, prunes: 1, forgettable: &[0], ..RULES };
    let wrongs = [
        Wrong::NoLook,
        Wrong::LookBeforePublishing,
        Wrong::DeleteWithoutListingAgain,
        Wrong::WithdrawBeforeDeleted,
    ];
    for wrong in wrongs {
        assert_broken("writing", &Setup { wrong: Some(wrong), ..writing });
    }
    let repacking = Setup { prunes: 2, republishers: &[REPACK], ..RULES };
    assert_broken("repacking", &Setup { wrong: Some(Wrong::OldCommitNotRoot), ..repacking });
    let undoing = Setup { prunes: 2, republishers: &[UNDO], is_forgotten: true, ..RULES };
    for wrong in [Wrong::UndoWithoutLook, Wrong::WithdrawSpared] {
        assert_broken("undoing", &Setup { wrong: Some(wrong), ..undoing });
    }
}

#[test]
#[ignore = "in progress: takes minutes"]
fn the_rules_hold() {
    let r = RULES;
    assert_holds(
        "2w 1p f",
        &Setup {
            writers: &[&[OVER_FIRST, WITH_SPARE], &[OVER_OTHER, ALONE]],
            prunes: 1,
            forgettable: &[0],
            ..r
        },
    );
    assert_holds("1w 2p f", &Setup { writers: ONE_WRITER, prunes: 2, forgettable: &[0], ..r });
    assert_holds("1w 2p r", &Setup { writers: ONE_WRITER, prunes: 2, republishers: &[REPACK], ..r });
    assert_holds(
        "1w 2p undo",
        &Setup { writers: &[&[OVER_FIRST]], prunes: 2, republishers: &[UNDO], is_forgotten: true, ..r },
    );
    assert_holds(
        "2p repack undo f",
        &Setup { prunes: 2, republishers: &[REPACK, UNDO], forgettable: &[0], ..r },
    );
    assert_holds("3p undo", &Setup { prunes: 3, republishers: &[UNDO], is_forgotten: true, ..r });
}
