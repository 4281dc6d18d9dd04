//! The handles that one walker opened last, so that in a very deep tree the way to the next directory
//! is short. Ordinary trees do without: there each directory keeps its own handle.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Directory;

/// Handles kept by a walker.
const KEPT: usize = 64;

/// Directories with their handles, oldest first.
#[derive(Default)]
pub struct Recent(VecDeque<(Arc<Directory>, Arc<OwnedFd>)>);

impl Recent {
    /// The handle, if it is among those opened last.
    pub fn handle(&self, directory: &Arc<Directory>) -> Option<Arc<OwnedFd>> {
        let (_, handle) = self.0.iter().rev().find(|(kept, _)| Arc::ptr_eq(kept, directory))?;
        Some(Arc::clone(handle))
    }

    /// Keeps a handle that was opened just now.
    pub fn keep(&mut self, directory: Arc<Directory>, handle: Arc<OwnedFd>) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((directory, handle));
    }

    /// Lets go of the handle of a directory that is done.
    pub fn close(&mut self, directory: &Arc<Directory>) {
        self.0.retain(|(kept, _)| !Arc::ptr_eq(kept, directory));
    }
}
