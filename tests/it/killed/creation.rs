//! The making of a repository that dies or fails at each of its calls.

use std::sync::Arc;

use homekeep::format::ObjectName;
use homekeep::keys::Cost;
use homekeep::repo::{CreateOptions, RepoError, Repository};
use homekeep::store::{MemoryStore, Store};

use super::at_each_call;
use crate::support::{CHUNKER, Site, secret, write_old};

fn create(store: Arc<dyn Store>) -> Result<(), RepoError> {
    let cache = tempfile::tempdir().unwrap();
    let options = CreateOptions { chunker: CHUNKER, block_len: 64 << 10, cost: Cost::FLOOR };
    Repository::create(store, &secret(), cache.path(), &options).map(drop)
}

#[test]
fn a_repository_whose_making_failed_is_whole_or_can_be_made_again() {
    let calls = at_each_call(&MemoryStore::new(), create, |created, store| {
        let store: Arc<dyn Store> = Arc::new(store);
        let site = Site::in_memory(Arc::clone(&store));
        match (site.open(), created) {
            (Ok(_), _) => {}
            (Err(error), Ok(())) => panic!("success was reported, and {error:?}"),
            (Err(_), Err(_)) => create_again(store),
        }
        write_old(&site.home("ann").join("file"), "ann's");
        site.backup();
        site.restore(&["ann"]);
    });
    assert!(calls >= 3, "{calls} calls only");
}

/// A store that cannot do better may keep half a descriptor; a folder cannot. It promises no hash, so nobody
/// can tell it from the descriptor of a repository that was damaged later: it is named and stays until
/// somebody who knows that nothing is lost with it removes it.
fn create_again(store: Arc<dyn Store>) {
    let descriptor = ObjectName::descriptor();
    if store.get(&descriptor).is_ok() {
        assert!(matches!(create(Arc::clone(&store)), Err(RepoError::Exists(_))));
        let error = Site::in_memory(Arc::clone(&store)).open().err().unwrap();
        assert!(matches!(&error, RepoError::Format { name, .. } if name == descriptor.as_str()), "{error:?}");
        store.delete(&descriptor).unwrap();
    }
    create(store).unwrap();
}
