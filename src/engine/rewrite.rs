//! Makes the trees of homes anew: in another repository, whose ids are others, or in the same one, without
//! what is lost. Knows how trees hang together; what becomes of a file's content is up to [`Contents`].
//!
//! A directory is visited twice, as in a backup: first its subdirectories are queued; when the last of them is
//! done, its own entries are made anew and its tree is stored. Nothing recurses, so depth is bounded by memory
//! only. What stands in the trees but cannot be read is left out, and is a problem of the home.
//!
//! Beside a home may go a *base*: a tree that was made anew before, and what it became. A subdirectory or
//! file that is in the base, under the same name and with the same id, is taken over from there, unread.

mod base;
mod contents;
mod directory;
mod error;
mod memo;
mod pages;
mod record;
mod worker;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use contents::rewrite_content;
pub use error::{ContentError, RewriteError};
pub use memo::Memo;
pub use record::tree_of;

use super::content_writer::StoredContent;
use super::work_queue::WorkQueue;
use super::{Meter, Problem, ProblemKind};
use crate::codec::ChunkId;
use crate::format::Content;
use crate::repo::{Readers, WriteSession, Writer};
use directory::Directory;
use worker::Worker;

/// What becomes of files: one for each thread.
pub trait Contents: Send {
    /// The content that a file has in the target.
    fn rewrite(
        &mut self,
        content: &Content,
        session: &mut WriteSession,
    ) -> Result<StoredContent, ContentError>;

    /// The target's name of a link group. Equal groups stay equal.
    fn link_group(&self, group: &[u8; 16]) -> [u8; 16];
}

/// A tree, and what it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreePair {
    /// In the source.
    pub source: ChunkId,
    /// In the target.
    pub target: ChunkId,
}

/// A home whose tree is to be made anew.
#[derive(Debug, Clone)]
pub struct HomeTree {
    /// The user.
    pub user: Vec<u8>,
    /// The tree in the source.
    pub tree: ChunkId,
    /// What is known already. Who gives it sees to it that the target keeps it.
    pub base: Option<TreePair>,
}

/// What a home's tree became.
#[derive(Debug)]
pub struct RewrittenHome {
    /// The tree in the target; none when not even the home's own directory could be read.
    pub tree: Option<ChunkId>,
    /// Bytes of files that the target did not have.
    pub bytes_new: u64,
    /// What was lost.
    pub lost: Lost,
}

/// What could not be made anew.
#[derive(Debug, Default)]
pub struct Lost {
    /// A problem for each file, directory and part of a listing.
    pub problems: Vec<Problem>,
    /// Files that were known by name.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Directories; what was in them is not known.
    pub directories: u64,
}

/// Where from and where to.
pub struct Rewrite<'a> {
    /// What is read.
    pub source: &'a Readers,
    /// What the bases' targets are read from.
    pub target: &'a Readers,
    /// What is written.
    pub writer: &'a Writer,
    /// What was made anew before.
    pub memo: &'a Memo,
    /// Whether a tree stays as it is, with everything below it: the target has it under the same id.
    pub keeps: &'a (dyn Fn(&ChunkId) -> bool + Sync),
    /// Progress, and the request to stop.
    pub meter: &'a Meter,
}

impl Rewrite<'_> {
    /// Makes the homes' trees anew, with one thread for each of `contents`. Returns what each home came to, in
    /// the same order, once everything is handed to the writer.
    pub fn run<C: Contents>(
        &self,
        homes: Vec<HomeTree>,
        contents: Vec<C>,
    ) -> Result<Vec<RewrittenHome>, RewriteError> {
        let homes: Vec<_> = homes.into_iter().map(|home| Arc::new(Home::new(home))).collect();
        let queue = WorkQueue::new();
        for home in homes.iter().rev() {
            queue.push(Directory::root(home));
        }
        let workers: Vec<_> =
            contents.into_iter().map(|contents| Worker::new(self, contents)).collect::<Result<_, _>>()?;
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                workers.into_iter().map(|worker| scope.spawn(|| worker.run(&queue))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Err(RewriteError::Panicked)))
        })?;
        Ok(homes.iter().map(|home| home.outcome()).collect())
    }
}

/// One home while it is made anew.
struct Home {
    given: HomeTree,
    tree: Mutex<Option<ChunkId>>,
    bytes_new: AtomicU64,
    lost: Mutex<Lost>,
}

impl Home {
    fn new(given: HomeTree) -> Self {
        Self { given, tree: Mutex::default(), bytes_new: AtomicU64::new(0), lost: Mutex::default() }
    }

    /// Notes that something was lost.
    fn lose(&self, path: Vec<u8>, why: String, count: impl FnOnce(&mut Lost)) {
        let problem = Problem { user: self.given.user.clone(), path, kind: ProblemKind::Unreadable(why) };
        let mut lost = lock(&self.lost);
        lost.problems.push(problem);
        count(&mut lost);
    }

    fn outcome(&self) -> RewrittenHome {
        let mut lost = std::mem::take(&mut *lock(&self.lost));
        lost.problems.sort_by(|a, b| a.path.cmp(&b.path));
        RewrittenHome { tree: *lock(&self.tree), bytes_new: Meter::read(&self.bytes_new), lost }
    }
}

/// A poisoned lock means that a thread panicked, which ends the run anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
