//! What became of one path over time. Reads a directory on the way to it only where it changed.

use crate::codec::ChunkId;
use crate::engine::diff::Change;
use crate::engine::lookup::child;
use crate::engine::select::HomeState;
use crate::engine::{BrowseError, HomePath};
use crate::format::{Attention, Entry, EntryKind};
use crate::repo::{Reader, Snapshot};

/// What was at a path for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version<'s> {
    /// What it was; none while nothing was there.
    pub entry: Option<Entry>,
    /// The last snapshot that has it so.
    pub newest: &'s Snapshot,
    /// The first.
    pub oldest: &'s Snapshot,
    /// How many snapshots have it so.
    pub snapshots: usize,
    /// What made it of the version before; none for the oldest.
    pub change: Option<Change>,
}

/// The versions of `path` in the states of one home, which are given newest first; so are the
/// versions. A state in which the home had shrunk says nothing of what it lacks.
pub fn history<'s>(
    reader: &mut Reader,
    states: &[HomeState<'s>],
    path: &HomePath,
) -> Result<Vec<Version<'s>>, BrowseError> {
    let mut versions: Vec<Version<'s>> = Vec::new();
    let mut trail = Trail::default();
    for HomeState { snapshot, home, root, .. } in states {
        trail.follow(reader, root, path)?;
        if trail.found.is_none() && home.attention == Attention::Shrunk {
            continue;
        }
        match versions.last_mut() {
            Some(newer) if Change::between(trail.found.as_ref(), newer.entry.as_ref()).is_none() => {
                newer.oldest = snapshot;
                newer.snapshots += 1;
            }
            newer => {
                if let Some(newer) = newer {
                    newer.change = Change::between(trail.found.as_ref(), newer.entry.as_ref());
                }
                let entry = trail.found.clone();
                versions.push(Version {
                    entry,
                    newest: snapshot,
                    oldest: snapshot,
                    snapshots: 1,
                    change: None,
                });
            }
        }
    }
    Ok(versions)
}

/// The directories that led to what was found last.
#[derive(Default)]
struct Trail {
    trees: Vec<ChunkId>,
    found: Option<Entry>,
}

impl Trail {
    /// Looks `path` up, until a directory is the one that the last look-up came through.
    fn follow(&mut self, reader: &mut Reader, root: &Entry, path: &HomePath) -> Result<(), BrowseError> {
        let mut at = HomePath::home();
        let mut entry = Some(root.clone());
        for (depth, name) in path.components().enumerate() {
            let Some(EntryKind::Directory(tree)) = entry.as_ref().map(|entry| &entry.kind) else {
                entry = None;
                self.trees.truncate(depth);
                break;
            };
            if self.trees.get(depth) == Some(tree) {
                return Ok(());
            }
            self.trees.truncate(depth);
            self.trees.push(*tree);
            entry = child(reader, tree, name).map_err(BrowseError::at(&at))?;
            at.push(name);
        }
        self.found = entry;
        Ok(())
    }
}
