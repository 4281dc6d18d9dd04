//! Takes back that snapshots were forgotten, as long as what they need is still there.
//!
//! The mark goes first, then the records of garbage collection are read, and then everything is listed: a prune that
//! lists the marks after the first keeps what the snapshot needs; what an earlier one condemned is in a record
//! by then; and if that record is withdrawn before it is read, what it spoke of is gone and in no listing. What
//! is condemned and still there is stored again, for a condemned segment never comes back into use.

use crate::codec::{Hash, SnapshotId};
use crate::index::ListedSegment;
use crate::repo::{RepoError, Repository, Snapshot, WriteTarget, WriterOptions};

/// How to store again what is condemned.
#[derive(Debug, Clone, Copy)]
pub struct UndoOptions {
    /// zstd level.
    pub level: i32,
    /// Threads that walk and threads that compress.
    pub threads: usize,
}

/// What came of one snapshot.
#[derive(Debug)]
pub enum Undone {
    /// It is back.
    Back,
    /// It is back, and something of it had to be stored again since a prune had condemned it.
    StoredAgain,
    /// Part of it is gone; it stays forgotten.
    TooLate(RepoError),
}

/// Brings one forgotten snapshot back. One that is not forgotten stays as it is.
pub fn undo(repository: &mut Repository, id: SnapshotId, options: &UndoOptions) -> Result<Undone, RepoError> {
    repository.sync(&mut |_, _| {})?;
    repository.require_known_gc()?;
    if !repository.commit_summaries()?.iter().any(|commit| commit.id == id) {
        return Ok(Undone::TooLate(RepoError::NoSuchSnapshot(id)));
    }
    repository.remove_marks(id)?;
    repository.sync_all(&mut |_, _| {})?;
    repository.require_known_gc()?;
    match revive(repository, id, options) {
        Ok(undone) => Ok(undone),
        Err(error) => {
            repository.forget(id)?;
            if is_loss(&error) { Ok(Undone::TooLate(error)) } else { Err(error) }
        }
    }
}

/// Whether what is needed is gone, or goes while it is read.
fn is_loss(error: &RepoError) -> bool {
    error.is_damage() || matches!(error, RepoError::Condemned(_))
}

fn revive(repository: &mut Repository, id: SnapshotId, options: &UndoOptions) -> Result<Undone, RepoError> {
    let mut commits = repository.commit_summaries()?;
    commits.retain(|commit| commit.id == id);
    commits.sort_by_key(|commit| std::cmp::Reverse((commit.supersession, commit.hash)));
    let commits: Vec<Hash> = commits.iter().map(|commit| commit.hash).collect();
    let commits: Vec<Snapshot> = repository.read_snapshots(&commits)?;
    for commit in &commits {
        if repository.is_safe(commit)? {
            return Ok(Undone::Back);
        }
    }
    let next = commits.first().map_or(0, |newest| newest.record.supersession + 1);
    for commit in &commits {
        // All of it is there, but not where its commit says.
        if let Some(deps) = repository.sound_deps(commit)? {
            let without = repository.gc().segments().collect();
            repository.republish(&[commit.hash], &without, &deps, |_| next)?;
            return Ok(Undone::StoredAgain);
        }
    }
    let Some(newest) = commits.into_iter().next() else { return Err(RepoError::NoSuchSnapshot(id)) };
    store_again(repository, newest, options)?;
    Ok(Undone::StoredAgain)
}

/// Copies what is condemned, and publishes the snapshot without naming it.
fn store_again(
    repository: &mut Repository,
    snapshot: Snapshot,
    options: &UndoOptions,
) -> Result<(), RepoError> {
    let reached = repository.reach(&[&snapshot.record], options.threads)?;
    if let Some(error) = reached.damage().keys().next() {
        return Err(RepoError::MissingChunk(*error));
    }
    let segments = repository.catalog().segments()?.into_iter();
    let segments: Vec<ListedSegment> = segments.filter(|s| repository.gc().holds(&s.hash.short())).collect();
    let writing =
        WriterOptions { level: options.level, threads: options.threads, target: WriteTarget::Store };
    let moved = repository.move_out(&segments, &reached, &writing, &mut |_| {})?;
    let without = repository.gc().segments().collect();
    let next = snapshot.record.supersession + 1;
    repository.republish(&[snapshot.hash], &without, &moved.segments, |_| next)?;
    Ok(())
}

#[cfg(test)]
mod tests;
