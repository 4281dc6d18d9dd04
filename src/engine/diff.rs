//! What differs between two trees. Reads only what differs: equal ids are equal directories.
//! Knows no snapshot and nothing on disk.

mod change;

use std::cmp::Ordering;
use std::collections::HashSet;

pub use change::{AttributeChanges, Change};

use super::listing::Listing;
use super::tree_walk::OPEN_PAGES;
use super::{BrowseError, HomePath, Kind};
use crate::codec::ChunkId;
use crate::format::{Content, Entry, EntryKind, Extent};
use crate::repo::{Reader, RepoError};

/// One path that is not the same on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference<'d> {
    /// Where, below what is compared; empty for that itself.
    pub path: &'d HomePath,
    /// What happened.
    pub change: Change,
    /// What was there; none if it was added.
    pub before: Option<&'d Entry>,
    /// What is there; none if it was removed.
    pub after: Option<&'d Entry>,
}

/// Entries by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Links, pipes and devices.
    pub others: u64,
}

/// What the differences come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiffTotals {
    /// Entries only after.
    pub added: Counts,
    /// Entries only before.
    pub removed: Counts,
    /// Files with other bytes, links with another target.
    pub content_changed: u64,
    /// Entries of another kind.
    pub type_changed: u64,
    /// Entries of which only attributes differ.
    pub metadata_changed: u64,
    /// Bytes of files in chunks that the file did not have before, and of added files. For large files
    /// whole lists of chunks are compared, so it may be more than really changed. Holes don't count.
    pub bytes_added: u64,
    /// The same the other way round.
    pub bytes_removed: u64,
}

