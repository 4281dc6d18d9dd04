//! A store in memory, for tests and trials. Knows the rules of [`Store`], and no durability.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Listed, Store, StoreError, Tail, check_length, is_whole};
use crate::format::ObjectName;

/// Objects in memory. A clone shares them: it is the same store, opened again.
#[derive(Clone, Default)]
pub struct MemoryStore {
    objects: Arc<Mutex<Objects>>,
}

type Objects = BTreeMap<ObjectName, Vec<u8>>;

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic elsewhere cannot leave the map half changed, so a poisoned lock is as good as another.
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_object<T>(
        &self,
        name: &ObjectName,
        read: impl FnOnce(&[u8]) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.objects().get(name) {
            Some(bytes) => read(bytes),
            None => Err(StoreError::NotFound { name: name.clone() }),
        }
    }
}

impl Store for MemoryStore {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        check_length(bytes.len() as u64).map_err(|source| StoreError::Io {
            action: "write",
            name: name.to_string(),
            location: self.location(),
            source,
        })?;
        let mut objects = self.objects();
        match objects.get(name) {
            Some(existing) if existing == bytes => Ok(()),
            Some(existing) if is_whole(name, existing) => Err(StoreError::Conflict { name: name.clone() }),
            _ => {
                objects.insert(name.clone(), bytes.to_vec());
                Ok(())
            }
        }
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, StoreError> {
        self.with_object(name, |bytes| Ok(bytes.to_vec()))
    }

    fn get_range(&self, name: &ObjectName, start: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.with_object(name, |bytes| {
            let wanted = start.saturating_add(length as u64);
            let object_len = bytes.len() as u64;
            if wanted > object_len {
                return Err(StoreError::Short { name: name.clone(), length: object_len, wanted });
            }
            // No longer than the object, so it fits.
            Ok(bytes[start as usize..wanted as usize].to_vec())
        })
    }

    fn get_tail(&self, name: &ObjectName, length: usize) -> Result<Tail, StoreError> {
        self.with_object(name, |bytes| {
            let start = bytes.len().saturating_sub(length);
            Ok(Tail { bytes: bytes[start..].to_vec(), object_len: bytes.len() as u64 })
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let objects = self.objects();
        let matching = objects.iter().filter(|(name, _)| name.as_str().starts_with(prefix));
        let listed = |(name, bytes): (&ObjectName, &Vec<u8>)| Listed {
            name: name.clone(),
            length: bytes.len() as u64,
            modified_ms: None,
        };
        Ok(matching.map(listed).collect())
    }

    fn persist(&self, _name: &ObjectName) -> Result<(), StoreError> {
        Ok(())
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.objects().remove(name);
        Ok(())
    }

    fn clean_up(&self, _older_than: Duration) -> Result<usize, StoreError> {
        Ok(0)
    }

    fn list_delay(&self) -> Duration {
        Duration::ZERO
    }

    fn location(&self) -> String {
        "memory".into()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore({} objects)", self.objects().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_the_same_store() {
        let store = MemoryStore::new();
        store.clone().put(&ObjectName::descriptor(), b"x").unwrap();
        assert_eq!(store.get(&ObjectName::descriptor()).unwrap(), b"x");
    }
}
