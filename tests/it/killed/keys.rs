//! Adding and removing ways into a repository, while the store dies or fails at each call.

use std::sync::Arc;

use homekeep::codec::Hash;
use homekeep::keys::{Cost, Secret};
use homekeep::repo::{RepoError, Repository};
use homekeep::store::{MemoryStore, Store};
use zeroize::Zeroizing;

use super::at_each_call;
use crate::support::{Site, secret};

fn other() -> Secret {
    Secret::KeyFile(Zeroizing::new([9; 32]))
}

fn open(store: &MemoryStore, secret: &Secret) -> Result<Repository, RepoError> {
    Repository::open(Arc::new(store.clone()), secret, tempfile::tempdir().unwrap().path())
}

fn add(store: Arc<dyn Store>) -> Result<Hash, RepoError> {
    Ok(Site::in_memory(store).open()?.add_slot(&other(), Cost::FLOOR, "other")?.hash)
}

fn remove(store: Arc<dyn Store>, hash: &Hash) -> Result<(), RepoError> {
    Site::in_memory(store).open()?.remove_slot(hash)
}

#[test]
fn a_way_in_that_could_not_be_added_leaves_the_others_and_can_be_added_again() {
    let store = MemoryStore::new();
    Site::on(Arc::new(store.clone()));
    let calls = at_each_call(&store, add, |added, store| {
        open(&store, &secret()).unwrap();
        assert!(added.is_err() || open(&store, &other()).is_ok(), "success was reported without a slot");
        add(Arc::new(store.clone())).unwrap();
        open(&store, &secret()).unwrap();
        open(&store, &other()).unwrap();
    });
    assert!(calls >= 4, "{calls} calls only");
}

#[test]
fn a_way_in_that_could_not_be_removed_leaves_the_others_and_can_be_removed_again() {
    let store = MemoryStore::new();
    Site::on(Arc::new(store.clone()));
    let hash = add(Arc::new(store.clone())).unwrap();
    let calls = at_each_call(
        &store,
        |store| remove(store, &hash),
        |removed, store| {
            open(&store, &secret()).unwrap();
            assert!(removed.is_err() || open(&store, &other()).is_err(), "success was reported and it opens");
            match remove(Arc::new(store.clone()), &hash) {
                // It was done, and only reported as failed.
                Ok(()) | Err(RepoError::NoSuchSlot(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
            open(&store, &secret()).unwrap();
            assert!(open(&store, &other()).is_err());
        },
    );
    assert!(calls >= 5, "{calls} calls only");
}
