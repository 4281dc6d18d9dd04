//! What can go wrong with a repository, by what a caller or a person does about it.

use crate::codec::{ChunkId, CompressError, Hash, SnapshotId};
use crate::format::{CommitName, FormatError, ObjectName, SegmentError, Slot};
use crate::index::IndexError;
use crate::keys::KeyError;
use crate::store::StoreError;

/// Why an operation on a repository failed.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// There is no repository.
    #[error(
        "there is no repository in {0}. Create one with `homekeep init`, or name the right place with --repo"
    )]
    Absent(String),
    /// There is one already.
    #[error("there is a repository in {0} already")]
    Exists(String),
    /// The secret opens none of the key slots.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The secret opens none of the key slots that can be read, and there is one that cannot.
    #[error("wrong passphrase or key file, or the one whose key slot is damaged: {0} cannot be read")]
    WrongOrDamagedSlot(ObjectName),
    /// The repository has no key slot: nothing can open it.
    #[error("the repository has no key slots; bring back its folder `keys` from a copy")]
    NoSlots,
    /// No such slot.
    #[error("there is no key slot {}; `homekeep key list` shows all", .0.to_hex())]
    NoSuchSlot(Hash),
    /// The last slot stays.
    #[error("this is the only key slot left; without it nobody could open the repository. Add another first")]
    LastSlot,
    /// A label is longer than any in a key slot.
    #[error("the label has {0} bytes, and a key slot keeps no more than {max}", max = Slot::MAX_LABEL_LEN)]
    LongLabel(usize),
    /// An object was written by someone without the key.
    #[error("{0} was not written with this repository's key: it was exchanged or tampered with")]
    Forged(ObjectName),
    /// An object is not what its kind looks like.
    #[error("{name} cannot be read")]
    Format {
        /// The object.
        name: String,
        /// Why.
        source: FormatError,
    },
    /// A segment does not open.
    #[error("{name} cannot be read")]
    Segment {
        /// The object.
        name: ObjectName,
        /// Why.
        source: SegmentError,
    },
    /// An object holds other bytes than it should.
    #[error("{name} is damaged: {reason}")]
    Damaged {
        /// The object.
        name: ObjectName,
        /// What is wrong with it.
        reason: String,
    },
    /// An object that was there is not, or not all of it.
    #[error("{0} is gone from the store, or cut short")]
    Lost(ObjectName),
    /// A chunk is in no segment.
    #[error("chunk {} is in no segment of the repository: data is missing", &.0.to_hex()[..16])]
    MissingChunk(ChunkId),
    /// A snapshot lacks segments.
    #[error(
        "{0} needs segments that are missing or damaged; what its homes have now is read and stored again"
    )]
    Incomplete(ObjectName),
    /// A tree or content list is not what the one that names it says.
    #[error("tree {} contradicts the one that names it", &.0.to_hex()[..16])]
    MalformedTree(ChunkId),
    /// A commit does not name all it needs.
    #[error(
        "{0} does not name every segment that its snapshot needs, so that a prune could take one away; take a new \
         snapshot before the next prune"
    )]
    Unnamed(ObjectName),
    /// Another program wrote into the local index between two looks that have to agree.
    #[error("the local index changed while it was read; run this again")]
    IndexChanged,
    /// No commit of a snapshot is left.
    #[error("nothing is left of the snapshot {0}")]
    NoSuchSnapshot(SnapshotId),
    /// A newer program maintains the repository in ways this one does not understand.
    #[error(
        "the repository holds records of garbage collection ({0}); this program cannot write beside it. Use a newer homekeep"
    )]
    Maintained(ObjectName),
    /// A prune that ran meanwhile condemned what a new snapshot relies on.
    #[error("another prune is at work: {0} condemns segments that are relied on; run it again")]
    Condemned(ObjectName),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The local index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Compression.
    #[error(transparent)]
    Compress(#[from] CompressError),
    /// A new segment could not be made.
    #[error("cannot make a segment")]
    Seal(#[source] SegmentError),
    /// A thread of the write pipeline ended early; the first error says why.
    #[error("the write pipeline stopped")]
    Stopped,
}

impl RepoError {
    /// Whether a commit is at fault, so that it is unknown what it needs.
    pub fn is_of_commit(&self) -> bool {
        let name = match self {
            Self::Segment { name, .. } | Self::Damaged { name, .. } | Self::Lost(name) => name.as_str(),
            Self::Format { name, .. } => name,
            Self::Store(StoreError::NotFound { name } | StoreError::Short { name, .. }) => name.as_str(),
            _ => return false,
        };
        name.starts_with(CommitName::PREFIX)
    }

    /// The object at fault, where it is one object.
    pub fn object(&self) -> Option<ObjectName> {
        match self {
            Self::Segment { name, .. } | Self::Damaged { name, .. } | Self::Lost(name) => Some(name.clone()),
            Self::Unnamed(name) => Some(name.clone()),
            Self::Format { name, .. } => name.parse().ok(),
            Self::Store(StoreError::NotFound { name } | StoreError::Short { name, .. }) => Some(name.clone()),
            _ => None,
        }
    }

    /// Whether an object was not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Store(StoreError::NotFound { .. }))
    }

    /// Whether some objects are at fault, so that what does not need them can go on. A store that does
    /// not answer is no damage.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Segment { .. } | Self::Damaged { .. } | Self::Format { .. } | Self::Lost(_) => true,
            Self::MissingChunk(_) | Self::MalformedTree(_) | Self::NoSuchSnapshot(_) => true,
            Self::Store(error) => matches!(error, StoreError::NotFound { .. } | StoreError::Short { .. }),
            _ => false,
        }
    }
}
