//! A writer: W1 to W4.

use super::set::Set;
use super::state::{Actor, Base, Emit, Listing, Numbering, Plan, Setup, State, Step, Wrong};
use super::store::{ATTEMPTS, Chunks, Commit, FIRST, SPARE, Segments, WRITERS, written_by};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Writer {
    step: At,
    attempt: u8,
    /// The first page of records, in a listing in pages.
    page: Segments,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
enum At {
    #[default]
    Begin,
    PutSegment,
    PutCommit,
    Look,
    LookOn,
    Acknowledge,
    End,
}

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
            At::Begin if writer.attempt == 0 => {
                for plan in plans {
                    for base in bases(state, n, plan) {
                        let mut next = *state;
                        next.begin(n, base, plan.spare);
                        done("reads the records and prepares", Set::of(&[commit]), At::PutSegment, next);
                    }
                }
            }
            At::Begin => {
                next.begin_anew(n, setup);
                done("reads the records and prepares", Set::of(&[commit]), At::PutSegment, next);
            }
            At::PutSegment => {
                next.store.put(segment);
                let early = setup.is(Wrong::LookBeforePublishing);
                done("puts", Set::of(&[segment]), if early { At::Look } else { At::PutCommit }, next);
            }
            At::PutCommit => {
                next.store.put(commit);
                let blind = setup.is(Wrong::LookBeforePublishing) || setup.is(Wrong::NoLook);
                done("publishes", Set::of(&[commit]), if blind { At::Acknowledge } else { At::Look }, next);
            }
            At::Look => match next.store.first_page_of_records(setup.listing) {
                Some(page) => {
                    next.writers[n].page = page;
                    done("reads the first page of the records, which name", page, At::LookOn, next);
                }
                None => {
                    let recorded = state.store.recorded();
                    let at = next.judge(n, commit, recorded, setup);
                    done("looks at the records, which name", recorded, at, next);
                }
            },
            At::LookOn => {
                let recorded = writer.page | state.store.second_page_of_records(setup.listing);
                next.writers[n].page = Set::EMPTY;
                let at = next.judge(n, commit, recorded, setup);
                done("reads the rest of the records; they name", recorded, at, next);
            }
            At::Acknowledge => {
                let id = state.store.commit(commit).id;
                next.saved[id as usize] = state.store.needs(commit);
                next.promise(id);
                done("reports as saved", Set::of(&[commit]), At::End, next);
            }
            At::End => {}
        }
    }
}

/// What the first attempt may take trees over from.
fn bases(state: &State, n: usize, plan: &Plan) -> Vec<Option<usize>> {
    let store = &state.store;
    let visible = |commit: &usize| !store.is_marked(store.commit(*commit).id);
    let others = (0..WRITERS).filter(|other| *other != n);
    let others = others.flat_map(|other| (0..ATTEMPTS).map(move |attempt| written_by(other, attempt) + 1));
    let candidates: Vec<_> = match plan.base {
        Base::None => return vec![None],
        Base::First => vec![FIRST],
        Base::Other => others.collect(),
    };
    candidates.into_iter().filter(|c| store.present.has(*c)).filter(visible).map(Some).collect()
}

impl State {
    /// W1: deps of the base are inherited if no record names any of them; else only what an exact walk
    /// finds elsewhere. What cannot be found in segments that no record names is stored again.
    fn begin(&mut self, n: usize, base: Option<usize>, spare: bool) {
        let recorded = self.store.recorded();
        let mut needs = base.map_or(Set::EMPTY, |base| self.store.needs(base));
        let inherited = base.map_or(Set::EMPTY, |base| self.store.reach(base));
        let deps = if inherited.meets(recorded) { Set::EMPTY } else { inherited };
        if spare {
            needs |= Set::of(&[SPARE]);
        }
        self.prepare_attempt(n, 0, 0, needs, deps);
    }

    /// W1 of the next attempt, which finds the homes changed since.
    fn begin_anew(&mut self, n: usize, setup: &Setup) {
        let before = written_by(n, 0);
        let needs = self.store.needs(before + 1) - Set::of(&[before, before + 1]);
        let supersession = if setup.numbering == Numbering::Leap { 16 } else { 1 };
        self.prepare_attempt(n, 1, supersession, needs, Set::EMPTY);
    }

    fn prepare_attempt(
        &mut self,
        n: usize,
        attempt: usize,
        supersession: u8,
        known: Chunks,
        inherited: Segments,
    ) {
        let segment = written_by(n, attempt);
        let own = Set::of(&[segment, segment + 1]);
        let missing = known - self.store.contents_of(inherited);
        let (found, lacking) = self.store.locate(missing, self.store.usable());
        self.store.chunks[segment] = Set::of(&[segment]) | lacking;
        let deps = inherited | found | Set::of(&[segment]);
        let record = Commit { deps, id: 1 + n as u8, supersession };
        self.store.prepare(segment + 1, record, known | own);
    }

    /// W4: what follows from the look.
    fn judge(&mut self, n: usize, commit: usize, recorded: Segments, setup: &Setup) -> At {
        if self.store.passes(commit, recorded, setup.look) {
            return if setup.is(Wrong::LookBeforePublishing) { At::PutCommit } else { At::Acknowledge };
        }
        if self.writers[n].attempt as usize + 1 == ATTEMPTS {
            return At::End;
        }
        self.writers[n].attempt += 1;
        At::Begin
    }
}

impl super::store::Store {
    /// What may be built upon.
    pub fn usable(&self) -> Segments {
        self.present - self.recorded()
    }

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

    /// Condemnations stand before deletions in the order of names.
    pub fn first_page_of_records(&self, listing: Listing) -> Option<Segments> {
        match listing {
            Listing::AtOnce => None,
            Listing::Pages => Some(self.condemned.named(self.condemned.standing)),
            Listing::PagesBackwards => Some(self.deleted.named(self.deleted.standing)),
        }
    }

    pub fn second_page_of_records(&self, listing: Listing) -> Segments {
        match listing {
            Listing::PagesBackwards => self.condemned.named(self.condemned.standing),
            _ => self.deleted.named(self.deleted.standing),
        }
    }
}
