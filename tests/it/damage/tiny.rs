//! The smallest repository that has an object of every kind: few enough bytes that each of them can be damaged.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use homekeep::codec::{Codec, Hash, Packed, SnapshotId};
use homekeep::engine::Meter;
use homekeep::engine::prune::{PruneOptions, prune};
use homekeep::engine::select::{Filter, states};
use homekeep::format::{BlockKind, ChunkEntry, ObjectName, SegmentKind, SegmentWriter};
use homekeep::keys::{Cost, Secret};
use homekeep::repo::{History, Repository};
use homekeep::store::{MemoryStore, Store};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::examine::{Sight, look};
use crate::pruning::prune_options;
use crate::support::{Contents, Site, contents, names, noise, write_old};

/// What the second snapshot's largest file holds. It lies in a segment of its own.
const BULK: usize = 200;

/// A repository with two key slots, three snapshots, of which the newest is forgotten, and a bulk segment.
pub struct Tiny {
    pub site: Site,
    pub store: MemoryStore,
    /// What looking shows, by snapshot and user.
    pub sights: BTreeMap<(SnapshotId, Vec<u8>), Sight>,
    /// What the homes hold, which is what the two newest snapshots hold.
    pub homes: BTreeMap<&'static str, Contents>,
}

impl Tiny {
    pub fn new() -> Self {
        let store = MemoryStore::new();
        let site = Site::on(Arc::new(store.clone()));
        let other = Secret::KeyFile(Zeroizing::new([9; 32]));
        site.repository().add_slot(&other, Cost::FLOOR, "second").unwrap();
        let ann = site.home("ann");
        fs::create_dir(ann.join("d")).unwrap();
        write_old(&ann.join("d/text"), "ann wrote this");
        symlink("d/text", ann.join("link")).unwrap();
        site.backup();
        let bulk = put_segment(&site.repository(), &noise(1, BULK));
        // Only who looks for all segments finds one that no snapshot needs yet.
        site.open().unwrap().sync_all(&mut |_, _| {}).unwrap();
        write_old(&site.home("bob").join("large"), noise(1, BULK));
        write_old(&ann.join("new"), "ann wrote more");
        site.backup();
        let kept = site.repository().snapshots().unwrap();
        assert!(kept[1].record.deps.contains(&bulk.short()), "the second snapshot does not need the segment");
        site.backup_with(|options| options.always = true);
        let forgotten = site.repository().snapshots().unwrap().pop().unwrap().record.id;
        store.put(&mark(forgotten), b"").unwrap();
        assert!(kept.iter().all(|snapshot| snapshot.record.id != forgotten));

        let repository = site.repository();
        let mut reader = repository.reader().unwrap();
        let mut sights = BTreeMap::new();
        let snapshots = repository.snapshots().unwrap();
        for state in states(&snapshots, &Filter::default(), Timestamp::MAX) {
            let key = (state.snapshot.record.id, state.home.user.clone());
            sights.insert(key, look(&mut reader, &state).unwrap());
        }
        assert_eq!(sights.len(), 3, "ann's home twice and bob's once");
        let homes = ["ann", "bob"].map(|user| (user, contents(&site.home(user)))).into();
        Self { site, store, sights, homes }
    }

    /// The names that begin with `prefix`.
    pub fn names(&self, prefix: &str) -> Vec<ObjectName> {
        names(&self.store, prefix)
    }

    /// The same with an image of the index.
    pub fn with_image() -> Self {
        let tiny = Self::new();
        tiny.site.repository().publish_index().unwrap();
        tiny
    }

    /// The same with sizes of the past: those that its snapshots would leave behind.
    pub fn with_history() -> Self {
        let tiny = Self::new();
        let (repository, mut history) = (tiny.site.repository(), History::default());
        repository.snapshots().unwrap().iter().for_each(|snapshot| history.add_snapshot(&snapshot.record));
        history.add_store(Timestamp::now(), 1 << 20);
        repository.add_history(history, Timestamp::now()).unwrap();
        assert_eq!(tiny.names("history/").len(), 1);
        tiny
    }

    /// The same in which a prune has deleted something, and another has condemned something that still stands.
    pub fn with_records() -> Self {
        let tiny = Self::new();
        let condemn = PruneOptions { grace: Duration::from_secs(3600), force: true, ..prune_options() };
        for (seed, options) in [(2, prune_options()), (3, condemn)] {
            put_segment(&tiny.site.repository(), &noise(seed, BULK));
            // What a prune finds is condemned by one run and deleted by the next.
            for _ in 0..2 {
                let options = PruneOptions { force: true, ..options.clone() };
                prune(&mut tiny.site.open().unwrap(), &options, &Meter::default()).unwrap();
            }
        }
        let kinds = ["gc/condemned-", "gc/deleted-"].map(|kind| tiny.names(kind).len());
        assert!(kinds.iter().all(|found| *found > 0), "condemned and deleted: {kinds:?}");
        tiny
    }
}

fn mark(id: SnapshotId) -> ObjectName {
    format!("{}{id}", ObjectName::FORGOTTEN).parse().unwrap()
}

/// Puts a segment with one chunk. No run makes one that small, but every reader takes it.
fn put_segment(repository: &Repository, chunk: &[u8]) -> Hash {
    let keys = repository.keys();
    let mut segment = SegmentWriter::new(SegmentKind::Bulk);
    let entry = ChunkEntry { id: keys.chunk_id(chunk), length: chunk.len() as u32 };
    segment.push(BlockKind::Data, Packed { codec: Codec::Stored, bytes: chunk.into() }, vec![entry]);
    let (bytes, _) = segment.finish(keys, &[3; 32], None).unwrap();
    let hash = Hash::of(&bytes);
    repository.store().put(&ObjectName::segment(&hash), &bytes).unwrap();
    hash
}