/// Shows `visit` every difference in order of paths, each directory before what is in it. A side that is none
/// makes everything on the other added or removed. A directory whose listing changed is shown only if
/// its attributes did too, its modification time aside: what is in it says the rest.
pub fn diff<E: From<BrowseError>>(
    reader: &mut Reader,
    before: Option<&Entry>,
    after: Option<&Entry>,
    visit: &mut dyn FnMut(&Difference<'_>) -> Result<(), E>,
) -> Result<DiffTotals, E> {
    let mut path = HomePath::home();
    let mut totals = DiffTotals::default();
    let mut open: Vec<Pair> = Vec::new();
    let mut pair = Some((before.cloned(), after.cloned()));
    loop {
        if let Some((before, after)) = pair {
            compare(&path, before.as_ref(), after.as_ref(), &mut totals, visit)?;
            match Pair::below(reader, before.as_ref(), after.as_ref()).map_err(BrowseError::at(&path))? {
                Some(below) => push(&mut open, below),
                None => path.pop(),
            }
        } else {
            open.pop();
            path.pop();
        }
        let Some(top) = open.last_mut() else { return Ok(totals) };
        pair = top.next(reader).map_err(BrowseError::at(&path))?;
        if let Some(name) = pair.as_ref().and_then(|(before, after)| before.as_ref().or(after.as_ref())) {
            path.push(&name.name);
        }
    }
}

fn push(open: &mut Vec<Pair>, below: Pair) {
    open.push(below);
    if let Some(above) = open.len().checked_sub(OPEN_PAGES + 1) {
        let Pair { before, after } = &mut open[above];
        [before, after].into_iter().flatten().for_each(Listing::park);
    }
}

fn compare<E>(
    path: &HomePath,
    before: Option<&Entry>,
    after: Option<&Entry>,
    totals: &mut DiffTotals,
    visit: &mut dyn FnMut(&Difference<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let change = match (before, after) {
        (Some(before), Some(after)) if before.is_directory() && after.is_directory() => {
            let attributes = AttributeChanges::between(before, after);
            let is_same_listing = before.kind == after.kind;
            let is_shown =
                AttributeChanges { mtime: attributes.mtime && is_same_listing, ..attributes }.any();
            is_shown.then_some(Change::Metadata)
        }
        _ => Change::between(before, after),
    };
    let Some(change) = change else { return Ok(()) };
    totals.add(change, before, after);
    visit(&Difference { path, change, before, after })
}

/// A directory on both sides, or on one.
struct Pair {
    before: Option<Listing>,
    after: Option<Listing>,
}

impl Pair {
    /// What is below two entries, unless it is nothing or the same.
    fn below(
        reader: &mut Reader,
        before: Option<&Entry>,
        after: Option<&Entry>,
    ) -> Result<Option<Self>, RepoError> {
        let (before, after) = (before.and_then(tree_of), after.and_then(tree_of));
        if before == after {
            return Ok(None);
        }
        let mut open = |tree: Option<ChunkId>| tree.map(|tree| Listing::open(reader, tree)).transpose();
        Ok(Some(Self { before: open(before)?, after: open(after)? }))
    }

    /// The next name, with its entry on each side that has it.
    #[expect(clippy::type_complexity, reason = "a name for a pair of entries would say less")]
    fn next(&mut self, reader: &mut Reader) -> Result<Option<(Option<Entry>, Option<Entry>)>, RepoError> {
        let Some(order) = self.order(reader)? else { return Ok(None) };
        let mut take = |side: &mut Option<Listing>, is_first: bool| match side {
            Some(listing) if is_first => listing.next(reader),
            _ => Ok(None),
        };
        Ok(Some((take(&mut self.before, order.is_le())?, take(&mut self.after, order.is_ge())?)))
    }

    /// Which side has the name that comes first; none when both have come to their ends.
    fn order(&mut self, reader: &mut Reader) -> Result<Option<Ordering>, RepoError> {
        let before = self.before.as_mut().map(|listing| listing.peek(reader)).transpose()?.flatten();
        let after = self.after.as_mut().map(|listing| listing.peek(reader)).transpose()?.flatten();
        Ok(match (before, after) {
            (Some(before), Some(after)) => Some(before.name.cmp(&after.name)),
            (Some(_), None) => Some(Ordering::Less),
            (None, Some(_)) => Some(Ordering::Greater),
            (None, None) => None,
        })
    }
}

fn tree_of(entry: &Entry) -> Option<ChunkId> {
    match entry.kind {
        EntryKind::Directory(tree) => Some(tree),
        _ => None,
    }
}

impl DiffTotals {
    fn add(&mut self, change: Change, before: Option<&Entry>, after: Option<&Entry>) {
        match (change, before, after) {
            (Change::Added, _, Some(after)) => self.added.add(after),
            (Change::Removed, Some(before), _) => self.removed.add(before),
            (Change::Content, ..) => self.content_changed += 1,
            (Change::Type, ..) => self.type_changed += 1,
            _ => self.metadata_changed += 1,
        }
        let nothing = Content::default();
        let content = |entry: Option<&'_ Entry>| match entry.map(|entry| &entry.kind) {
            Some(EntryKind::File(content)) => content.clone(),
            _ => nothing.clone(),
        };
        let (before, after) = (content(before), content(after));
        self.bytes_added += bytes_only_in(&after, &before);
        self.bytes_removed += bytes_only_in(&before, &after);
    }
}

impl Counts {
    fn add(&mut self, entry: &Entry) {
        match Kind::of(entry) {
            Kind::File => self.files += 1,
            Kind::Directory => self.directories += 1,
            Kind::Symlink | Kind::Fifo | Kind::Device => self.others += 1,
        }
    }
}

/// Ids of another depth name other things, so only equal depths can share any.
fn bytes_only_in(one: &Content, other: &Content) -> u64 {
    let id = |extent: &Extent| match extent {
        Extent::Data { id, length } => Some((*id, *length)),
        Extent::Hole { .. } => None,
    };
    let comparable = if one.depth == other.depth { &other.extents[..] } else { &[] };
    let shared: HashSet<ChunkId> = comparable.iter().filter_map(id).map(|(id, _)| id).collect();
    one.extents.iter().filter_map(id).filter(|(id, _)| !shared.contains(id)).map(|(_, length)| length).sum()
}

#[cfg(test)]
mod tests;
