//! What a check found. Knows what is damage and what is only worth knowing, not how it was found.

use std::collections::HashSet;

use crate::codec::SnapshotId;
use crate::engine::{HomePath, Kind};
use crate::format::ObjectName;
use crate::index::Summary;
use crate::repo::RepoError;
use crate::store::Stray;

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Snapshots whose trees were walked.
    pub snapshots: u64,
    /// Homes in them, each user of each source once.
    pub homes: u64,
    /// Objects in the store.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What reading objects came to, if any were read.
    pub read: Option<ReadReport>,
    /// What restoring a sample came to, if one was restored.
    pub sample: Option<SampleReport>,
    /// What of the homes is lost, by user and path.
    pub losses: Vec<Loss>,
    /// Losses beyond those that are listed, each counted in every state of the home that has it.
    pub losses_more: u64,
    /// Snapshots that cannot be read at all.
    pub lost_snapshots: Vec<LostSnapshot>,
    /// Snapshots that lack something, newest first.
    pub incomplete: Vec<SnapshotId>,
    /// Objects that are not as they should be.
    pub findings: Vec<Finding>,
    /// Objects of no kind that this program knows.
    pub foreign: Vec<String>,
    /// Temporary files of puts that did not end, or go on.
    pub temporaries: u64,
    /// Bytes of them.
    pub temporary_bytes: u64,
    /// Segments that no snapshot names: left by runs that were killed, used by later ones.
    pub orphans: u64,
    /// Bytes of them.
    pub orphan_bytes: u64,
    /// Objects that stand among the findings.
    told: HashSet<ObjectName>,
}

/// An object that is not as it should be.
#[derive(Debug)]
pub struct Finding {
    /// What is wrong; it names the object.
    pub error: RepoError,
    /// Whether anything is lost or at risk by it. Where all that was in it lies elsewhere too, or nobody needs
    /// it, this is only worth knowing.
    pub matters: bool,
}

/// A snapshot that cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// When it was taken: milliseconds since 1970.
    pub time_ms: i64,
    /// The object.
    pub object: String,
}

/// A file or directory that does not come back as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The logical machine.
    pub source: String,
    /// The user.
    pub user: Vec<u8>,
    /// Where it is in the home.
    pub path: HomePath,
    /// A file, or a directory whose listing, or part of it, cannot be read.
    pub kind: Kind,
    /// Bytes of the file.
    pub size: u64,
    /// Those that cannot be read.
    pub bytes_lost: u64,
    /// The snapshots that have this version of it, newest first.
    pub snapshots: Vec<SnapshotId>,
    /// What comes back instead.
    pub intact: Intact,
}

/// The newest version of a path that comes back whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intact {
    /// It is in this snapshot.
    In {
        /// The snapshot.
        id: SnapshotId,
        /// When it was taken: milliseconds since 1970.
        time_ms: i64,
    },
    /// No snapshot has one.
    Nowhere,
    /// There was too much damage to look.
    Unknown,
}

/// What reading objects came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadReport {
    /// Objects that were read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that they unpacked to.
    pub raw_bytes: u64,
    /// Chunks whose bytes have their ids.
    pub chunks: u64,
}

/// What restoring a sample came to.
#[derive(Debug, Default)]
pub struct SampleReport {
    /// Files that came back as the snapshot says.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What did not come back, with why.
    pub failures: Vec<SampleFailure>,
}

/// A file of the sample that did not come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleFailure {
    /// The user.
    pub user: Vec<u8>,
    /// Where it is in the home.
    pub path: HomePath,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// What went wrong.
    pub reason: String,
}

impl CheckReport {
    /// Whether something that was saved does not come back.
    pub fn is_damaged(&self) -> bool {
        !self.losses.is_empty()
            || !self.lost_snapshots.is_empty()
            || !self.incomplete.is_empty()
            || self.sample.as_ref().is_some_and(|sample| !sample.failures.is_empty())
    }

    /// Whether everything saved comes back, but someone should look after something.
    pub fn has_problems(&self) -> bool {
        self.findings.iter().any(|finding| finding.matters)
    }

    /// Notes something wrong with an object. Of one object, the first is enough.
    pub(super) fn add(&mut self, error: RepoError, matters: bool) {
        if error.object().is_none_or(|object| self.told.insert(object)) {
            self.findings.push(Finding { error, matters });
        }
    }

    /// Adds what lies in the store's folder and is no object.
    pub fn add_strays(&mut self, strays: Vec<Stray>) {
        let (temporary, foreign): (Vec<_>, Vec<_>) = strays.into_iter().partition(|stray| stray.is_temporary);
        self.temporaries += temporary.len() as u64;
        self.temporary_bytes += temporary.iter().map(|stray| stray.length).sum::<u64>();
        self.foreign.extend(foreign.into_iter().map(|stray| stray.path));
    }

    pub(super) fn count_homes(&mut self, snapshots: &[Summary]) {
        let homes = snapshots.iter().flat_map(|s| s.homes.iter().map(|home| (&s.source[..], home.user)));
        self.homes = homes.collect::<HashSet<_>>().len() as u64;
        self.snapshots = snapshots.len() as u64;
    }
}
