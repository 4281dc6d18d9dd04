//! Makes the local index anew from the ends of segments, and does without what others published of theirs.

use super::RepairError;
use crate::repo::{Repository, SyncReport};

/// What making the index anew came to.
#[derive(Debug)]
pub struct IndexRepair {
    /// What was read.
    pub synced: SyncReport,
    /// Published images that were removed.
    pub images_removed: usize,
}

/// Forgets the local index and reads the ends of all segments. `progress` is told how many of how many objects
/// were read. With `drop_images`, published images are removed, so that no other machine begins from one.
pub fn repair_index(
    repository: &mut Repository,
    drop_images: bool,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<IndexRepair, RepairError> {
    let images_removed = if drop_images { repository.remove_images()? } else { 0 };
    repository.forget_index()?;
    let synced = repository.sync_all(progress)?;
    Ok(IndexRepair { synced, images_removed })
}
