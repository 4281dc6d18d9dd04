//! `find --history`: what became of one path over time.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::choose::spec;
use crate::cli::context::Context;
use crate::cli::entry::{self, Sizes};
use crate::cli::error::CliError;
use crate::cli::json::node::NodeObject;
use crate::cli::json::{lossy, raw, rfc3339};
use crate::cli::synced::Synced;
use crate::cli::table::{self, Align};
use crate::cli::text;
use crate::engine::HomePath;
use crate::engine::diff::Change;
use crate::engine::find::{Version, history};
use crate::engine::lookup::lookup;
use crate::engine::select::{
    Filter, HomeState, PathSpec, Place, SelectError, SelectedPlace, refuse_unknown_users, states_in,
};
use crate::repo::{RepoError, Snapshot};

#[derive(Serialize)]
struct VersionObject {
    message_type: &'static str,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_bytes: Option<String>,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    /// What made it of the version before; null for the oldest.
    change: Option<&'static str>,
    /// Null while nothing was there.
    node: Option<NodeObject>,
    newest_snapshot_id: String,
    newest_time: String,
    oldest_snapshot_id: String,
    oldest_time: String,
    snapshots: usize,
}

/// Reads `USER/path` or `/absolute/path`.
pub fn place(text: &OsStr) -> Result<PathSpec, CliError> {
    let spec = spec(OsStr::from_bytes(&[b"latest:", text.as_bytes()].concat()))?;
    match spec.place {
        Place::Everything => Err(CliError::Usage("--history wants USER/path".into())),
        _ => Ok(spec),
    }
}

/// Tells the versions.
pub fn run(context: &Context, synced: &Synced, spec: &PathSpec, filter: &Filter) -> Result<(), CliError> {
    let now = Timestamp::now();
    let (user, path) = match &spec.place {
        Place::InHome { user, path } => (user.clone(), path.clone()),
        _ => match synced.choose(spec, filter, now)?.place()? {
            SelectedPlace::InHome { state, path } => (state.home.user.clone(), path),
            SelectedPlace::Homes(_) => return Err(CliError::Usage("--history wants USER/path".into())),
        },
    };
    let filter = Filter { users: vec![user.clone()], ..filter.clone() };
    refuse_unknown_users(&filter, &synced.summaries)?;
    let snapshots = snapshots_with(synced, &filter, now)?;
    let states: Vec<_> = snapshots.iter().flat_map(|snapshot| states_in(snapshot, &filter)).collect();
    refuse_several_sources(&user, &states)?;
    let mut reader = synced.repository.reader()?;
    let versions = history(&mut reader, &states, &path)?;
    if let (true, Some(newest)) = (versions.iter().all(|v| v.entry.is_none()), states.first()) {
        // It never was there: the error says how far the way leads today.
        lookup(&mut reader, newest.root, &path)?;
    }
    tell(context, &user, &path, &versions);
    Ok(())
}

/// All snapshots that pass the filter, newest first, and of them only the homes that do: as a whole they would not fit into
/// memory.
fn snapshots_with(synced: &Synced, filter: &Filter, now: Timestamp) -> Result<Vec<Snapshot>, CliError> {
    let mut snapshots = Vec::new();
    for commit in super::in_order(synced, filter, now) {
        let snapshot = synced.repository.snapshot_of(&commit, &|user| filter.accepts_user(user))?;
        let mut snapshot = snapshot.ok_or(RepoError::IndexChanged)?;
        snapshot.record.deps = Vec::new();
        snapshots.push(snapshot);
    }
    Ok(snapshots)
}

fn refuse_several_sources(user: &[u8], states: &[HomeState<'_>]) -> Result<(), SelectError> {
    let sources: BTreeSet<_> = states.iter().map(|state| &state.snapshot.record.source).collect();
    match sources.len() {
        0 | 1 => Ok(()),
        _ => Err(SelectError::SeveralSources {
            user: user.to_vec(),
            sources: sources.into_iter().cloned().collect(),
        }),
    }
}

fn tell(context: &Context, user: &[u8], path: &HomePath, versions: &[Version<'_>]) {
    if context.output.is_json() {
        versions.iter().for_each(|version| context.output.object(&object(user, path, version)));
        return;
    }
    let header = [
        ("change", Align::Left),
        ("from", Align::Left),
        ("to", Align::Left),
        ("snapshots", Align::Right),
        ("size", Align::Right),
        ("modified", Align::Left),
    ];
    context.output.line(&table::render(&header, versions.iter().map(row).collect()));
}

fn row(version: &Version<'_>) -> Vec<String> {
    let entry = version.entry.as_ref();
    let modified = entry.and_then(entry::modified);
    vec![
        version.change.map_or(if entry.is_some() { "first" } else { "not there" }, word).into(),
        named(version.oldest),
        named(version.newest),
        version.snapshots.to_string(),
        entry.map_or_else(|| "-".into(), |entry| entry::size(entry, Sizes::Units)),
        modified.map_or_else(|| "-".into(), text::local_time),
    ]
}

fn named(snapshot: &Snapshot) -> String {
    format!("{} {}", snapshot.record.id.short_hex(), text::local_time(snapshot.time()))
}

fn object(user: &[u8], path: &HomePath, version: &Version<'_>) -> VersionObject {
    VersionObject {
        message_type: "version",
        user: lossy(user),
        user_bytes: raw(user),
        path: lossy(path.as_bytes()),
        path_bytes: raw(path.as_bytes()),
        change: version.change.map(word),
        node: version.entry.as_ref().map(|entry| NodeObject::new("node", user, path, entry)),
        newest_snapshot_id: version.newest.record.id.to_hex(),
        newest_time: rfc3339(version.newest.record.time_ms),
        oldest_snapshot_id: version.oldest.record.id.to_hex(),
        oldest_time: rfc3339(version.oldest.record.time_ms),
        snapshots: version.snapshots,
    }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Type => "type",
        Change::Content => "content",
        Change::Metadata => "metadata",
    }
}
