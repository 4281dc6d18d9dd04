//! Prune: what no snapshot needs goes, what any needs stays, and backups before, beside and after it lose
//! nothing. Every test ends with the same question: does each snapshot that is left restore bit for bit?

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use homekeep::codec::SnapshotId;
use homekeep::engine::Meter;
use homekeep::engine::backup::Outcome;
use homekeep::engine::prune::{MaxUnused, PruneError, PruneOptions, PruneReport, prune};
use homekeep::engine::restore::RestoreTarget;
use homekeep::engine::undo::{UndoOptions, Undone, undo};
use homekeep::repo::Repository;
use homekeep::store::{Fault, FaultStore, LocalStore, MemoryStore, Store};

use crate::support::{
    Contents, Site, contents, copy_tree, files_read, let_times_settle, names, noise, secret, source_of,
    write_old,
};

/// A repository whose snapshots are remembered as they should be.
struct History {
    site: Site,
    expected: BTreeMap<SnapshotId, Contents>,
}

impl History {
    fn on(store: Arc<dyn Store>) -> Self {
        Self { site: Site::on(store), expected: BTreeMap::new() }
    }

    fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new()))
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.site.home("ann").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_old(&path, bytes);
        self
    }

    fn remove(&self, name: &str) -> &Self {
        fs::remove_file(self.site.home("ann").join(name)).unwrap();
        self
    }

    fn backup(&mut self) -> SnapshotId {
        let report = self.site.backup_with(|options| options.shrink_percent = 1);
        let Outcome::Saved { id, .. } = report.outcome else { panic!("{:?}", report.outcome) };
        self.expected.insert(id, contents(&self.site.home("ann")));
        id
    }

    fn forget(&mut self, id: SnapshotId) {
        self.site.repository().forget(id).unwrap();
        self.expected.remove(&id);
    }

    fn try_prune(&self, change: impl FnOnce(&mut PruneOptions)) -> Result<PruneReport, PruneError> {
        let mut options = prune_options();
        change(&mut options);
        prune(&mut self.site.open().unwrap(), &options, &Meter::default())
    }

    fn prune(&self) -> PruneReport {
        self.try_prune(|_| {}).unwrap()
    }

    /// Every snapshot that should be there is, and restores bit for bit, here and on a new machine.
    fn assert_whole(&self) {
        let elsewhere = Site::beside(self.site.shared_store());
        for site in [&self.site, &elsewhere] {
            let snapshots = site.repository().snapshots().unwrap();
            let found: Vec<SnapshotId> = snapshots.iter().map(|s| s.record.id).collect();
            assert_eq!(found.len(), self.expected.len(), "{found:?}");
            for snapshot in &snapshots {
                let target = tempfile::tempdir().unwrap();
                let (_, source) = source_of(snapshot, "ann").unwrap();
                let to = RestoreTarget::Contents(target.path().into());
                let restored = site.restore_to(&[source], to, |_| {});
                assert!(restored.report.is_complete(), "{:?}", restored.report.problems);
                assert!(contents(target.path()) == self.expected[&snapshot.record.id]);
            }
        }
    }

    fn stored(&self) -> u64 {
        self.site.store().list("").unwrap().iter().map(|listed| listed.length).sum()
    }
}

pub fn prune_options() -> PruneOptions {
    PruneOptions {
        host: "here".into(),
        grace: Duration::ZERO,
        min_age: Duration::ZERO,
        max_unused: MaxUnused::Unlimited,
        max_repack: u64::MAX,
        level: 1,
        threads: 2,
        dry_run: false,
        force: false,
    }
}

#[test]
fn what_only_a_forgotten_snapshot_needs_is_deleted_and_the_rest_restores() {
    let mut history = History::new();
    history.write("kept", noise(1, 50_000)).write("gone", noise(2, 900_000));
    let first = history.backup();
    history.remove("gone").write("kept", noise(3, 50_000));
    history.backup();
    let before = history.stored();
    history.forget(first);
    let report = history.prune();
    assert!(report.deleted.objects > 0, "{report:?}");
    assert!(history.stored() < before - 800_000, "{} of {before}", history.stored());
    history.assert_whole();
    assert_eq!(history.prune().deleted.objects, 0);
    history.assert_whole();
}

