//! Forgetting and pruning that die or fail at each of their calls: nothing that a snapshot needs is ever gone,
//! and the next prune finishes what was begun.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use homekeep::codec::{Hash, SnapshotId};
use homekeep::engine::Meter;
use homekeep::engine::backup::{HomeSelection, Outcome};
use homekeep::engine::prune::{MaxUnused, PruneError, PruneOptions, PruneReport, prune};
use homekeep::engine::restore::RestoreTarget;
use homekeep::format::{Entry, ObjectName};
use homekeep::repo::RepoError;
use homekeep::store::{MemoryStore, Store};

use super::at_each_call;
use super::checked::assert_checks_clean;
use crate::pruning::prune_options;
use crate::support::{Contents, Site, chain, contents, names, noise, source_of, write_old};

/// A repository with three snapshots, the first of which holds much that the others do not need.
pub struct Pruned {
    pub site: Site,
    pub store: MemoryStore,
    /// What the snapshots hold that are not forgotten.
    pub expected: BTreeMap<SnapshotId, Contents>,
    pub first: SnapshotId,
}

impl Pruned {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same with more files that only the first snapshot has, so long.
    pub fn with(more: &[(&str, usize)]) -> Self {
        let store = MemoryStore::new();
        let site = Site::on(Arc::new(store.clone()));
        let home = site.home("ann");
        for (name, length) in more {
            write_old(&home.join(name), noise(200, *length));
        }
        for n in 0..12 {
            write_old(&home.join(n.to_string()), noise(n, 8000));
        }
        let mut pruned = Self { site, store, expected: BTreeMap::new(), first: SnapshotId([0; 16]) };
        pruned.first = pruned.save();
        for (name, _) in more {
            fs::remove_file(home.join(name)).unwrap();
        }
        for n in 2..12 {
            fs::remove_file(home.join(n.to_string())).unwrap();
        }
        pruned.save();
        write_old(&home.join("new"), noise(100, 8000));
        pruned.save();
        pruned
    }

    /// The same with the first snapshot forgotten.
    fn forgotten() -> Self {
        let mut pruned = Self::new();
        pruned.expected.remove(&pruned.first);
        forget(Arc::new(pruned.store.clone()), pruned.first).unwrap();
        pruned
    }

    fn save(&mut self) -> SnapshotId {
        let report = self.site.backup_with(|options| options.shrink_percent = 1);
        let Outcome::Saved { id, .. } = report.outcome else { panic!("{:?}", report.outcome) };
        self.expected.insert(id, contents(&self.site.home("ann")));
        id
    }

    /// What the snapshots hold other than the first.
    pub fn without_first(&self) -> BTreeMap<SnapshotId, Contents> {
        let mut others = self.expected.clone();
        others.remove(&self.first);
        others
    }

    /// What a snapshot says of a file.
    pub fn entry(&self, id: SnapshotId, path: &str) -> Entry {
        let snapshots = self.site.repository().snapshots().unwrap();
        let snapshot = snapshots.iter().find(|snapshot| snapshot.record.id == id).unwrap();
        let (_, source) = source_of(snapshot, "ann").unwrap();
        self.site.find(&source, path).unwrap()
    }

    /// On a machine that never saw the repository, every snapshot is whole that should be.
    pub fn assert_whole(&self, store: &MemoryStore) {
        Self::assert_holds(store, &self.expected);
    }

    /// On a machine that never saw the repository, these snapshots hold this.
    pub fn assert_holds(store: &MemoryStore, expected: &BTreeMap<SnapshotId, Contents>) {
        let site = Site::in_memory(Arc::new(store.clone()));
        let snapshots = site.repository().snapshots().unwrap();
        for (id, expected) in expected {
            let snapshot =
                snapshots.iter().find(|snapshot| snapshot.record.id == *id).expect("a snapshot is gone");
            let (_, source) = source_of(snapshot, "ann").unwrap();
            let target = tempfile::tempdir_in(site.path("")).unwrap();
            let to = RestoreTarget::Contents(target.path().into());
            let restored = site.restore_to(&[source], to, |_| {});
            assert!(restored.report.is_complete(), "{:?}", restored.report.problems);
            assert!(contents(target.path()) == *expected, "{id} differs");
        }
    }

