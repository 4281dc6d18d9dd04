//! A writer: W1 to W4.

use super::look::{Look, Looked};
use super::set::Set;
use super::state::{Actor, Base, Emit, Plan, Setup, State, Step, Wrong};
use super::store::{ATTEMPTS, Chunks, Commit, Names, Segments, Store, WRITERS, written_by};

/// Between the supersession of an attempt and that of the next; in the code there is room for more.
const ATTEMPT: u8 = 16;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Writer {
    step: At,
    attempt: u8,
    /// The records that were read before the attempt.
    known: Names,
    look: Look,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
enum At {
    #[default]
    Begin,
    Prepare,
    PutSegment,
    PutCommit,
    Look,
    End,
}

type Done<'d> = &'d mut dyn FnMut(&'static str, Segments, At, State);

impl Writer {
    pub fn steps(state: &State, n: usize, plans: &[Plan], setup: &Setup, emit: Emit<'_>) {
        let writer = &state.writers[n];
        let segment = written_by(n, writer.attempt as usize);
        let commit = segment + 1;
        let mut next = *state;
        let mut done = |what, which, at, mut next: State| {
            next.writers[n].step = at;
            emit(Step { actor: Actor::Writer(n), what, which }, next);
        };
        match writer.step {
            At::Begin if setup.is_lean => {
                next.writers[n].known = state.store.records.standing;
                Self::prepare(&next, n, plans, setup, &mut done);
            }
            At::Begin => {
                next.writers[n].known = state.store.records.standing;
                done("reads the records, which name", state.store.recorded(), At::Prepare, next);
            }
            At::Prepare => Self::prepare(state, n, plans, setup, &mut done),
            At::PutSegment => {
                next.store.put(segment);
                let early = setup.is(Wrong::LookBeforePublishing);
                done("puts", Set::of(&[segment]), if early { At::Look } else { At::PutCommit }, next);
            }
            At::PutCommit => {
                next.store.put(commit);
                let blind = setup.is(Wrong::LookBeforePublishing) || setup.is(Wrong::NoLook);
                if blind {
                    next.acknowledge(commit);
                }
                done("publishes", Set::of(&[commit]), if blind { At::End } else { At::Look }, next);
            }
            At::Look => Self::look(state, n, commit, setup, &mut done),
            At::End => {}
        }
    }

    /// Lists the commits and prepares what is going to be put.
    fn prepare(state: &State, n: usize, plans: &[Plan], setup: &Setup, done: Done<'_>) {
        let writer = &state.writers[n];
        let commit = Set::of(&[written_by(n, writer.attempt as usize) + 1]);
        let recorded = state.store.records.named(writer.known);
        // A local index may have what is gone already, and not what is condemned.
        let (there, ever) = (state.store.present - recorded, state.store.ever - recorded);
        let catalogues = if there == ever || setup.is_lean { vec![there] } else { vec![there, ever] };
        for usable in catalogues {
            if writer.attempt > 0 {
                let mut next = *state;
                next.begin_anew(n, usable, setup);
                done("prepares", commit, At::PutSegment, next);
                continue;
            }
            for plan in plans {
                for base in bases(state, n, plan) {
                    let mut next = *state;
                    next.begin(n, base, plan.spare, usable);
                    let what = if base.is_some() { "prepares, over another snapshot," } else { "prepares" };
                    done(what, commit, At::PutSegment, next);
                }
            }
        }
    }

    fn look(state: &State, n: usize, commit: usize, setup: &Setup, done: Done<'_>) {
        state.writers[n].look.step(&state.store, setup, &mut |what, looked| {
            let mut next = *state;
            next.writers[n].look = Look::default();
            match looked {
                Looked::Goes(look) => {
                    next.writers[n].look = look;
                    done(what, Set::EMPTY, At::Look, next);
                }
                Looked::Saw(seen) => {
                    let recorded = state.store.records.named(seen);
                    let at = next.judge(n, commit, recorded, setup);
                    let what = match at {
                        At::End if next.promised != state.promised => {
                            "looks at the records, reports its snapshot as saved; they name"
                        }
                        _ => "looks at the records, which name",
                    };
                    done(what, recorded, at, next);
                }
            }
        });
    }

    pub fn exchange_records(&mut self, exchange: impl Fn(Names) -> Names) {
        self.known = exchange(self.known);
        self.look = self.look.exchanged(exchange);
    }
}

/// What the first attempt may take trees over from.
fn bases(state: &State, n: usize, plan: &Plan) -> Vec<Option<usize>> {
    let store = &state.store;
    let other = 1 + (WRITERS - 1 - n) as u8;
    let id = match plan.base {
        Base::None => return vec![None],
        Base::First => 0,
        Base::Other => other,
    };
    let is_base = |commit: &usize| store.commit(*commit).id == id && !store.is_marked(id);
    store.commits_present().iter().filter(is_base).map(Some).collect()
}

impl State {
    /// W1: deps of the base are inherited if no record names any of them; else only what an exact walk
    /// finds elsewhere. What cannot be found in segments that no record names is stored again.
    fn begin(&mut self, n: usize, base: Option<usize>, spare: bool, usable: Segments) {
        let recorded = self.store.records.named(self.writers[n].known);
        let mut needs = base.map_or(Set::EMPTY, |base| self.store.needs(base));
        let inherited = base.map_or(Set::EMPTY, |base| self.store.reach(base));
        let deps = if inherited.meets(recorded) { Set::EMPTY } else { inherited };
        if spare {
            needs |= Set::of(&[super::store::SPARE]);
        }
        self.prepare_attempt(n, 0, needs, deps, usable);
    }

    /// W1 of the next attempt, which finds the homes changed since.
    fn begin_anew(&mut self, n: usize, usable: Segments, setup: &Setup) {
        let before = written_by(n, 0);
        let needs = self.store.needs(before + 1) - Set::of(&[before, before + 1]);
        let supersession = if setup.is(Wrong::AttemptsNumberedAsRepublished) { 1 } else { ATTEMPT };
        self.prepare_attempt(n, supersession, needs, Set::EMPTY, usable);
    }

    fn prepare_attempt(
        &mut self,
        n: usize,
        supersession: u8,
        known: Chunks,
        inherited: Segments,
        usable: Segments,
    ) {
        let segment = written_by(n, self.writers[n].attempt as usize);
        let own = Set::of(&[segment, segment + 1]);
        let missing = known - self.store.contents_of(inherited);
        let (found, lacking) = self.store.locate(missing, usable);
        self.store.chunks[segment] = Set::of(&[segment]) | lacking;
        let deps = inherited | found | Set::of(&[segment]);
        let record = Commit { deps, id: 1 + n as u8, supersession };
        self.store.prepare(segment + 1, record, known | own);
        self.writers[n].known = Set::EMPTY;
    }

    /// W4: what follows from the look.
    fn judge(&mut self, n: usize, commit: usize, recorded: Segments, setup: &Setup) -> At {
        if self.store.passes(commit, recorded, setup.comparison) {
            if setup.is(Wrong::LookBeforePublishing) {
                return At::PutCommit;
            }
            self.acknowledge(commit);
            return At::End;
        }
        if self.writers[n].attempt as usize + 1 == ATTEMPTS {
            return At::End;
        }
        self.writers[n].attempt += 1;
        At::Begin
    }

    fn acknowledge(&mut self, commit: usize) {
        let id = self.store.commit(commit).id;
        self.saved[id as usize] = self.store.needs(commit);
        self.promise(id);
    }
}

impl Store {
    /// Segments among `usable` that have the chunks, and the chunks that none of them has.
    pub fn locate(&self, chunks: Chunks, usable: Segments) -> (Segments, Chunks) {
        let (mut found, mut lacking) = (Set::EMPTY, Set::EMPTY);
        for chunk in chunks.iter() {
            match usable.iter().find(|segment| self.contents(*segment).has(chunk)) {
                Some(segment) => found |= Set::of(&[segment]),
                None => lacking |= Set::of(&[chunk]),
            }
        }
        (found, lacking)
    }
}
