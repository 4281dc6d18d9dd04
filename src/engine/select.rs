//! Which snapshot, home and path are meant by what people type. Works on summaries, and on the records of the few
//! snapshots that these lead to; asks no clock.

mod choice;
mod error;
mod filter;
mod head;
mod moment;
mod spec;
mod timeline;

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

pub use choice::{Choice, Chosen};
pub use error::{Candidate, SelectError};
pub use filter::Filter;
pub use head::SnapshotHead;
pub use spec::{PathSpec, Place, SnapshotSpec};

use super::HomePath;
use crate::format::{Attention, Entry, HomeRecord};
use crate::repo::Snapshot;
pub use timeline::newest_first;

/// A home as one snapshot holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HomeState<'s> {
    /// The snapshot.
    pub snapshot: &'s Snapshot,
    /// What it says of the home.
    pub home: &'s HomeRecord,
    /// The home's own directory.
    pub root: &'s Entry,
    /// What a person should know before relying on this state.
    pub note: Option<StateNote<'s>>,
}

/// What a person should know of a state that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateNote<'s> {
    /// The home had far fewer files than before: perhaps a new machine's empty home.
    Shrunk,
    /// Newer snapshots say of this home only that it had shrunk or was missing, so this is an older state.
    Behind {
        /// The newest of them.
        newest: &'s Snapshot,
        /// What it says.
        attention: Attention,
    },
}

/// A home that was asked for and has no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbsentHome<'s> {
    /// The snapshot that says so.
    pub snapshot: &'s Snapshot,
    /// What it says.
    pub home: &'s HomeRecord,
}

/// What a [`SnapshotSpec`] came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected<'s> {
    /// The snapshot that was named, or the newest of those that were looked at.
    pub snapshot: &'s Snapshot,
    /// The homes, by user and source.
    pub homes: Vec<HomeState<'s>>,
    /// Homes that are known and not there, by user and source.
    pub absent: Vec<AbsentHome<'s>>,
}

/// What a [`PathSpec`] came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectedPlace<'s> {
    /// Whole homes.
    Homes(Selected<'s>),
    /// A place in one home.
    InHome {
        /// The home.
        state: HomeState<'s>,
        /// The path in it.
        path: HomePath,
    },
}

/// Finds the one snapshot that `spec` names: for a time, the newest that had been taken by then.
pub fn find<'s, S: SnapshotHead>(
    snapshots: &'s [S],
    spec: &SnapshotSpec,
    now: Timestamp,
) -> Result<&'s S, SelectError> {
    let mut order = newest_first(snapshots, now).into_iter();
    let found = match spec {
        SnapshotSpec::Id(prefix) => return by_prefix(snapshots, prefix),
        SnapshotSpec::Latest { back } => order.nth(*back),
        SnapshotSpec::At(time) => order.find(|(began, _)| began <= time),
    };
    match found {
        Some((_, snapshot)) => Ok(snapshot),
        None if snapshots.is_empty() => Err(SelectError::NoSnapshots { is_filtered: false }),
        None => Err(SelectError::TooOld { snapshots: snapshots.len() }),
    }
}

/// Every state of every home in the snapshots that pass the filter, newest first; those in which a
/// home had shrunk are noted.
pub fn states<'s>(snapshots: &'s [Snapshot], filter: &Filter, now: Timestamp) -> Vec<HomeState<'s>> {
    let accepted = newest_first(snapshots, now).into_iter().map(|(_, s)| s).filter(|s| filter.accepts(*s));
    accepted.flat_map(|snapshot| states_in(snapshot, filter)).collect()
}

/// The homes of one snapshot that pass the filter; those that had shrunk are noted.
pub fn states_in<'s>(snapshot: &'s Snapshot, filter: &Filter) -> Vec<HomeState<'s>> {
    of_snapshot(snapshot, filter).homes
}

fn by_prefix<'s, S: SnapshotHead>(snapshots: &'s [S], prefix: &str) -> Result<&'s S, SelectError> {
    let matching: Vec<_> = snapshots.iter().filter(|s| s.id().to_hex().starts_with(prefix)).collect();
    match matching[..] {
        [only] => Ok(only),
        [] => Err(SelectError::NoSuchId(prefix.into())),
        _ => Err(SelectError::ambiguous(prefix, &matching)),
    }
}

/// A snapshot's homes as they are in it.
fn of_snapshot<'s>(snapshot: &'s Snapshot, filter: &Filter) -> Selected<'s> {
    let mut selected = Selected { snapshot, homes: Vec::new(), absent: Vec::new() };
    for home in snapshot.record.homes.iter().filter(|home| filter.accepts_user(&home.user)) {
        match &home.root {
            Some(root) => {
                let note = (home.attention == Attention::Shrunk).then_some(StateNote::Shrunk);
                selected.homes.push(HomeState { snapshot, home, root, note });
            }
            None => selected.absent.push(AbsentHome { snapshot, home }),
        }
    }
    selected
}

