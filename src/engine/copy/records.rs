//! What a copy's record says of its homes, by what the original said and what became of the trees. Pure.

use std::collections::BTreeMap;

use super::plan::home_of;
use crate::codec::ChunkId;
use crate::engine::rewrite::RewrittenHome;
use crate::format::{Attention, Entry, EntryKind, HomeRecord, SnapshotRecord};

/// The tree of a home that is there.
pub fn tree_of(home: &HomeRecord) -> Option<ChunkId> {
    match home.root.as_ref()?.kind {
        EntryKind::Directory(tree) => Some(tree),
        _ => None,
    }
}

/// What the copy says of a home. One of which nothing is left is missing, so that a restore looks behind it.
pub fn copied_record(home: &HomeRecord, made: Option<&RewrittenHome>) -> HomeRecord {
    let (Some(made), Some(root)) = (made, &home.root) else { return home.clone() };
    let lost = &made.lost;
    let problems = home.problems + lost.problems.len() as u64;
    let Some(tree) = made.tree else {
        let attention = Attention::Missing;
        let nothing =
            HomeRecord { root: None, files: 0, directories: 0, bytes: 0, bytes_new: 0, ..home.clone() };
        return HomeRecord { attention, problems, ..nothing };
    };
    HomeRecord {
        root: Some(Entry { kind: EntryKind::Directory(tree), ..root.clone() }),
        files: home.files.saturating_sub(lost.files),
        directories: home.directories.saturating_sub(lost.directories),
        bytes: home.bytes.saturating_sub(lost.bytes),
        bytes_new: made.bytes_new,
        problems,
        ..home.clone()
    }
}

/// Homes by user. Of two copies of one home, the one that lacks less.
pub fn merge(before: &[HomeRecord], copied: Vec<HomeRecord>) -> Vec<HomeRecord> {
    let mut homes: BTreeMap<Vec<u8>, HomeRecord> =
        before.iter().map(|home| (home.user.clone(), home.clone())).collect();
    for home in copied {
        match homes.get(&home.user) {
            Some(other) if other.problems <= home.problems => {}
            _ => drop(homes.insert(home.user.clone(), home)),
        }
    }
    homes.into_values().collect()
}

/// How much more the copy's homes lack than the snapshot's.
pub fn lost_beside(record: &SnapshotRecord, copy: &SnapshotRecord) -> u64 {
    let lost = |home: &HomeRecord| {
        let before = home_of(record, &home.user).map_or(home.problems, |home| home.problems);
        home.problems.saturating_sub(before)
    };
    copy.homes.iter().map(lost).sum()
}

/// Whether a home and its copy are the same but for what is each repository's own: the copy lacks nothing,
/// and the home was not repaired since.
pub fn is_same_state(home: &HomeRecord, copy: &HomeRecord) -> bool {
    let neutral = |home: &HomeRecord| {
        let kind = EntryKind::Fifo;
        let root = home.root.clone().map(|root| Entry { kind, ..root });
        HomeRecord { root, bytes_new: 0, ..home.clone() }
    };
    neutral(home) == neutral(copy)
}

#[cfg(test)]
pub(super) mod testing {
    //! Records for tests of this folder.

    use crate::codec::SnapshotId;
    use crate::format::{Attention, HomeRecord, SnapshotRecord};

    /// A home without a tree.
    pub fn home(user: &str, problems: u64) -> HomeRecord {
        HomeRecord {
            user: user.into(),
            path: Vec::new(),
            root: None,
            files: 3,
            directories: 2,
            bytes: 100,
            bytes_new: 100,
            problems,
            attention: Attention::Missing,
        }
    }

    /// A snapshot of these homes.
    pub fn record(homes: Vec<HomeRecord>) -> SnapshotRecord {
        SnapshotRecord {
            id: SnapshotId([1; 16]),
            supersession: 0,
            time_ms: 1,
            finished_ms: 2,
            source: "s".into(),
            host: "h".into(),
            program: "p".into(),
            tags: vec![],
            homes,
            parents: vec![],
            gc_seen: vec![],
            deps: vec![],
            hints: vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{home, record};
    use super::*;
    use crate::engine::rewrite::Lost;
    use crate::engine::{Problem, ProblemKind};
    use crate::format::Attributes;

    fn lost(problems: usize, files: u64) -> Lost {
        let kind = ProblemKind::Unreadable("gone".into());
        let problem = Problem { user: b"ann".to_vec(), path: Vec::new(), kind };
        Lost { problems: vec![problem; problems], files, bytes: 10, directories: 0 }
    }

    fn present(user: &str) -> HomeRecord {
        let root = Entry {
            name: user.into(),
            kind: EntryKind::Directory(ChunkId([1; 32])),
            mode: 0o700,
            owner: Default::default(),
            mtime_s: 0,
            mtime_ns: 0,
            attributes: Attributes::default(),
        };
        HomeRecord { root: Some(root), attention: Attention::Shrunk, ..home(user, 1) }
    }

    #[test]
    fn a_copy_says_what_it_lacks_and_is_otherwise_the_same_state() {
        let original = present("ann");
        let tree = Some(ChunkId([2; 32]));
        let whole = RewrittenHome { tree, bytes_new: 7, lost: Lost::default() };
        let copy = copied_record(&original, Some(&whole));
        assert!(is_same_state(&original, &copy));
        assert_eq!((tree_of(&copy), copy.bytes_new, copy.attention), (tree, 7, Attention::Shrunk));
        let lossy = copied_record(&original, Some(&RewrittenHome { lost: lost(2, 2), ..whole }));
        assert!(!is_same_state(&original, &lossy));
        assert_eq!((lossy.problems, lossy.files, lossy.bytes), (3, 1, 90));
    }

    #[test]
    fn a_home_of_which_nothing_is_left_is_missing() {
        let made = RewrittenHome { tree: None, bytes_new: 0, lost: lost(1, 0) };
        let copy = copied_record(&present("ann"), Some(&made));
        assert_eq!((copy.root, copy.attention, copy.problems), (None, Attention::Missing, 2));
    }

    #[test]
    fn of_two_copies_the_one_that_lacks_less_counts() {
        let before = [home("bob", 2), home("cat", 0)];
        let merged = merge(&before, vec![home("ann", 5), home("bob", 1), home("cat", 1)]);
        let found: Vec<_> = merged.iter().map(|home| (&home.user[..], home.problems)).collect();
        assert_eq!(found, [(&b"ann"[..], 5), (b"bob", 1), (b"cat", 0)]);
        let original = record(vec![home("ann", 3), home("bob", 1), home("cat", 0)]);
        assert_eq!(lost_beside(&original, &record(merged)), 2);
    }
}
