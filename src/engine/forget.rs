//! Forgets snapshots: by a policy that says which to keep, or by name. [`plan`] decides and is pure;
//! [`forget`] does what was decided, by a mark in the store for each snapshot. Nothing is deleted: a mark
//! that is taken away brings the snapshot back, for as long as nobody collected the garbage.
//!
//! Whatever a policy says, a snapshot stays that holds the state which a home would be restored to. So
//! forgetting never changes what `latest` means for any home.

mod clocks;
mod error;
mod grouping;
mod plan;
mod policy;
mod protection;
mod reason;
mod rule;
mod within;

#[cfg(test)]
mod tests;

pub use error::ForgetError;
pub use grouping::{Grouping, ParseGroupingError};
pub use plan::{Decision, Fate, Plan, plan};
pub use policy::Policy;
pub use reason::Reason;
pub use rule::Rule;
pub use within::{ParseWithinError, Within};

use super::Meter;
use super::select::Filter;
use crate::codec::SnapshotId;
use crate::repo::Repository;

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgetOptions {
    /// By a policy, or by name.
    pub choice: Choice,
    /// Which snapshots a policy is about. With users, it is about those that hold no one else's home.
    pub filter: Filter,
    /// Forget what is named although it holds the newest state of a home.
    pub force: bool,
    /// Forget although nothing would be left of a source, and by a policy that keeps nothing.
    pub allow_everything: bool,
}

/// How it is said which snapshots go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// All that this does not keep.
    Policy {
        /// What is kept.
        policy: Policy,
        /// Of which snapshots each.
        grouping: Grouping,
    },
    /// These.
    Named(Vec<SnapshotId>),
}

/// Marks snapshots as forgotten, one after another, and counts them in `meter`. They come oldest first, as
/// from [`Plan::forgotten`]: what says that a home is gone goes after what knows the home. Ended half-way,
/// it has forgotten some, and the same policy comes to the same end the next time.
pub fn forget(
    repository: &mut Repository,
    snapshots: &[SnapshotId],
    meter: &Meter,
) -> Result<(), ForgetError> {
    for (done, id) in snapshots.iter().enumerate() {
        if meter.is_interrupted() {
            return Err(ForgetError::Interrupted { done, wanted: snapshots.len() });
        }
        repository.forget(*id)?;
        Meter::add(&meter.files, 1);
    }
    Ok(())
}
