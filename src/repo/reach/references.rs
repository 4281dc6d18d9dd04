//! What a tree object names. Knows one object's bytes, not where they lie or what they lead to.

use crate::codec::ChunkId;
use crate::format::{Content, ContentList, EntryKind, Extent, Page, TreeObject};
use crate::repo::RepoError;

use super::table::mark;

/// What a tree object has to be, by what names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A directory: a page, or an index of pages.
    Directory,
    /// A page of a directory, with so many entries.
    Page {
        /// As the index says.
        entries: u64,
    },
    /// A list of a file's extents.
    List {
        /// Of what its extents name.
        depth: u8,
        /// Bytes of the file that it covers.
        length: u64,
    },
}

impl Role {
    /// The mark of what is walked in this role.
    pub fn mark(self) -> u8 {
        match self {
            Self::Directory => mark::DIRECTORY,
            Self::Page { .. } => mark::PAGE,
            Self::List { .. } => mark::LIST,
        }
    }
}

/// What a tree object names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// A chunk of file data.
    Data(ChunkId),
    /// Another tree object.
    Tree(ChunkId, Role),
}

/// Tells what the object with these verified bytes names. An object that is not what `role` says is an error.
pub fn references(
    id: &ChunkId,
    role: Role,
    bytes: &[u8],
    visit: &mut impl FnMut(Reference),
) -> Result<(), RepoError> {
    let format = |source| RepoError::Format { name: format!("tree {id}"), source };
    match role {
        Role::Directory => match TreeObject::from_bytes(bytes).map_err(format)? {
            TreeObject::Page(page) => page_references(&page, visit),
            TreeObject::Index(index) => {
                for (id, entries) in index.pages {
                    visit(Reference::Tree(id, Role::Page { entries }));
                }
            }
        },
        Role::Page { entries } => {
            let page = Page::from_bytes(bytes).map_err(format)?;
            if page.entries.len() as u64 != entries {
                return Err(RepoError::MalformedTree(*id));
            }
            page_references(&page, visit);
        }
        Role::List { depth, length } => {
            let ContentList(content) = ContentList::from_bytes(bytes).map_err(format)?;
            if content.depth != depth || content.size() != length {
                return Err(RepoError::MalformedTree(*id));
            }
            content_references(&content, visit);
        }
    }
    Ok(())
}

fn page_references(page: &Page, visit: &mut impl FnMut(Reference)) {
    for entry in &page.entries {
        match &entry.kind {
            EntryKind::Directory(tree) => visit(Reference::Tree(*tree, Role::Directory)),
            EntryKind::File(content) => content_references(content, visit),
            _ => {}
        }
    }
}

fn content_references(content: &Content, visit: &mut impl FnMut(Reference)) {
    for extent in &content.extents {
        match (extent, content.depth.checked_sub(1)) {
            (Extent::Data { id, .. }, None) => visit(Reference::Data(*id)),
            (Extent::Data { id, length }, Some(depth)) => {
                visit(Reference::Tree(*id, Role::List { depth, length: *length }));
            }
            (Extent::Hole { .. }, _) => {}
        }
    }
}
