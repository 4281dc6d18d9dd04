//! `find`: where something is, in all snapshots or in one, and what became of a path.

mod arguments;
mod history;
mod matches;

pub use arguments::FindArguments;

use jiff::{Timestamp, ZonedDateTime};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::synced::Synced;
use crate::codec::Hash;
use crate::engine::find::{Found, Query, Search};
use crate::engine::select::{
    Filter, HomeState, PathSpec, Place, SnapshotSpec, newest_first, refuse_unknown_users, states_in,
};
use crate::repo::RepoError;
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
    refuse_unknown_users(&filter, &synced.summaries)?;
    let (mut matches, mut search) = (Matches::default(), Search::new(&query));
    let mut reader = synced.repository.reader()?;
    let mut look_into = |states: &[HomeState<'_>]| -> Result<(), CliError> {
        let mut add = |found: &Found<'_>| {
            matches.add(found);
            Ok(())
        };
        states.iter().try_for_each(|state| search.look_into(&mut reader, state, &mut add))
    };
    match snapshot {
        Some(snapshot) => {
            let spec = PathSpec { snapshot, place: Place::Everything };
            look_into(&synced.choose(&spec, &filter, now.timestamp())?.homes()?.homes)?;
        }
        // Read one after the other, newest first: all of them would not fit into memory.
        None => {
            for commit in in_order(&synced, &filter, now.timestamp()) {
                let snapshot = synced.repository.snapshot_of(&commit, &|user| filter.accepts_user(user))?;
                let snapshot = snapshot.ok_or(RepoError::IndexChanged)?;
                look_into(&states_in(&snapshot, &filter))?;
            }
        }
    }
    matches.tell(context, &search.report())?;
    Ok(synced.exit())
}

/// The commits of all snapshots that pass the filter, newest first.
fn in_order(synced: &Synced, filter: &Filter, now: Timestamp) -> Vec<Hash> {
    let order = newest_first(&synced.summaries, now).into_iter().map(|(_, summary)| summary);
    order.filter(|summary| filter.accepts(*summary)).map(|summary| summary.hash).collect()
}
