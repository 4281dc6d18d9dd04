//! A prune: P1 to P7. It carries out every condemnation it read, its own and others'.

use super::look::{Look, Looked};
use super::set::Set;
use super::state::{Actor, Emit, Listing, Setup, State, Step, Wrong};
use super::store::{CONDEMNED, Names, Segments, Store, deleted_by};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Prune {
    step: At,
    look: Look,
    /// Commits that were listed; while a listing runs, those there were when it began.
    commits: Segments,
    marks: u8,
    /// Condemned records that were known before the commits were listed again: those it may carry out.
    carried: Names,
    /// Records that the last look saw.
    seen: Names,
    /// Deleted records that its own is going to replace.
    merged: Names,
    /// First the objects that were listed, then what is going to be condemned; likewise, what is going to be deleted.
    doomed: Segments,
    /// What it has deleted, or found gone.
    gone: Segments,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
enum At {
    #[default]
    List,
    ListOn,
    Look,
    Condemn,
    ListAgain,
    ListAgainOn,
    MarksAgain,
    LookAgain,
    Delete,
    Record,
    Withdraw,
    End,
}

/// A step that is taken: what it is called, what it is about, and where the prune stands afterwards.
type Done<'d> = &'d mut dyn FnMut(&'static str, Segments, At, State);

impl Prune {
    pub fn steps(state: &State, n: usize, setup: &Setup, emit: Emit<'_>) {
        let mut done = |what, which, at, mut next: State| {
            next.prunes[n].step = at;
            emit(Step { actor: Actor::Prune(n), what, which }, next);
        };
        let prune = &state.prunes[n];
        match prune.step {
            At::List | At::ListAgain => Self::list(state, n, setup, &mut done),
            At::ListOn | At::ListAgainOn => Self::list_on(state, n, &mut done),
            At::MarksAgain => {
                let mut next = *state;
                next.prunes[n].marks = state.store.marks;
                done("lists the marks again", Set::EMPTY, At::LookAgain, next);
            }
            At::Look | At::LookAgain => Self::look(state, n, setup, &mut done),
            At::Condemn => Self::condemn(state, n, setup, &mut done),
            At::Delete => Self::delete(state, n, setup, &mut done),
            At::Record => {
                let mut next = *state;
                let list = prune.gone | state.store.records.named(prune.merged);
                next.store.records.put(deleted_by(n), list);
                done("records as deleted", list, At::Withdraw, next);
            }
            At::Withdraw => Self::withdraw(state, n, setup, &mut done),
            At::End => {}
        }
    }

    fn list(state: &State, n: usize, setup: &Setup, done: Done<'_>) {
        let mut next = *state;
        let me = &mut next.prunes[n];
        let again = me.step == At::ListAgain;
        me.commits = state.store.commits_present();
        me.marks = state.store.marks;
        me.doomed = state.store.present;
        let listed = me.commits;
        match (setup.commits, again) {
            (Listing::AtOnce, false) => done("lists commits and marks", listed, At::Look, next),
            (Listing::AtOnce, true) => done("lists commits and marks again", listed, At::LookAgain, next),
            (Listing::Spread, false) => done("begins to list commits", listed, At::ListOn, next),
            (Listing::Spread, true) => done("begins to list commits again", listed, At::ListAgainOn, next),
        }
    }

    fn list_on(state: &State, n: usize, done: Done<'_>) {
        let again = state.prunes[n].step == At::ListAgainOn;
        for listed in state.prunes[n].commits.seen_until(state.store.commits_present()) {
            let mut next = *state;
            next.prunes[n].commits = listed;
            done("has listed the commits", listed, if again { At::MarksAgain } else { At::Look }, next);
        }
    }

    fn look(state: &State, n: usize, setup: &Setup, done: Done<'_>) {
        let prune = state.prunes[n];
        let again = prune.step == At::LookAgain;
        prune.look.step(&state.store, setup, &mut |what, looked| {
            let mut next = *state;
            let me = &mut next.prunes[n];
            me.look = Look::default();
            match looked {
                Looked::Goes(look) => {
                    me.look = look;
                    done(what, Set::EMPTY, prune.step, next);
                }
                Looked::Saw(seen) if again => {
                    me.decide(seen, &state.store, setup);
                    let doomed = me.doomed;
                    done("looks at the records again; will delete", doomed, At::Delete, next);
                }
                Looked::Saw(seen) => {
                    me.choose(seen, &state.store, setup);
                    let victims = me.doomed;
                    let at = match (victims.is_empty(), me.carried.is_empty()) {
                        (true, true) => At::End,
                        (true, false) => At::ListAgain,
                        _ => At::Condemn,
                    };
                    done("looks at the records; will condemn", victims, at, next);
                }
            }
        });
    }

    /// P2: what nothing needs.
    fn choose(&mut self, seen: Names, store: &Store, setup: &Setup) {
        let recorded = store.records.named(seen);
        let roots = setup.roots(store, self.commits, self.marks, recorded);
        self.doomed = self.doomed - store.live(roots) - recorded;
        self.carried = seen.and(CONDEMNED);
        self.seen = seen;
        (self.commits, self.marks) = (Set::EMPTY, 0);
    }

    fn condemn(state: &State, n: usize, setup: &Setup, done: Done<'_>) {
        let mut next = *state;
        let me = &mut next.prunes[n];
        let victims = me.doomed;
        me.carried |= Set::of(&[n]);
        me.seen |= Set::of(&[n]);
        let hasty = setup.is(Wrong::DeleteWithoutListingAgain);
        if !hasty {
            me.doomed = Set::EMPTY;
        }
        next.store.records.put(n, victims);
        done("condemns", victims, if hasty { At::Delete } else { At::ListAgain }, next);
    }

    /// P4, last part: what P5 will delete and which records P6 will replace.
    fn decide(&mut self, seen: Names, store: &Store, setup: &Setup) {
        let known = std::mem::replace(&mut self.seen, seen);
        let judged_by = if setup.is(Wrong::JudgeByOldRecords) { known } else { seen };
        if setup.is(Wrong::CarryOutUnlisted) {
            self.carried |= seen.and(CONDEMNED);
        }
        let roots = setup.roots(store, self.commits, self.marks, store.records.named(judged_by));
        let doomed = store.records.named(self.carried) - store.live(roots);
        let condemned = if setup.is(Wrong::TakeUnlistedAsGone) { seen.and(CONDEMNED) } else { self.carried };
        self.gone = store.records.named(condemned) - self.doomed;
        self.doomed = doomed - self.gone;
        self.merged = self.mergeable(known, store, setup);
        (self.commits, self.marks) = (Set::EMPTY, 0);
    }

    /// Deleted records that stood before the commits were listed again, and that speak of nothing that a listed commit
    /// names: nobody can still be looking for them.
    fn mergeable(&self, known: Names, store: &Store, setup: &Setup) -> Names {
        let deleted = self.seen - CONDEMNED;
        if setup.is(Wrong::MergeAtOnce) {
            return deleted;
        }
        let named = self.commits.iter().fold(Set::EMPTY, |all, commit| all | store.reach(commit));
        let is_awaited = |record: &usize| store.records.list(*record).meets(named);
        let awaited =
            deleted.iter().filter(is_awaited).fold(Set::EMPTY, |all, record| all | Set::of(&[record]));
        let deleted = if setup.is(Wrong::MergeUnlisted) { deleted } else { deleted.and(known) };
        deleted - awaited
    }

    /// P5, one object after another, in any order.
    fn delete(state: &State, n: usize, setup: &Setup, done: Done<'_>) {
        let prune = &state.prunes[n];
        for segment in prune.doomed.iter().take(if setup.is_lean { 1 } else { usize::MAX }) {
            let mut next = *state;
            let which = Set::of(&[segment]);
            next.prunes[n].doomed -= which;
            next.prunes[n].gone |= which;
            next.store.present -= which;
            done("deletes", which, At::Delete, next);
        }
        if !prune.doomed.is_empty() {
            return;
        }
        let mut next = *state;
        match (prune.gone | prune.merged).is_empty() {
            true => done("has nothing to record", Set::EMPTY, At::Withdraw, next),
            false if setup.is(Wrong::WithdrawBeforeDeleted) => {
                next.store.records.remove(n);
                done("removes its condemned record", Set::EMPTY, At::Record, next);
            }
            false => {
                let list = prune.gone | state.store.records.named(prune.merged);
                next.store.records.put(deleted_by(n), list);
                done("records as deleted", list, At::Withdraw, next);
            }
        }
    }

    /// P7: condemned records of which everything is recorded as deleted, and deleted records that are part of its own.
    fn withdraw(state: &State, n: usize, setup: &Setup, done: Done<'_>) {
        let prune = &state.prunes[n];
        let records = &state.store.records;
        let deleted = records.named(prune.seen - CONDEMNED) | records.list(deleted_by(n));
        let is_done = |p: &usize| records.list(*p).is_within(deleted) || setup.is(Wrong::WithdrawSpared);
        let known = prune.seen | prune.carried;
        let mut condemned = known.and(CONDEMNED).and(records.standing).iter().filter(is_done);
        let merged = || prune.merged.and(records.standing).iter().next();
        let mut next = *state;
        match condemned.next().or_else(merged) {
            Some(record) => {
                next.store.records.remove(record);
                done("removes a record of", records.list(record), At::Withdraw, next);
            }
            None => {
                next.prunes[n] = Self::default();
                done("ends", Set::EMPTY, At::End, next);
            }
        }
    }

    pub fn exchange_records(&mut self, exchange: impl Fn(Names) -> Names) {
        self.look = self.look.exchanged(&exchange);
        for names in [&mut self.carried, &mut self.seen, &mut self.merged] {
            *names = exchange(*names);
        }
    }

    pub fn exchange_segments(&mut self, segments: impl Fn(Segments) -> Segments, ids: impl Fn(u8) -> u8) {
        for set in [&mut self.commits, &mut self.doomed, &mut self.gone] {
            *set = segments(*set);
        }
        self.marks = ids(self.marks);
    }
}

impl Setup {
    fn roots(&self, store: &Store, listed: Segments, marks: u8, recorded: Segments) -> Segments {
        if self.is(Wrong::OldCommitNotRoot) {
            let highest = |id: u8| store.commits_of(id, listed).next();
            let unmarked = (0..3u8).filter(|id| marks >> id & 1 == 0);
            return unmarked.filter_map(highest).fold(Set::EMPTY, |all, commit| all | Set::of(&[commit]));
        }
        store.roots(listed, marks, recorded, self.comparison)
    }
}
