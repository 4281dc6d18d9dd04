//! Marks on snapshots that are forgotten. They hide snapshots, and remove nothing.

use std::collections::HashSet;

use super::{RepoError, Repository};
use crate::codec::SnapshotId;
use crate::format::{CommitName, ObjectName};

impl Repository {
    /// Marks a snapshot as forgotten, durably: all its commits are hidden from now on. One that is marked
    /// already stays so.
    pub fn forget(&mut self, id: SnapshotId) -> Result<(), RepoError> {
        self.store.put(&ObjectName::forgotten(id), &[])?;
        self.forgotten.insert(id);
        Ok(())
    }

    /// Every snapshot that a mark in the store hides.
    pub(super) fn listed_forgotten(&self) -> Result<HashSet<SnapshotId>, RepoError> {
        let marks = self.store.list(ObjectName::FORGOTTEN)?;
        Ok(marks.iter().filter_map(|mark| mark.name.forgotten_snapshot()).collect())
    }

    /// Makes marks durable that were only seen, before what they hide is deleted.
    pub fn persist_marks(&self) -> Result<(), RepoError> {
        Ok(self.store.persist(&ObjectName::forgotten(SnapshotId([0; 16])))?)
    }

    /// Whether a mark hides a snapshot, as of the last [`Repository::sync`].
    pub fn is_forgotten(&self, id: &SnapshotId) -> bool {
        self.forgotten.contains(id)
    }

    /// Removes every mark that hides a snapshot; says how many there were.
    pub fn remove_marks(&mut self, id: SnapshotId) -> Result<usize, RepoError> {
        let marks = self.store.list(ObjectName::FORGOTTEN)?;
        let mut removed = 0;
        for mark in marks.iter().filter(|mark| mark.name.forgotten_snapshot() == Some(id)) {
            self.store.delete(&mark.name)?;
            removed += 1;
        }
        self.forgotten.remove(&id);
        Ok(removed)
    }

    /// Removes the marks of snapshots of which no commit is left.
    pub fn remove_marks_without_commits(&mut self) -> Result<usize, RepoError> {
        // Marks first: the commits listed afterwards are all that a mark among these can be meant for.
        let marks = self.store.list(ObjectName::FORGOTTEN)?;
        let listed = self.store.list(CommitName::PREFIX)?;
        let commits = listed.iter().filter_map(|listed| CommitName::parse(&listed.name).ok());
        let present: HashSet<SnapshotId> = commits.map(|name| name.id).collect();
        let mut removed = 0;
        for mark in marks {
            if mark.name.forgotten_snapshot().is_some_and(|id| !present.contains(&id)) {
                self.store.delete(&mark.name)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests;
