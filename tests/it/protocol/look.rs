//! How records of garbage collection are listed: a listing takes time, sees what changes meanwhile or not, in no
//! order, and a look repeats it until two listings are equal.

use super::state::{Listing, Setup, Wrong};
use super::store::{Names, Store};

/// An unfinished look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Look {
    /// The records that stood when the listing began that is running, if one is.
    begun: Option<Names>,
    /// What the listing before it saw.
    last: Option<Names>,
}

/// What a step of a look comes to.
pub enum Looked {
    Goes(Look),
    /// The records that were seen, and read.
    Saw(Names),
}

impl Look {
    /// Every outcome of its next step.
    pub fn step(self, store: &Store, setup: &Setup, emit: &mut dyn FnMut(&'static str, Looked)) {
        let standing = store.records.standing;
        if setup.records == Listing::AtOnce {
            return emit("looks at the records", Looked::Saw(standing));
        }
        let Some(begun) = self.begun else {
            return emit(
                "begins to list the records",
                Looked::Goes(Look { begun: Some(standing), last: None }),
            );
        };
        for seen in begun.seen_until(standing) {
            let is_settled = self.last == Some(seen) || setup.is(Wrong::ListOnce);
            // A record that was listed and is gone when it is to be read begins the look anew.
            if is_settled && seen.is_within(standing) {
                emit("has listed the records", Looked::Saw(seen));
            } else {
                let next = Look { begun: Some(standing), last: Some(seen) };
                emit("has listed the records, and lists them again", Looked::Goes(next));
            }
        }
    }

    /// Records of two prunes that change places.
    pub fn exchanged(self, exchange: impl Fn(Names) -> Names) -> Self {
        Self { begun: self.begun.map(&exchange), last: self.last.map(&exchange) }
    }
}
