//! What snapshots reach: every tree they lead to and every chunk of file data named there, found by walking, not
//! by what commits say they need. The one answer to "is this needed" and "is this all there".
//!
//! Each distinct tree object and content list is walked once, however many snapshots name it: a mark on its id is
//! the record of having been there. Nothing recurses, and memory is 9 bytes for each chunk of the repository, the
//! objects that are named and not yet read, and some unpacked blocks. If something is missing or damaged, a
//! second walk remembers who names whom, in 16 bytes for each time a tree object is named by another, and from the
//! damage upwards it is told which snapshots lead there.

mod broken;
mod deps;
mod queue;
mod references;
mod roots;
mod table;
#[cfg(test)]
mod tests;
mod usage;
mod walk;

use std::collections::BTreeMap;

use super::{RepoError, Repository};
use crate::codec::{ChunkId, Hash};
use crate::format::{Entry, EntryKind, Extent, SnapshotRecord};
use roots::Roots;
use table::{ChunkTable, Marks, mark};
use walk::{Edges, Outcome, Walk};

pub use deps::ExactDeps;
pub use usage::SegmentUsage;

/// What some snapshots reach.
pub struct Reached {
    table: ChunkTable,
    marks: Marks,
    complete: Vec<bool>,
    damage: BTreeMap<ChunkId, RepoError>,
}

impl Repository {
    /// Walks all trees of all homes of these snapshots. What is missing or damaged ends nothing: the rest
    /// is walked, and [`Reached::is_complete`] tells which snapshots lack something. A store or an index that
    /// does not answer is an error.
    pub fn reach(&self, roots: &[&SnapshotRecord], threads: usize) -> Result<Reached, RepoError> {
        let mut trees = Roots::default();
        roots.iter().for_each(|record| trees.add(record));
        self.reach_trees(&trees, threads)
    }

    /// The same for the snapshots that these commits hold. Their records are read one after the other, and only which
    /// trees they have is kept. It is an error if one is not known any more.
    pub fn reach_commits(&self, commits: &[Hash], threads: usize) -> Result<Reached, RepoError> {
        let mut trees = Roots::default();
        for commit in commits {
            trees.add(&self.snapshot(commit)?.ok_or(RepoError::IndexChanged)?.record);
        }
        self.reach_trees(&trees, threads)
    }

    fn reach_trees(&self, roots: &Roots, threads: usize) -> Result<Reached, RepoError> {
        let (readers, table) = (self.readers(), ChunkTable::load(self.catalog())?);
        let (marks, Outcome { damage, .. }) =
            Walk::new(&readers, &table, Edges::Forget).run(roots.trees(), threads)?;
        if damage.is_empty() {
            let complete = vec![true; roots.len()];
            return Ok(Reached { table, marks, complete, damage: BTreeMap::new() });
        }
        let (marks, outcome) = Walk::new(&readers, &table, Edges::Keep).run(roots.trees(), threads)?;
        broken::mark_upwards(&marks, outcome.broken, outcome.edges);
        let mut reached = Reached { table, marks, complete: Vec::new(), damage: BTreeMap::new() };
        reached.damage.extend(damage.into_iter().chain(outcome.damage));
        reached.complete = roots.without(|tree| reached.leads_to_damage(tree));
        Ok(reached)
    }
}

impl Reached {
    /// Whether a chunk of file data, a tree object or a content list is needed.
    pub fn is_reached(&self, id: &ChunkId) -> bool {
        self.table.number(id).is_some_and(|number| self.is_marked(number))
    }

    /// Whether everything was found that the snapshot leads to which stood at `root` in the list of roots.
    /// If not, more than what was reached may be needed.
    pub fn is_complete(&self, root: usize) -> bool {
        self.complete[root]
    }

    /// What is missing or damaged, with why: tree objects and lists, and chunks of file data that are in
    /// no segment. Of very many, some.
    pub fn damage(&self) -> &BTreeMap<ChunkId, RepoError> {
        &self.damage
    }

    /// Whether a directory that was reached, or something that it leads to, is missing or damaged.
    pub fn leads_to_damage(&self, tree: &ChunkId) -> bool {
        self.table
            .number(tree)
            .is_none_or(|number| self.marks.of(number) & mark::broken(mark::DIRECTORY) != 0)
    }

    /// Whether an entry of a directory that was reached cannot be had whole.
    pub fn lacks(&self, entry: &Entry) -> bool {
        match &entry.kind {
            EntryKind::Directory(tree) => self.leads_to_damage(tree),
            EntryKind::File(content) => content.extents.iter().any(|extent| match extent {
                Extent::Data { id, .. } => self.lacks_extent(id, content.depth),
                Extent::Hole { .. } => false,
            }),
            _ => false,
        }
    }

    /// Whether a part of a file that was reached cannot be had whole; `depth` is that of the content that names it.
    pub fn lacks_extent(&self, id: &ChunkId, depth: u8) -> bool {
        let broken = if depth == 0 { 0 } else { mark::broken(mark::LIST) };
        self.table.number(id).is_none_or(|number| self.marks.of(number) & broken != 0)
    }

    fn is_marked(&self, number: u32) -> bool {
        self.marks.of(number) & mark::NEEDED != 0
    }
}
