//! What keeps a repository from being opened: each way is an error of its own, and none is taken for another.

use std::sync::Arc;

use homekeep::format::{Descriptor, FormatError, ObjectName};
use homekeep::keys::{Cost, KeyError, Secret};
use homekeep::repo::{RepoError, Repository};
use homekeep::store::{MemoryStore, Store};
use zeroize::Zeroizing;

use super::partial::Small;
use crate::support::{chain, names, secret};

fn open(store: &MemoryStore, secret: &Secret) -> Result<Repository, RepoError> {
    let cache = tempfile::tempdir().unwrap();
    Repository::open(Arc::new(store.clone()), secret, cache.path())
}

fn refusal(store: &MemoryStore, secret: &Secret) -> RepoError {
    match open(store, secret) {
        Err(error) => error,
        Ok(_) => panic!("it opened"),
    }
}

#[test]
fn each_way_not_to_open_a_repository_is_an_error_of_its_own() {
    let small = Small::new();
    let other_key = Secret::KeyFile(Zeroizing::new([8; 32]));
    let passphrase = Secret::Passphrase(Zeroizing::new(b"guess".to_vec()));
    for wrong in [&other_key, &passphrase] {
        assert!(matches!(refusal(&small.store, wrong), RepoError::Key(KeyError::Wrong)));
    }
    assert!(matches!(refusal(&MemoryStore::new(), &secret()), RepoError::Absent(_)));
    let key = &names(&small.store, "keys/")[0];
    assert!(matches!(refusal(&small.with(key, None), &secret()), RepoError::NoSlots));
    let format = ObjectName::descriptor();
    assert!(matches!(refusal(&small.with(&format, None), &secret()), RepoError::Absent(_)));
    let foreign = Small::new().store.get(&format).unwrap();
    assert!(matches!(refusal(&small.with(&format, Some(foreign)), &secret()), RepoError::Forged(_)));
}

#[test]
fn a_newer_format_is_refused_by_its_version_or_its_feature() {
    let small = Small::new();
    let format = ObjectName::descriptor();
    let bytes = small.store.get(&format).unwrap();
    let mut newer = bytes.clone();
    assert_eq!(newer[9], 1, "the version stands behind magic and array head");
    newer[9] = 2;
    let error = refusal(&small.with(&format, Some(newer)), &secret());
    let RepoError::Format { source: FormatError::Version { found: 2, .. }, .. } = error else {
        panic!("{error:?}")
    };
    let repository = small.site.repository();
    let features = vec!["vault".to_string()];
    let with_feature = Descriptor { features, ..repository.descriptor().clone() };
    let bytes = with_feature.to_bytes(repository.keys());
    let error = refusal(&small.with(&format, Some(bytes)), &secret());
    assert!(matches!(error, RepoError::Format { source: FormatError::Feature(_), .. }), "{error:?}");
}

#[test]
fn no_bit_of_the_descriptor_can_be_changed_unnoticed() {
    let small = Small::new();
    let format = ObjectName::descriptor();
    let bytes = small.store.get(&format).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        refusal(&small.with(&format, Some(bytes)), &secret());
    }
}

#[test]
fn a_damaged_key_slot_locks_out_only_those_who_have_no_other() {
    let small = Small::new();
    let [key] = &names(&small.store, "keys/")[..] else { panic!("one slot") };
    let mut bytes = small.store.get(key).unwrap();
    bytes[40] ^= 1;
    let error = refusal(&small.with(key, Some(bytes.clone())), &secret());
    assert!(chain(&error).contains(key.as_str()), "{error:?}");
    let other = Secret::KeyFile(Zeroizing::new([9; 32]));
    small.site.repository().add_slot(&other, Cost::FLOOR, "second").unwrap();
    let store = small.with(key, Some(bytes));
    assert!(matches!(refusal(&store, &secret()), RepoError::WrongOrDamagedSlot(slot) if slot == *key));
    assert!(open(&store, &other).is_ok());
}
