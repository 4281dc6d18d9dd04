//! What the records of a snapshot and of its copy say of the homes, compared. Pure.

use std::collections::BTreeMap;

use super::plan::home_of;
use crate::format::{Entry, EntryKind, HomeRecord, SnapshotRecord};

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
    #[test]
    fn a_copy_is_the_same_state_unless_it_lacks_something() {
        let original = home("ann", 1);
        let copy = HomeRecord { bytes_new: 0, ..original.clone() };
        assert!(is_same_state(&original, &copy));
        assert!(!is_same_state(&original, &HomeRecord { problems: 2, ..copy.clone() }));
        assert!(!is_same_state(&original, &HomeRecord { files: 2, ..copy }));
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
