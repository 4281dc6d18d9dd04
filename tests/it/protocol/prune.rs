//! A prune: P1 to P7. It carries out every condemnation it read, its own and others'.

use super::set::Set;
use super::state::{Actor, Emit, Listing, Setup, State, Step, Wrong};
use super::store::{FIRST, PRUNES, Segments, Store};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Prune {
    step: At,
    /// Commits that were listed.
    commits: Segments,
    marks: u8,
    /// Whose condemned records were read, with its own.
    condemned: u8,
    /// Whose deleted records were read.
    deleted: u8,
    /// In the second round, all that the records then named.
    recorded: Segments,
    /// First what is going to be condemned, then what is going to be deleted.
    doomed: Segments,
    /// What it has deleted.
    gone: Segments,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
enum At {
    #[default]
    List,
    ListOn,
    Marks,
    Records,
    Condemn,
    ListAgain,
    ListAgainOn,
    MarksAgain,
    RecordsAgain,
    Delete,
    Record,
    Withdraw,
    End,
}

impl Prune {
    pub fn steps(state: &State, n: usize, setup: &Setup, emit: Emit<'_>) {
        let prune = &state.prunes[n];
        let store = &state.store;
        let mut next = *state;
        let mut done = |what, which, at, mut next: State| {
            next.prunes[n].step = at;
            emit(Step { actor: Actor::Prune(n), what, which }, next);
        };
        let me = &mut next.prunes[n];
        match prune.step {
            At::List | At::ListAgain => {
                let again = prune.step == At::ListAgain;
                me.commits = store.page(setup.listing, 0);
                let listed = me.commits;
                let at = match setup.listing {
                    Listing::AtOnce => {
                        me.marks = store.marks;
                        if again { At::RecordsAgain } else { At::Records }
                    }
                    _ if again => At::ListAgainOn,
                    _ => At::ListOn,
                };
                done(
                    if again { "lists again, finding" } else { "lists commits and marks, finding" },
                    listed,
                    at,
                    next,
                );
            }
            At::ListOn | At::ListAgainOn => {
                me.commits |= store.page(setup.listing, 1);
                let listed = me.commits;
                let at = if prune.step == At::ListOn { At::Marks } else { At::MarksAgain };
                done("lists the second page; so far", listed, at, next);
            }
            At::Marks | At::MarksAgain => {
                me.marks = store.marks;
                let at = if prune.step == At::Marks { At::Records } else { At::RecordsAgain };
                done("lists the marks", Set::EMPTY, at, next);
            }
            At::Records => {
                me.read_records(store, setup);
                let victims = me.doomed;
                let idle = victims.is_empty() && me.condemned == 0;
                let at = match (idle, victims.is_empty()) {
                    (true, _) => At::End,
                    (_, true) => At::ListAgain,
                    _ => At::Condemn,
                };
                done("reads the records; will condemn", victims, at, next);
            }
            At::Condemn => {
                let victims = prune.doomed;
                me.condemned |= 1 << n;
                if setup.is(Wrong::LookWithOldRecords) {
                    me.recorded |= victims;
                }
                let hasty = setup.is(Wrong::DeleteWithoutListingAgain);
                if !hasty {
                    me.doomed = Set::EMPTY;
                }
                next.store.condemned.put(n, victims);
                done("condemns", victims, if hasty { At::Delete } else { At::ListAgain }, next);
            }
            At::RecordsAgain => {
                me.decide(store, setup);
                let doomed = me.doomed;
                done("reads the records again; will delete", doomed, At::Delete, next);
            }
            At::Delete if prune.doomed.is_empty() => {
                let at = if setup.is(Wrong::WithdrawBeforeDeleted) { At::Withdraw } else { At::Record };
                if setup.is(Wrong::WithdrawBeforeDeleted) {
                    next.store.condemned.remove(n);
                }
                done("has deleted", prune.gone, at, next);
            }
            At::Delete => {
                for segment in prune.doomed.iter() {
                    let mut next = *state;
                    let which = Set::of(&[segment]);
                    next.prunes[n].doomed -= which;
                    next.prunes[n].gone |= which;
                    next.store.present -= which;
                    done("deletes", which, At::Delete, next);
                }
            }
            At::Record => {
                let list = prune.gone | store.deleted.named(prune.deleted);
                if !list.is_empty() {
                    next.store.deleted.put(n, list);
                }
                done("records as deleted", list, At::Withdraw, next);
            }
            At::Withdraw => match prune.next_to_withdraw(n, store, setup) {
                Some(Withdrawn::Condemned(other)) => {
                    next.store.condemned.remove(other);
                    done("removes a condemned record of", store.condemned.lists[other], At::Withdraw, next);
                }
                Some(Withdrawn::Deleted(other)) => {
                    next.store.deleted.remove(other);
                    done("removes a merged record of", store.deleted.lists[other], At::Withdraw, next);
                }
                None => {
                    let step = At::End;
                    next.prunes[n] = Self { step, ..Self::default() };
                    done("ends", Set::EMPTY, At::End, next);
                }
            },
            At::End => {}
        }
    }

    /// P1, last part, and P2.
    fn read_records(&mut self, store: &Store, setup: &Setup) {
        self.condemned = store.condemned.standing;
        self.deleted = store.deleted.standing;
        let recorded = store.recorded();
        let roots = setup.roots(store, self.commits, self.marks, recorded);
        self.doomed = store.present - store.live(roots) - recorded;
        self.recorded = if setup.is(Wrong::LookWithOldRecords) { recorded } else { Set::EMPTY };
        (self.commits, self.marks) = (Set::EMPTY, 0);
    }

    /// P4, last part, and what P5 will delete: of the records that were read before the second listing.
    fn decide(&mut self, store: &Store, setup: &Setup) {
        if !setup.is(Wrong::LookWithOldRecords) {
            self.recorded = store.recorded();
        }
        if setup.is(Wrong::CarryOutUnlisted) {
            self.condemned |= store.condemned.standing;
        }
        let roots = setup.roots(store, self.commits, self.marks, self.recorded);
        self.doomed = store.condemned.named(self.condemned) - store.live(roots);
        self.recorded = Set::EMPTY;
        (self.commits, self.marks) = (Set::EMPTY, 0);
    }

    /// P7: condemned records of which everything is recorded as deleted, and deleted records that are
    /// part of its own.
    fn next_to_withdraw(&self, n: usize, store: &Store, setup: &Setup) -> Option<Withdrawn> {
        let recorded = store.deleted.lists[n];
        let is_done =
            |p: &usize| store.condemned.lists[*p].is_within(recorded) || setup.is(Wrong::WithdrawSpared);
        let stands = |records: u8, standing: u8, p: &usize| (records & standing) >> p & 1 == 1;
        let condemned = (0..PRUNES)
            .filter(|p| stands(self.condemned, store.condemned.standing, p))
            .find(is_done)
            .map(Withdrawn::Condemned);
        condemned.or_else(|| {
            (0..PRUNES)
                .find(|p| *p != n && stands(self.deleted, store.deleted.standing, p))
                .map(Withdrawn::Deleted)
        })
    }
}

enum Withdrawn {
    Condemned(usize),
    Deleted(usize),
}

impl Setup {
    fn roots(&self, store: &Store, listed: Segments, marks: u8, recorded: Segments) -> Segments {
        if self.is(Wrong::OldCommitNotRoot) {
            let highest = |id: u8| store.commits_of(id, listed).next();
            let unmarked = (0..3u8).filter(|id| marks >> id & 1 == 0);
            return unmarked.filter_map(highest).fold(Set::EMPTY, |all, commit| all | Set::of(&[commit]));
        }
        store.roots(listed, marks, recorded, self.look)
    }
}

impl Store {
    /// A page of the commits: the first snapshot's first commit, or all others.
    fn page(&self, listing: Listing, page: usize) -> Segments {
        let commits = self.commits_present();
        let first = commits.and(Set::of(&[FIRST]));
        match (listing, page) {
            (Listing::AtOnce, 0) => commits,
            (Listing::Pages, 0) | (Listing::PagesBackwards, 1) => first,
            (Listing::Pages, 1) | (Listing::PagesBackwards, 0) => commits - first,
            _ => Set::EMPTY,
        }
    }
}
