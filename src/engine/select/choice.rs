//! What a spec means, found out from summaries: which snapshots have to be read to answer it. Of ten thousand snapshots,
//! `latest` mostly needs the newest, and never more than a few for each home.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{
    Filter, PathSpec, Place, SelectError, Selected, SelectedPlace, SnapshotSpec, by_home, by_prefix,
    home_around, newest_first, of_snapshot, unknown_user,
};
use crate::codec::Hash;
use crate::format::Attention;
use crate::index::Summary;
use crate::repo::{RepoError, Repository, Snapshot};

/// What a [`PathSpec`] means, before the snapshots are read that tell it whole.
///
/// An id means the homes of exactly that snapshot, whatever the filter says of sources, hosts and
/// tags. `latest` and times mean, for each home by itself, the newest state that really holds it
/// among the snapshots that pass the filter: one in which the home had shrunk or was missing is not
/// news, one in which it was removed ends the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    commits: Vec<Hash>,
    is_one: bool,
    place: Place,
    filter: Filter,
}

/// The same with the snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    choice: Choice,
    snapshots: Vec<Snapshot>,
}

impl Choice {
    /// Finds out what `spec` means. `now` is for snapshots dated by a clock that went ahead: none counts as newer than
    /// `now`, or than a snapshot that was built on it.
    pub fn new(
        summaries: &[Summary],
        spec: &PathSpec,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<Self, SelectError> {
        let mut filter = filter.clone();
        if let Place::InHome { user, .. } = &spec.place {
            filter.users = vec![user.clone()];
        }
        let found = commits(summaries, &spec.snapshot, &filter, now);
        let commits = match (found, &spec.place) {
            (Err(SelectError::NoSnapshots { is_filtered: true }), Place::InHome { user, .. }) => {
                return Err(unknown_user(summaries, user));
            }
            (found, _) => found?,
        };
        let is_one = matches!(spec.snapshot, SnapshotSpec::Id(_));
        Ok(Self { commits, is_one, place: spec.place.clone(), filter })
    }

    /// The commits of the snapshots that have to be read, in the order in which they are looked at.
    pub fn commits(&self) -> &[Hash] {
        &self.commits
    }

    /// Reads the snapshots.
    pub fn read(self, repository: &Repository) -> Result<Chosen, RepoError> {
        let snapshots = repository.read_snapshots(&self.commits)?;
        Ok(Chosen { choice: self, snapshots })
    }

    /// What is meant; `snapshots` are those of [`Choice::commits`].
    pub fn place<'s>(&self, snapshots: &[&'s Snapshot]) -> Result<SelectedPlace<'s>, SelectError> {
        let selected = self.homes(snapshots)?;
        let (selected, path) = match &self.place {
            Place::Everything => return Ok(SelectedPlace::Homes(selected)),
            Place::InHome { user, .. } if selected.homes.is_empty() && selected.absent.is_empty() => {
                return Err(unknown_user(std::slice::from_ref(selected.snapshot), user));
            }
            Place::InHome { path, .. } => (selected, path.clone()),
            Place::Absolute(path) => home_around(selected, path)?,
        };
        match (&selected.homes[..], &selected.absent[..]) {
            ([state], _) => Ok(SelectedPlace::InHome { state: *state, path }),
            ([], [absent, ..]) => Err(SelectError::absent(absent)),
            (homes, _) => Err(SelectError::several_sources(homes)),
        }
    }

    /// The homes among which the place is.
    fn homes<'s>(&self, snapshots: &[&'s Snapshot]) -> Result<Selected<'s>, SelectError> {
        match snapshots {
            [] => Err(SelectError::NoSnapshots { is_filtered: false }),
            [only] if self.is_one => Ok(of_snapshot(only, &self.filter)),
            [newest, ..] => Ok(by_home(newest, snapshots.iter().copied(), &self.filter)),
        }
    }
}

impl Chosen {
    /// What is meant.
    pub fn place(&self) -> Result<SelectedPlace<'_>, SelectError> {
        self.choice.place(&self.snapshots.iter().collect::<Vec<_>>())
    }

    /// The homes that are meant, or those among which the place is.
    pub fn homes(&self) -> Result<Selected<'_>, SelectError> {
        self.choice.homes(&self.snapshots.iter().collect::<Vec<_>>())
    }
}

fn commits(
    summaries: &[Summary],
    spec: &SnapshotSpec,
    filter: &Filter,
    now: Timestamp,
) -> Result<Vec<Hash>, SelectError> {
    let mut candidates = newest_first(summaries, now);
    candidates.retain(|(_, summary)| filter.accepts(*summary));
    let total = candidates.len();
    match spec {
        SnapshotSpec::Id(prefix) => return Ok(vec![by_prefix(summaries, prefix)?.hash]),
        SnapshotSpec::Latest { back } => drop(candidates.drain(..total.min(*back))),
        SnapshotSpec::At(time) => candidates.retain(|(began, _)| began <= time),
    }
    match (candidates.is_empty(), total) {
        (false, _) => Ok(decisive(candidates.into_iter().map(|(_, summary)| summary), filter)),
        (true, 0) => Err(SelectError::NoSnapshots { is_filtered: !summaries.is_empty() }),
        (true, _) => Err(SelectError::TooOld { snapshots: total }),
    }
}

/// How far the search for one home's state has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Search {
    NotMentioned,
    Open { has_shrunk_state: bool },
    Over,
}

impl Search {
    /// Takes the next older mention; says whether its record matters to what is chosen or what is told of it.
    fn consider(&mut self, attention: Attention) -> bool {
        let has_shrunk_state = match self {
            Self::Over => return false,
            Self::NotMentioned => false,
            Self::Open { has_shrunk_state } => *has_shrunk_state,
        };
        let is_first = *self == Self::NotMentioned;
        match attention {
            Attention::Normal | Attention::Removed => *self = Self::Over,
            Attention::Shrunk => *self = Self::Open { has_shrunk_state: true },
            Attention::Missing => *self = Self::Open { has_shrunk_state },
        }
        is_first || *self == Self::Over || *self != (Self::Open { has_shrunk_state })
    }
}

/// Of snapshots that come newest first, the newest, and those that say of some home what decides which state is chosen.
fn decisive<'s>(newest_first: impl Iterator<Item = &'s Summary>, filter: &Filter) -> Vec<Hash> {
    let mut searches: HashMap<&str, Vec<Search>> = HashMap::new();
    let mut decisive = Vec::new();
    for summary in newest_first {
        let users = summary.homes.users();
        let wanted: HashSet<u32> = filter.users.iter().filter_map(|user| users.number(user)).collect();
        let is_wanted = |user: u32| filter.users.is_empty() || wanted.contains(&user);
        let none = || vec![Search::NotMentioned; users.len() + 1];
        let searches = searches.entry(&summary.source).or_insert_with(none);
        let mut matters = decisive.is_empty();
        for mention in summary.homes.iter().filter(|mention| is_wanted(mention.user)) {
            matters |= searches[mention.user as usize].consider(mention.attention);
        }
        if matters {
            decisive.push(summary.hash);
        }
    }
    decisive
}
