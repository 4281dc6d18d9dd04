//! Searches the states of homes for names, kinds, sizes and times. A directory that was searched in
//! one state is not read again in the others. Knows nothing of how matches are shown.

mod history;
mod memo;
mod query;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

pub use history::{Version, history};
pub use query::{FindOptions, Query, QueryError};

use super::lookup::lookup;
use super::select::HomeState;
use super::tree_walk::{Step, TreeWalk};
use super::{BrowseError, HomePath};
use crate::codec::ChunkId;
use crate::files::rules::Scope;
use crate::format::{Entry, EntryKind};
use crate::repo::Reader;
use memo::{Item, Key, Memo, NodeId};

/// A match in one state of a home.
#[derive(Debug, Clone, Copy)]
pub struct Found<'f> {
    /// The state.
    pub state: &'f HomeState<'f>,
    /// Where in the home.
    pub path: &'f HomePath,
    /// What is there.
    pub entry: &'f Entry,
    /// Whether the same entry was found at the same path of this home before, in an earlier state of
    /// the search.
    pub is_repeat: bool,
}

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FindReport {
    /// Matches, repeats included.
    pub matches: u64,
    /// Matches that were not repeats.
    pub distinct: u64,
    /// Directories that were searched.
    pub directories_read: u64,
    /// Directories whose matches were known, with all below them.
    pub directories_known: u64,
}

/// Shows `visit` everything in `states` that the query asks for: state by state in the order given,
/// newest first as [`super::select::states`] has them, and in each by path.
pub fn find<E: From<BrowseError>>(
    reader: &mut Reader,
    states: &[HomeState<'_>],
    query: &Query,
    visit: &mut dyn FnMut(&Found<'_>) -> Result<(), E>,
) -> Result<FindReport, E> {
    let mut search = Search::new(query);
    for state in states {
        search.look_into(reader, state, visit)?;
    }
    Ok(search.report())
}

/// A search, for whoever has one state after the other.
pub struct Search<'q> {
    query: &'q Query,
    memo: Memo,
    report: FindReport,
}

/// A directory that is being searched.
struct Open {
    key: Key,
    scope: Scope,
    items: Vec<Item>,
}

impl<'q> Search<'q> {
    /// A search that has not begun.
    pub fn new(query: &'q Query) -> Self {
        Self { query, memo: Memo::default(), report: FindReport::default() }
    }

    /// What it came to so far.
    pub fn report(&self) -> FindReport {
        self.report
    }

    /// Shows `visit` everything in the next older state that the query asks for.
    pub fn look_into<E: From<BrowseError>>(
        &mut self,
        reader: &mut Reader,
        state: &HomeState<'_>,
        visit: &mut dyn FnMut(&Found<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = match lookup(reader, state.root, self.query.below()) {
            Ok(start) => start,
            Err(BrowseError::NotFound { .. } | BrowseError::NotDirectory { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        match start.entry.kind {
            EntryKind::Directory(tree) => self.state(reader, state, tree, visit),
            _ => Ok(()),
        }
    }

    fn state<E: From<BrowseError>>(
        &mut self,
        reader: &mut Reader,
        state: &HomeState<'_>,
        tree: ChunkId,
        visit: &mut dyn FnMut(&Found<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let below = self.query.below().clone();
        let key = Key::of_tree(&state.home.path, &below, &tree);
        if let Some(known) = self.memo.known(&key) {
            return self.replay(state, below, known, visit);
        }
        let mut walk = TreeWalk::new(reader, below, tree)?;
        let mut open = vec![self.open(key, self.query.scope(&state.home.path))];
        while let Some(step) = walk.next(reader)? {
            match step {
                Step::Entry(entry) => self.entry(reader, state, &mut walk, &mut open, entry, visit)?,
                Step::Left => self.close(walk.path(), &mut open),
            }
        }
        Ok(())
    }

    fn open(&mut self, key: Key, scope: Scope) -> Open {
        self.report.directories_read += 1;
        Open { key, scope, items: Vec::new() }
    }

    fn entry<E: From<BrowseError>>(
        &mut self,
        reader: &mut Reader,
        state: &HomeState<'_>,
        walk: &mut TreeWalk,
        open: &mut Vec<Open>,
        entry: Entry,
        visit: &mut dyn FnMut(&Found<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(directory) = open.last_mut() else { return Ok(()) };
        if self.query.matches(&directory.scope, &entry) {
            self.found(state, walk.path(), &entry, visit)?;
            self.memo.note(&mut directory.items, Item::Match(entry.clone()));
        }
        let EntryKind::Directory(tree) = entry.kind else { return Ok(()) };
        let key = Key::of_tree(&state.home.path, walk.path(), &tree);
        match self.memo.known(&key) {
            Some(known) => {
                self.replay(state, walk.path().clone(), known, visit)?;
                self.memo.note_below(&mut directory.items, &entry.name, known);
            }
            None => {
                let scope = directory.scope.enter(OsStr::from_bytes(&entry.name));
                walk.enter(reader, tree)?;
                open.push(self.open(key, scope));
            }
        }
        Ok(())
    }

    /// Keeps what was found in a directory, in the memo and in the directory above.
    fn close(&mut self, path: &HomePath, open: &mut Vec<Open>) {
        let Some(directory) = open.pop() else { return };
        let kept = self.memo.keep(directory.key, directory.items);
        if let (Some(above), Some(name)) = (open.last_mut(), path.components().last()) {
            self.memo.note_below(&mut above.items, name, kept);
        }
    }

    fn found<E>(
        &mut self,
        state: &HomeState<'_>,
        path: &HomePath,
        entry: &Entry,
        visit: &mut dyn FnMut(&Found<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let is_repeat = !self.memo.is_new(&Key::of_match(&state.home.path, path, entry));
        self.report.matches += 1;
        self.report.distinct += u64::from(!is_repeat);
        visit(&Found { state, path, entry, is_repeat })
    }

    /// Shows again what an earlier state had below `path`.
    fn replay<E>(
        &mut self,
        state: &HomeState<'_>,
        mut path: HomePath,
        known: Option<NodeId>,
        visit: &mut dyn FnMut(&Found<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.report.directories_known += 1;
        let mut open: Vec<(NodeId, usize)> = known.into_iter().map(|node| (node, 0)).collect();
        while let Some((node, next)) = open.last_mut() {
            let item = self.memo.item(*node, *next).cloned();
            *next += 1;
            match item {
                Some(Item::Match(entry)) => {
                    path.push(&entry.name);
                    self.found(state, &path, &entry, visit)?;
                    path.pop();
                }
                Some(Item::Below(name, node)) => {
                    path.push(&name);
                    open.push((node, 0));
                }
                None => {
                    open.pop();
                    path.pop();
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
