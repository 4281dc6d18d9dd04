//! Counts what an operation has done so far, for whoever shows progress. Written from many threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Running totals. All are only ever added to.
#[derive(Debug, Default)]
pub struct Meter {
    /// Files looked at or written.
    pub files: AtomicU64,
    /// Directories looked at or made.
    pub directories: AtomicU64,
    /// Bytes of files that are done, unchanged ones included.
    pub bytes: AtomicU64,
    /// Bytes read from files or written to them.
    pub bytes_moved: AtomicU64,
    /// Files to expect, when known.
    pub files_expected: AtomicU64,
    /// Bytes to expect, when known.
    pub bytes_expected: AtomicU64,
    interrupted: Arc<AtomicBool>,
}

impl Meter {
    /// A meter whose operation also stops when `interrupted` is set, as a signal handler can.
    pub fn interrupted_by(interrupted: Arc<AtomicBool>) -> Self {
        Self { interrupted, ..Self::default() }
    }

    /// Adds to a total.
    pub fn add(total: &AtomicU64, count: u64) {
        total.fetch_add(count, Ordering::Relaxed);
    }

    /// Reads a total.
    pub fn read(total: &AtomicU64) -> u64 {
        total.load(Ordering::Relaxed)
    }

    /// Asks the operation to stop at the next file.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to stop.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
