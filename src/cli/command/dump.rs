//! `dump`: a file's bytes, or a directory as an archive, to standard output or into a file.

mod target;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::cli::choose::FilterArguments;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::synced::Synced;
use crate::cli::{state, text};
use crate::engine::dump::{dump_archive, dump_file};
use crate::engine::lookup::{Located, lookup};
use crate::engine::select::SelectedPlace;
use crate::repo::Reader;
use target::Target;

/// Print a file of a snapshot, or a directory as a tar archive
#[derive(Debug, Default, Args)]
pub struct DumpArguments {
    /// The snapshot and the file or directory in it
    #[arg(value_name = "SPEC:USER/path")]
    spec: OsString,
    /// Write an archive also of a file [default: an archive of a directory, a file as it is]
    #[arg(short, long, value_name = "FORMAT")]
    archive: Option<Archive>,
    /// Write into this file, which must be new, instead of standard output
    #[arg(short, long, visible_alias = "target", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over the file, or bytes that are no text to a terminal
    #[arg(short, long)]
    force: bool,
    /// Which snapshots count.
    #[command(flatten)]
    filter: FilterArguments,
}

/// A format of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Archive {
    /// With owners, times, links and extended attributes
    Tar,
}

/// Writes it.
pub fn run(context: &Context, arguments: &DumpArguments) -> Result<Exit, CliError> {
    let spec = arguments.filter.spec(&arguments.spec)?;
    let synced = Synced::open(context)?;
    let chosen = synced.choose(&spec, &arguments.filter.filter(), Timestamp::now())?;
    let SelectedPlace::InHome { state, path } = chosen.place()? else {
        return Err(CliError::Usage("name a file or directory: `homekeep dump latest:USER/path`".into()));
    };
    let mut reader = synced.repository.reader()?;
    let place = lookup(&mut reader, state.root, &path)?;
    state::tell(&context.output, &state);
    let is_archive = arguments.archive.is_some() || place.entry.is_directory();
    let mut target = Target::open(arguments.output.as_deref(), arguments.force, is_archive)?;
    let written = match is_archive {
        true => archive(context, &mut reader, &state.home.user, &place, &mut target),
        false => dump_file(&mut reader, &place, &mut target).map(|_| Exit::Done).map_err(CliError::from),
    };
    let exit = target.finish(written)?;
    Ok(if exit == Exit::Done { synced.exit() } else { exit })
}

fn archive(
    context: &Context,
    reader: &mut Reader,
    user: &[u8],
    place: &Located,
    to: &mut Target,
) -> Result<Exit, CliError> {
    let mut left_out = |path: &crate::engine::HomePath| {
        let place = text::place(user, path.as_bytes());
        context.output.warn(&format!("{place} is left out: the snapshot has its name, not its content"));
    };
    let report = dump_archive(reader, place, to, &mut left_out)?;
    Ok(if report.without_content == 0 { Exit::Done } else { Exit::Problems })
}
