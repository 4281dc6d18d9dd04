//! Makes the best of damage. What can still be read is moved out of damaged segments; snapshots that lost
//! something are published again without it, and say so; a local index that is in doubt is made anew.
//!
//! Nothing here brings lost bytes back: a backup does, while the homes have them, and so does `copy` from a second
//! repository, or putting a damaged object back under its name. What is damaged is what the local index
//! knows to be: objects that are gone or cut short, and what `check --read-data` found.

mod error;
mod index;
mod kept;
mod report;
mod salvage;
mod segments;
mod snapshots;

use std::collections::HashSet;

pub use error::RepairError;
pub use index::{IndexRepair, repair_index};
pub use report::{Outcome, Salvaged, SegmentsReport, SnapshotRepair, SnapshotsReport};
pub use segments::repair_segments;
pub use snapshots::repair_snapshots;

use crate::codec::SnapshotId;

/// What a repair is told.
#[derive(Debug, Clone)]
pub struct RepairOptions {
    /// Which snapshots; all if nothing is said. Segments are repaired for all.
    pub snapshots: Option<HashSet<SnapshotId>>,
    /// Forget snapshots of which nothing is left.
    pub forget: bool,
    /// Tell what would be done, and write nothing.
    pub dry_run: bool,
    /// zstd level.
    pub level: i32,
    /// Threads that read, and threads that compress.
    pub threads: usize,
}
