//! Copies snapshots into another repository, with another key: from finding out what is missing there to the
//! commits, oldest first.
//!
//! Ids and cuts depend on a repository's key, so nothing can be copied as it is: file contents are streamed
//! from the source and cut again as the target's own backups would cut them, so that both share chunks, and
//! trees are encoded again ([`rewrite`](super::rewrite)). A copy has the id of its snapshot: ids name the
//! same snapshot in both repositories, and one that is there already is not copied again.
//!
//! What was copied before need not be read again: beside a home goes the newest older state of it that is in
//! both repositories. That needs no memory of this machine's, so it works on a fresh one too.

mod error;
mod plan;
mod records;
mod recut;
mod report;
mod run;

use std::collections::HashSet;

use jiff::Timestamp;

pub use error::CopyError;
pub use report::{CopyReport, Outcome, SnapshotReport};

use super::Meter;
use crate::codec::SnapshotId;
use crate::repo::Repository;
use run::Run;

/// What a copy is told.
#[derive(Debug, Clone)]
pub struct CopyOptions {
    /// Which snapshots of the source.
    pub snapshots: HashSet<SnapshotId>,
    /// Only the homes of these users; all when empty. The others can be copied later.
    pub users: Vec<Vec<u8>>,
    /// zstd level.
    pub level: i32,
    /// Threads that read and cut, and threads that compress.
    pub threads: usize,
    /// Tell what would be copied, and write nothing.
    pub dry_run: bool,
}

/// Copies snapshots of `from`, whose index is up to date, into `to`. `tell` is told of each when it is done.
///
/// Each snapshot is whole in the target before the next one is begun, so that a run may end at any moment,
/// and the next goes on. What cannot be read in the source is left out of the copy and reported.
pub fn copy(
    from: &mut Repository,
    to: &mut Repository,
    options: &CopyOptions,
    meter: &Meter,
    tell: &mut dyn FnMut(&SnapshotReport),
) -> Result<CopyReport, CopyError> {
    if from.descriptor().repository_id == to.descriptor().repository_id {
        return Err(CopyError::SameRepository);
    }
    let started = Timestamp::now();
    let synced = to.sync(&mut |_, _| {}).map_err(CopyError::Target)?;
    let mut report = CopyReport::new(started, synced.damaged);
    let snapshots = from.snapshots().map_err(CopyError::Source)?;
    let mut run = Run::new(from, to, &snapshots, options, meter)?;
    for snapshot in &snapshots {
        if options.snapshots.contains(&snapshot.record.id) {
            let copied = run.copy(snapshot)?;
            tell(&copied);
            report.snapshots.push(copied);
        }
        run.learn(snapshot);
    }
    if !options.dry_run {
        // The copies stand; an image that could not be published is published by a later run.
        report.index_problem = to.publish_index_if_due().err();
    }
    report.finished = Timestamp::now();
    Ok(report)
}
