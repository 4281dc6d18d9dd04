//! Who publishes a snapshot again: a repack, to be rid of a poor segment, and an undo, to take back a
//! mark. Both go the writer's way: segment, commit, look.

use super::look::{Look, Looked};
use super::set::Set;
use super::state::{Actor, Emit, Republish, Setup, State, Step, Wrong};
use super::store::{Commit, Names, Segments, republished_by};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Republisher {
    step: At,
    look: Look,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
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

type Done<'d> = &'d mut dyn FnMut(&'static str, Segments, At, State);

impl Republisher {
    pub fn steps(state: &State, n: usize, task: &Republish, setup: &Setup, emit: Emit<'_>) {
        let segment = republished_by(n);
        let mut next = *state;
        let mut done = |what, which, at, mut next: State| {
            next.republishers[n].step = at;
            emit(Step { actor: Actor::Republisher(n), what, which }, next);
        };
        let (Republish::Repack { id, .. } | Republish::Undo { id }) = *task;
        match (state.republishers[n].step, *task) {
            (At::Begin, Republish::Repack { poor, .. }) => {
                let recorded = state.store.recorded();
                if !state.store.is_marked(id) && next.prepare_again(n, id, poor, recorded) {
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
            (At::LookFirst | At::Look, _) => Self::look(state, n, task, setup, &mut done),
            (At::PutSegment, _) => {
                next.store.put(segment);
                done("puts", Set::of(&[segment]), At::PutCommit, next);
            }
            (At::PutCommit, _) => {
                next.store.put(segment + 1);
                done("publishes", Set::of(&[segment + 1]), At::Look, next);
            }
            (At::MarkAgain, _) => {
                next.mark(id);
                done("puts the mark back", Set::EMPTY, At::End, next);
            }
            (At::End, _) => {}
        }
    }

    fn look(state: &State, n: usize, task: &Republish, setup: &Setup, done: Done<'_>) {
        let at = state.republishers[n].step;
        state.republishers[n].look.step(&state.store, setup, &mut |what, looked| {
            let mut next = *state;
            next.republishers[n].look = Look::default();
            match looked {
                Looked::Goes(look) => {
                    next.republishers[n].look = look;
                    done(what, Set::EMPTY, at, next);
                }
                Looked::Saw(seen) => {
                    let recorded = state.store.records.named(seen);
                    let at = match at {
                        At::LookFirst => next.undo(n, task, recorded, setup),
                        _ => next.judge_again(n, task, recorded, setup),
                    };
                    done("looks at the records, which name", recorded, at, next);
                }
            }
        });
    }

    pub fn exchange_records(&mut self, exchange: impl Fn(Names) -> Names) {
        self.look = self.look.exchanged(exchange);
    }
}

impl State {
    /// What follows from the look of an undo after it removed the mark: that the snapshot stands, that it is published
    /// again, or that it is too late.
    fn undo(&mut self, n: usize, task: &Republish, recorded: Segments, setup: &Setup) -> At {
        let (Republish::Repack { id, .. } | Republish::Undo { id }) = *task;
        let store = &self.store;
        let listed = store.commits_present();
        if store.commits_of(id, listed).any(|commit| store.passes(commit, recorded, setup.comparison)) {
            self.promise(id);
            return At::End;
        }
        if self.prepare_again(n, id, Set::EMPTY, recorded) { At::PutSegment } else { At::MarkAgain }
    }

    /// What follows from the look after the commit.
    fn judge_again(&mut self, n: usize, task: &Republish, recorded: Segments, setup: &Setup) -> At {
        let Republish::Undo { id } = *task else { return At::End };
        if !self.store.passes(republished_by(n) + 1, recorded, setup.comparison) {
            return At::MarkAgain;
        }
        self.promise(id);
        At::End
    }

    /// Reads what the highest whole commit of a snapshot needs, and prepares a copy of what lies in
    /// segments that are poor or recorded. False if there is no whole commit, or nothing to copy.
    fn prepare_again(&mut self, n: usize, id: u8, poor: Segments, recorded: Segments) -> bool {
        let store = &mut self.store;
        let commits: Vec<_> = store.commits_of(id, store.commits_present()).collect();
        let Some(source) = commits.iter().copied().find(|commit| store.is_whole(*commit)) else {
            return false;
        };
        let needs = store.needs(source);
        let kept = store.reach(source).and(store.present) - recorded - poor;
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
