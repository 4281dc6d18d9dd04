//! Who publishes a snapshot again: a repack, to be rid of a poor segment, and an undo, to take back a
//! mark. Both go the writer's way: segment, commit, look.

use super::set::Set;
use super::state::{Actor, Emit, Republish, Setup, State, Step, Wrong};
use super::store::{Commit, Segments, republished_by};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Republisher {
    step: At,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
enum At {
    #[default]
    Begin,
    LookFirst,
    PutSegment,
    PutCommit,
    Look,
    MarkAgain,
    End,
}

impl Republisher {
    pub fn steps(state: &State, n: usize, task: &Republish, setup: &Setup, emit: Emit<'_>) {
        let segment = republished_by(n);
        let (published, commit) = (Set::of(&[segment]), segment + 1);
        let mut next = *state;
        let mut done = |what, which, at, mut next: State| {
            next.republishers[n].step = at;
            emit(Step { actor: Actor::Republisher(n), what, which }, next);
        };
        let (id, is_undo) = match *task {
            Republish::Repack { id, .. } => (id, false),
            Republish::Undo { id } => (id, true),
        };
        match (state.republishers[n].step, *task) {
            (At::Begin, Republish::Repack { poor, .. }) => {
                if !state.store.is_marked(id) && next.prepare_again(n, id, poor) {
                    done("reads the records and copies out of", poor, At::PutSegment, next);
                }
            }
            (At::Begin, Republish::Undo { .. }) => {
                if state.store.is_marked(id) {
                    next.store.marks &= !(1 << id);
                    let blind = setup.is(Wrong::UndoWithoutLook);
                    if blind {
                        next.promise(id);
                    }
                    done("removes the mark", Set::EMPTY, if blind { At::End } else { At::LookFirst }, next);
                }
            }
            (At::LookFirst, _) => {
                let recorded = state.store.recorded();
                let standing = state
                    .store
                    .commits_of(id, state.store.commits_present())
                    .find(|commit| state.store.passes(*commit, recorded, setup.look));
                if standing.is_some() {
                    next.promise(id);
                    done("finds nothing recorded that is needed: undone", recorded, At::End, next);
                } else if next.prepare_again(n, id, Set::EMPTY) {
                    done("copies out of what is recorded", recorded, At::PutSegment, next);
                } else {
                    done("finds it is too late", recorded, At::MarkAgain, next);
                }
            }
            (At::PutSegment, _) => {
                next.store.put(segment);
                done("puts", published, At::PutCommit, next);
            }
            (At::PutCommit, _) => {
                next.store.put(commit);
                done("publishes", Set::of(&[commit]), At::Look, next);
            }
            (At::Look, _) => {
                let recorded = state.store.recorded();
                let passes = state.store.passes(commit, recorded, setup.look);
                if passes && is_undo {
                    next.promise(id);
                }
                let at = if passes || !is_undo { At::End } else { At::MarkAgain };
                done("looks at the records, which name", recorded, at, next);
            }
            (At::MarkAgain, _) => {
                next.mark(id);
                done("puts the mark back", Set::EMPTY, At::End, next);
            }
            (At::End, _) => {}
        }
    }
}

impl State {
    /// Reads what the highest whole commit of a snapshot needs, and prepares a copy of what lies in
    /// segments that are poor or recorded. False if there is no whole commit, or nothing to copy.
    fn prepare_again(&mut self, n: usize, id: u8, poor: Segments) -> bool {
        let store = &mut self.store;
        let commits: Vec<_> = store.commits_of(id, store.commits_present()).collect();
        let Some(source) = commits.iter().copied().find(|commit| store.is_whole(*commit)) else {
            return false;
        };
        let needs = store.needs(source);
        let kept = store.reach(source).and(store.usable()) - poor;
        let (found, copied) = store.locate(needs, kept);
        if copied.is_empty() {
            return false;
        }
        let segment = republished_by(n);
        store.chunks[segment] = copied;
        let supersession = store.commit(commits[0]).supersession + 1;
        let record = Commit { deps: found | Set::of(&[segment]), id, supersession };
        store.prepare(segment + 1, record, needs);
        true
    }
}
