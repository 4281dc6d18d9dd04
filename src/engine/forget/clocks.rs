//! Where dates and facts contradict each other: a snapshot that is dated later than one which was built on
//! it. Pure; decides nothing.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::codec::Hash;
use crate::index::Summary;

/// A snapshot whose date is not what its place in the order rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contradiction {
    /// Its place.
    pub place: usize,
    /// The place of the snapshot built on it that decides its own place.
    pub witness: usize,
    /// The place of the one that is dated earlier: the witness, or one that was built on that in turn.
    pub earlier: usize,
}

/// All contradictions in what [`newest_first`](crate::engine::select::newest_first) returned for `now`. As
/// long as all witnesses of the snapshots that stay do so as well, these keep their order.
pub(super) fn contradictions(order: &[(Timestamp, &Summary)], now: Timestamp) -> Vec<Contradiction> {
    let places: HashMap<Hash, usize> = order.iter().enumerate().map(|(n, (_, s))| (s.hash, n)).collect();
    // Of those built on a snapshot, the one that comes first in time is the last in the order.
    let mut eldest: HashMap<usize, usize> = HashMap::new();
    for (child, (_, summary)) in order.iter().enumerate() {
        for parent in summary.parents.iter().filter_map(|parent| places.get(parent)) {
            let eldest = eldest.entry(*parent).or_insert(child);
            *eldest = child.max(*eldest);
        }
    }
    let mut found = Vec::new();
    let mut earlier_of: HashMap<usize, usize> = HashMap::new();
    // Children come before parents.
    for (place, (time, summary)) in order.iter().enumerate() {
        if let Some(witness) = eldest.get(&place).copied().filter(|_| *time < summary.time().min(now)) {
            let earlier = earlier_of.get(&witness).copied().unwrap_or(witness);
            earlier_of.insert(place, earlier);
            found.push(Contradiction { place, witness, earlier });
        }
    }
    found
}
