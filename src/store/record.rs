//! A store that remembers what was asked of it, so that tests can assert costs. Knows no meaning.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Listed, Store, StoreError, Tail};
use crate::format::ObjectName;

/// A call of a [`Store`], whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// [`Store::put`]
    Put {
        /// The object.
        name: ObjectName,
        /// Its length in bytes.
        len: usize,
    },
    /// [`Store::get`]
    Get {
        /// The object.
        name: ObjectName,
    },
    /// [`Store::get_range`]
    GetRange {
        /// The object.
        name: ObjectName,
        /// First byte.
        start: u64,
        /// Bytes asked for.
        length: usize,
    },
    /// [`Store::get_tail`]
    GetTail {
        /// The object.
        name: ObjectName,
        /// Bytes asked for.
        length: usize,
    },
    /// [`Store::list`]
    List {
        /// What the names begin with.
        prefix: String,
    },
    /// [`Store::delete`]
    Delete {
        /// The object.
        name: ObjectName,
    },
}

/// Records every call, in order, and passes it on.
#[derive(Debug)]
pub struct RecordStore<S> {
    inner: S,
    calls: Mutex<Vec<Call>>,
}

impl<S> RecordStore<S> {
    /// Records the calls of `inner` from now on.
    pub fn new(inner: S) -> Self {
        Self { inner, calls: Mutex::default() }
    }

    /// The calls since the last time.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls())
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for RecordStore<S> {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        self.calls().push(Call::Put { name: name.clone(), len: bytes.len() });
        self.inner.put(name, bytes)
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, StoreError> {
        self.calls().push(Call::Get { name: name.clone() });
        self.inner.get(name)
    }

    fn get_range(&self, name: &ObjectName, start: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.calls().push(Call::GetRange { name: name.clone(), start, length });
        self.inner.get_range(name, start, length)
    }

    fn get_tail(&self, name: &ObjectName, length: usize) -> Result<Tail, StoreError> {
        self.calls().push(Call::GetTail { name: name.clone(), length });
        self.inner.get_tail(name, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.calls().push(Call::List { prefix: prefix.into() });
        self.inner.list(prefix)
    }

    /// Not recorded: it moves neither bytes nor names.
    fn persist(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.inner.persist(name)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.calls().push(Call::Delete { name: name.clone() });
        self.inner.delete(name)
    }

    fn clean_up(&self, older_than: Duration) -> Result<usize, StoreError> {
        self.inner.clean_up(older_than)
    }

    fn list_delay(&self) -> Duration {
        self.inner.list_delay()
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn calls_are_recorded_in_order_and_taken_once() {
        let store = RecordStore::new(MemoryStore::new());
        let name = ObjectName::descriptor();
        store.put(&name, b"four").unwrap();
        store.get(&name).unwrap();
        store.get_range(&name, 1, 9).unwrap_err();
        store.get_tail(&name, 2).unwrap();
        store.list("keys/").unwrap();
        store.delete(&name).unwrap();
        let expected = [
            Call::Put { name: name.clone(), len: 4 },
            Call::Get { name: name.clone() },
            Call::GetRange { name: name.clone(), start: 1, length: 9 },
            Call::GetTail { name: name.clone(), length: 2 },
            Call::List { prefix: "keys/".into() },
            Call::Delete { name },
        ];
        assert_eq!(store.take_calls(), expected);
        assert_eq!(store.take_calls(), []);
    }
}
