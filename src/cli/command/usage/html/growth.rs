//! How all homes together grew, as points in time. What is known of the past are the snapshots that are still there; whoever
//! knows more of it makes the same points.

use std::collections::BTreeMap;

use crate::index::Summary;

/// All homes at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Bytes of the files in all homes of all sources.
    pub bytes: u64,
    /// Bytes of file content that were new then.
    pub bytes_new: u64,
}

/// A point for each snapshot, oldest first. `summaries` are in that order, too.
pub fn points<'s>(summaries: &[&'s Summary]) -> Vec<Point> {
    let mut at_source: BTreeMap<&'s str, u64> = BTreeMap::new();
    let mut points = Vec::with_capacity(summaries.len());
    for (summary, is_whole) in summaries.iter().copied().zip(whole(summaries)) {
        let bytes = at_source.entry(&summary.source).or_default();
        if is_whole {
            *bytes = summary.totals.bytes;
        }
        points.push(Point {
            // A time that cannot be is none that could be drawn.
            time_ms: summary.time().as_millisecond(),
            bytes: at_source.values().fold(0, |sum, bytes| sum.saturating_add(*bytes)),
            bytes_new: summary.totals.bytes_new,
        });
    }
    points
}

/// Which snapshots are of all homes of their source: not one that has fewer than half of the homes that the one before had
/// and some later one has again. Someone saved a few homes by name then.
fn whole<'s>(summaries: &[&'s Summary]) -> Vec<bool> {
    let mut most_later: BTreeMap<&'s str, u64> = BTreeMap::new();
    let mut later = Vec::with_capacity(summaries.len());
    for summary in summaries.iter().copied().rev() {
        let most = most_later.entry(&summary.source).or_default();
        later.push(*most);
        *most = summary.homes.present().max(*most);
    }
    let mut before: BTreeMap<&'s str, u64> = BTreeMap::new();
    let mut is_whole = Vec::with_capacity(summaries.len());
    for (summary, later) in summaries.iter().copied().zip(later.into_iter().rev()) {
        let before = before.entry(&summary.source).or_default();
        let homes = summary.homes.present();
        let counts = homes.saturating_mul(2) >= later.min(*before);
        is_whole.push(counts);
        if counts {
            *before = homes;
        }
    }
    is_whole
}
