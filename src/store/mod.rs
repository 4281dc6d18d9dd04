//! Named, immutable objects somewhere. Knows names and bytes, not what they mean.

#[cfg(test)]
mod contract;
mod fault;
mod local;
mod memory;
mod record;

use std::time::Duration;
use std::{fmt, io};

pub use fault::{Fault, FaultStore};
pub use local::{LocalStore, Stray};
pub use memory::MemoryStore;
pub use record::{Call, RecordStore};

use crate::codec::Hash;
use crate::format::{MAX_OBJECT_LEN, ObjectName};

/// Where objects live.
///
/// What an implementation guarantees, and all that callers rely on:
/// - `put` returns only when the object is durable and whole under its name. Interrupted at any
///   instant, it leaves nothing under the name, or the whole object, or (on stores that cannot do
///   better) a torn object, which its reader recognises by its end and its hash.
/// - What a listing shows may be on its way to being durable; [`Store::persist`] brings it there.
/// - Objects never change. Putting the same bytes under a name again succeeds; a torn object under
///   the name is replaced; other whole bytes under the name are an error and stay untouched.
/// - An object whose `put` has returned is in every `list` that begins afterwards, from any client.
/// - Nothing but [`StoreError::NotFound`] means that an object is absent.
pub trait Store: Send + Sync + fmt::Debug {
    /// Keeps `bytes` under `name`, durably.
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError>;

    /// The whole object.
    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, StoreError>;

    /// Exactly `length` bytes from `start` on; an object that ends before is [`StoreError::Short`].
    fn get_range(&self, name: &ObjectName, start: u64, length: usize) -> Result<Vec<u8>, StoreError>;

    /// The last `length` bytes, or all of a shorter object, and the object's length.
    fn get_tail(&self, name: &ObjectName, length: usize) -> Result<Tail, StoreError>;

    /// Every object whose name begins with `prefix` (empty, or ending in `/`), sorted by name.
    /// Things in the way that are no objects (temporary files, foreign names) are left out.
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError>;

    /// Makes an object durable that a listing has shown: whoever put it may have died, or not be done yet. Nothing may
    /// rest on an object that was only seen.
    fn persist(&self, name: &ObjectName) -> Result<(), StoreError>;

    /// Removes the object; removing an absent one succeeds.
    fn delete(&self, name: &ObjectName) -> Result<(), StoreError>;

    /// Removes what interrupted puts left behind and nobody wrote to for `older_than`, which must be longer than any
    /// put takes. Returns how many things there were.
    fn clean_up(&self, older_than: Duration) -> Result<usize, StoreError>;

    /// How old a listing may be. Zero where it has everything that was put before it, from whatever client.
    fn list_delay(&self) -> Duration;

    /// The place, as a person would name it.
    fn location(&self) -> String;
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name.
    pub name: ObjectName,
    /// Its length in bytes.
    pub length: u64,
    /// When it was put, in milliseconds since 1970 by the clock of the store; none where that is not known.
    pub modified_ms: Option<i64>,
}

/// The end of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The last bytes, as many as asked for or as there are.
    pub bytes: Vec<u8>,
    /// The whole object's length.
    pub object_len: u64,
}

/// What a store can answer instead. Callers act on the kind.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("{name} is not in the repository")]
    NotFound {
        /// The object.
        name: ObjectName,
    },
    /// The object ends before the bytes asked for.
    #[error("{name} is cut short: {length} bytes, {wanted} were expected")]
    Short {
        /// The object.
        name: ObjectName,
        /// Its length.
        length: u64,
        /// Where the bytes asked for end.
        wanted: u64,
    },
    /// Other bytes stand under the name.
    #[error("{name} exists with other content; it was left untouched")]
    Conflict {
        /// The object.
        name: ObjectName,
    },
    /// No room.
    #[error("no space left in {location}. Free some and run again; nothing that was saved is lost")]
    Full {
        /// The store.
        location: String,
    },
    /// No permission.
    #[error("no permission to {action} {name} in {location}")]
    Denied {
        /// What was tried.
        action: &'static str,
        /// The object or prefix.
        name: String,
        /// The store.
        location: String,
    },
    /// Anything else.
    #[error("cannot {action} {name} in {location}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The object or prefix.
        name: String,
        /// The store.
        location: String,
        /// Why.
        source: io::Error,
    },
}

/// Whether `bytes`, found under `name`, are what was once put there; if not, they are torn or
/// damaged. A name that promises no hash cannot tell, and what it holds counts as whole.
fn is_whole(name: &ObjectName, bytes: &[u8]) -> bool {
    name.promised_hash().is_none_or(|promised| promised == Hash::of(bytes))
}

/// Refuses what no object can be, before memory is spent on it or a store keeps it.
fn check_length(length: u64) -> io::Result<()> {
    if length <= MAX_OBJECT_LEN {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, format!("{length} bytes are more than any object has")))
}
