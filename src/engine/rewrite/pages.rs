//! A directory's entries, page by page. A page that cannot be read costs the names in it, not the directory.

use super::error::RewriteError;
use crate::codec::ChunkId;
use crate::engine::listing;
use crate::format::{Entry, Page, TreeObject};
use crate::repo::{Reader, RepoError};

/// The pages of a directory that are still to come.
pub struct Pages {
    left: std::vec::IntoIter<(ChunkId, u64)>,
    /// The only page, which was read to find out that it is the only one.
    only: Option<Page>,
    entries: u64,
    last_name: Vec<u8>,
}

/// A page.
pub enum PageRead {
    /// Its entries.
    Entries(Vec<Entry>),
    /// It cannot be read.
    Lost {
        /// How many entries it has.
        names: u64,
        /// Why.
        error: RepoError,
    },
}

impl Pages {
    /// Reads the tree's first object; none with the reason when that is lost.
    pub fn open(reader: &mut Reader, tree: &ChunkId) -> Result<Result<Self, RepoError>, RewriteError> {
        let (left, only) = match reader.tree(tree) {
            Ok(TreeObject::Page(page)) => (Vec::new(), Some(page)),
            Ok(TreeObject::Index(index)) => (index.pages, None),
            Err(error) => return RewriteError::unless_damage(error).map(Err),
        };
        let of_index = left.iter().map(|(_, entries)| *entries).fold(0, u64::saturating_add);
        let entries = only.as_ref().map_or(of_index, |page| page.entries.len() as u64);
        Ok(Ok(Self { left: left.into_iter(), only, entries, last_name: Vec::new() }))
    }

    /// Entries of all pages, the lost ones included.
    pub fn entries(&self) -> usize {
        self.entries as usize
    }

    /// The next page.
    pub fn next(&mut self, reader: &mut Reader) -> Result<Option<PageRead>, RewriteError> {
        if let Some(page) = self.only.take() {
            return Ok(Some(PageRead::Entries(page.entries)));
        }
        let Some((id, names)) = self.left.next() else { return Ok(None) };
        Ok(Some(match self.read(reader, &id) {
            Ok(entries) => PageRead::Entries(entries),
            Err(error) => PageRead::Lost { names, error: RewriteError::unless_damage(error)? },
        }))
    }

    /// A page is in order by itself; that it follows those before is checked here.
    fn read(&mut self, reader: &mut Reader, id: &ChunkId) -> Result<Vec<Entry>, RepoError> {
        let Page { entries } = listing::page(reader, id)?;
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            if first.name <= self.last_name {
                return Err(RepoError::MalformedTree(*id));
            }
            self.last_name.clone_from(&last.name);
        }
        Ok(entries)
    }
}
