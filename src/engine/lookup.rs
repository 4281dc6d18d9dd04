//! Finds the entry at a path, reading only the pages on the way to it. Knows one tree, no snapshot.

use super::listing::{malformed, page};
use super::{BrowseError, HomePath, Kind};
use crate::codec::ChunkId;
use crate::format::{Entry, EntryKind, TreeObject};
use crate::repo::{Reader, RepoError};

/// An entry and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The way to it from its home.
    pub path: HomePath,
    /// What is there.
    pub entry: Entry,
}

/// The entry at `path` below `root`, a home's own directory. Symbolic links are not followed: where
/// they led at the time is not known.
pub fn lookup(reader: &mut Reader, root: &Entry, path: &HomePath) -> Result<Located, BrowseError> {
    let mut at = HomePath::home();
    let mut entry = root.clone();
    for name in path.components() {
        let EntryKind::Directory(tree) = entry.kind else {
            return Err(BrowseError::NotDirectory { path: at, kind: Kind::of(&entry) });
        };
        entry = match child(reader, &tree, name).map_err(BrowseError::at(&at))? {
            Some(child) => child,
            None => return Err(BrowseError::NotFound { path: path.clone(), nearest: at }),
        };
        at.push(name);
    }
    Ok(Located { path: at, entry })
}

/// The entry called `name` in a directory.
pub(super) fn child(reader: &mut Reader, tree: &ChunkId, name: &[u8]) -> Result<Option<Entry>, RepoError> {
    match reader.tree(tree)? {
        TreeObject::Page(page) => Ok(in_page(page.entries, name)),
        TreeObject::Index(index) => in_pages(reader, tree, &index.pages, name),
    }
}

fn in_page(mut entries: Vec<Entry>, name: &[u8]) -> Option<Entry> {
    let at = entries.binary_search_by(|entry| entry.name[..].cmp(name)).ok()?;
    Some(entries.swap_remove(at))
}

/// An index has no names, so each step of the search reads a page: a dozen for a million entries.
fn in_pages(
    reader: &mut Reader,
    tree: &ChunkId,
    pages: &[(ChunkId, u64)],
    name: &[u8],
) -> Result<Option<Entry>, RepoError> {
    let (mut low, mut high) = (0, pages.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let entries = page(reader, &pages[middle].0)?.entries;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Err(malformed(tree, "it has an empty page"));
        };
        if name < &first.name[..] {
            high = middle;
        } else if name > &last.name[..] {
            low = middle + 1;
        } else {
            return Ok(in_page(entries, name));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
