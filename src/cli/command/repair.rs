//! `repair`: makes the best of damage, of snapshots, segments or the local index. Knows what is told of it.

mod index;
mod segments;
mod snapshots;

use clap::{Args, Subcommand};

use crate::cli::context::Context;
use crate::cli::effort;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::text::{self, count};
use crate::engine::repair::{RepairOptions, Salvaged};

/// Make the best of damage
///
/// First of all: a damaged object can be put back from a copy of the repository, and `homekeep copy` brings back
/// snapshots from another repository. What the homes still have is stored again by the next backup. Run
/// `homekeep check --read-data` before, so that it is known what is damaged.
#[derive(Debug, Args)]
pub struct RepairArguments {
    #[command(subcommand)]
    command: RepairCommand,
}

#[derive(Debug, Subcommand)]
enum RepairCommand {
    Snapshots(Box<snapshots::SnapshotsArguments>),
    Segments(segments::SegmentsArguments),
    Index(index::IndexArguments),
}

/// Repairs.
pub fn run(context: &Context, arguments: &RepairArguments) -> Result<Exit, CliError> {
    match &arguments.command {
        RepairCommand::Snapshots(arguments) => snapshots::run(context, arguments),
        RepairCommand::Segments(arguments) => segments::run(context, arguments),
        RepairCommand::Index(arguments) => index::run(context, arguments),
    }
}

/// What is written is written like a backup.
fn options(context: &Context, dry_run: bool) -> RepairOptions {
    let config = &context.config.backup;
    RepairOptions {
        snapshots: None,
        forget: false,
        dry_run,
        level: effort::level(config.compression_level),
        threads: effort::threads(config.read_concurrency),
    }
}

/// What became of damaged segments, for people; none if there are none.
fn salvaged_line(salvaged: &Salvaged) -> Option<String> {
    (!salvaged.segments.is_empty()).then(|| {
        format!(
            "{} damaged; stored {} of them again, {} in {}",
            count(salvaged.segments.len() as u64, "segment is", "segments are"),
            count(salvaged.chunks, "chunk", "chunks"),
            text::size(salvaged.bytes_stored),
            count(salvaged.objects, "object", "objects")
        )
    })
}
