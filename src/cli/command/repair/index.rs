//! `repair index`: makes the local index anew.

use clap::Args;
use serde::Serialize;

use crate::cli::busy::BusyLock;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::open;
use crate::cli::text::{self, count};
use crate::engine::repair::repair_index;

/// Forget the local index and read it from the ends of all segments
///
/// Published images of indexes are not used. What `homekeep check` found to be damaged is forgotten with the
/// index: check again.
#[derive(Debug, Args)]
pub struct IndexArguments {
    /// Remove the published images too, so that no machine begins from one
    #[arg(long)]
    drop_images: bool,
}

#[derive(Serialize)]
struct Summary {
    message_type: &'static str,
    snapshots: usize,
    segments: usize,
    images_removed: usize,
    damaged_objects: usize,
}

/// Makes it.
pub fn run(context: &Context, arguments: &IndexArguments) -> Result<Exit, CliError> {
    let mut repository = open::open(context)?;
    let _lock = BusyLock::take(repository.cache())?;
    let repair = repair_index(&mut repository, arguments.drop_images, &mut |_, _| {})?;
    let (output, synced) = (&context.output, &repair.synced);
    synced.damaged.iter().for_each(|error| output.warn(&text::chain(error)));
    if output.is_json() {
        output.object(&Summary {
            message_type: "summary",
            snapshots: synced.commits_added,
            segments: synced.segments_added,
            images_removed: repair.images_removed,
            damaged_objects: synced.damaged.len(),
        });
    } else if !output.is_quiet() {
        output.line(&format!(
            "read the ends of {} and {}; removed {} of published images",
            count(synced.commits_added as u64, "commit", "commits"),
            count(synced.segments_added as u64, "segment", "segments"),
            count(repair.images_removed as u64, "object", "objects")
        ));
    }
    Ok(if synced.damaged.is_empty() { Exit::Done } else { Exit::Problems })
}
