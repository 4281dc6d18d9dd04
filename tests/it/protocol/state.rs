//! A state of the whole: the store, what was promised, and where each actor stands. And what a
//! configuration of actors and rules is.

use super::prune::Prune;
use super::republish::Republisher;
use super::set::Set;
use super::store::{Chunks, Comparison, FIRST, IDS, PRUNES, REPUBLISHERS, Segments, Store, WRITERS};
use super::writer::Writer;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct State {
    pub store: Store,
    /// Snapshots that were acknowledged, or whose forgetting was undone, and that are not forgotten.
    pub promised: u8,
    /// What each snapshot held when it was acknowledged.
    pub saved: [Chunks; IDS],
    pub writers: [Writer; WRITERS],
    pub prunes: [Prune; PRUNES],
    pub republishers: [Republisher; REPUBLISHERS],
    /// Snapshots that may yet be forgotten.
    pub forgettable: u8,
}

/// Who takes part, and by which rules.
#[derive(Clone, Copy)]
pub struct Setup {
    /// For each writer, what its first attempt may be.
    pub writers: &'static [&'static [Plan]],
    pub prunes: usize,
    pub republishers: &'static [Republish],
    /// Snapshots of which each may be forgotten, once.
    pub forgettable: &'static [u8],
    /// The first snapshot is forgotten at the start.
    pub is_forgotten: bool,
    /// How the records are listed.
    pub records: Listing,
    /// How prunes list commits.
    pub commits: Listing,
    pub comparison: Comparison,
    pub reader: Reader,
    /// Fewer steps where a large configuration asks for it: a writer reads records and commits in one, and a prune deletes in
    /// one order.
    pub is_lean: bool,
    pub wrong: Option<Wrong>,
}

impl Setup {
    pub const EMPTY: Self = Self {
        writers: &[],
        prunes: 0,
        republishers: &[],
        forgettable: &[],
        is_forgotten: false,
        records: Listing::AtOnce,
        commits: Listing::AtOnce,
        comparison: Comparison::Exact,
        reader: Reader::PassingOrWhole,
        is_lean: false,
        wrong: None,
    };

    pub fn is(&self, wrong: Wrong) -> bool {
        self.wrong == Some(wrong)
    }
}

/// What a writer's homes have in common with what is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub base: Base,
    /// The homes have the chunk of the spare segment.
    pub spare: bool,
}

/// Whose trees a writer takes over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Base {
    None,
    First,
    /// Any commit of another writer, acknowledged or not.
    Other,
}

/// Who publishes an existing snapshot again, and why.
#[derive(Clone, Copy)]
pub enum Republish {
    /// To be rid of poor segments.
    Repack { id: u8, poor: Segments },
    /// To take back a mark.
    Undo { id: u8 },
}

/// Which of a snapshot's commits a reader picks: the highest that …
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reader {
    /// … passes, or has everything it needs.
    PassingOrWhole,
    /// … passes, and the highest of all if none does.
    Passing(Comparison),
    /// … there is.
    Highest,
}

/// How a listing goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    AtOnce,
    /// It takes time, and of what comes or goes meanwhile it sees any part.
    Spread,
}

/// A rule that is broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    NoLook,
    LookBeforePublishing,
    /// The next attempt adds one to the supersession, as who publishes again does.
    AttemptsNumberedAsRepublished,
    DeleteWithoutListingAgain,
    /// Prunes judge the second listing of commits by records that were listed before it.
    JudgeByOldRecords,
    /// Prunes carry out what they first read after the second listing of commits.
    CarryOutUnlisted,
    /// One listing of the records is a look.
    ListOnce,
    /// A deleted record is replaced by the next, whoever may still be looking for it.
    MergeAtOnce,
    /// A deleted record is replaced although it was first read after the commits were listed.
    MergeUnlisted,
    /// Prunes take for gone what is condemned and was not listed, although they first read of it after they listed.
    TakeUnlistedAsGone,
    WithdrawBeforeDeleted,
    WithdrawSpared,
    OldCommitNotRoot,
    UndoWithoutLook,
}

/// Who takes a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Actor {
    Writer(usize),
    Prune(usize),
    Republisher(usize),
    Forget,
}

/// A step, for whoever reads a trace.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub actor: Actor,
    pub what: &'static str,
    pub which: Segments,
}

/// Takes the states that may follow.
pub type Emit<'e> = &'e mut dyn FnMut(Step, State);

impl State {
    pub fn new(setup: &Setup) -> Self {
        let mut store = Store::new();
        store.marks = u8::from(setup.is_forgotten);
        let mut saved = [Set::EMPTY; IDS];
        saved[0] = store.needs(FIRST);
        Self {
            store,
            promised: u8::from(!setup.is_forgotten),
            saved,
            writers: Default::default(),
            prunes: Default::default(),
            republishers: Default::default(),
            forgettable: setup.forgettable.iter().fold(0, |all, id| all | 1 << id),
        }
    }

    /// Every state that one step of one actor leads to.
    pub fn successors(&self, setup: &Setup, emit: Emit<'_>) {
        for (n, plans) in setup.writers.iter().enumerate() {
            Writer::steps(self, n, plans, setup, emit);
        }
        for n in 0..setup.prunes {
            Prune::steps(self, n, setup, emit);
        }
        for (n, task) in setup.republishers.iter().enumerate() {
            Republisher::steps(self, n, task, setup, emit);
        }
        for id in (0..IDS as u8).filter(|id| self.forgettable >> id & 1 == 1) {
            let mut next = *self;
            next.forgettable &= !(1 << id);
            next.mark(id);
            emit(
                Step { actor: Actor::Forget, what: "marks the snapshot of", which: Set::of(&[id as usize]) },
                next,
            );
        }
    }

    pub fn mark(&mut self, id: u8) {
        self.store.marks |= 1 << id;
        self.promised &= !(1 << id);
    }

    /// Tells the user that a snapshot is kept, unless somebody forgot it meanwhile.
    pub fn promise(&mut self, id: u8) {
        if !self.store.is_marked(id) {
            self.promised |= 1 << id;
        }
    }
}
