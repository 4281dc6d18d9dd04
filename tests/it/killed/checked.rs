//! What `check` finds after an operation that died: nothing but objects of which half was kept.

use std::sync::Arc;

use homekeep::codec::Hash;
use homekeep::engine::Meter;
use homekeep::engine::check::{CheckOptions, CheckReport, Subset, check};
use homekeep::format::ObjectName;
use homekeep::store::{MemoryStore, Store};

use crate::support::{Site, chain, names};

/// Reads every object, as a machine that never saw the repository. Of torn objects each is named; and without them, which
/// nobody was told are there, nothing is wrong.
pub fn assert_checks_clean(store: &dyn Store) {
    let (sound, torn) = without_torn(store);
    let report = read_all(sound.clone());
    assert!(!report.is_damaged() && !report.has_problems(), "{report:?}");
    if torn.is_empty() {
        return;
    }
    for name in &torn {
        sound.put(name, &store.get(name).unwrap()).unwrap();
    }
    let report = read_all(sound);
    let told: Vec<String> = report.findings.iter().map(|finding| chain(&finding.error)).collect();
    for name in &torn {
        assert!(told.iter().any(|text| text.contains(name.as_str())), "{name}: {told:?}");
    }
}

/// What a check says that reads all of a store.
pub fn read_all(store: MemoryStore) -> CheckReport {
    let site = Site::in_memory(Arc::new(store));
    let scratch = site.path("scratch");
    let options = CheckOptions { read: Some(Subset::All), restore_sample: 0, scratch, threads: 1 };
    check(&mut site.open().unwrap(), &options, &Meter::default()).unwrap()
}

fn without_torn(store: &dyn Store) -> (MemoryStore, Vec<ObjectName>) {
    let (sound, mut torn) = (MemoryStore::new(), Vec::new());
    for name in names(store, "") {
        let bytes = store.get(&name).unwrap();
        if name.promised_hash().is_some_and(|promised| promised != Hash::of(&bytes)) {
            torn.push(name);
        } else {
            sound.put(&name, &bytes).unwrap();
        }
    }
    (sound, torn)
}
