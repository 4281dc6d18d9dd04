//! A stack of things to do, shared by threads that add to it as they go. Knows when nothing is left to come,
//! not what the things are.

use std::sync::{Condvar, Mutex, PoisonError};

/// Shared by all threads.
pub struct WorkQueue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    stack: Vec<T>,
    /// Threads at work, which may push more.
    busy: usize,
    stopped: bool,
}

impl<T> WorkQueue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        let state = State { stack: Vec::new(), busy: 0, stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one.
    pub fn push(&self, work: T) {
        self.state().stack.push(work);
        self.changed.notify_one();
    }

    /// Adds several; the last is done first.
    pub fn push_all(&self, work: impl Iterator<Item = T>) {
        self.state().stack.extend(work);
        self.changed.notify_all();
    }

    /// The next, with the thread's word that it is at work; none when all work is done or someone stopped.
    pub fn next(&self) -> Option<(T, AtWork<'_, T>)> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(work) = state.stack.pop() {
                state.busy += 1;
                return Some((work, AtWork(self)));
            }
            if state.busy == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the work early.
    pub fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }
}

/// A thread is at work until this is dropped. One that panics ends the work: others would wait for it for
/// ever.
pub struct AtWork<'q, T>(&'q WorkQueue<T>);

impl<T> Drop for AtWork<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.busy -= 1;
        state.stopped |= std::thread::panicking();
        if state.stopped || (state.busy == 0 && state.stack.is_empty()) {
            self.0.changed.notify_all();
        }
    }
}
