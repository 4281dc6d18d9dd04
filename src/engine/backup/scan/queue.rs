//! The stack of directories to visit. Knows when there is nothing left to come.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::Directory;

/// Shared by all walkers.
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    stack: Vec<Arc<Directory>>,
    /// Walkers at work, who may push more.
    busy: usize,
    stopped: bool,
}

impl Queue {
    /// An empty queue.
    pub fn new() -> Self {
        let state = State { stack: Vec::new(), busy: 0, stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one directory.
    pub fn push(&self, directory: Arc<Directory>) {
        self.state().stack.push(directory);
        self.changed.notify_one();
    }

    /// Adds several; the last is visited first.
    pub fn push_all(&self, directories: impl Iterator<Item = Arc<Directory>>) {
        self.state().stack.extend(directories);
        self.changed.notify_all();
    }

    /// The next directory, with the walker's word that it is at work; none when all work is done or
    /// someone stopped.
    pub fn next(&self) -> Option<(Arc<Directory>, AtWork<'_>)> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(directory) = state.stack.pop() {
                state.busy += 1;
                return Some((directory, AtWork(self)));
            }
            if state.busy == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the walk early.
    pub fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }
}

/// A walker is at work on a directory until this is dropped. One that panics ends the walk: others
/// would wait for it for ever.
pub struct AtWork<'q>(&'q Queue);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.busy -= 1;
        state.stopped |= std::thread::panicking();
        if state.stopped || (state.busy == 0 && state.stack.is_empty()) {
            self.0.changed.notify_all();
        }
    }
}