#[test]
fn with_nothing_to_delete_nothing_is_written() {
    let mut history = History::new();
    history.write("a", noise(1, 50_000));
    history.backup();
    let before = names(history.site.store(), "");
    history.prune();
    assert_eq!(names(history.site.store(), ""), before);
    history.assert_whole();
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let mut history = History::new();
    history.write("gone", noise(2, 900_000));
    let first = history.backup();
    history.remove("gone").write("kept", "kept");
    history.backup();
    history.forget(first);
    let before = names(history.site.store(), "");
    let report = history.try_prune(|o| o.dry_run = true).unwrap();
    assert!(report.unneeded.bytes > 800_000, "{report:?}");
    assert_eq!(names(history.site.store(), ""), before);
    assert_eq!(history.prune().deleted, report.unneeded);
}

#[test]
fn the_backup_after_a_prune_reads_nothing_and_no_longer_names_what_is_gone() {
    let mut history = History::new();
    history.write("gone", noise(2, 900_000));
    for n in 0..30 {
        history.write(&format!("d{n}/f"), noise(n + 10, 3000));
    }
    let first = history.backup();
    history.remove("gone").write("d0/f", "other");
    let_times_settle();
    history.backup();
    history.forget(first);
    let report = history.try_prune(|o| o.max_unused = MaxUnused::Bytes(0)).unwrap();
    assert_eq!((report.republished, report.repack_problem.is_some()), (1, false));
    history.prune();
    history.write("d3/f", "new");
    let report = history.site.backup();
    assert_eq!(files_read(&report), 1);
    let Outcome::Saved { id, .. } = report.outcome else { panic!() };
    history.expected.insert(id, contents(&history.site.home("ann")));
    let repository = history.site.repository();
    let newest = repository.snapshots().unwrap().into_iter().find(|s| s.record.id == id).unwrap();
    assert!(repository.gc().hold_none_of(&newest.record.deps));
    assert!(!repository.gc().deleted().is_empty());
    history.assert_whole();
}

#[test]
fn a_forgotten_commit_that_others_build_on_stays() {
    let mut history = History::new();
    history.write("a", noise(1, 9000));
    let first = history.backup();
    history.write("b", noise(2, 9000));
    history.backup();
    history.forget(first);
    history.prune();
    history.assert_whole();
    assert_eq!(names(history.site.store(), "snapshots/").len(), 2);
    assert_eq!(names(history.site.store(), "forgotten/").len(), 1);
}

#[test]
fn poor_segments_are_repacked_and_the_snapshots_published_again() {
    let mut history = History::new();
    for n in 0..40 {
        history.write(&format!("f{n}"), noise(n, 60_000));
    }
    let first = history.backup();
    for n in 1..40 {
        history.remove(&format!("f{n}"));
    }
    let second = history.backup();
    history.write("new", noise(100, 60_000));
    history.backup();
    history.forget(first);
    let before = history.stored();
    let report = history.try_prune(|o| o.max_unused = MaxUnused::Percent(5.0)).unwrap();
    assert_eq!(report.republished, 2, "{report:?}");
    assert!(report.repack_problem.is_none());
    assert!(history.stored() < before / 5, "{} of {before}", history.stored());
    history.assert_whole();
    let again = history.try_prune(|o| o.max_unused = MaxUnused::Percent(5.0)).unwrap();
    assert_eq!((again.republished, again.deleted.objects), (0, 0), "{again:?}");
    let kept = history.site.repository().snapshots().unwrap();
    assert!(kept.iter().any(|s| s.record.id == second && s.record.supersession == 1));
    history.write("newer", "x");
    history.backup();
    history.assert_whole();
}

