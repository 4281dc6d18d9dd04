//! Keeps the sizes that snapshots are about to take with them, so that how homes and the store grew is known when
//! the snapshots are gone. Before anything is deleted: a prune that is killed in between has only said it early.

use std::collections::HashSet;

use jiff::Timestamp;

use super::PruneError;
use super::live::{Object, World};
use crate::codec::SnapshotId;
use crate::format::CommitName;
use crate::repo::{History, Repository};

/// Sizes of so many snapshots are gathered before they are thinned.
const MANY: usize = 256;

/// Keeps what the commits among `doomed` say, and what the store will come to.
pub fn remember(repository: &Repository, world: &World, doomed: &[Object]) -> Result<(), PruneError> {
    if doomed.is_empty() {
        return Ok(());
    }
    let doomed_names: HashSet<_> = doomed.iter().map(|object| &object.name).collect();
    let (mut staying, mut newest, mut bytes) = (HashSet::<SnapshotId>::new(), None, 0);
    for object in &world.objects {
        let commit = CommitName::parse(&object.name).ok();
        newest = newest.max(commit.as_ref().map(|commit| commit.time));
        if !doomed_names.contains(&object.name) {
            bytes += object.length;
            staying.extend(commit.map(|commit| commit.id));
        }
    }
    // A clock that is ahead must not make the present old.
    let clock = Timestamp::now();
    let now = newest.map_or(clock, |newest| newest.min(clock));
    let mut history = History::default();
    let mut gathered = 0;
    for object in doomed.iter().filter(|object| object.is_commit) {
        // What was published again stands in the newer commit.
        if CommitName::parse(&object.name).is_ok_and(|commit| staying.contains(&commit.id)) {
            continue;
        }
        if let Some(snapshot) = repository.snapshot(&object.hash)? {
            history.add_snapshot(&snapshot.record);
            gathered += 1;
        }
        if gathered == MANY {
            history.thin(now);
            gathered = 0;
        }
    }
    history.add_store(clock, bytes);
    Ok(repository.add_history(history, now)?)
}
