//! What a prune is told.

use std::time::Duration;

/// What a prune is told.
#[derive(Debug, Clone)]
pub struct PruneOptions {
    /// This host's name, for the records.
    pub host: String,
    /// Deletes what was condemned at least so long ago; what is condemned now is deleted at once when this is zero.
    /// Where listings can be old, it must be longer than they can be: [`Store::list_delay`](crate::store::Store::list_delay).
    pub grace: Duration,
    /// A segment that no commit names may belong to a backup that still runs. Younger ones are left alone.
    pub min_age: Duration,
    /// How much may stay that nothing needs, in segments that are partly needed.
    pub max_unused: MaxUnused,
    /// At most so many bytes are moved into new segments in one run.
    pub max_repack: u64,
    /// zstd level of what is moved.
    pub level: i32,
    /// Threads that walk and threads that compress.
    pub threads: usize,
    /// Do everything but write.
    pub dry_run: bool,
    /// Go on where what was found is hardly what anybody meant.
    pub force: bool,
}

/// How much space may stay wasted in segments that are partly needed, before they are repacked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxUnused {
    /// A share of all bytes, in percent.
    Percent(f64),
    /// Bytes.
    Bytes(u64),
    /// Nothing is repacked.
    Unlimited,
}

impl MaxUnused {
    /// Bytes that may be wasted of `total`.
    pub fn of(self, total: u64) -> u64 {
        match self {
            Self::Percent(percent) => (total as f64 * percent / 100.0) as u64,
            Self::Bytes(bytes) => bytes,
            Self::Unlimited => u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_all_bytes_and_a_number_is_of_bytes() {
        assert_eq!(MaxUnused::Percent(5.0).of(2000), 100);
        assert_eq!(MaxUnused::Percent(12.5).of(80), 10);
        assert_eq!(MaxUnused::Percent(0.0).of(u64::MAX), 0);
        assert_eq!(MaxUnused::Bytes(7).of(2000), 7);
        assert_eq!(MaxUnused::Unlimited.of(2000), u64::MAX);
    }
}
