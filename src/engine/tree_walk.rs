//! Goes through a directory and what is below it, each directory before its entries. Knows where it
//! is, not what it is looking for. A tree of any depth takes neither stack nor much memory.

use super::listing::Listing;
use super::{BrowseError, HomePath};
use crate::codec::ChunkId;
use crate::format::Entry;
use crate::repo::Reader;

/// Directories above the current one whose pages stay in memory.
pub(super) const OPEN_PAGES: usize = 32;

/// A walk that has come so far.
pub(super) struct TreeWalk {
    path: HomePath,
    open: Vec<Listing>,
    /// Whether the path ends in a name that the next step leaves behind.
    is_at_entry: bool,
}

/// What a walk comes upon.
pub(super) enum Step {
    /// An entry. If it is a directory, [`TreeWalk::enter`] leads into it.
    Entry(Entry),
    /// The end of a directory that was entered.
    Left,
}

impl TreeWalk {
    /// Begins with the entries of `tree`, which is at `path`.
    pub(super) fn new(reader: &mut Reader, path: HomePath, tree: ChunkId) -> Result<Self, BrowseError> {
        let mut walk = Self { path, open: Vec::new(), is_at_entry: false };
        walk.enter(reader, tree)?;
        Ok(walk)
    }

    /// Where the last step was: at the entry, or at the directory that was left.
    pub(super) fn path(&self) -> &HomePath {
        &self.path
    }

    /// The next step; none once the first directory is left.
    pub(super) fn next(&mut self, reader: &mut Reader) -> Result<Option<Step>, BrowseError> {
        if std::mem::take(&mut self.is_at_entry) {
            self.path.pop();
        }
        let Some(listing) = self.open.last_mut() else { return Ok(None) };
        match listing.next(reader).map_err(BrowseError::at(&self.path))? {
            Some(entry) => {
                self.path.push(&entry.name);
                self.is_at_entry = true;
                Ok(Some(Step::Entry(entry)))
            }
            None => {
                self.open.pop();
                self.is_at_entry = !self.open.is_empty();
                Ok(Some(Step::Left))
            }
        }
    }

    /// Goes on with the entries of `tree`, the directory at [`TreeWalk::path`].
    pub(super) fn enter(&mut self, reader: &mut Reader, tree: ChunkId) -> Result<(), BrowseError> {
        let listing = Listing::open(reader, tree).map_err(BrowseError::at(&self.path))?;
        self.open.push(listing);
        self.is_at_entry = false;
        if let Some(above) = self.open.len().checked_sub(OPEN_PAGES + 1) {
            self.open[above].park();
        }
        Ok(())
    }
}
