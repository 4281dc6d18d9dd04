//! A store whose calls wait for their turn. A listing takes two turns, and of what comes or goes between them it has
//! any part, as listings of real stores may.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homekeep::format::ObjectName;
use homekeep::store::{Listed, MemoryStore, Store, StoreError, Tail};

use super::dice::Dice;
use super::schedule::Schedule;

/// What one actor sees of the store.
#[derive(Debug)]
pub struct ScheduledStore {
    inner: MemoryStore,
    schedule: Arc<Schedule>,
    actor: usize,
    /// Before this is set, calls do not wait: opening a repository is no part of a schedule.
    is_begun: AtomicBool,
    dice: Mutex<Dice>,
}

impl ScheduledStore {
    pub fn new(inner: MemoryStore, schedule: Arc<Schedule>, actor: usize, dice: Dice) -> Self {
        Self { inner, schedule, actor, is_begun: AtomicBool::new(false), dice: Mutex::new(dice) }
    }

    /// From now on, calls wait for their turn.
    pub fn begin(&self) {
        self.is_begun.store(true, Ordering::SeqCst);
    }

    fn turn<T>(
        &self,
        action: &'static str,
        name: &str,
        call: impl FnOnce(&MemoryStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if !self.is_begun.load(Ordering::SeqCst) {
            return call(&self.inner);
        }
        let result = self.schedule.turn(self.actor, &format!("{action} {name}"), || call(&self.inner));
        result.unwrap_or_else(|_| {
            let source = io::Error::other("the process was killed");
            Err(StoreError::Io { action, name: name.into(), location: self.location(), source })
        })
    }

    /// What a listing has of what was there at first and at last.
    fn between(&self, before: Vec<Listed>, after: Vec<Listed>) -> Vec<Listed> {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: BTreeMap<ObjectName, (Listed, usize)> = BTreeMap::new();
        for listed in before.into_iter().chain(after) {
            all.entry(listed.name.clone()).or_insert((listed, 0)).1 += 1;
        }
        all.into_values()
            .filter(|(_, times)| *times == 2 || dice.percent(50))
            .map(|(listed, _)| listed)
            .collect()
    }
}

#[deny(clippy::missing_trait_methods)]
impl Store for ScheduledStore {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        self.turn("write", name.as_str(), |inner| inner.put(name, bytes))
    }

    fn persist(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.turn("persist", name.as_str(), |inner| inner.persist(name))
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, StoreError> {
        self.turn("read", name.as_str(), |inner| inner.get(name))
    }

    fn get_range(&self, name: &ObjectName, start: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.turn("read", name.as_str(), |inner| inner.get_range(name, start, length))
    }

    fn get_tail(&self, name: &ObjectName, length: usize) -> Result<Tail, StoreError> {
        self.turn("read", name.as_str(), |inner| inner.get_tail(name, length))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let before = self.turn("list", prefix, |inner| inner.list(prefix))?;
        if !self.is_begun.load(Ordering::SeqCst) {
            return Ok(before);
        }
        let after = self.turn("list on", prefix, |inner| inner.list(prefix))?;
        Ok(self.between(before, after))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.turn("delete", name.as_str(), |inner| inner.delete(name))
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
