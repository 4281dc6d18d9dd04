//! A store that fails at a chosen call, for systematic crash tests. Knows no meaning of its objects.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::{Listed, Store, StoreError, Tail};
use crate::format::ObjectName;

/// What happens at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call fails, and nothing happened.
    FailBefore,
    /// The call happens, and an error is reported all the same.
    FailAfter,
    /// A put leaves half of the bytes under the name and fails; other calls fail with nothing done.
    Torn,
    /// This call and every later one fail with nothing done: the process is dead.
    Freeze,
}

/// Injects one [`Fault`] at the nth call. A test runs an operation for every n, until no fault
/// [`fired`](FaultStore::fired): then every call the operation makes has failed once.
#[derive(Debug)]
pub struct FaultStore<S> {
    inner: S,
    planned: Option<Planned>,
    calls: AtomicU64,
    fired: AtomicBool,
}

#[derive(Debug)]
struct Planned {
    fault: Fault,
    counted: Counted,
    nth: u64,
}

/// Which calls have a number.
#[derive(Debug, PartialEq, Eq)]
enum Counted {
    All,
    Mutations,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reading,
    Mutating,
}

impl<S> FaultStore<S> {
    /// Injects `fault` at the `nth` call of any kind, counted from 1.
    pub fn at_call(inner: S, fault: Fault, nth: u64) -> Self {
        Self::new(inner, Some(Planned { fault, counted: Counted::All, nth }))
    }

    /// Injects `fault` at the `nth` put or delete, counted from 1. Reading calls are not counted,
    /// and only a frozen store fails them.
    pub fn at_mutation(inner: S, fault: Fault, nth: u64) -> Self {
        Self::new(inner, Some(Planned { fault, counted: Counted::Mutations, nth }))
    }

    /// Injects nothing; counts calls of any kind.
    pub fn without_fault(inner: S) -> Self {
        Self::new(inner, None)
    }

    fn new(inner: S, planned: Option<Planned>) -> Self {
        Self { inner, planned, calls: AtomicU64::new(0), fired: AtomicBool::new(false) }
    }

    /// Whether the chosen call was made.
    pub fn fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }

    /// Calls counted so far; those that failed too.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Counts a call and says what is to go wrong with it.
    fn fault(&self, kind: Kind) -> Option<Fault> {
        let counted = match &self.planned {
            Some(planned) => planned.counted == Counted::All || kind == Kind::Mutating,
            None => true,
        };
        let number = if counted { self.calls.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        let planned = self.planned.as_ref()?;
        if number == planned.nth && counted {
            self.fired.store(true, Ordering::SeqCst);
            return Some(planned.fault);
        }
        let frozen = planned.fault == Fault::Freeze && (self.fired() || number > planned.nth);
        frozen.then_some(Fault::Freeze)
    }
}

impl<S: Store> FaultStore<S> {
    fn perform<T>(
        &self,
        fault: Option<Fault>,
        action: &'static str,
        name: &str,
        call: impl FnOnce(&S) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match fault {
            None => return call(&self.inner),
            Some(Fault::FailAfter) => drop(call(&self.inner)?),
            Some(Fault::FailBefore | Fault::Torn | Fault::Freeze) => {}
        }
        let source = io::Error::other("injected fault");
        Err(StoreError::Io { action, name: name.into(), location: self.location(), source })
    }

