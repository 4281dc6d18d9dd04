//! Repositories with damaged, missing, exchanged and foreign objects. Whatever is wrong, every operation
//! gives the right result or says which object is to blame, and what does not need that object goes on.

mod checking;
mod every_byte;
mod examine;
mod exchanged;
mod opening;
mod partial;
mod reading;
mod tiny;

use homekeep::format::ObjectName;
use homekeep::store::{MemoryStore, Store};

use crate::support::names;

/// A copy of a store with other objects under some names, or none.
fn with(store: &MemoryStore, changes: &[(&ObjectName, Option<&[u8]>)]) -> MemoryStore {
    let copy = MemoryStore::new();
    for name in names(store, "") {
        if !changes.iter().any(|(changed, _)| **changed == name) {
            copy.put(&name, &store.get(&name).unwrap()).unwrap();
        }
    }
    for (name, bytes) in changes {
        if let Some(bytes) = bytes {
            copy.put(name, bytes).unwrap();
        }
    }
    copy
}
