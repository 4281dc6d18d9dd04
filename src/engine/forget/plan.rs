//! Decides which snapshots stay and which go, and why. Pure: works on summaries, writes nothing, asks no
//! clock.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use super::clocks::{self, Contradiction};
use super::policy::{Dates, Member};
use super::protection::{Protected, names, protected};
use super::{Choice, ForgetError, ForgetOptions, Grouping, Policy, Reason};
use crate::codec::SnapshotId;
use crate::engine::select::{Filter, newest_first};
use crate::format::Attention;
use crate::index::Summary;

/// Clocks that are no further ahead are usual.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<'s> {
    /// Every snapshot that was asked about, oldest first.
    pub decisions: Vec<Decision<'s>>,
    /// How many more the filter would accept, but for the homes of other users in them.
    pub shared: usize,
}

/// A snapshot with what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'s> {
    /// The snapshot.
    pub summary: &'s Summary,
    /// Whether it stays or goes.
    pub fate: Fate,
    /// Why it stays; none for one that goes.
    pub reasons: Vec<Reason>,
}

/// What becomes of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Kept,
    /// It goes.
    Forgotten,
}

impl Plan<'_> {
    /// Those that go, oldest first.
    pub fn forgotten(&self) -> Vec<SnapshotId> {
        let goes = |decision: &&Decision<'_>| decision.fate == Fate::Forgotten;
        self.decisions.iter().filter(goes).map(|decision| decision.summary.id).collect()
    }
}

/// Decides what is forgotten of `snapshots`, which are all that there are. `now` also says in which time
/// zone days begin.
pub fn plan<'s>(
    snapshots: &'s [Summary],
    options: &ForgetOptions,
    now: &ZonedDateTime,
) -> Result<Plan<'s>, ForgetError> {
    let mut draft = Draft::new(snapshots, options, now);
    match &options.choice {
        Choice::Policy { policy, .. } if policy.is_empty() && !options.allow_everything => {
            return Err(ForgetError::NoRule);
        }
        Choice::Policy { policy, grouping } => {
            draft.keep_future();
            draft.keep_contradicted();
            draft.keep_by_policy(policy, *grouping);
        }
        Choice::Named(_) => {}
    }
    draft.keep_states();
    if !options.allow_everything
        && let Some(source) = draft.emptied_source()
    {
        return Err(ForgetError::Everything(source.into()));
    }
    Ok(draft.finish())
}

/// A plan in the making. Snapshots go by their places in the order in which they were taken, newest first.
struct Draft<'s> {
    order: Vec<(Timestamp, &'s Summary)>,
    places: Vec<Place<'s>>,
    shared: usize,
    now: ZonedDateTime,
}

struct Place<'s> {
    summary: &'s Summary,
    standing: Standing,
    reasons: Vec<Reason>,
}

/// How the question concerns a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Not at all.
    Aside,
    /// It goes unless there is a reason for it to stay.
    Asked,
    /// It goes.
    Forced,
}

impl Place<'_> {
    fn is_kept(&self) -> bool {
        match self.standing {
            Standing::Aside => true,
            Standing::Asked => !self.reasons.is_empty(),
            Standing::Forced => false,
        }
    }

    fn note(&mut self, reason: Reason) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

impl<'s> Draft<'s> {
    fn new(snapshots: &'s [Summary], options: &ForgetOptions, now: &ZonedDateTime) -> Self {
        let order = newest_first(snapshots, now.timestamp());
        let (mut places, mut shared) = (Vec::with_capacity(order.len()), 0);
        for (_, summary) in &order {
            let standing = match &options.choice {
                Choice::Named(ids) if !ids.contains(&summary.id) => Standing::Aside,
                Choice::Named(_) if options.force => Standing::Forced,
                Choice::Named(_) => Standing::Asked,
                Choice::Policy { .. } if !options.filter.accepts(*summary) => Standing::Aside,
                Choice::Policy { .. } if !holds_only(summary, &options.filter) => {
                    shared += 1;
                    Standing::Aside
                }
                Choice::Policy { .. } => Standing::Asked,
            };
            places.push(Place { summary, standing, reasons: Vec::new() });
        }
        Self { order, places, shared, now: now.clone() }
    }

    fn is_future(&self, summary: &Summary) -> bool {
        let latest = self.now.timestamp().as_millisecond().saturating_add(SKEW.as_millis() as i64);
        summary.time_ms > latest
    }

    /// A date that cannot be right says nothing of a snapshot's age: it stays until it can be told.
    fn keep_future(&mut self) {
        for place in 0..self.places.len() {
            if self.is_future(self.places[place].summary) {
                self.places[place].note(Reason::Future);
            }
        }
    }

