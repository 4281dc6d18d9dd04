//! What is compared with what: the homes or places that two specs mean, in pairs. Knows no difference.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::DiffArguments;
use crate::cli::error::CliError;
use crate::cli::synced::Synced;
use crate::engine::lookup::lookup;
use crate::engine::select::{
    Filter, HomeState, PathSpec, Place, SelectError, Selected, SelectedPlace, refuse_unknown_users,
};
use crate::engine::{BrowseError, HomePath};
use crate::format::Entry;

/// One place, before and after.
pub struct Pair {
    /// Whose home it is in.
    pub user: Vec<u8>,
    /// Where it is there.
    pub path: HomePath,
    /// What it was.
    pub before: Option<Entry>,
    /// What it became.
    pub after: Option<Entry>,
}

/// The ids of the snapshots that were named, or of the newest of those that were looked at.
pub struct SnapshotIds {
    /// What it was.
    pub before: String,
    /// What it became.
    pub after: String,
}

/// Reads both specs; a place that only one of them names is the other's too.
pub fn specs(arguments: &DiffArguments) -> Result<(PathSpec, PathSpec), CliError> {
    let mut before = arguments.filter.spec(&arguments.before)?;
    let mut after = arguments.filter.spec(&arguments.after)?;
    match (&before.place, &after.place) {
        (Place::Everything, place) => before.place = place.clone(),
        (place, Place::Everything) => after.place = place.clone(),
        _ => {}
    }
    Ok((before, after))
}

/// Finds both sides.
pub fn pairs(
    synced: &Synced,
    (before, after): &(PathSpec, PathSpec),
    filter: &Filter,
) -> Result<(Vec<Pair>, SnapshotIds), CliError> {
    refuse_unknown_users(filter, &synced.summaries)?;
    let choose = |spec| synced.choose(spec, filter, Timestamp::now());
    let (before, after) = (choose(before)?, choose(after)?);
    match (before.place()?, after.place()?) {
        (SelectedPlace::Homes(before), SelectedPlace::Homes(after)) => homes(&before, &after),
        (
            SelectedPlace::InHome { state: before, path },
            SelectedPlace::InHome { state: after, path: after_path },
        ) => places(synced, (&before, &path), (&after, &after_path)),
        // A place that one spec lacked was taken from the other.
        _ => Err(CliError::Usage("one of the specs names a place and the other does not".into())),
    }
}

/// Homes are the same if they are the same user's, on whatever machine.
fn homes(before: &Selected<'_>, after: &Selected<'_>) -> Result<(Vec<Pair>, SnapshotIds), CliError> {
    let mut pairs: BTreeMap<&[u8], [Option<&HomeState<'_>>; 2]> = BTreeMap::new();
    for (side, states) in [&before.homes, &after.homes].into_iter().enumerate() {
        for state in states {
            if let Some(other) = pairs.entry(&state.home.user).or_default()[side].replace(state) {
                let sources = [other, state].map(|s| s.snapshot.record.source.clone()).into();
                return Err(SelectError::SeveralSources { user: state.home.user.clone(), sources }.into());
            }
        }
    }
    let root = |state: Option<&HomeState<'_>>| state.map(|state| state.root.clone());
    let pair = |(user, [before, after]): (&[u8], [_; 2])| Pair {
        user: user.to_vec(),
        path: HomePath::home(),
        before: root(before),
        after: root(after),
    };
    let ids =
        SnapshotIds { before: before.snapshot.record.id.to_hex(), after: after.snapshot.record.id.to_hex() };
    Ok((pairs.into_iter().map(pair).collect(), ids))
}

type InHome<'a> = (&'a HomeState<'a>, &'a HomePath);

fn places(
    synced: &Synced,
    (before, before_path): InHome<'_>,
    (after, after_path): InHome<'_>,
) -> Result<(Vec<Pair>, SnapshotIds), CliError> {
    let mut reader = synced.repository.reader()?;
    let mut find = |(state, path): InHome<'_>| match lookup(&mut reader, state.root, path) {
        Ok(found) => Ok(Ok(found.entry)),
        Err(error @ (BrowseError::NotFound { .. } | BrowseError::NotDirectory { .. })) => Ok(Err(error)),
        Err(error) => Err(error),
    };
    let sides = (find((before, before_path))?, find((after, after_path))?);
    // What one side lacks was added or removed; what both lack was mistyped.
    if let (Err(_), Err(error)) = sides {
        return Err(error.into());
    }
    let pair = Pair {
        user: after.home.user.clone(),
        path: after_path.clone(),
        before: sides.0.ok(),
        after: sides.1.ok(),
    };
    let ids =
        SnapshotIds { before: before.snapshot.record.id.to_hex(), after: after.snapshot.record.id.to_hex() };
    Ok((vec![pair], ids))
}
