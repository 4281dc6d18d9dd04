//! Who uses what: the figures, as docs/usage.md defines them. Values only.

use serde::{Deserialize, Serialize};

use crate::codec::SnapshotId;
use crate::format::Attention;

/// Everything that `usage` has found out.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageReport {
    /// When it was asked: milliseconds since 1970.
    pub taken_ms: i64,
    /// Snapshots that are there and not forgotten.
    pub snapshots: usize,
    /// Everyone whose home such a snapshot speaks of, by source and name.
    pub users: Vec<UserUsage>,
    /// Every byte of the store.
    pub store: StoreUsage,
    /// What was missing or could not be read.
    pub damage: DamageCount,
    /// Trees that were read because something had changed; 0 when the figures were kept.
    pub trees_read: u64,
}

/// What one user's home is, and what it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct UserUsage {
    /// The logical machine that the home belongs to.
    pub source: String,
    /// The user.
    pub user: Vec<u8>,
    /// Snapshots that hold the home.
    pub snapshots: u64,
    /// The newest state that counts: the one that a restore would bring back. None when no snapshot holds the home.
    pub state: Option<HomeState>,
    /// What the newest snapshot says of the home.
    pub attention: Attention,
    /// What lies in the store for the home, in all its snapshots.
    pub stored: Stored,
    /// How it grew.
    pub growth: Growth,
}

/// The state of a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HomeState {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// When that was taken: milliseconds since 1970.
    pub time_ms: i64,
    /// Regular files.
    pub files: u64,
    /// Directories, the home's own included.
    pub directories: u64,
    /// Bytes of file content; a hard-linked file counts once for each name.
    pub bytes: u64,
    /// Files and directories that could not be saved as they are.
    pub problems: u64,
    /// Entries whose content is in the vault.
    pub vault_items: u64,
}

/// Bytes in the store, by who needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stored {
    /// File data that only this user needs.
    pub data_own: u64,
    /// Trees that only this user needs.
    pub trees_own: u64,
    /// File data that this user and others need.
    pub data_shared: u64,
    /// Trees that this user and others need.
    pub trees_shared: u64,
    /// The user's part of the file data that is shared.
    pub data_fair: u64,
    /// The user's part of the trees that are shared.
    pub trees_fair: u64,
}

impl Stored {
    /// What would go if the user went.
    pub fn own(&self) -> u64 {
        self.data_own + self.trees_own
    }

    /// What the user needs and others need too.
    pub fn shared(&self) -> u64 {
        self.data_shared + self.trees_shared
    }

    /// What is the user's own, and a fair part of what is shared. Over all users, this adds up to all that is needed.
    pub fn fair(&self) -> u64 {
        self.own() + self.data_fair + self.trees_fair
    }
}

/// By how many bytes of file content a home grew; negative if it shrank, none where nothing is known of
/// that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Growth {
    /// Over 24 hours.
    pub day: Option<i64>,
    /// Over 7 days.
    pub week: Option<i64>,
    /// Over 30 days.
    pub month: Option<i64>,
    /// Since the moment that was asked for.
    pub since: Option<i64>,
}

/// Objects and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sum {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Sum {
    /// One more.
    pub fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// Every byte of the store, once: all fields but `objects` and `bytes` add up to `bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoreUsage {
    /// Objects in the store.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// File data that one user needs.
    pub data_own: u64,
    /// File data that several users need.
    pub data_shared: u64,
    /// Trees that one user needs.
    pub trees_own: u64,
    /// Trees that several users need.
    pub trees_shared: u64,
    /// What is around data and trees in objects that are needed: heads, tables of contents with the
    /// snapshots' records, padding, tags.
    pub overhead: u64,
    /// What nobody needs in objects that are needed for something else.
    pub wasted: u64,
    /// What nobody knows to be needed or not, because what would tell is damaged or missing.
    pub uncertain: u64,
    /// Segments and commits that nothing needs; a prune deletes them.
    pub unneeded: Sum,
    /// Those that a prune has condemned already.
    pub condemned: Sum,
    /// Segments that no snapshot names, not even a forgotten one: of a backup that runs, or was killed.
    pub orphans: Sum,
    /// Segments and commits that cannot be read.
    pub unreadable: Sum,
    /// Images of the index.
    pub images: Sum,
    /// Records of garbage collection.
    pub gc_records: Sum,
    /// Sizes of the past.
    pub history: Sum,
    /// Marks on forgotten snapshots.
    pub marks: Sum,
    /// Key slots.
    pub keys: Sum,
    /// The descriptor.
    pub descriptor: Sum,
    /// Anything else.
    pub other: Sum,
}

impl StoreUsage {
    /// What users need.
    pub fn needed(&self) -> u64 {
        self.data_own + self.data_shared + self.trees_own + self.trees_shared
    }

    /// What a prune would free, sooner or later.
    pub fn garbage(&self) -> u64 {
        self.wasted + self.unneeded.bytes + self.condemned.bytes + self.orphans.bytes
    }

    /// What else lies there: what keeps the repository together.
    pub fn upkeep(&self) -> u64 {
        let kept = [self.images, self.gc_records, self.history, self.marks, self.keys, self.descriptor];
        let objects = kept.into_iter().chain([self.other]);
        self.overhead + objects.map(|sum| sum.bytes).sum::<u64>()
    }

    /// Of what it cannot be told whether it is needed.
    pub fn unknown(&self) -> u64 {
        self.uncertain + self.unreadable.bytes
    }
}

/// How much could not be taken into account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DamageCount {
    /// Chunks that are named and nowhere.
    pub lost: u64,
    /// Trees and lists that cannot be read: whatever they lead to is not accounted for.
    pub unreadable: u64,
    /// Objects with sizes of the past that cannot be read: growth lacks what they had.
    pub history: u64,
}

impl DamageCount {
    /// Whether all was found.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What a snapshot, or several together, cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freed {
    /// Stored file data that no other snapshot needs.
    pub data: u64,
    /// Stored trees that no other snapshot needs.
    pub trees: u64,
    /// Chunks and trees that no other snapshot needs.
    pub chunks: u64,
}

impl Freed {
    /// Bytes that a prune can give back once these snapshots are forgotten.
    pub fn bytes(&self) -> u64 {
        self.data + self.trees
    }
}
