//! What a restore does, one change at a time, and what it came to.

use std::collections::BTreeSet;

use crate::engine::Problem;

/// What is done with one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing stood there.
    Create,
    /// What stood there is replaced.
    Replace,
    /// What stands there is already right.
    Unchanged,
    /// What stands there is kept because it was asked for.
    Keep,
    /// What stands there was modified after the snapshot, and is kept.
    KeepNewer,
    /// A directory stands where none belongs, and is not removed without being asked.
    InTheWay,
    /// It is not in the snapshot and goes.
    Delete,
}

/// One change, told before it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<'a> {
    /// The user.
    pub user: &'a [u8],
    /// The path below what is restored.
    pub path: &'a [u8],
    /// What is done.
    pub action: Action,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Bytes of a file.
    pub size: u64,
}

/// What a restore came to.
#[derive(Debug, Default)]
pub struct RestoreReport {
    /// Homes or trees.
    pub trees: u64,
    /// Files written, links and other entries included.
    pub restored: u64,
    /// Directories made.
    pub directories: u64,
    /// Bytes of the files written.
    pub bytes: u64,
    /// Entries that were right already.
    pub unchanged: u64,
    /// Entries that were kept although the snapshot's differ.
    pub kept: u64,
    /// Of these, entries that were modified after the snapshot.
    pub kept_newer: u64,
    /// Entries deleted.
    pub deleted: u64,
    /// Files read back and found right.
    pub verified: u64,
    /// The vault could not be read, or has nothing of a user who had secrets.
    pub is_vault_out_of_reach: bool,
    /// What went wrong with single entries.
    pub problems: Vec<Problem>,
    /// Owners that do not exist here, once each, with what was done instead.
    pub owner_notes: BTreeSet<String>,
}

impl RestoreReport {
    /// Whether everything is as in the snapshot, apart from what was to be kept.
    pub fn is_complete(&self) -> bool {
        !self.problems.iter().any(|p| p.kind.is_loss())
    }

    /// Adds what another restore came to.
    pub fn add(&mut self, other: Self) {
        self.is_vault_out_of_reach |= other.is_vault_out_of_reach;
        self.trees += other.trees;
        self.restored += other.restored;
        self.directories += other.directories;
        self.bytes += other.bytes;
        self.unchanged += other.unchanged;
        self.kept += other.kept;
        self.kept_newer += other.kept_newer;
        self.deleted += other.deleted;
        self.verified += other.verified;
        self.problems.extend(other.problems);
        self.owner_notes.extend(other.owner_notes);
    }

    pub(super) fn count(&mut self, change: &Change<'_>) {
        match change.action {
            Action::Create | Action::Replace if change.is_directory => self.directories += 1,
            Action::Create | Action::Replace => {
                self.restored += 1;
                self.bytes += change.size;
            }
            Action::Unchanged => self.unchanged += 1,
            Action::Keep => self.kept += 1,
            Action::KeepNewer => {
                self.kept += 1;
                self.kept_newer += 1;
            }
            Action::Delete => self.deleted += 1,
            Action::InTheWay => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number of a report.
    fn numbers(report: &RestoreReport) -> [u64; 9] {
        let RestoreReport { trees, restored, directories, bytes, unchanged, .. } = report;
        let RestoreReport { kept, kept_newer, deleted, verified, .. } = report;
        [trees, restored, directories, bytes, unchanged, kept, kept_newer, deleted, verified].map(|n| *n)
    }

    fn count_twice(action: Action, is_directory: bool) -> [u64; 9] {
        let mut report = RestoreReport::default();
        let change = Change { user: b"ann", path: b"a", action, is_directory, size: 5 };
        report.count(&change);
        report.count(&change);
        numbers(&report)
    }

    #[test]
    fn each_action_counts_once_where_it_belongs() {
        for action in [Action::Create, Action::Replace] {
            assert_eq!(count_twice(action, false), [0, 2, 0, 10, 0, 0, 0, 0, 0]);
            assert_eq!(count_twice(action, true), [0, 0, 2, 0, 0, 0, 0, 0, 0]);
        }
        assert_eq!(count_twice(Action::Unchanged, false), [0, 0, 0, 0, 2, 0, 0, 0, 0]);
        assert_eq!(count_twice(Action::Keep, false), [0, 0, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(count_twice(Action::KeepNewer, false), [0, 0, 0, 0, 0, 2, 2, 0, 0]);
        assert_eq!(count_twice(Action::Delete, false), [0, 0, 0, 0, 0, 0, 0, 2, 0]);
        assert_eq!(count_twice(Action::InTheWay, false), [0; 9]);
    }

    #[test]
    fn what_several_restores_came_to_is_added_number_by_number() {
        let one = || RestoreReport {
            trees: 1,
            restored: 2,
            directories: 3,
            bytes: 4,
            unchanged: 5,
            kept: 6,
            kept_newer: 7,
            deleted: 8,
            verified: 9,
            ..RestoreReport::default()
        };
        let mut sum = RestoreReport::default();
        sum.add(one());
        sum.add(RestoreReport { is_vault_out_of_reach: true, ..one() });
        sum.add(one());
        assert_eq!(numbers(&sum), [3, 6, 9, 12, 15, 18, 21, 24, 27]);
        assert!(sum.is_vault_out_of_reach);
    }
}
