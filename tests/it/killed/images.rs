//! Publishing an image of the index, while the store dies or fails at each call.

use std::sync::Arc;

use homekeep::store::{MemoryStore, Store};

use super::checked::assert_checks_clean;
use super::{Interrupted, at_each_call};
use crate::support::{Site, names};

/// The machine that publishes knows the repository; the fault does not hide what is in it.
fn publish(store: Arc<dyn Store>) -> Result<(), homekeep::repo::RepoError> {
    let site = Site::in_memory(store);
    let mut repository = site.open()?;
    repository.sync(&mut |_, _| {})?;
    repository.publish_index()
}

#[test]
fn an_image_that_could_not_be_published_costs_nothing_and_can_be_published_again() {
    let store = MemoryStore::new();
    let interrupted = Interrupted::new(Arc::new(store.clone()), 5000);
    let calls = at_each_call(&store, publish, |published, store| {
        assert_eq!(interrupted.assert_snapshots_are_whole(Arc::new(store.clone())), 1);
        assert!(published.is_err() || names(&store, "index/").len() == 1);
        assert_checks_clean(&store);
        let site = Site::in_memory(Arc::new(store.clone()));
        site.try_backup(&interrupted.options(&site)).unwrap();
        publish(Arc::new(store.clone())).unwrap();
        assert_eq!(interrupted.assert_snapshots_are_whole(Arc::new(store)), 2);
    });
    assert!(calls >= 8, "{calls} calls only");
}
