//! `stats`: what snapshots hold, counted in the ways that restic's users know.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::snapshots::{WhichArguments, select};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::synced::Indexed;
use crate::cli::text::{self, count};
use crate::engine::Meter;
use crate::engine::usage::{Contents, contents};
use crate::index::Summary;

/// Count what snapshots hold
#[derive(Debug, Args)]
pub struct StatsArguments {
    /// Which snapshots.
    #[command(flatten)]
    which: WhichArguments,
    /// What is counted
    #[arg(long, value_enum, default_value_t = Mode::RestoreSize)]
    mode: Mode,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Files and their bytes, as if every snapshot were restored beside the others
    RestoreSize,
    /// Chunks that the snapshots need, each once, and what they take in the store
    RawData,
    /// Contents of files, each once
    FilesByContents,
}

/// The answer for programs, in restic's words.
#[derive(Debug, Serialize)]
struct StatsObject {
    message_type: &'static str,
    snapshots_count: usize,
    total_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_file_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_blob_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_uncompressed_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compression_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compression_space_saving: Option<f64>,
}

/// Counts.
pub fn run(context: &Context, arguments: &StatsArguments) -> Result<Exit, CliError> {
    let indexed = Indexed::open(context)?;
    let filter = arguments.which.filter.filter();
    if !filter.users.is_empty() {
        return Err(CliError::Usage(
            "stats counts whole snapshots; `homekeep usage` tells users apart".into(),
        ));
    }
    let summaries = indexed.repository.summaries()?;
    let wanted = select(&summaries, &arguments.which, &filter, Timestamp::now())?;
    if arguments.mode == Mode::RestoreSize {
        tell(context, &restore_size(&wanted));
        return Ok(indexed.exit());
    }
    let meter = Arc::new(Meter::interrupted_by(context.interrupt.deferred()));
    let (contents, damage) = contents(&indexed.repository, &wanted, &meter)?;
    let object = match arguments.mode {
        Mode::RawData => raw_data(&contents),
        _ => files_by_contents(&contents),
    };
    tell(context, &StatsObject { snapshots_count: wanted.len(), ..object });
    if !damage.is_none() {
        context.output.warn("something is damaged and was not counted; `homekeep check` says what");
        return Ok(Exit::Problems);
    }
    Ok(indexed.exit())
}

fn nothing() -> StatsObject {
    StatsObject {
        message_type: "stats",
        snapshots_count: 0,
        total_size: 0,
        total_file_count: None,
        total_blob_count: None,
        total_uncompressed_size: None,
        compression_ratio: None,
        compression_space_saving: None,
    }
}

fn restore_size(wanted: &[&Summary]) -> StatsObject {
    let sum = |of: fn(&Summary) -> u64| wanted.iter().map(|summary| of(summary)).fold(0, u64::saturating_add);
    StatsObject {
        snapshots_count: wanted.len(),
        total_size: sum(|summary| summary.totals.bytes),
        total_file_count: Some(sum(|summary| summary.totals.files)),
        ..nothing()
    }
}

fn raw_data(contents: &Contents) -> StatsObject {
    let is_any = contents.stored > 0 && contents.bytes > 0;
    StatsObject {
        total_size: contents.stored,
        total_blob_count: Some(contents.chunks),
        total_uncompressed_size: Some(contents.bytes),
        compression_ratio: is_any.then(|| contents.bytes as f64 / contents.stored as f64),
        compression_space_saving: is_any
            .then(|| (1.0 - contents.stored as f64 / contents.bytes as f64) * 100.0),
        ..nothing()
    }
}

fn files_by_contents(contents: &Contents) -> StatsObject {
    StatsObject {
        total_size: contents.contents_bytes,
        total_file_count: Some(contents.contents),
        ..nothing()
    }
}

fn tell(context: &Context, stats: &StatsObject) {
    let output = &context.output;
    if output.is_json() {
        return output.object(stats);
    }
    let mut parts = vec![count(stats.snapshots_count as u64, "snapshot", "snapshots")];
    parts.extend(stats.total_file_count.map(|files| count(files, "file", "files")));
    parts.extend(stats.total_blob_count.map(|chunks| count(chunks, "chunk", "chunks")));
    parts.push(text::size(stats.total_size));
    let unpacked = stats.total_uncompressed_size.zip(stats.compression_ratio);
    parts.extend(
        unpacked.map(|(bytes, ratio)| format!("{} unpacked, {ratio:.2} times as much", text::size(bytes))),
    );
    output.line(&parts.join(", "));
}
