//! What is known of a directory's entries from before: from the local index, or from a snapshot's
//! tree. Read in step with a sorted listing, a page or frame at a time.

use crate::codec::ChunkId;
use crate::engine::backup::seen_listing::{SeenListing, Signature};
use crate::format::{Entry, TreeObject};
use crate::repo::{Reader, RepoError};

/// Entries from before, in order of names.
pub struct Prior {
    source: Source,
    next: Option<(Option<Signature>, Entry)>,
}

enum Source {
    None,
    Seen(SeenListing),
    Tree { pages: std::vec::IntoIter<ChunkId>, page: std::vec::IntoIter<Entry> },
}

impl Prior {
    /// Nothing is known.
    pub fn none() -> Self {
        Self { source: Source::None, next: None }
    }

    /// What the local index has: entries with signatures.
    pub fn seen(bytes: Vec<u8>) -> Self {
        Self { source: Source::Seen(SeenListing::new(bytes)), next: None }
    }

    /// What a tree has: entries without signatures.
    pub fn tree(reader: &mut Reader, tree: ChunkId) -> Result<Self, RepoError> {
        let (pages, page) = match reader.tree(&tree)? {
            TreeObject::Page(page) => (Vec::new(), page.entries),
            TreeObject::Index(index) => (index.pages.into_iter().map(|(id, _)| id).collect(), Vec::new()),
        };
        let source = Source::Tree { pages: pages.into_iter(), page: page.into_iter() };
        Ok(Self { source, next: None })
    }

    /// The entry called `name`, which must not be before the last one asked for.
    pub fn take(
        &mut self,
        name: &[u8],
        reader: &mut Reader,
    ) -> Result<Option<(Option<Signature>, Entry)>, RepoError> {
        loop {
            if self.next.is_none() {
                self.next = self.advance(reader)?;
            }
            match &self.next {
                Some((_, entry)) if *entry.name < *name => self.next = None,
                Some((_, entry)) if *entry.name == *name => return Ok(self.next.take()),
                _ => return Ok(None),
            }
        }
    }

    fn advance(&mut self, reader: &mut Reader) -> Result<Option<(Option<Signature>, Entry)>, RepoError> {
        match &mut self.source {
            Source::None => Ok(None),
            Source::Seen(listing) => Ok(listing.next().map(|(signature, entry)| (Some(signature), entry))),
            Source::Tree { pages, page } => loop {
                if let Some(entry) = page.next() {
                    return Ok(Some((None, entry)));
                }
                let Some(id) = pages.next() else { return Ok(None) };
                let TreeObject::Page(next) = reader.tree(&id)? else {
                    return Err(RepoError::MalformedTree(id));
                };
                *page = next.entries.into_iter();
            },
        }
    }
}
