//! What still comes back of a path that is lost in some snapshots.

use super::CheckError;
use super::report::{Intact, Loss};
use crate::engine::lookup::lookup;
use crate::engine::{BrowseError, Kind};
use crate::format::Entry;
use crate::repo::{Reached, Reader, Snapshot};

/// Paths that are looked up at most: damage that reaches further is so great that single files say little.
const MAX_LOOKUPS: usize = 50_000;

/// A home in a snapshot.
pub struct State<'s> {
    /// The snapshot.
    pub snapshot: &'s Snapshot,
    /// The home's own directory.
    pub root: &'s Entry,
}

/// Looks for versions that are whole.
pub struct Search<'r> {
    reader: Reader,
    reached: &'r Reached,
    lookups_left: usize,
}

impl<'r> Search<'r> {
    /// A search in snapshots that were walked.
    pub fn new(reader: Reader, reached: &'r Reached) -> Self {
        Self { reader, reached, lookups_left: MAX_LOOKUPS }
    }

    /// The newest of these states, which are ordered, in which the path is the same kind of thing and whole.
    pub fn newest(&mut self, states: &[State<'_>], loss: &Loss) -> Result<Intact, CheckError> {
        let mut last = None;
        for state in states {
            // Equal homes have equal answers.
            if loss.snapshots.contains(&state.snapshot.record.id) || last == Some(&state.root.kind) {
                continue;
            }
            last = Some(&state.root.kind);
            let Some(left) = self.lookups_left.checked_sub(1) else { return Ok(Intact::Unknown) };
            self.lookups_left = left;
            if self.is_whole(state, loss)? {
                let record = &state.snapshot.record;
                return Ok(Intact::In { id: record.id, time_ms: record.time_ms });
            }
        }
        Ok(Intact::Nowhere)
    }

    fn is_whole(&mut self, state: &State<'_>, loss: &Loss) -> Result<bool, CheckError> {
        match lookup(&mut self.reader, state.root, &loss.path) {
            Ok(found) => Ok(Kind::of(&found.entry) == loss.kind && !self.reached.lacks(&found.entry)),
            Err(BrowseError::Read { source, .. }) if !source.is_damage() => Err(source.into()),
            Err(_) => Ok(false),
        }
    }
}
