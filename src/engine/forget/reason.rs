//! Why a snapshot stays.

use super::Rule;
use crate::codec::SnapshotId;

/// Why a snapshot stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A rule keeps it.
    Rule {
        /// The rule.
        rule: Rule,
        /// Not as the newest of its stretch, but as the oldest snapshot of all, since the rule would keep more.
        is_oldest: bool,
    },
    /// It is not much older than the newest.
    Within,
    /// It has these tags.
    Tags(Vec<String>),
    /// It is dated in the future.
    Future,
    /// It is dated later than a snapshot that was built on it. One of the two dates is wrong.
    Late {
        /// That one.
        than: SnapshotId,
    },
    /// It was built on one that is dated later, and shows how old that is.
    Witness {
        /// That one.
        of: SnapshotId,
    },
    /// It is the newest that holds the homes of these users.
    NewestState {
        /// The users, by name.
        users: Vec<Vec<u8>>,
    },
    /// It is the newest that holds the homes of these users, and in newer ones they were shrunk or missing.
    BeforeAlarm {
        /// The users, by name.
        users: Vec<Vec<u8>>,
    },
    /// The homes of these users were shrunk in it, but no snapshot has more of them.
    OnlyState {
        /// The users, by name.
        users: Vec<Vec<u8>>,
    },
    /// It says that the homes of these users, which older snapshots know, are gone for good.
    Removal {
        /// The users, by name.
        users: Vec<Vec<u8>>,
    },
}
