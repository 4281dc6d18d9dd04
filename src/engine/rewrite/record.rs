//! What a snapshot's record says of a home whose tree was made anew. Pure.

use super::RewrittenHome;
use crate::codec::ChunkId;
use crate::format::{Attention, Entry, EntryKind, HomeRecord};

/// The tree of a home that is there.
pub fn tree_of(home: &HomeRecord) -> Option<ChunkId> {
    match home.root.as_ref()?.kind {
        EntryKind::Directory(tree) => Some(tree),
        _ => None,
    }
}

impl RewrittenHome {
    /// The record of a home that said `before` and became this. One of which nothing is left is missing, so
    /// that a restore looks behind it.
    pub fn record(&self, before: &HomeRecord) -> HomeRecord {
        let lost = &self.lost;
        let problems = before.problems + lost.problems.len() as u64;
        match (self.tree, &before.root) {
            (Some(tree), Some(root)) => HomeRecord {
                root: Some(Entry { kind: EntryKind::Directory(tree), ..root.clone() }),
                files: before.files.saturating_sub(lost.files),
                directories: before.directories.saturating_sub(lost.directories),
                bytes: before.bytes.saturating_sub(lost.bytes),
                bytes_new: self.bytes_new,
                problems,
                ..before.clone()
            },
            _ => HomeRecord {
                root: None,
                files: 0,
                directories: 0,
                bytes: 0,
                bytes_new: 0,
                problems,
                attention: Attention::Missing,
                ..before.clone()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Lost;
    use super::*;
    use crate::engine::{Problem, ProblemKind};
    use crate::format::Attributes;

    fn lost(problems: usize, files: u64) -> Lost {
        let kind = ProblemKind::Unreadable("gone".into());
        let problem = Problem { user: b"ann".to_vec(), path: Vec::new(), kind };
        Lost { problems: vec![problem; problems], files, bytes: 10, directories: 0 }
    }

    fn before() -> HomeRecord {
        let root = Entry {
            name: b"ann".to_vec(),
            kind: EntryKind::Directory(ChunkId([1; 32])),
            mode: 0o700,
            owner: Default::default(),
            mtime_s: 0,
            mtime_ns: 0,
            attributes: Attributes::default(),
        };
        HomeRecord {
            user: b"ann".to_vec(),
            path: b"/home/ann".to_vec(),
            root: Some(root),
            files: 3,
            directories: 2,
            bytes: 100,
            bytes_new: 100,
            problems: 1,
            attention: Attention::Shrunk,
        }
    }

    #[test]
    fn a_home_says_what_it_lacks_and_is_otherwise_as_before() {
        let tree = Some(ChunkId([2; 32]));
        let whole = RewrittenHome { tree, bytes_new: 7, lost: Lost::default() };
        let record = whole.record(&before());
        assert_eq!((tree_of(&record), record.bytes_new, record.attention), (tree, 7, Attention::Shrunk));
        assert_eq!(HomeRecord { root: before().root, bytes_new: 100, ..record }, before());
        let record = RewrittenHome { lost: lost(2, 2), ..whole }.record(&before());
        assert_eq!((record.problems, record.files, record.bytes), (3, 1, 90));
    }

    #[test]
    fn a_home_of_which_nothing_is_left_is_missing() {
        let made = RewrittenHome { tree: None, bytes_new: 0, lost: lost(1, 0) };
        let record = made.record(&before());
        assert_eq!((record.root, record.attention, record.problems), (None, Attention::Missing, 2));
    }
}