    /// Leaves half of the bytes under the name. Where a whole object stands already, the inner
    /// store refuses, and rightly: a put does not write over it, so it cannot tear it either.
    fn put_torn(&self, name: &ObjectName, bytes: &[u8]) {
        let _ = self.inner.put(name, &bytes[..bytes.len() / 2]);
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for FaultStore<S> {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        let fault = self.fault(Kind::Mutating);
        if fault == Some(Fault::Torn) {
            self.put_torn(name, bytes);
        }
        self.perform(fault, "write", name.as_str(), |inner| inner.put(name, bytes))
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, StoreError> {
        self.perform(self.fault(Kind::Reading), "read", name.as_str(), |inner| inner.get(name))
    }

    fn get_range(&self, name: &ObjectName, start: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let call = |inner: &S| inner.get_range(name, start, length);
        self.perform(self.fault(Kind::Reading), "read", name.as_str(), call)
    }

    fn get_tail(&self, name: &ObjectName, length: usize) -> Result<Tail, StoreError> {
        self.perform(self.fault(Kind::Reading), "read", name.as_str(), |inner| inner.get_tail(name, length))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.perform(self.fault(Kind::Reading), "list", prefix, |inner| inner.list(prefix))
    }

    fn persist(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.perform(self.fault(Kind::Reading), "sync", name.as_str(), |inner| inner.persist(name))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.perform(self.fault(Kind::Mutating), "delete", name.as_str(), |inner| inner.delete(name))
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
    use crate::codec::Hash;
    use crate::store::MemoryStore;

    const BYTES: &[u8] = b"six by";

    fn name() -> ObjectName {
        ObjectName::segment(&Hash::of(BYTES))
    }

    /// What stands under the name after a put that met `fault`, and after an undisturbed second one.
    fn put_twice(fault: Fault) -> (Option<Vec<u8>>, Vec<u8>) {
        let memory = MemoryStore::new();
        let store = FaultStore::at_call(memory.clone(), fault, 1);
        store.put(&name(), BYTES).unwrap_err();
        assert!(store.fired());
        let left = memory.get(&name()).ok();
        memory.put(&name(), BYTES).unwrap();
        (left, memory.get(&name()).unwrap())
    }

    #[test]
    fn each_fault_leaves_what_it_says_and_the_next_put_mends_it() {
        assert_eq!(put_twice(Fault::FailBefore), (None, BYTES.to_vec()));
        assert_eq!(put_twice(Fault::Freeze), (None, BYTES.to_vec()));
        assert_eq!(put_twice(Fault::Torn), (Some(b"six".to_vec()), BYTES.to_vec()));
        assert_eq!(put_twice(Fault::FailAfter), (Some(BYTES.to_vec()), BYTES.to_vec()));
    }

    #[test]
    fn only_the_nth_call_fails_unless_frozen() {
        for (fault, later_fails) in [(Fault::FailBefore, false), (Fault::Freeze, true)] {
            let store = FaultStore::at_call(MemoryStore::new(), fault, 2);
            assert!(store.list("").is_ok() && !store.fired());
            assert!(store.list("").is_err() && store.fired());
            assert_eq!(store.list("").is_err(), later_fails);
            assert_eq!(store.calls(), 3);
        }
    }

    #[test]
    fn reading_is_not_counted_among_mutations_but_dies_with_the_process() {
        let store = FaultStore::at_mutation(MemoryStore::new(), Fault::Freeze, 2);
        store.put(&name(), BYTES).unwrap();
        store.get(&name()).unwrap();
        store.list("").unwrap();
        assert_eq!(store.calls(), 1);
        store.delete(&name()).unwrap_err();
        store.get(&name()).unwrap_err();
        store.list("").unwrap_err();
    }

    #[test]
    fn a_loop_over_every_call_ends_when_no_fault_fires() {
        let mut runs = 0;
        for nth in 1.. {
            let store = FaultStore::at_call(MemoryStore::new(), Fault::FailBefore, nth);
            let done = store.put(&name(), BYTES).and_then(|()| store.get(&name()));
            assert_eq!(done.is_err(), store.fired());
            runs += 1;
            if !store.fired() {
                break;
            }
        }
        assert_eq!(runs, 3);
    }

    #[test]
    fn a_whole_object_is_not_torn() {
        let memory = MemoryStore::new();
        memory.put(&name(), BYTES).unwrap();
        FaultStore::at_mutation(memory.clone(), Fault::Torn, 1).put(&name(), BYTES).unwrap_err();
        assert_eq!(memory.get(&name()).unwrap(), BYTES);
    }
}
