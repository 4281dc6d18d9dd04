//! Walks homes with several threads and saves what changed.
//!
//! A directory is visited twice. First its names are looked at, and its subdirectories are queued;
//! when the last of them is done, its own entries are taken over, or read, and its tree is stored.
//! The queue is a stack, so the walk goes deep first and holds few directories at a time; nothing
//! recurses, so depth is bounded by memory only.

mod contents;
mod directory;
mod entries;
mod listing_saver;
mod recent;
mod secrets;
mod walker;

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(super) use directory::{Directory, Outcome};
use recent::Recent;
use walker::Walker;

use super::vaulting::{HomeSecrets, VaultRun};
use super::{BackupError, BackupOptions};
use crate::codec::{ChunkId, Chunker, Hash};
use crate::engine::work_queue::WorkQueue;
use crate::engine::{Meter, Problem, ProblemKind};
use crate::files::live_sqlite::CopyLimits;
use crate::files::owner_cache::OwnerCache;
use crate::files::rules::{Rules, SecretRules};
use crate::files::walk::Stat;
use crate::format::Content;
use crate::index::{HomeKey, Seen, SeenWriter};
use crate::repo::{RepoError, Repository, Writer};

/// Directories to visit.
type Queue = WorkQueue<Arc<Directory>>;

/// One home while it is walked.
pub struct Home {
    /// The user.
    pub user: Vec<u8>,
    /// Where it is.
    pub path: PathBuf,
    /// What its directory's handle showed.
    pub stat: Stat,
    /// Its rows in the local index, usable as long as their base commit exists.
    pub seen: Option<HomeKey>,
    /// Other files were secrets when those rows were written: every directory has to be looked into.
    pub has_other_rules: bool,
    /// Its tree in the last snapshot, for directories that have no row.
    pub previous: Option<ChunkId>,
    /// When that snapshot was taken: first and last second.
    pub previous_s: (i64, i64),
    /// The commit that has what the rows speak of.
    pub seen_base: Option<Hash>,
    /// The commit that has the last tree.
    pub previous_base: Option<Hash>,
    /// A restore of it runs, or was interrupted: it is saved, and is not the user's state.
    pub is_half_restored: bool,
    /// Paths in it where something is mounted.
    pub mounts: Vec<Vec<u8>>,
    /// What came of it.
    pub totals: Totals,
    /// What went wrong.
    pub problems: Mutex<Vec<Problem>>,
    /// Where its rows go.
    pub rows: HomeKey,
    /// Whether any row was written.
    pub has_new_rows: AtomicBool,
    /// Directories that have a row, by device and inode.
    pub visited: Mutex<Vec<(u64, u64)>>,
    /// The outcome of its own directory.
    pub outcome: Mutex<Option<Outcome>>,
    /// Contents of files with several names, so that each is read once: by device, inode, change time.
    pub linked: Mutex<HashMap<(u64, u64, i128), Content>>,
    /// Milliseconds spent on copies of live databases.
    copies_ms: AtomicU64,
    /// What belongs into the vault.
    pub secrets: Mutex<HomeSecrets>,
}

/// Times closer than this to a run are not trusted to change with the next write.
const RACY_S: i64 = 2;
/// What copying the live databases of one home may take in all: their owner can make each copy stall.
const COPIES_MS: u64 = 120_000;
/// A single one.
const COPY_MS: u64 = 30_000;
/// A larger database is saved as plain bytes.
const COPY_BYTES: u64 = 16 << 30;

/// A home's counts.
#[derive(Debug, Default)]
pub struct Totals {
    /// Regular files.
    pub files: AtomicU64,
    /// Directories.
    pub directories: AtomicU64,
    /// Bytes of files.
    pub bytes: AtomicU64,
    /// Bytes that the repository did not have.
    pub bytes_new: AtomicU64,
    /// Files read, because they were new or had changed.
    pub files_read: AtomicU64,
    /// Sockets, which cannot be saved.
    pub sockets: AtomicU64,
    /// Entries left out by rules.
    pub excluded: AtomicU64,
    /// Names that vanished during the run.
    pub vanished: AtomicU64,
}

