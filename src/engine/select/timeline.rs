//! Puts snapshots in the order in which they were taken. Dates are a machine's word; what was built
//! on what is a fact.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::SnapshotHead;
use crate::codec::Hash;

/// All snapshots, newest first, with the time that counts for each: its date, but not after `now`,
/// and before every snapshot that names it as a parent. So one dated by a clock that went ahead
/// doesn't stay the newest until the clocks catch up.
pub fn newest_first<S: SnapshotHead>(snapshots: &[S], now: Timestamp) -> Vec<(Timestamp, &S)> {
    let mut times: Vec<Timestamp> = snapshots.iter().map(|s| s.time().min(now)).collect();
    let by_hash: HashMap<Hash, usize> = snapshots.iter().enumerate().map(|(n, s)| (s.hash(), n)).collect();
    let parents = |n: usize| snapshots[n].parents().iter().filter_map(|hash| by_hash.get(hash).copied());
    let mut children = vec![0usize; snapshots.len()];
    (0..snapshots.len()).flat_map(parents).for_each(|parent| children[parent] += 1);
    // Children before parents, each once; a circle, which hashes rule out, would keep its dates.
    let mut settled: Vec<usize> = (0..snapshots.len()).filter(|n| children[*n] == 0).collect();
    while let Some(child) = settled.pop() {
        let before = times[child].saturating_sub(SignedDuration::from_millis(1)).unwrap_or(times[child]);
        for parent in parents(child) {
            times[parent] = times[parent].min(before);
            children[parent] -= 1;
            if children[parent] == 0 {
                settled.push(parent);
            }
        }
    }
    let mut order: Vec<_> = times.into_iter().zip(snapshots).collect();
    order.sort_by_key(|(time, s)| std::cmp::Reverse((*time, s.time(), s.id())));
    order
}
