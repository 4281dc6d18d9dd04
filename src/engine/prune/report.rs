//! What a prune did, or would do.

use crate::codec::SnapshotId;
use crate::repo::RepoError;

/// Objects and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// How many.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl Amount {
    /// One more.
    pub fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// What a prune did, or would do.
#[derive(Debug, Default)]
pub struct PruneReport {
    /// Snapshots for which everything is kept.
    pub snapshots: usize,
    /// Snapshots of which something is missing; all that they name is kept.
    pub incomplete: Vec<SnapshotId>,
    /// Segments and commits that were there at first.
    pub before: Amount,
    /// Those that nothing needs.
    pub unneeded: Amount,
    /// Those that no commit names and that are too young to tell whether a backup that runs will.
    pub young: Amount,
    /// Those that were deleted.
    pub deleted: Amount,
    /// Those that are condemned and not for long enough.
    pub waiting: Amount,
    /// Segments whose needed part was moved into others.
    pub repacked: Amount,
    /// What was written for that: new segments, and commits that name them.
    pub written: Amount,
    /// Snapshots that were published again.
    pub republished: usize,
    /// Bytes in segments that are kept which nothing needs.
    pub bytes_unused: u64,
    /// Marks of snapshots that are gone altogether.
    pub marks_removed: usize,
    /// Objects of images of the index that were not the newest.
    pub images_removed: usize,
    /// Files that killed programs left behind.
    pub temporaries_removed: usize,
    /// Objects that could not be read.
    pub damaged: Vec<RepoError>,
    /// A repack that came to nothing, because another prune was at work or something is damaged.
    pub repack_problem: Option<RepoError>,
}
