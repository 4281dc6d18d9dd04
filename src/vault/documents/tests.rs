//! Two writers of one document, rooms that are too small, and what a rotation leaves.

use std::collections::HashMap;
use std::sync::Mutex;

use super::*;
use crate::vault::provider::{ProviderError, Stamp};

type Happening = Box<dyn FnOnce(&Memory) + Send>;

/// A provider in which others can write between two calls.
#[derive(Default)]
struct Memory {
    documents: Mutex<HashMap<String, Vec<u8>>>,
    /// Of everybody; a put removes them.
    older: Mutex<Vec<Vec<u8>>>,
    after_put: Mutex<Vec<Happening>>,
    calls: Mutex<Vec<&'static str>>,
    max_len: usize,
    knows_stamps: bool,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    fn new(max_len: usize) -> Arc<Self> {
        Arc::new(Self { max_len, ..Self::default() })
    }

    fn call(&self, name: &'static str) {
        self.calls.lock().unwrap().push(name);
    }

    fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl Provider for Memory {
    fn list(&self) -> Result<Listing, ProviderError> {
        self.call("list");
        Ok(self.documents.lock().unwrap().keys().map(|user| (user.clone(), Stamp::default())).collect())
    }

    fn get(&self, user: &str) -> Result<Option<Vec<u8>>, ProviderError> {
        self.call("get");
        Ok(self.documents.lock().unwrap().get(user).cloned())
    }

    fn put(&self, user: &str, document: &[u8]) -> Result<Written, ProviderError> {
        self.call("put");
        assert!(document.len() <= self.max_len, "{} bytes", document.len());
        self.documents.lock().unwrap().insert(user.into(), document.to_vec());
        self.older.lock().unwrap().clear();
        let happening = self.after_put.lock().unwrap().pop();
        happening.into_iter().for_each(|happening| happening(self));
        Ok(if self.knows_stamps { Written::Within(0..=1) } else { Written::Unknown })
    }

    fn delete(&self, user: &str) -> Result<(), ProviderError> {
        self.documents.lock().unwrap().remove(user);
        Ok(())
    }

    fn older_copies(&self, _user: &str) -> Result<Vec<Vec<u8>>, ProviderError> {
        Ok(self.older.lock().unwrap().clone())
    }

    fn max_len(&self) -> usize {
        self.max_len
    }

    fn location(&self) -> String {
        "memory".into()
    }
}

fn vault(memory: &Arc<Memory>) -> Vault {
    Vault::new(memory.clone(), vec![VaultSecret::new([1; 32])])
}

fn found(vault: &Vault, items: &[(&str, &[u8])]) -> BTreeMap<String, Found> {
    let read = |(name, value): &(&str, &[u8])| {
        let version = vault.version("ann", name, value);
        (name.to_string(), Found::Read { version, value: value.to_vec().into(), is_by_rule: true })
    };
    items.iter().map(read).collect()
}

fn newest(vault: &Vault, item: &str) -> Option<Vec<u8>> {
    let document = vault.read("ann").unwrap()?;
    vault.open(&document, item, None).unwrap().map(|value| value.bytes.to_vec())
}

#[test]
fn a_secret_comes_back_in_each_version_it_had() {
    let memory = Memory::new(1 << 20);
    let vault = vault(&memory);
    let versions: Vec<Version> = [&b"one"[..], b"two", b"two", b"three"]
        .iter()
        .map(|value| {
            let updated = vault.update("ann", "here", &found(&vault, &[("key", value)]), false).unwrap();
            assert!(updated.too_large.is_empty() && updated.missing.is_empty());
            vault.version("ann", "key", value)
        })
        .collect();
    let document = vault.read("ann").unwrap().unwrap();
    for (version, value) in versions.iter().zip([&b"one"[..], b"two", b"two", b"three"]) {
        assert_eq!(&vault.open(&document, "key", Some(*version)).unwrap().unwrap().bytes[..], value);
    }
    assert_eq!(document.items["key"].now["here"], versions[3]);
}

#[test]
fn nothing_is_written_when_nothing_changed_and_a_new_document_costs_one_call() {
    let memory = Arc::new(Memory { max_len: 1 << 20, knows_stamps: true, ..Memory::default() });
    let vault = vault(&memory);
    let items = found(&vault, &[("key", b"one"), ("token", b"two")]);
    assert!(vault.update("ann", "here", &items, true).unwrap().written.is_some());
    assert_eq!(memory.calls(), ["put"]);
    assert!(vault.update("ann", "here", &items, false).unwrap().written.is_none());
    assert_eq!(memory.calls(), ["get"]);
    assert!(vault.update("bob", "here", &BTreeMap::new(), true).unwrap().written.is_none());
    assert_eq!(memory.calls(), [""; 0]);
}

/// Another machine had read the document before this one wrote, and writes over it: whatever the order, both find their
/// items in the end.
#[test]
fn an_update_that_another_machine_overwrote_is_made_again() {
    let memory = Memory::new(1 << 20);
    let first = vault(&memory);
    first.update("ann", "here", &found(&first, &[("old", b"0")]), false).unwrap();
    let as_others_read_it = memory.get("ann").unwrap().unwrap();
    let other = first.clone();
    memory.after_put.lock().unwrap().push(Box::new(move |memory| {
        let mut document = Document::from_json("ann", &as_others_read_it).unwrap();
        let version = other.version("ann", "theirs", b"2");
        let stored = other.seal(&document, "theirs", version, b"2").unwrap();
        document.set("there", "theirs", version, Some(stored));
        memory.documents.lock().unwrap().insert("ann".into(), document.to_json());
    }));
    first.update("ann", "here", &found(&first, &[("old", b"0"), ("mine", b"1")]), false).unwrap();
    assert_eq!(newest(&first, "mine").unwrap(), b"1");
    assert_eq!(newest(&first, "theirs").unwrap(), b"2");
    assert_eq!(newest(&first, "old").unwrap(), b"0");
}

#[test]
fn whoever_is_overwritten_for_ever_is_told() {
    let memory = Memory::new(1 << 20);
    let vault = vault(&memory);
    for _ in 0..ATTEMPTS {
        let wipe: Happening = Box::new(|memory| memory.documents.lock().unwrap().clear());
        memory.after_put.lock().unwrap().push(wipe);
    }
    let error = vault.update("ann", "here", &found(&vault, &[("key", b"1")]), false).unwrap_err();
    assert!(matches!(error, VaultError::Contended { .. }), "{error}");
}

#[test]
fn what_has_no_room_costs_the_others_nothing() {
    let memory = Memory::new(6000);
    let vault = vault(&memory);
    let mut large = vec![0; 8000];
    getrandom::fill(&mut large).unwrap();
    let items = found(&vault, &[("key", b"1"), ("large", &large), ("token", b"2")]);
    let updated = vault.update("ann", "here", &items, false).unwrap();
    assert_eq!(updated.too_large, ["large"]);
    let told = updated.room_problem.unwrap().to_string();
    assert!(told.contains("\"large\" (") && told.contains("6000 bytes"), "{told}");
    assert_eq!(newest(&vault, "key").unwrap(), b"1");
    assert_eq!(newest(&vault, "token").unwrap(), b"2");
    assert_eq!(newest(&vault, "large"), None);
}

#[test]
fn what_was_not_read_and_is_not_there_is_asked_for() {
    let memory = Memory::new(1 << 20);
    let vault = vault(&memory);
    let version = vault.version("ann", "key", b"1");
    let unread = BTreeMap::from([("key".to_string(), Found::Unread(version))]);
    assert_eq!(vault.update("ann", "here", &unread, false).unwrap().missing, ["key"]);
    vault.update("ann", "here", &found(&vault, &[("key", b"1")]), false).unwrap();
    let updated = vault.update("ann", "here", &unread, false).unwrap();
    assert!(updated.missing.is_empty() && updated.written.is_none());
}

#[test]
fn two_sources_of_one_user_do_not_write_by_turns() {
    let memory = Memory::new(1 << 20);
    let vault = vault(&memory);
    let (one, two) = (found(&vault, &[("key", b"1")]), found(&vault, &[("key", b"2")]));
    vault.update("ann", "one", &one, false).unwrap();
    vault.update("ann", "two", &two, false).unwrap();
    assert!(vault.update("ann", "one", &one, false).unwrap().written.is_none());
    assert!(vault.update("ann", "two", &two, false).unwrap().written.is_none());
}

#[test]
fn a_rotation_leaves_every_version_and_nothing_that_the_old_secret_opens() {
    let memory = Memory::new(1 << 20);
    let old = vault(&memory);
    let versions = [&b"one"[..], b"two"].map(|value| old.set("ann", "here", "key", value).unwrap());
    let secrets = vec![VaultSecret::new([2; 32]), VaultSecret::new([1; 32])];
    let both = Vault::new(memory.clone(), secrets);
    assert_eq!(both.rotate("ann").unwrap(), 2);
    let document = both.read("ann").unwrap().unwrap();
    assert_eq!(&both.open(&document, "key", Some(versions[0])).unwrap().unwrap().bytes[..], b"one");
    assert!(matches!(old.read("ann").unwrap_err(), VaultError::OtherSecret { .. }));
    for stored in document.items["key"].versions.values() {
        let place = Place { user: "ann", item: "key", version: versions[0] };
        assert!(VaultSecret::new([1; 32]).open(place, &document.salt, &stored.sealed).is_err());
    }
}

#[test]
fn what_is_no_document_is_never_written_over() {
    let memory = Memory::new(1 << 20);
    let vault = vault(&memory);
    let theirs = br#"{"private_key":"x"}"#.to_vec();
    memory.documents.lock().unwrap().insert("ann".into(), theirs.clone());
    let error = vault.update("ann", "here", &found(&vault, &[("key", b"1")]), false).unwrap_err();
    assert!(matches!(error, VaultError::Document { .. }), "{error}");
    assert_eq!(memory.documents.lock().unwrap()["ann"], theirs);
}

#[test]
fn a_removed_item_is_gone_in_all_versions() {
    let memory = Memory::new(1 << 20);
    let vault = vault(&memory);
    vault.set("ann", "here", "token", b"1").unwrap();
    vault.set("ann", "here", "token", b"2").unwrap();
    assert!(vault.remove("ann", "token").unwrap());
    assert!(!vault.remove("ann", "token").unwrap());
    assert_eq!(newest(&vault, "token"), None);
}

/// Two machines that met a new user at the same moment may have put a document each.
#[test]
fn what_only_an_older_copy_has_is_taken_over_before_the_copy_goes() {
    let [memory, other] = [(); 2].map(|()| Memory::new(1 << 20));
    let (vault_here, vault_there) = (vault(&memory), vault(&other));
    vault_there.update("ann", "there", &found(&vault_there, &[("key", b"1"), ("both", b"2")]), true).unwrap();
    vault_there.set("ann", "there", "token", b"in no file").unwrap();
    vault_here.update("ann", "here", &found(&vault_here, &[("both", b"2"), ("mine", b"3")]), true).unwrap();
    let copy = other.get("ann").unwrap().unwrap();
    *memory.older.lock().unwrap() = vec![copy.clone()];
    vault_here.update("ann", "here", &found(&vault_here, &[("both", b"2"), ("mine", b"3")]), false).unwrap();
    for (item, value) in [("key", &b"1"[..]), ("both", b"2"), ("token", b"in no file"), ("mine", b"3")] {
        assert_eq!(newest(&vault_here, item).unwrap(), value, "{item}");
    }
    let document = vault_here.read("ann").unwrap().unwrap();
    assert_eq!(document.items["both"].now.len(), 2);
    assert!(memory.older.lock().unwrap().is_empty());

    // Without room for it, the copy stays.
    let small = Arc::new(Memory { max_len: 1200, ..Memory::default() });
    let vault_small = vault(&small);
    vault_small.update("ann", "here", &found(&vault_small, &[("mine", b"3")]), true).unwrap();
    let large: Vec<u8> = (0..4000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    vault_there.set("ann", "there", "large", &large).unwrap();
    *small.older.lock().unwrap() = vec![other.get("ann").unwrap().unwrap()];
    let changed = vault_small.update("ann", "here", &found(&vault_small, &[("mine", b"4")]), false);
    assert!(matches!(changed, Err(VaultError::TooLarge { .. })));
    assert_eq!(small.older.lock().unwrap().len(), 1);
    assert_eq!(newest(&vault_small, "mine").unwrap(), b"3");
}
