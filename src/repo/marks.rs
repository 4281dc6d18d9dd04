//! Marks on snapshots that are forgotten. They hide snapshots, and remove nothing.

use std::collections::HashSet;

use super::{RepoError, Repository};
use crate::codec::SnapshotId;
use crate::format::ObjectName;

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
}
