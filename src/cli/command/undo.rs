//! `undo`: takes back that snapshots were forgotten.

use clap::Args;
use serde::Serialize;

use super::snapshots::line::{self, Line};
use crate::cli::choose;
use crate::cli::context::Context;
use crate::cli::effort;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::synced::Indexed;
use crate::cli::{table, text};
use crate::engine::undo::{UndoOptions, Undone, undo};
use crate::index::Summary;

/// Take back that snapshots were forgotten, until a prune has deleted what they need
///
/// Without an id, lists the snapshots that are forgotten and not gone yet.
#[derive(Debug, Args)]
pub struct UndoArguments {
    /// The snapshots: ids, or their beginnings
    #[arg(value_name = "ID", conflicts_with = "all")]
    pub ids: Vec<String>,
    /// All that are forgotten and not gone yet
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Serialize)]
struct UndoneObject {
    message_type: &'static str,
    snapshot_id: String,
    /// `back`, `stored_again` or `too_late`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Lists, or takes back.
pub fn run(context: &Context, arguments: &UndoArguments) -> Result<Exit, CliError> {
    let mut indexed = Indexed::open(context)?;
    let forgotten = indexed.repository.forgotten_summaries()?;
    if arguments.ids.is_empty() && !arguments.all {
        list(context, &forgotten);
        return Ok(indexed.exit());
    }
    let chosen: Vec<&Summary> = match arguments.all {
        true => forgotten.iter().collect(),
        false => arguments
            .ids
            .iter()
            .map(|id| choose::snapshot(&forgotten, id))
            .collect::<Result<_, CliError>>()?,
    };
    let options = UndoOptions {
        level: effort::level(context.config.backup.compression_level),
        threads: effort::threads(None),
    };
    let mut is_complete = true;
    for summary in chosen {
        let undone = undo(&mut indexed.repository, summary.id, &options)?;
        is_complete &= !matches!(undone, Undone::TooLate(_));
        tell(context, summary, &undone);
    }
    Ok(if is_complete { indexed.exit() } else { Exit::Problems })
}

fn list(context: &Context, forgotten: &[Summary]) {
    let output = &context.output;
    if output.is_json() {
        let ids: Vec<String> = forgotten.iter().map(|summary| summary.id.to_string()).collect();
        return output.object(&ids);
    }
    if forgotten.is_empty() {
        return output.note("no snapshot is forgotten, or what was is gone");
    }
    let rows = forgotten.iter().map(|summary| Line::of_all(summary).cells(false)).collect();
    output.line(&table::render(&line::header(false), rows));
    output.note("`homekeep undo ID…` brings them back");
}

fn tell(context: &Context, summary: &Summary, undone: &Undone) {
    let (outcome, reason) = match undone {
        Undone::Back => ("back", None),
        Undone::StoredAgain => ("stored_again", None),
        Undone::TooLate(error) => ("too_late", Some(text::chain(error))),
    };
    let output = &context.output;
    if output.is_json() {
        return output.object(&UndoneObject {
            message_type: "undo",
            snapshot_id: summary.id.to_string(),
            outcome,
            reason,
        });
    }
    let id = summary.id.short_hex();
    match (reason, undone) {
        (Some(reason), _) => {
            output.warn(&format!("the snapshot {id} stays forgotten, part of it is gone: {reason}"))
        }
        (None, Undone::StoredAgain) => output
            .line(&format!("the snapshot {id} is back; what a prune had condemned of it was stored again")),
        (None, _) => output.line(&format!("the snapshot {id} is back")),
    }
}
