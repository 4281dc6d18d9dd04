//! A directory's entries one after another, a page in memory at a time. Knows no path.

use crate::codec::ChunkId;
use crate::format::{Entry, FormatError, Page, TreeObject};
use crate::repo::{Reader, RepoError};

/// Reads a directory in order of names.
pub(super) struct Listing {
    tree: ChunkId,
    pages: Vec<ChunkId>,
    /// Pages read so far; the current one is the last of them.
    pages_read: usize,
    entries: std::vec::IntoIter<Entry>,
    /// Entries of the current page that were handed out.
    taken: usize,
    is_parked: bool,
    last_name: Vec<u8>,
}

impl Listing {
    /// Reads the first page of `tree`, or its index.
    pub(super) fn open(reader: &mut Reader, tree: ChunkId) -> Result<Self, RepoError> {
        let mut listing = Self {
            tree,
            pages: vec![tree],
            pages_read: 0,
            entries: Vec::new().into_iter(),
            taken: 0,
            is_parked: false,
            last_name: Vec::new(),
        };
        match reader.tree(&tree)? {
            TreeObject::Page(page) => listing.take_page(page)?,
            TreeObject::Index(index) => listing.pages = index.pages.into_iter().map(|(id, _)| id).collect(),
        }
        Ok(listing)
    }

    /// The entry that comes next, left where it is.
    pub(super) fn peek(&mut self, reader: &mut Reader) -> Result<Option<&Entry>, RepoError> {
        self.fill(reader)?;
        Ok(self.entries.as_slice().first())
    }

    /// The next entry.
    pub(super) fn next(&mut self, reader: &mut Reader) -> Result<Option<Entry>, RepoError> {
        self.fill(reader)?;
        self.taken += 1;
        Ok(self.entries.next())
    }

    /// Lets go of the page in memory; it is read again when the listing goes on.
    pub(super) fn park(&mut self) {
        self.is_parked |= !self.entries.as_slice().is_empty();
        self.entries = Vec::new().into_iter();
    }

    fn fill(&mut self, reader: &mut Reader) -> Result<(), RepoError> {
        if std::mem::take(&mut self.is_parked) {
            let entries = page(reader, &self.pages[self.pages_read - 1])?.entries;
            self.entries = entries.into_iter();
            self.entries.by_ref().take(self.taken).for_each(drop);
        }
        while self.entries.as_slice().is_empty() && self.pages_read < self.pages.len() {
            let page = page(reader, &self.pages[self.pages_read])?;
            self.take_page(page)?;
        }
        Ok(())
    }

    /// A page is in order by itself; that pages follow each other is checked here.
    fn take_page(&mut self, page: Page) -> Result<(), RepoError> {
        if let (Some(first), Some(last)) = (page.entries.first(), page.entries.last()) {
            if first.name <= self.last_name {
                return Err(malformed(&self.tree, "its pages are out of order"));
            }
            self.last_name.clone_from(&last.name);
        }
        self.pages_read += 1;
        self.taken = 0;
        self.entries = page.entries.into_iter();
        Ok(())
    }
}

/// A page that an index names.
pub(super) fn page(reader: &mut Reader, id: &ChunkId) -> Result<Page, RepoError> {
    match reader.tree(id)? {
        TreeObject::Page(page) => Ok(page),
        TreeObject::Index(_) => Err(malformed(id, "an index where a page belongs")),
    }
}

pub(super) fn malformed(tree: &ChunkId, reason: &str) -> RepoError {
    let source = FormatError::Malformed { what: "tree", reason: reason.into() };
    RepoError::Format { name: format!("tree {tree}"), source }
}
