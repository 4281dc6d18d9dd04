//! A store in memory that says when its objects were put, notes each call, and in which something happens behind one's
//! back: once, right after the first call of a kind.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use crate::format::ObjectName;
use crate::store::{Listed, MemoryStore, Store, StoreError, Tail};

type Happening = Box<dyn FnOnce() + Send>;

/// What is put into it, was put at `put_ms`.
pub struct MeanwhileStore {
    inner: MemoryStore,
    put_ms: Option<i64>,
    happening: Mutex<Option<(&'static str, Happening)>>,
    calls: Mutex<Vec<String>>,
}

impl MeanwhileStore {
    /// A store in which nothing happens.
    pub fn new(inner: MemoryStore, put_ms: Option<i64>) -> Self {
        Self { inner, put_ms, happening: Mutex::default(), calls: Mutex::default() }
    }

    /// Lets something happen after the first call that begins with `call`: a verb, a space, a name.
    pub fn after(self, call: &'static str, happening: impl FnOnce() + Send + 'static) -> Self {
        *self.happening.lock().unwrap() = Some((call, Box::new(happening)));
        self
    }

    pub fn has_happened(&self) -> bool {
        self.happening.lock().unwrap().is_none()
    }

    /// What was deleted, in order.
    pub fn deletions(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter_map(|call| call.strip_prefix("delete ")).map(String::from).collect()
    }

    fn note<T>(&self, verb: &str, name: &str, result: T) -> T {
        let call = format!("{verb} {name}");
        let happening = self.happening.lock().unwrap().take_if(|(awaited, _)| call.starts_with(*awaited));
        self.calls.lock().unwrap().push(call);
        happening.into_iter().for_each(|(_, happening)| happening());
        result
    }
}

impl fmt::Debug for MeanwhileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeanwhileStore({:?})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Store for MeanwhileStore {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        self.note("put", name.as_str(), self.inner.put(name, bytes))
    }

    fn persist(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.inner.persist(name)
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, StoreError> {
        self.inner.get(name)
    }

    fn get_range(&self, name: &ObjectName, start: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.inner.get_range(name, start, length)
    }

    fn get_tail(&self, name: &ObjectName, length: usize) -> Result<Tail, StoreError> {
        self.inner.get_tail(name, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let mut listed = self.inner.list(prefix)?;
        listed.iter_mut().for_each(|listed| listed.modified_ms = self.put_ms);
        self.note("list", prefix, Ok(listed))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.note("delete", name.as_str(), self.inner.delete(name))
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
