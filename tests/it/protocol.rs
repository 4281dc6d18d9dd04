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
use self::state::{Base, Listing, Plan, Republish, Setup, Wrong};
use self::store::{FIRST, Look, OLD};

const REPACK: Republish = Republish::Repack { id: 0, poor: Set::of(&[OLD]) };
const REPACK_ALL: Republish = Republish::Repack { id: 0, poor: Set::of(&[OLD, FIRST]) };
const REPACK_WRITTEN: Republish = Republish::Repack { id: 1, poor: Set::of(&[3]) };
const ALONE: Plan = Plan { base: Base::None, spare: false };
const OVER_FIRST: Plan = Plan { base: Base::First, spare: false };
const WITH_SPARE: Plan = Plan { base: Base::None, spare: true };
const OVER_OTHER: Plan = Plan { base: Base::Other, spare: false };

fn try_it(name: &str, setup: &Setup) {
    let start = std::time::Instant::now();
    match explore(setup) {
        Found::Holds { states } => println!("{name}: holds, {states} states, {:?}", start.elapsed()),
        Found::Broken { states, trace } => println!("{name}: BROKEN, {states} states\n{trace}"),
    }
}

#[test]
fn trial() {
    let e = Setup::EMPTY;
    let _ = (ALONE, OVER_OTHER, Look::Deps, Set::of(&[OLD, FIRST]));
    try_it("1w 1g", &Setup { writers: &[&[OVER_FIRST, WITH_SPARE]], prunes: 1, ..e });
    try_it("1w 1g f", &Setup { writers: &[&[OVER_FIRST, WITH_SPARE]], prunes: 1, forgettable: &[0], ..e });
    try_it("1w 2g f", &Setup { writers: &[&[OVER_FIRST, WITH_SPARE]], prunes: 2, forgettable: &[0], ..e });
    try_it("2w 1g f", &Setup { writers: &[&[OVER_FIRST, WITH_SPARE], &[OVER_OTHER, WITH_SPARE]], prunes: 1, forgettable: &[0], ..e });
    try_it("r 1g", &Setup { prunes: 1, republishers: &[REPACK], ..e });
    try_it("r 2g", &Setup { prunes: 2, republishers: &[REPACK_ALL], ..e });
    try_it("rw w 1g", &Setup { writers: &[&[WITH_SPARE]], prunes: 1, republishers: &[REPACK_WRITTEN], ..e });
    try_it("undo 1g", &Setup { prunes: 1, republishers: &[Republish::Undo { id: 0 }], is_forgotten: true, ..e });
    try_it("undo 2g", &Setup { prunes: 2, republishers: &[Republish::Undo { id: 0 }], is_forgotten: true, ..e });
    for wrong in [Wrong::NoLook, Wrong::LookBeforePublishing, Wrong::DeleteWithoutListingAgain, Wrong::WithdrawBeforeDeleted] {
        try_it(&format!("{wrong:?}"), &Setup { writers: &[&[OVER_FIRST, WITH_SPARE]], prunes: 1, forgettable: &[0], wrong: Some(wrong), ..e });
    }
    for wrong in [Wrong::LookWithOldRecords, Wrong::CarryOutUnlisted, Wrong::OldCommitNotRoot] {
        try_it(&format!("{wrong:?} r 2g"), &Setup { prunes: 2, republishers: &[REPACK], wrong: Some(wrong), ..e });
        try_it(&format!("{wrong:?} w 2g"), &Setup { writers: &[&[OVER_FIRST, WITH_SPARE]], forgettable: &[0], prunes: 2, wrong: Some(wrong), ..e });
    }
    for wrong in [Wrong::UndoWithoutLook, Wrong::WithdrawSpared] {
        try_it(&format!("{wrong:?} undo 2g"), &Setup { prunes: 2, republishers: &[Republish::Undo { id: 0 }], is_forgotten: true, wrong: Some(wrong), ..e });
    }
    for listing in [Listing::Pages, Listing::PagesBackwards] {
        try_it("pages w 1g", &Setup { writers: &[&[OVER_FIRST, WITH_SPARE]], forgettable: &[0], prunes: 1, listing, ..e });
        try_it("pages r 2g", &Setup { prunes: 2, republishers: &[REPACK], listing, ..e });
    }
}
