//! Looks whether everything that was saved comes back: the store against the index, every tree of every snapshot,
//! and, if asked, every byte of every object and files that are really restored. Damage is told by whose it
//! is: which files, in which snapshots, and what still comes back.
//!
//! Nothing in the store is changed. Objects that were read and are damaged are noted in the local index, so
//! that the next backup stores again what it finds in the homes.

mod error;
mod intact;
mod losses;
mod named;
mod read;
mod report;
mod sample;
mod scratch;
mod stock;
mod subset;
#[cfg(test)]
mod tests;
mod weigh;

use std::path::PathBuf;

pub use error::CheckError;
pub use report::{CheckReport, Finding, Intact, Loss, LostSnapshot, ReadReport, SampleFailure, SampleReport};
pub use subset::{ParseSubsetError, Subset};

use super::Meter;
use crate::codec::Hash;
use crate::format::ObjectName;
use crate::index::Summary;
use crate::repo::{Reached, RepoError, Repository};
use weigh::Unreadable;

/// What to look at.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// Which objects to read whole, if any.
    pub read: Option<Subset>,
    /// How many files, chosen at random from all snapshots, to restore.
    pub restore_sample: u64,
    /// Where they are restored to: a folder that is made for it below this one, and removed again.
    pub scratch: PathBuf,
    /// Threads that read.
    pub threads: usize,
}

/// Checks a repository. Damage is part of the report; what ends a check is a store, an index or a
/// scratch folder that cannot be used.
pub fn check(
    repository: &mut Repository,
    options: &CheckOptions,
    meter: &Meter,
) -> Result<CheckReport, CheckError> {
    let (mut report, mut unreadable) = (CheckReport::default(), Unreadable::default());
    sync(repository, &mut unreadable, &mut report)?;
    stock::take(repository, &mut report)?;
    if let Some(subset) = &options.read {
        read::read(repository, subset, options, meter, &mut unreadable, &mut report)?;
    }
    let (snapshots, reached) = walk(repository, options.threads, &mut unreadable, &mut report)?;
    if meter.is_interrupted() {
        return Err(CheckError::Interrupted);
    }
    report.count_homes(&snapshots);
    losses::find(repository, &snapshots, &reached, &mut report)?;
    named::check(repository, &snapshots, &reached, options.threads, &mut report)?;
    weigh::weigh(repository, &snapshots, &reached, &unreadable, &mut report)?;
    if options.restore_sample > 0 {
        report.sample = Some(sample::restore_sample(repository, &snapshots, options, meter)?);
    }
    Ok(report)
}

/// Makes the index say what the store holds. What cannot be read is noted.
fn sync(
    repository: &mut Repository,
    unreadable: &mut Unreadable,
    report: &mut CheckReport,
) -> Result<(), CheckError> {
    let mut damaged = repository.sync_all(&mut |_, _| {})?.damaged;
    // What vanished is told at every check, whoever noticed it first.
    let is_told = |damaged: &[RepoError], name: &ObjectName| {
        damaged.iter().any(|error| matches!(error, RepoError::Lost(lost) if lost == name))
    };
    for name in repository.vanished()? {
        if !is_told(&damaged, &name) {
            damaged.push(RepoError::Lost(name));
        }
    }
    for error in damaged {
        unreadable.add(&error);
        report.add(error, false);
    }
    Ok(())
}

/// Walks everything that all snapshots reach. Others may forget and prune meanwhile: what is missing is missing
/// only if it still is when the snapshots are listed again.
fn walk(
    repository: &mut Repository,
    threads: usize,
    unreadable: &mut Unreadable,
    report: &mut CheckReport,
) -> Result<(Vec<Summary>, Reached), CheckError> {
    let mut snapshots = repository.summaries()?;
    let mut reached = repository.reach_commits(&commits(&snapshots), threads)?;
    if !reached.damage().is_empty() {
        sync(repository, unreadable, report)?;
        let now = repository.summaries()?;
        if commits(&now) != commits(&snapshots) {
            snapshots = now;
            reached = repository.reach_commits(&commits(&snapshots), threads)?;
        }
    }
    Ok((snapshots, reached))
}

fn commits(snapshots: &[Summary]) -> Vec<Hash> {
    snapshots.iter().map(|snapshot| snapshot.hash).collect()
}
