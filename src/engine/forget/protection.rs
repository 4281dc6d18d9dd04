//! Which snapshots stay whatever a policy says: those that hold the state a home would be restored to, and
//! those that say it is gone for good. Pure; knows no rule.

use std::collections::{BTreeMap, HashMap};

use super::Reason;
use crate::format::Attention;
use crate::index::Summary;

/// Finds, for every home, the state that `latest` leads to, and why that snapshot must stay.
///
/// `newest_first` are snapshots with their places. The search is the one that a restore and the next
/// backup make: the newest normal state counts; a shrunk or missing home is an alarm until someone
/// confirms it, and does not take the place of the state before it; a removed one ends the search.
pub(super) fn protected<'s>(newest_first: impl Iterator<Item = (usize, &'s Summary)>) -> Protected {
    let mut found = Protected::default();
    let mut searches: HashMap<&str, Vec<Search>> = HashMap::new();
    for (place, summary) in newest_first {
        let users = summary.homes.users().len();
        // Numbers of users count from 1.
        let searches = searches.entry(&summary.source).or_insert_with(|| vec![Search::Begun; users + 1]);
        for mention in summary.homes.iter() {
            let search = &mut searches[mention.user as usize];
            if *search != Search::Over {
                found.consider(search, place, mention.user, mention.attention);
            }
        }
    }
    for (user, search) in searches.values().flat_map(|searches| (0..).zip(searches)) {
        if let Search::Alarmed { shrunk: Some(place) } = search {
            found.note(*place, user, Kind::Only);
        }
    }
    found
}

/// What protects which snapshot.
#[derive(Default)]
pub(super) struct Protected {
    states: BTreeMap<(usize, Kind), Vec<u32>>,
    /// Places of snapshots that say that homes are gone for good, with the users.
    removals: BTreeMap<usize, Vec<u32>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Newest,
    BeforeAlarm,
    Only,
}

/// How far the search for a home's state has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Search {
    Begun,
    /// Newer snapshots say only that the home was shrunk, the newest of them in this place, or missing.
    Alarmed {
        shrunk: Option<usize>,
    },
    Over,
}

impl Protected {
    fn consider(&mut self, search: &mut Search, place: usize, user: u32, attention: Attention) {
        let shrunk = match search {
            Search::Alarmed { shrunk } => *shrunk,
            _ => None,
        };
        *search = match attention {
            Attention::Normal => {
                let is_newest = *search == Search::Begun;
                self.note(place, user, if is_newest { Kind::Newest } else { Kind::BeforeAlarm });
                Search::Over
            }
            Attention::Shrunk => Search::Alarmed { shrunk: shrunk.or(Some(place)) },
            Attention::Missing => Search::Alarmed { shrunk },
            Attention::Removed => {
                self.removals.entry(place).or_default().push(user);
                Search::Over
            }
        };
    }

    fn note(&mut self, place: usize, user: u32, kind: Kind) {
        self.states.entry((place, kind)).or_default().push(user);
    }

    /// The snapshots that hold states, with why each stays. `name` says who a number is.
    pub fn states(&self, name: impl Fn(u32) -> Vec<u8>) -> impl Iterator<Item = (usize, Reason)> {
        self.states.iter().map(move |((place, kind), users)| {
            let users = names(users, &name);
            let reason = match kind {
                Kind::Newest => Reason::NewestState { users },
                Kind::BeforeAlarm => Reason::BeforeAlarm { users },
                Kind::Only => Reason::OnlyState { users },
            };
            (*place, reason)
        })
    }

    /// Users of whom the snapshot in a place says that their homes are gone for good, if that still counts.
    pub fn removed(&self, place: usize) -> &[u32] {
        self.removals.get(&place).map_or(&[], Vec::as_slice)
    }
}

/// By name.
pub(super) fn names(users: &[u32], name: impl Fn(u32) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut names: Vec<_> = users.iter().map(|user| name(*user)).collect();
    names.sort_unstable();
    names
}