#[test]
fn during_the_grace_period_what_is_condemned_stays_and_is_not_used_again() {
    let mut history = History::new();
    history.write("gone", noise(2, 900_000));
    let first = history.backup();
    history.remove("gone").write("kept", "kept");
    let second = history.backup();
    history.forget(first);
    let day = Duration::from_secs(24 * 3600);
    let report = history.try_prune(|o| o.grace = day).unwrap();
    assert_eq!(report.deleted.objects, 0);
    assert_eq!(report.waiting, report.unneeded);
    // The same bytes come back: they are stored anew.
    history.write("back", noise(2, 900_000));
    history.backup();
    // The second snapshot names what is condemned, without needing it: it is spared until that goes, too.
    assert_eq!(history.prune().deleted.objects, 0);
    history.assert_whole();
    history.forget(second);
    let report = history.prune();
    assert!(report.deleted.bytes > 800_000, "{report:?}");
    history.assert_whole();
    assert!(names(history.site.store(), "gc/").iter().all(|n| n.as_str().starts_with("gc/deleted-")));
}

#[test]
fn segments_that_no_commit_names_yet_are_left_alone_while_they_are_young() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::on(Arc::new(LocalStore::create(&folder.path().join("repo")).unwrap()));
    history.write("a", noise(1, 9000));
    history.backup();
    let orphan = {
        let other = Site::on(Arc::new(MemoryStore::new()));
        write_old(&other.home("bob").join("x"), noise(5, 9_000_000));
        other.backup();
        let name = names(other.store(), "segments/").remove(0);
        let bytes = other.store().get(&name).unwrap();
        history.site.store().put(&name, &bytes).unwrap();
        name
    };
    let day = Duration::from_secs(24 * 3600);
    let report = history.try_prune(|o| o.min_age = day).unwrap();
    assert_eq!((report.young.objects, report.deleted.objects), (1, 0));
    assert!(history.site.store().get(&orphan).is_ok());
    assert_eq!(history.prune().deleted.objects, 1);
    assert!(history.site.store().get(&orphan).is_err());
    history.assert_whole();
}

#[test]
fn snapshots_that_vanished_without_a_word_stop_a_prune() {
    let mut history = History::new();
    history.write("gone", noise(2, 900_000));
    let first = history.backup();
    history.remove("gone").write("kept", "kept");
    let second = history.backup();
    history.write("kept", "kept again");
    history.backup();
    history.forget(first);
    history.prune();
    let lost = history.site.repository().snapshots().unwrap().into_iter().find(|s| s.record.id == second);
    history.site.store().delete(&lost.unwrap().name).unwrap();
    history.expected.remove(&second);
    // This machine knew the snapshot, and says so until somebody gives it up; another one learns of it from the records.
    for _ in 0..2 {
        assert!(matches!(history.try_prune(|_| {}), Err(PruneError::Gone(lost)) if lost.len() == 1));
        assert_eq!(history.site.open().unwrap().vanished().unwrap().len(), 1);
    }
    let elsewhere = Site::beside(history.site.shared_store());
    let refused = prune(&mut elsewhere.open().unwrap(), &prune_options(), &Meter::default());
    assert!(matches!(refused, Err(PruneError::Vanished(lost)) if lost.len() == 1));
    history.try_prune(|o| o.force = true).unwrap();
    assert!(history.site.open().unwrap().vanished().unwrap().is_empty());
    history.assert_whole();
}

#[test]
fn forgetting_everything_is_not_followed_by_deleting_everything() {
    let mut history = History::new();
    history.write("gone", noise(2, 20_000_000));
    let first = history.backup();
    history.forget(first);
    assert!(matches!(history.try_prune(|_| {}), Err(PruneError::NothingLeft { .. })));
    history.try_prune(|o| o.force = true).unwrap();
    assert!(names(history.site.store(), "segments/").is_empty());
    history.backup();
    history.assert_whole();
}

fn undo_it(history: &History, id: SnapshotId) -> Undone {
    undo(&mut history.site.open().unwrap(), id, &UndoOptions { level: 1, threads: 2 }).unwrap()
}