impl Home {
    /// A home about to be walked.
    pub fn new(user: Vec<u8>, path: PathBuf, stat: Stat, rows: HomeKey) -> Self {
        Self {
            user,
            path,
            stat,
            seen: None,
            has_other_rules: false,
            previous: None,
            previous_s: (0, 0),
            seen_base: None,
            previous_base: None,
            is_half_restored: false,
            mounts: Vec::new(),
            totals: Totals::default(),
            problems: Mutex::default(),
            rows,
            has_new_rows: AtomicBool::new(false),
            visited: Mutex::default(),
            outcome: Mutex::default(),
            linked: Mutex::default(),
            copies_ms: AtomicU64::new(0),
            secrets: Mutex::default(),
        }
    }

    /// What the next copy of a live database may cost; none when the home has used up its time.
    pub fn copy_limits(&self) -> Option<CopyLimits> {
        let left = COPIES_MS.checked_sub(Meter::read(&self.copies_ms)).filter(|left| *left > 0)?;
        Some(CopyLimits { timeout: Duration::from_millis(left.min(COPY_MS)), max_bytes: COPY_BYTES })
    }

    /// Notes what a copy took.
    pub fn spend_on_copies(&self, time: Duration) {
        Meter::add(&self.copies_ms, time.as_millis() as u64);
    }

    /// Whether a file of this modification time, in seconds, may have changed after the last snapshot
    /// read it, within the same tick of the file system's clock.
    pub fn is_recent_in_previous(&self, mtime_s: i64) -> bool {
        let (first, last) = self.previous_s;
        (first - RACY_S..=last + RACY_S).contains(&mtime_s)
    }

    /// Notes a problem.
    pub fn problem(&self, path: Vec<u8>, kind: ProblemKind) {
        lock(&self.problems).push(Problem { user: self.user.clone(), path, kind });
    }
}

/// What all threads of a walk share.
pub struct Scan<'a> {
    /// How to save.
    pub options: &'a BackupOptions,
    /// What to leave out.
    pub rules: &'a Rules,
    /// What is a secret.
    pub secrets: &'a SecretRules,
    /// Where secrets go; nowhere in a dry run.
    pub vault: Option<&'a VaultRun>,
    /// Names of users and groups.
    pub owners: &'a OwnerCache,
    /// Where to cut.
    pub chunker: &'a Chunker,
    /// Progress, and the request to stop.
    pub meter: &'a Meter,
    /// Never saved, by device and inode: the repository itself, its cache and its key.
    pub own: &'a HashSet<(u64, u64)>,
    /// The run's beginning, seconds since 1970.
    pub started_s: i64,
    /// Where the private copies of live databases are made.
    pub scratch: PathBuf,
    /// Takes what was seen; committed when the snapshot stands.
    pub rows: &'a Mutex<SeenWriter>,
    /// Objects of earlier snapshots that could not be read.
    pub damaged: Mutex<Vec<RepoError>>,
}

impl Scan<'_> {
    /// Walks all homes. Returns when everything is handed to the writer, or with the first error.
    pub fn run(
        &self,
        homes: Vec<(Arc<Home>, OwnedFd)>,
        repository: &Repository,
        seen: &Seen,
        writer: &Writer,
    ) -> Result<(), BackupError> {
        let queue = Queue::new();
        for (home, root) in homes.into_iter().rev() {
            queue.push(Directory::root(home, root, self.rules, self.secrets));
        }
        let walkers: Vec<_> = (0..self.options.threads.max(1))
            .map(|_| Walker::new(self, repository, seen, writer))
            .collect::<Result<_, _>>()?;
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                walkers.into_iter().map(|walker| scope.spawn(|| walker.run(&queue))).collect();
            let mut result = Ok(());
            for thread in threads {
                let ended = thread.join().unwrap_or(Err(BackupError::Panicked));
                result = result.and(ended);
            }
            result
        })
    }
}

/// A poisoned lock means that a thread panicked, which ends the run anyway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
