//! `find`: where something is, in all snapshots or in one, and what became of a path.

mod arguments;
mod history;
mod matches;

pub use arguments::FindArguments;

use jiff::{Timestamp, ZonedDateTime};

use crate::cli::choose::refuse_unknown_users;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::synced::Synced;
use crate::engine::find::{Query, find};
use crate::engine::select::{Filter, HomeState, SnapshotSpec, resolve, states};
use crate::repo::Snapshot;
use matches::Matches;

/// Searches.
pub fn run(context: &Context, arguments: &FindArguments) -> Result<Exit, CliError> {
    let now = ZonedDateTime::now();
    let filter = arguments.filter.filter();
    if let Some(place) = &arguments.history {
        let place = history::place(place)?;
        let synced = Synced::open(context)?;
        history::run(context, &synced, &place, &filter)?;
        return Ok(synced.exit());
    }
    let query = Query::new(arguments.options(&now)?)?;
    let snapshot = arguments.snapshot.as_ref().map(|text| SnapshotSpec::parse(text, &now)).transpose()?;
    let synced = Synced::open(context)?;
    refuse_unknown_users(&filter, &synced.snapshots)?;
    let states = searched(&synced.snapshots, snapshot.as_ref(), &filter, now.timestamp())?;
    let mut matches = Matches::default();
    let report = find(&mut synced.repository.reader()?, &states, &query, &mut |found| {
        matches.add(found);
        Ok::<_, CliError>(())
    })?;
    matches.tell(context, &report)?;
    Ok(synced.exit())
}

/// The states that are searched, newest first.
fn searched<'s>(
    snapshots: &'s [Snapshot],
    snapshot: Option<&SnapshotSpec>,
    filter: &Filter,
    now: Timestamp,
) -> Result<Vec<HomeState<'s>>, CliError> {
    Ok(match snapshot {
        Some(spec) => resolve(snapshots, spec, filter, now)?.homes,
        None => states(snapshots, filter, now),
    })
}
