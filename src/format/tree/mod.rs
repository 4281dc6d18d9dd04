//! A directory's listing: what restore needs and nothing that belongs to one machine, so that equal
//! directories are equal trees everywhere.
//!
//! A listing of up to [`SPLIT_ENTRIES`] entries is one page. A longer one is split after names that
//! hash to a boundary, and an index names its pages: a new file in a huge directory rewrites one page.

mod attributes;
mod entry;
mod page;
mod page_builder;
mod page_index;
#[cfg(test)]
mod tests;

pub use attributes::{Attributes, VaultItem, Xattr, flags};
pub(crate) use entry::is_component;
pub use entry::{Entry, EntryKind, Owner};
pub use page::{MAX_PAGE_ENTRIES, Page};
pub use page_builder::{PageBuilder, SPLIT_ENTRIES};
pub use page_index::PageIndex;

use super::cbor::FormatError;

/// What a directory's id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeObject {
    /// The whole listing, or a part of it when named by an index.
    Page(Page),
    /// The listing's pages.
    Index(PageIndex),
}

impl TreeObject {
    /// Reads either; refuses anything the encoders would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        match bytes.get(1) {
            Some(0) => Page::from_bytes(bytes).map(Self::Page),
            Some(1) => PageIndex::from_bytes(bytes).map(Self::Index),
            _ => Err(FormatError::malformed("tree", "neither a page nor an index")),
        }
    }
}
