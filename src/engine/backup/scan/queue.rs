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

    /// The next directory; none when all work is done or someone stopped. [`Queue::done`] follows each.
    pub fn next(&self) -> Option<Arc<Directory>> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(directory) = state.stack.pop() {
                state.busy += 1;
                return Some(directory);
            }
            if state.busy == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A walker is through with a directory.
    pub fn done(&self) {
        let mut state = self.state();
        state.busy -= 1;
        if state.busy == 0 && state.stack.is_empty() {
            self.changed.notify_all();
        }
    }

    /// Ends the walk early.
    pub fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }
}