    /// A snapshot that is dated later than one which was built on it stays, and so does the one that shows
    /// it: without it, the wrong date would count, and make an old state the newest.
    fn keep_contradicted(&mut self) {
        let contradictions = clocks::contradictions(&self.order, self.now.timestamp());
        for Contradiction { place, witness, earlier } in contradictions {
            let [parent, than] = [place, earlier].map(|place| self.order[place].1.id);
            self.places[place].note(Reason::Late { than });
            self.places[witness].note(Reason::Witness { of: parent });
        }
    }

    /// What is asked about, and has no reason to stay yet, is what rules are for.
    fn keep_by_policy(&mut self, policy: &Policy, grouping: Grouping) {
        let zone = self.now.time_zone().clone();
        let dates = |(n, place): (usize, &Place<'_>)| {
            Dates::new(n, place.summary.time().to_zoned_datetime(zone.clone()))
        };
        let dates: Vec<_> = self.places.iter().enumerate().map(dates).collect();
        let summaries: Vec<&Summary> = self.places.iter().map(|place| place.summary).collect();
        let is_open = |place: &usize| {
            self.places[*place].standing == Standing::Asked && self.places[*place].reasons.is_empty()
        };
        let open: Vec<usize> = (0..self.places.len()).filter(is_open).collect();
        for group in grouping.groups(open.iter().map(|place| (*place, summaries[*place]))) {
            let member = |place| Member { place, summary: summaries[place], dates: &dates[place] };
            let members: Vec<_> = group.into_iter().map(member).collect();
            policy.keep(&members, &mut |place, reason| self.places[place].note(reason));
        }
    }

    /// What homes would be restored to stays, and what says that they are gone. A date from the future
    /// must not make a snapshot count as the newest.
    fn keep_states(&mut self) {
        let trusted = self
            .places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.standing != Standing::Forced && !self.is_future(place.summary));
        let protected = protected(trusted.map(|(n, place)| (n, place.summary)));
        let name = |user| self.name(user);
        let states: Vec<_> = protected.states(name).collect();
        for (place, reason) in states {
            self.places[place].note(reason);
        }
        self.keep_removals(&protected);
    }

    /// While an older snapshot stays that knows a home, so does the word that the home is gone for good:
    /// without it, the next backup would miss the home, and a restore would bring it back.
    fn keep_removals(&mut self, protected: &Protected) {
        let mut known: HashSet<(&str, u32)> = HashSet::new();
        let places = 0..self.places.len();
        let removed = places.clone().flat_map(|n| {
            let source = &*self.places[n].summary.source;
            protected.removed(n).iter().map(move |user| (source, *user))
        });
        let removed: HashSet<(&str, u32)> = removed.collect();
        if removed.is_empty() {
            return;
        }
        for n in places.rev() {
            let summary = self.places[n].summary;
            let is_known = |user: &u32| known.contains(&(&summary.source, *user));
            let users: Vec<u32> = protected.removed(n).iter().copied().filter(is_known).collect();
            if !users.is_empty() {
                let users = names(&users, |user| self.name(user));
                self.places[n].note(Reason::Removal { users });
            }
            if self.places[n].is_kept() {
                let homes = summary.homes.iter().filter(|home| home.attention != Attention::Removed);
                let homes = homes.map(|home| (&*summary.source, home.user));
                known.extend(homes.filter(|home| removed.contains(home)));
            }
        }
    }

    fn name(&self, user: u32) -> Vec<u8> {
        let users = self.places.first().map(|place| place.summary.homes.users());
        users.and_then(|users| users.name(user)).unwrap_or_default().to_vec()
    }

    /// A source of which nothing would be left.
    fn emptied_source(&self) -> Option<&'s str> {
        let kept: HashSet<&str> =
            self.places.iter().filter(|p| p.is_kept()).map(|p| &*p.summary.source).collect();
        self.places.iter().map(|place| &*place.summary.source).find(|source| !kept.contains(source))
    }

    fn finish(self) -> Plan<'s> {
        let asked = self.places.into_iter().rev().filter(|place| place.standing != Standing::Aside);
        let decision = |place: Place<'s>| match place.is_kept() {
            true => Decision { summary: place.summary, fate: Fate::Kept, reasons: place.reasons },
            false => Decision { summary: place.summary, fate: Fate::Forgotten, reasons: Vec::new() },
        };
        Plan { decisions: asked.map(decision).collect(), shared: self.shared }
    }
}

/// Whether a snapshot holds nobody's home but those that the filter is about: all homes of a snapshot go
/// with it.
fn holds_only(summary: &Summary, filter: &Filter) -> bool {
    let mut present = summary.homes.iter().filter(|mention| mention.is_present());
    filter.users.is_empty() || present.all(|mention| filter.accepts_user(summary.homes.name(&mention)))
}