#[test]
fn a_forgotten_snapshot_comes_back_until_a_prune_deleted_what_it_needs() {
    let mut history = History::new();
    history.write("gone", noise(2, 900_000));
    let first = history.backup();
    let was = history.expected[&first].clone();
    history.remove("gone").write("kept", "kept");
    history.backup();

    history.forget(first);
    history.assert_whole();
    assert!(matches!(undo_it(&history, first), Undone::Back));
    history.expected.insert(first, was.clone());
    history.assert_whole();

    // Condemned and not deleted: what only it needs is stored again.
    let day = Duration::from_secs(24 * 3600);
    history.forget(first);
    assert!(history.try_prune(|o| o.grace = day).unwrap().waiting.bytes > 800_000);
    assert!(matches!(undo_it(&history, first), Undone::StoredAgain));
    history.expected.insert(first, was);
    history.assert_whole();
    history.prune();
    history.assert_whole();

    history.forget(first);
    assert!(history.prune().deleted.bytes > 800_000);
    assert!(matches!(undo_it(&history, first), Undone::TooLate(_)));
    history.assert_whole();
}

#[test]
fn what_a_damaged_snapshot_names_is_neither_moved_nor_deleted() {
    let mut history = History::new();
    history.write("big", noise(1, 20_000_000));
    history.backup();
    history.write("small", "small");
    history.backup();
    // The first commit has the lists of the big file's chunks; without them nobody knows which chunks these are.
    let commit = names(history.site.store(), "snapshots/").remove(0);
    let bytes = history.site.store().get(&commit).unwrap();
    for is_known in [true, false] {
        if !is_known {
            history.site.forget_cache();
        }
        history.site.store().delete(&commit).unwrap();
        for force in [false, true] {
            let _ = history.try_prune(|o| (o.max_unused, o.force) = (MaxUnused::Bytes(0), force));
        }
        history.site.store().put(&commit, &bytes).unwrap();
        history.assert_whole();
    }
}

#[test]
fn a_torn_commit_stops_prunes_until_it_is_given_up() {
    let mut history = History::new();
    history.write("a", noise(1, 50_000));
    let first = history.backup();
    history.write("a", noise(2, 50_000));
    history.backup();
    let commit = names(history.site.store(), "snapshots/").remove(0);
    let bytes = history.site.store().get(&commit).unwrap();
    history.site.store().delete(&commit).unwrap();
    history.site.store().put(&commit, &bytes[..100]).unwrap();
    history.site.forget_cache();
    assert!(matches!(history.try_prune(|_| {}), Err(PruneError::DamagedCommit(_))));
    history.try_prune(|o| o.force = true).unwrap();
    history.expected.remove(&first);
    history.prune();
    history.assert_whole();
}

#[test]
fn an_index_whose_update_was_killed_at_any_call_is_made_complete_by_the_next() {
    let store = MemoryStore::new();
    let mut history = History::on(Arc::new(store.clone()));
    for n in 0..20 {
        history.write(&format!("f{n}"), noise(n, 60_000));
    }
    let first = history.backup();
    let other = Site::beside(history.site.shared_store());
    other.repository();
    for n in 1..20 {
        history.remove(&format!("f{n}"));
    }
    history.backup();
    history.write("new", "new");
    history.backup();
    history.forget(first);
    let report = history.try_prune(|o| o.max_unused = MaxUnused::Bytes(0)).unwrap();
    assert!(report.republished > 0);
    let cache = tempfile::tempdir().unwrap();
    copy_tree(&other.cache(), &cache.path().join("cache"));
    for nth in 1.. {
        fs::remove_dir_all(other.cache()).unwrap();
        copy_tree(&cache.path().join("cache"), &other.cache());
        let faulty = Arc::new(FaultStore::at_call(store.clone(), Fault::Freeze, nth));
        let died = Repository::open(faulty.clone(), &secret(), &other.cache())
            .and_then(|mut repository| repository.sync(&mut |_, _| {}));
        assert!(died.is_err() || !faulty.fired());
        let mut repository = other.open().unwrap();
        let synced = repository.sync(&mut |_, _| {}).unwrap();
        assert!(synced.damaged.is_empty(), "call {nth}: {:?}", synced.damaged);
        let snapshots = repository.snapshots().unwrap();
        let records: Vec<_> = snapshots.iter().map(|s| &s.record).collect();
        let reached = repository.reach(&records, 1).unwrap();
        assert!((0..records.len()).all(|n| reached.is_complete(n)), "call {nth}");
        if !faulty.fired() {
            return;
        }
    }
}