/// How far the search for one home's state has come.
struct Search<'s> {
    newest: AbsentHome<'s>,
    shrunk: Option<HomeState<'s>>,
    end: Option<End<'s>>,
}

enum End<'s> {
    Held(HomeState<'s>),
    Removed,
}

/// For each home, the newest state that really holds it.
fn by_home<'s>(
    newest: &'s Snapshot,
    newest_first: impl Iterator<Item = &'s Snapshot>,
    filter: &Filter,
) -> Selected<'s> {
    let mut searches: BTreeMap<(&[u8], &str), Search<'s>> = BTreeMap::new();
    for snapshot in newest_first {
        for home in snapshot.record.homes.iter().filter(|home| filter.accepts_user(&home.user)) {
            let mention = AbsentHome { snapshot, home };
            searches
                .entry((&home.user, &snapshot.record.source))
                .or_insert(Search { newest: mention, shrunk: None, end: None })
                .consider(mention);
        }
    }
    let mut selected = Selected { snapshot: newest, homes: Vec::new(), absent: Vec::new() };
    for search in searches.into_values() {
        match search.outcome() {
            Ok(state) => selected.homes.push(state),
            Err(absent) => selected.absent.push(absent),
        }
    }
    selected
}

impl<'s> Search<'s> {
    /// Looks at the next older mention of the home, unless the search is over.
    fn consider(&mut self, AbsentHome { snapshot, home }: AbsentHome<'s>) {
        if self.end.is_some() {
            return;
        }
        let state = |note| home.root.as_ref().map(|root| HomeState { snapshot, home, root, note });
        match home.attention {
            Attention::Normal => self.end = state(self.note_on(snapshot)).map(End::Held),
            Attention::Shrunk if self.shrunk.is_none() => self.shrunk = state(Some(StateNote::Shrunk)),
            Attention::Shrunk | Attention::Missing => {}
            Attention::Removed => self.end = Some(End::Removed),
        }
    }

    fn note_on(&self, snapshot: &Snapshot) -> Option<StateNote<'s>> {
        let AbsentHome { snapshot: newest, home } = self.newest;
        (newest.hash != snapshot.hash).then_some(StateNote::Behind { newest, attention: home.attention })
    }

    /// Where no state is whole any more, a shrunk one is better than nothing.
    fn outcome(self) -> Result<HomeState<'s>, AbsentHome<'s>> {
        match self.end {
            Some(End::Held(state)) => Ok(state),
            Some(End::Removed) => Err(self.newest),
            None => self.shrunk.ok_or(self.newest),
        }
    }
}

/// The home whose recorded place holds `path`, and the rest of the path. Of nested homes the inner one.
fn home_around<'s>(selected: Selected<'s>, path: &HomePath) -> Result<(Selected<'s>, HomePath), SelectError> {
    let depth_of = |home: &HomeRecord| {
        let recorded = HomePath::parse(&home.path).ok()?;
        let depth = recorded.components().count();
        recorded.components().eq(path.components().take(depth)).then_some(depth)
    };
    let known = selected.homes.iter().map(|s| s.home).chain(selected.absent.iter().map(|a| a.home));
    let paths: Vec<_> = known.clone().map(|home| home.path.clone()).collect();
    let Some(depth) = known.filter_map(depth_of).max() else {
        return Err(SelectError::OutsideHomes { path: path.clone(), homes: paths });
    };
    let Selected { snapshot, mut homes, mut absent } = selected;
    homes.retain(|state| depth_of(state.home) == Some(depth));
    absent.retain(|absent| depth_of(absent.home) == Some(depth));
    let mut rest = HomePath::home();
    path.components().skip(depth).for_each(|name| rest.push(name));
    Ok((Selected { snapshot, homes, absent }, rest))
}

/// Refuses a user whom none of these snapshots knows, so that a slip of the pen is not an empty answer.
pub fn refuse_unknown_users<S: SnapshotHead>(filter: &Filter, snapshots: &[S]) -> Result<(), SelectError> {
    let is_known = |user: &Vec<u8>| snapshots.iter().any(|s| s.mentions(std::slice::from_ref(user)));
    let unknown = filter.users.iter().find(|user| !snapshots.is_empty() && !is_known(user));
    unknown.map_or(Ok(()), |user| Err(unknown_user(snapshots, user)))
}

fn unknown_user<S: SnapshotHead>(snapshots: &[S], user: &[u8]) -> SelectError {
    let known: HashSet<&[u8]> = snapshots.iter().flat_map(SnapshotHead::users).collect();
    let mut known: Vec<Vec<u8>> = known.into_iter().map(<[u8]>::to_vec).collect();
    known.sort_unstable();
    SelectError::UnknownUser { user: user.to_vec(), known }
}

#[cfg(test)]
mod tests;
