//! What ordering and choosing snapshots has to know of one, be it read whole or in summary.

use jiff::Timestamp;

use crate::codec::{Hash, SnapshotId};
use crate::index::Summary;
use crate::repo::Snapshot;

/// A snapshot without what it holds.
pub trait SnapshotHead {
    /// The snapshot.
    fn id(&self) -> SnapshotId;

    /// The commit.
    fn hash(&self) -> Hash;

    /// When the run says it began.
    fn time(&self) -> Timestamp;

    /// The commits whose trees this one inherited from.
    fn parents(&self) -> &[Hash];

    /// The logical machine.
    fn source(&self) -> &str;

    /// The host it ran on.
    fn host(&self) -> &str;

    /// Its free words.
    fn tags(&self) -> &[String];

    /// Whether it says anything of one of these users.
    fn mentions(&self, users: &[Vec<u8>]) -> bool;

    /// Everyone of whose home it says anything.
    fn users(&self) -> impl Iterator<Item = &[u8]>;
}

impl SnapshotHead for Snapshot {
    fn id(&self) -> SnapshotId {
        self.record.id
    }

    fn hash(&self) -> Hash {
        self.hash
    }

    fn time(&self) -> Timestamp {
        Self::time(self)
    }

    fn parents(&self) -> &[Hash] {
        &self.record.parents
    }

    fn source(&self) -> &str {
        &self.record.source
    }

    fn host(&self) -> &str {
        &self.record.host
    }

    fn tags(&self) -> &[String] {
        &self.record.tags
    }

    fn mentions(&self, users: &[Vec<u8>]) -> bool {
        self.record.homes.iter().any(|home| users.contains(&home.user))
    }

    fn users(&self) -> impl Iterator<Item = &[u8]> {
        self.record.homes.iter().map(|home| &home.user[..])
    }
}

impl SnapshotHead for Summary {
    fn id(&self) -> SnapshotId {
        self.id
    }

    fn hash(&self) -> Hash {
        self.hash
    }

    fn time(&self) -> Timestamp {
        Self::time(self)
    }

    fn parents(&self) -> &[Hash] {
        &self.parents
    }

    fn source(&self) -> &str {
        &self.source
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn tags(&self) -> &[String] {
        &self.tags
    }

    fn mentions(&self, users: &[Vec<u8>]) -> bool {
        let numbers: Vec<_> = users.iter().filter_map(|user| self.homes.users().number(user)).collect();
        !numbers.is_empty() && self.homes.iter().any(|mention| numbers.contains(&mention.user))
    }

    fn users(&self) -> impl Iterator<Item = &[u8]> {
        self.homes.iter().map(|mention| self.homes.name(&mention))
    }
}
