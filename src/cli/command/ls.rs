//! `ls`: the homes of a snapshot, or what is in one of their directories.

use std::ffi::{OsStr, OsString};

use clap::Args;
use jiff::Timestamp;

use crate::cli::choose::FilterArguments;
use crate::cli::context::Context;
use crate::cli::entry::{self, Sizes};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::home::{AbsentObject, StateObject};
use crate::cli::json::node::NodeObject;
use crate::cli::lines::Lines;
use crate::cli::synced::Synced;
use crate::cli::table::{self, Align};
use crate::cli::{state, text};
use crate::engine::HomePath;
use crate::engine::lookup::{Located, lookup};
use crate::engine::ls::{Depth, ls};
use crate::engine::select::{HomeState, Selected, SelectedPlace, refuse_unknown_users};
use crate::format::Entry;
use crate::repo::Reader;

/// List the homes of a snapshot, or a directory in one of them
#[derive(Debug, Default, Args)]
pub struct LsArguments {
    /// The snapshot, with `:USER` or `:USER/path` for a directory in it [default: latest]
    #[arg(value_name = "SPEC[:USER[/path]]")]
    spec: Option<OsString>,
    /// Permissions, owners, sizes and times
    #[arg(short, long)]
    long: bool,
    /// All that is below
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Sizes in KiB, MiB and so on
    #[arg(long)]
    human_readable: bool,
    /// Which snapshots count.
    #[command(flatten)]
    filter: FilterArguments,
}

/// Lists it.
pub fn run(context: &Context, arguments: &LsArguments) -> Result<Exit, CliError> {
    let spec = arguments.filter.spec(arguments.spec.as_deref().unwrap_or(OsStr::new("latest")))?;
    let synced = Synced::open(context)?;
    let filter = arguments.filter.filter();
    refuse_unknown_users(&filter, &synced.summaries)?;
    match synced.choose(&spec, &filter, Timestamp::now())?.place()? {
        SelectedPlace::InHome { state, path } => in_home(context, &synced, arguments, &state, &path)?,
        SelectedPlace::Homes(selected) => homes(context, &synced, arguments, &selected)?,
    }
    Ok(synced.exit())
}

fn homes(
    context: &Context,
    synced: &Synced,
    arguments: &LsArguments,
    selected: &Selected<'_>,
) -> Result<(), CliError> {
    let output = &context.output;
    if output.is_json() {
        selected.homes.iter().for_each(|state| output.object(&StateObject::new(state)));
        selected.absent.iter().for_each(|absent| output.object(&AbsentObject::new(absent)));
    } else {
        selected.homes.iter().for_each(|state| state::tell(output, state));
        selected.absent.iter().for_each(|absent| state::tell_absent(output, absent));
    }
    if arguments.recursive {
        return everything(context, synced, arguments, selected);
    }
    match (output.is_json(), arguments.long) {
        (true, _) => {}
        (false, true) => output.line(&table(&selected.homes)),
        (false, false) => selected.homes.iter().for_each(|state| output.line(&text::name(&state.home.user))),
    }
    Ok(())
}

fn table(states: &[HomeState<'_>]) -> String {
    let header = [
        ("home", Align::Left),
        ("snapshot", Align::Left),
        ("time", Align::Left),
        ("files", Align::Right),
        ("size", Align::Right),
        ("path", Align::Left),
    ];
    let row = |state: &HomeState<'_>| {
        vec![
            text::name(&state.home.user),
            state.snapshot.record.id.short_hex(),
            text::local_time(state.snapshot.time()),
            state.home.files.to_string(),
            text::size(state.home.bytes),
            text::name(&state.home.path),
        ]
    };
    table::render(&header, states.iter().map(row).collect())
}

/// Every home with all that is in it; names begin with the user's.
fn everything(
    context: &Context,
    synced: &Synced,
    arguments: &LsArguments,
    selected: &Selected<'_>,
) -> Result<(), CliError> {
    let mut reader = synced.repository.reader()?;
    let mut lines = Lines::begin();
    for state in &selected.homes {
        let start = Located { path: HomePath::home(), entry: state.root.clone() };
        let user = text::name(&state.home.user);
        let shown = |path: &HomePath| format!("{user}/{}", text::name(path.as_bytes()));
        list(context, arguments, &mut reader, state, &start, &mut lines, &shown)?;
    }
    lines.finish()
}

fn in_home(
    context: &Context,
    synced: &Synced,
    arguments: &LsArguments,
    state: &HomeState<'_>,
    path: &HomePath,
) -> Result<(), CliError> {
    let mut reader = synced.repository.reader()?;
    let start = lookup(&mut reader, state.root, path)?;
    match context.output.is_json() {
        true => context.output.object(&StateObject::new(state)),
        false => state::tell(&context.output, state),
    }
    let above = if start.entry.is_directory() { path.components().count() } else { 0 };
    let shown = |path: &HomePath| {
        let names: Vec<_> = path.components().skip(above).collect();
        text::name(&names.join(&b'/'))
    };
    let mut lines = Lines::begin();
    list(context, arguments, &mut reader, state, &start, &mut lines, &shown)?;
    lines.finish()
}

/// Lists what is at `start`; `shown` makes a path a name for people.
fn list(
    context: &Context,
    arguments: &LsArguments,
    reader: &mut Reader,
    state: &HomeState<'_>,
    start: &Located,
    lines: &mut Lines,
    shown: &dyn Fn(&HomePath) -> String,
) -> Result<(), CliError> {
    let depth = if arguments.recursive { Depth::Everything } else { Depth::Children };
    let sizes = if arguments.human_readable { Sizes::Units } else { Sizes::Bytes };
    let mut visit = |path: &HomePath, entry: &Entry| {
        if context.output.is_json() {
            return lines.object(&NodeObject::new("node", &state.home.user, path, entry));
        }
        let slash = if entry.is_directory() { "/" } else { "" };
        let name = shown(path) + slash;
        lines.line(&if arguments.long { entry::long(entry, &name, sizes) } else { name })
    };
    ls(reader, start, depth, &mut visit)
}
