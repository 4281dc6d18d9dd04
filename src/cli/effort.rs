//! How hard a command works that writes or walks: the zstd level and the number of threads. Knows the defaults.

use std::num::NonZeroUsize;

const DEFAULT_LEVEL: i32 = 3;
/// Where the system does not say how many processors there are.
const DEFAULT_THREADS: usize = 2;

/// The zstd level, if anyone named one.
pub fn level(named: Option<i32>) -> i32 {
    named.unwrap_or(DEFAULT_LEVEL)
}

/// So many threads as were asked for; one for each processor otherwise.
pub fn threads(asked: Option<NonZeroUsize>) -> usize {
    asked.or_else(|| std::thread::available_parallelism().ok()).map_or(DEFAULT_THREADS, NonZeroUsize::get)
}
