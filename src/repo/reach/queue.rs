//! What of a walk is still to be read, by the block it lies in. Knows places and tasks, not trees.
//!
//! Children are written before what names them, so that taking the block that was written last leaves most
//! blocks until everything in them that is reached is known: each is read about once. A block is held by
//! one thread at a time, which takes on what others find in it meanwhile.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::repo::RepoError;
use crate::repo::reader::BlockKey;

/// Tasks by block, for several threads.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    pending: BTreeMap<BlockKey, Vec<T>>,
    /// Blocks that threads are at; as many as there are threads at most.
    held: Vec<BlockKey>,
    error: Option<RepoError>,
    is_stopped: bool,
}

impl<T> Queue<T> {
    /// Nothing to do yet.
    pub fn new() -> Self {
        let state = State { pending: BTreeMap::new(), held: Vec::new(), error: None, is_stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Adds tasks.
    pub fn add(&self, tasks: impl IntoIterator<Item = (BlockKey, T)>) {
        let mut state = self.lock();
        for (block, task) in tasks {
            state.pending.entry(block).or_default().push(task);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Takes a block that nobody is at, with its tasks. Waits while others may still find some; none
    /// when all is done or the walk was stopped.
    pub fn take(&self) -> Option<(BlockKey, Vec<T>)> {
        let mut state = self.lock();
        loop {
            if state.is_stopped {
                return None;
            }
            if let Some(block) = state.pending.keys().rev().find(|block| !state.held.contains(block)).copied()
            {
                state.held.push(block);
                let tasks = state.pending.remove(&block).unwrap_or_default();
                return Some((block, tasks));
            }
            if state.held.is_empty() {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What came in for a block that is held. If nothing did, it is held no longer.
    pub fn more(&self, block: BlockKey) -> Vec<T> {
        let mut state = self.lock();
        let tasks = state.pending.remove(&block).unwrap_or_default();
        if tasks.is_empty() {
            state.held.retain(|held| *held != block);
            drop(state);
            self.changed.notify_all();
        }
        tasks
    }

    /// Ends the walk of all threads. The first error is the reason.
    pub fn stop(&self, error: RepoError) {
        let mut state = self.lock();
        state.error.get_or_insert(error);
        state.is_stopped = true;
        drop(state);
        self.changed.notify_all();
    }

    /// Why the walk was stopped, if it was.
    pub fn into_error(self) -> Option<RepoError> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).error
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
