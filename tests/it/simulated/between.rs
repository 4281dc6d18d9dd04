//! A store in which something happens just before the first put or delete below a prefix.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use homekeep::format::ObjectName;
use homekeep::store::{Listed, MemoryStore, Store, StoreError, Tail};

type Happening = Box<dyn FnOnce() + Send>;

/// Lets something happen once.
pub struct BetweenStore {
    inner: MemoryStore,
    prefix: &'static str,
    happening: Mutex<Option<Happening>>,
}

impl BetweenStore {
    pub fn new(inner: MemoryStore, prefix: &'static str, happening: impl FnOnce() + Send + 'static) -> Self {
        Self { inner, prefix, happening: Mutex::new(Some(Box::new(happening))) }
    }

    fn let_happen(&self, name: &ObjectName) {
        if name.as_str().starts_with(self.prefix) {
            let happening = self.happening.lock().unwrap().take();
            happening.into_iter().for_each(|happening| happening());
        }
    }

    pub fn has_happened(&self) -> bool {
        self.happening.lock().unwrap().is_none()
    }
}

impl fmt::Debug for BetweenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BetweenStore({:?})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Store for BetweenStore {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        self.let_happen(name);
        self.inner.put(name, bytes)
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
        self.inner.list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.let_happen(name);
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