    /// Prunes undisturbed until there is nothing more to do, and saves the homes again.
    fn assert_goes_on(&self, store: &MemoryStore, options: &PruneOptions) {
        remove_torn(store, options, None);
        let site = Site::in_memory(Arc::new(store.clone()));
        for _ in 0..8 {
            let report = prune_on(Arc::new(store.clone()), options).unwrap();
            self.assert_whole(store);
            if report.deleted.objects + report.written.objects == 0 {
                break;
            }
        }
        let stored: u64 = store.list("").unwrap().iter().map(|listed| listed.length).sum();
        assert!(stored < 80_000, "{stored} bytes are left: what nobody needs was not deleted");
        let mut backup = site.backup_options();
        backup.homes = HomeSelection::Under(self.site.homes());
        backup.always = true;
        site.try_backup(&backup).unwrap();
        self.assert_whole(store);
    }
}

pub fn forget(store: Arc<dyn Store>, id: SnapshotId) -> Result<(), RepoError> {
    let mut repository = Site::in_memory(store).open()?;
    repository.sync(&mut |_, _| {})?;
    repository.forget(id)
}

pub fn prune_on(store: Arc<dyn Store>, options: &PruneOptions) -> Result<PruneReport, PruneError> {
    let site = Site::in_memory(store);
    prune(&mut site.open()?, options, &Meter::default())
}

/// A store that cannot do better may keep half an object; a folder cannot. Nobody can tell it from one that was
/// damaged later, and what it names is unknown: a prune names it and does nothing, until somebody removes it. `damaged` is damaged in another way.
pub fn remove_torn(store: &MemoryStore, options: &PruneOptions, damaged: Option<&ObjectName>) {
    for name in names(store, "").into_iter().filter(|name| Some(name) != damaged) {
        let hash = Hash::of(&store.get(&name).unwrap());
        let is_torn = name.promised_hash().is_some_and(|promised| promised != hash);
        let matters = ["snapshots/", "gc/"].iter().any(|prefix| name.as_str().starts_with(prefix));
        if is_torn && matters {
            let error = prune_on(Arc::new(store.clone()), options).unwrap_err();
            assert!(chain(&error).contains(name.as_str()), "{name}: {error:?}");
            store.delete(&name).unwrap();
        }
    }
}

pub fn repacking() -> PruneOptions {
    PruneOptions { max_unused: MaxUnused::Percent(5.0), ..prune_options() }
}

#[test]
fn forgetting_can_die_or_fail_at_any_call() {
    let pruned = Pruned::new();
    let calls = at_each_call(
        &pruned.store,
        |store| forget(store, pruned.first),
        |forgotten, store| {
            let listed = |store: &MemoryStore| {
                let snapshots = Site::in_memory(Arc::new(store.clone())).repository().snapshots().unwrap();
                snapshots.iter().map(|snapshot| snapshot.record.id).collect::<Vec<_>>()
            };
            let is_hidden = !listed(&store).contains(&pruned.first);
            assert!(forgotten.is_err() || is_hidden, "success was reported and it is still there");
            assert_checks_clean(&store);
            forget(Arc::new(store.clone()), pruned.first).unwrap();
            assert!(!listed(&store).contains(&pruned.first));
            Site::in_memory(Arc::new(store.clone())).repository().remove_marks(pruned.first).unwrap();
            pruned.assert_whole(&store);
        },
    );
    assert!(calls >= 6, "{calls} calls only");
}

#[test]
fn a_prune_can_die_or_fail_at_any_call() {
    let pruned = Pruned::forgotten();
    for options in [prune_options(), repacking()] {
        let calls = at_each_call(
            &pruned.store,
            |store| prune_on(store, &options),
            |_, store| {
                pruned.assert_whole(&store);
                assert_checks_clean(&store);
                pruned.assert_goes_on(&store, &repacking());
            },
        );
        assert!(calls >= 12, "{calls} calls only");
    }
}
