//! A repair of segments that dies or fails at each of its calls: what could be read before can be read, no loss is
//! added or hidden, and the next repair does what is left to do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use homekeep::codec::SnapshotId;
use homekeep::engine::Meter;
use homekeep::engine::check::{CheckOptions, Subset, check};
use homekeep::engine::repair::{RepairError, RepairOptions, SegmentsReport, repair_segments};
use homekeep::format::{EntryKind, Extent, ObjectName};
use homekeep::repo::{Reader, RepoError, Snapshot};
use homekeep::store::{MemoryStore, Store};

use super::at_each_call;
use super::checked::{assert_checks_clean, read_all};
use super::pruning::{Pruned, forget, prune_on, remove_torn};
use crate::pruning::prune_options;
use crate::support::{Contents, Site, copy_tree, names};

/// A repository whose first commit has a damaged block, with a file that only the first snapshot has; the others need
/// what is beside it.
struct Damaged {
    site: Site,
    store: MemoryStore,
    commit: ObjectName,
    first: SnapshotId,
    /// What the other snapshots hold.
    expected: BTreeMap<SnapshotId, Contents>,
}

/// Larger than a block, so that blocks have bytes of it alone.
const LOST: &str = "only-first";

impl Damaged {
    fn new() -> Self {
        let pruned = Pruned::with(&[(LOST, 200_000)]);
        let EntryKind::File(content) = pruned.entry(pruned.first, LOST).kind else { panic!("a file") };
        let repository = pruned.site.repository();
        let (mut chunks, mut reader) = (Vec::new(), repository.reader().unwrap());
        let mut note = |_: &mut Reader, extent: Extent| {
            if let Extent::Data { id, .. } = extent {
                chunks.push(id);
            }
            Ok::<_, RepoError>(())
        };
        reader.extents(&content, &mut note).unwrap();
        let place = repository.catalog().locate(&chunks[chunks.len() / 2]).unwrap().unwrap();
        let commit = repository.catalog().segment(place.segment).unwrap().name;
        let at = repository.catalog().block(place.segment, place.block).unwrap().start as usize + 10;
        drop((reader, repository));
        let store = MemoryStore::new();
        for name in names(&pruned.store, "") {
            let mut bytes = pruned.store.get(&name).unwrap();
            if name == commit {
                bytes[at] ^= 1;
            }
            store.put(&name, &bytes).unwrap();
        }
        let (expected, first) = (pruned.without_first(), pruned.first);
        let site = pruned.site.reopened(Arc::new(store.clone()));
        let damaged = Self { site, store, commit, first, expected };
        damaged.find_out(&damaged.site);
        damaged
    }

    /// Reads everything, so that the machine knows what is damaged.
    fn find_out(&self, site: &Site) {
        let scratch = site.path("scratch");
        let options = CheckOptions { read: Some(Subset::All), restore_sample: 0, scratch, threads: 1 };
        check(&mut site.open().unwrap(), &options, &Meter::default()).unwrap();
    }

    /// The machine that knows what is damaged, at another store.
    fn machine(&self, store: Arc<dyn Store>) -> Site {
        let site = Site::in_memory(store);
        copy_tree(&self.site.cache(), &site.cache());
        site
    }

    /// What any machine finds: the other snapshots whole, and one file of the first lost, in no other.
    fn assert_as_before(&self, store: &MemoryStore) {
        Pruned::assert_holds(store, &self.expected);
        let report = read_all(store.clone());
        let lost: Vec<PathBuf> = report.losses.iter().map(|loss| loss.path.to_string().into()).collect();
        assert_eq!((lost, &report.incomplete[..]), (vec![PathBuf::from(LOST)], &[self.first][..]));
        assert!(report.lost_snapshots.is_empty(), "{report:?}");
    }

    /// Whether a snapshot that lacks nothing names the damaged commit.
    fn is_needed(&self, store: &MemoryStore) -> bool {
        let hash = self.commit.promised_hash().unwrap().short();
        let snapshots = Site::in_memory(Arc::new(store.clone())).repository().snapshots().unwrap();
        let names = |snapshot: &Snapshot| snapshot.record.deps.contains(&hash);
        snapshots.iter().any(|snapshot| snapshot.record.id != self.first && names(snapshot))
    }
}

fn repair(site: &Site) -> Result<SegmentsReport, RepairError> {
    let options = RepairOptions { snapshots: None, forget: false, dry_run: false, level: 1, threads: 1 };
    repair_segments(&mut site.open()?, &options, &Meter::default())
}

#[test]
fn a_repair_of_segments_can_die_or_fail_at_any_call() {
    let damaged = Damaged::new();
    assert!(damaged.is_needed(&damaged.store), "there is nothing to repair");
    let calls = at_each_call(
        &damaged.store,
        |store| repair(&damaged.machine(store)),
        |repaired, store| {
            assert!(repaired.is_err() || !damaged.is_needed(&store), "success was reported: {repaired:?}");
            damaged.assert_as_before(&store);
            remove_torn(&store, &prune_options(), Some(&damaged.commit));
            // Another machine, which has to find out first.
            let site = Site::in_memory(Arc::new(store.clone()));
            damaged.find_out(&site);
            let again = repair(&site).unwrap();
            assert_eq!(again.incomplete, [damaged.first]);
            assert!(!damaged.is_needed(&store));
            damaged.assert_as_before(&store);
            // When the first is given up, the damaged commit goes, and nothing is wrong any more.
            forget(Arc::new(store.clone()), damaged.first).unwrap();
            for _ in 0..3 {
                prune_on(Arc::new(store.clone()), &prune_options()).unwrap();
            }
            Pruned::assert_holds(&store, &damaged.expected);
            assert!(store.get(&damaged.commit).is_err(), "the damaged commit is still there");
            assert_checks_clean(&store);
        },
    );
    assert!(calls >= 12, "{calls} calls only");
}
