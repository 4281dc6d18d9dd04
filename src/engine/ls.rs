//! Lists a directory, or all that is below it. Knows nothing of how it is shown.

use super::lookup::Located;
use super::tree_walk::{Step, TreeWalk};
use super::{BrowseError, HomePath};
use crate::format::{Entry, EntryKind};
use crate::repo::Reader;

/// How far down a listing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The directory's own entries.
    Children,
    /// Everything below it, each directory before what it holds.
    Everything,
}

/// Shows `visit` the entries of a directory with their paths below the home, in order of names; what
/// is no directory is shown itself. `visit` ends the listing with an error of its own.
pub fn ls<E: From<BrowseError>>(
    reader: &mut Reader,
    start: &Located,
    depth: Depth,
    visit: &mut dyn FnMut(&HomePath, &Entry) -> Result<(), E>,
) -> Result<(), E> {
    let EntryKind::Directory(tree) = start.entry.kind else {
        return visit(&start.path, &start.entry);
    };
    let mut walk = TreeWalk::new(reader, start.path.clone(), tree)?;
    while let Some(step) = walk.next(reader)? {
        let Step::Entry(entry) = step else { continue };
        visit(walk.path(), &entry)?;
        if let (EntryKind::Directory(tree), Depth::Everything) = (&entry.kind, depth) {
            walk.enter(reader, *tree)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
