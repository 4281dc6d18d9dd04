//! A repository: a store, its keys and the local index of it, as one thing.
//! Knows how objects are found, trusted, read and written; not what a home is.

mod distrust;
mod error;
mod gc;
mod history;
mod image;
mod inventory;
mod marks;
mod object;
mod reach;
mod reader;
mod republish;
mod snapshots;
mod writer;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

pub use error::RepoError;
pub use gc::GcRecords;
pub use history::{History, Past};
pub use inventory::SyncReport;
pub use object::{DamagedBlocks, ObjectCheck, ObjectDamage, ObjectReader};
pub use reach::{ExactDeps, Reached, SegmentUsage};
pub use reader::{Reader, Readers};
pub use snapshots::Snapshot;
pub use writer::{Committed, Finished, Stored, WriteSession, WriteTarget, Writer, WriterOptions};

use crate::codec::{ChunkerParameters, Hash, MasterKey, RepositoryKeys, SnapshotId};
use crate::format::{Descriptor, ObjectName, Slot};
use crate::index::{Catalog, CatalogWriter};
use crate::keys::{Cost, KeyError, Secret, open_slot, random_bytes, seal_slot};
use crate::store::{Store, StoreError};

/// An opened repository.
pub struct Repository {
    store: Arc<dyn Store>,
    master: MasterKey,
    keys: Arc<RepositoryKeys>,
    descriptor: Descriptor,
    cache: PathBuf,
    catalog: CatalogWriter,
    /// What the index says is in the store has to be looked for, because it began as an image that others made, or
    /// because someone wants to be sure.
    is_unverified: bool,
    /// Snapshots that are marked as forgotten, as of the last [`Repository::sync`].
    forgotten: HashSet<SnapshotId>,
    /// The records of garbage collection, as of the last [`Repository::sync`].
    gc: GcRecords,
}

/// What is decided when a repository is created.
#[derive(Debug, Clone, Copy)]
pub struct CreateOptions {
    /// How files are cut.
    pub chunker: ChunkerParameters,
    /// Bytes gathered before they are compressed together.
    pub block_len: u32,
    /// What trying a passphrase costs.
    pub cost: Cost,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { chunker: ChunkerParameters::DEFAULT, block_len: 2 << 20, cost: Cost::DEFAULT }
    }
}

/// A slot with the name it is kept under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySlot {
    /// Of the slot's bytes.
    pub hash: Hash,
    /// What it says.
    pub slot: Slot,
}

impl Repository {
    /// Creates a repository in a store that has none. The descriptor is written last: before it
    /// stands, there is no repository, and creating may be tried again.
    pub fn create(
        store: Arc<dyn Store>,
        secret: &Secret,
        cache: &Path,
        options: &CreateOptions,
    ) -> Result<Self, RepoError> {
        match store.get(&ObjectName::descriptor()) {
            Ok(_) => return Err(RepoError::Exists(store.location())),
            Err(StoreError::NotFound { .. }) => {}
            Err(e) => return Err(e.into()),
        }
        let master = MasterKey(random_bytes()?);
        let keys = RepositoryKeys::derive(&master);
        let slot =
            seal_slot(&master, secret, random_bytes()?, options.cost, Timestamp::now().as_second(), "init")?;
        put_slot(store.as_ref(), &slot)?;
        let descriptor = Descriptor {
            repository_id: random_bytes()?,
            chunker: options.chunker,
            block_len: options.block_len,
            features: vec![],
        };
        store.put(&ObjectName::descriptor(), &descriptor.to_bytes(&keys))?;
        Self::assemble(store, master, keys, descriptor, cache)
    }

    /// Opens a repository. Each way this can fail is an error of its own.
    pub fn open(store: Arc<dyn Store>, secret: &Secret, cache: &Path) -> Result<Self, RepoError> {
        let name = ObjectName::descriptor();
        let bytes = match store.get(&name) {
            Err(StoreError::NotFound { .. }) => return Err(RepoError::Absent(store.location())),
            got => got?,
        };
        let descriptor = Descriptor::from_bytes(&bytes)
            .map_err(|source| RepoError::Format { name: name.to_string(), source })?;
        let (slots, damaged) = read_slots(store.as_ref())?;
        let (master, keys) = unlock(&slots, secret, &bytes).map_err(|error| match (error, damaged) {
            (RepoError::Key(KeyError::Wrong), Some(slot)) => RepoError::WrongOrDamagedSlot(slot),
            (error, _) => error,
        })?;
        Self::assemble(store, master, keys, descriptor, cache)
    }

    fn assemble(
        store: Arc<dyn Store>,
        master: MasterKey,
        keys: RepositoryKeys,
        descriptor: Descriptor,
        cache: &Path,
    ) -> Result<Self, RepoError> {
        let folder: String = descriptor.repository_id.iter().map(|b| format!("{b:02x}")).collect();
        let cache = cache.join(folder);
        let is_unverified = image::adopt_image(store.as_ref(), &keys, &cache);
        let catalog = CatalogWriter::new(Catalog::open(&cache)?);
        let (keys, forgotten) = (Arc::new(keys), HashSet::new());
        let gc = GcRecords::default();
        Ok(Self { store, master, keys, descriptor, cache, catalog, is_unverified, forgotten, gc })
    }

    /// The repository's parameters.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Keys derived from the repository's key.
    pub fn keys(&self) -> &Arc<RepositoryKeys> {
        &self.keys
    }

    /// Where the objects are.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// This repository's folder on local disk.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// What is known of the repository.
    pub fn catalog(&self) -> &Catalog {
        self.catalog.catalog()
    }

    /// Makes readers in any thread.
    pub fn readers(&self) -> Readers {
        Readers { store: Arc::clone(&self.store), keys: Arc::clone(&self.keys), cache: self.cache.clone() }
    }

    /// A reader of chunks and trees, for one thread.
    pub fn reader(&self) -> Result<Reader, RepoError> {
        Reader::new(Arc::clone(&self.store), Arc::clone(&self.keys), self.catalog().reader()?)
    }

    /// All key slots, by age.
    pub fn slots(&self) -> Result<Vec<KeySlot>, RepoError> {
        let (mut slots, _) = read_slots(self.store.as_ref())?;
        slots.sort_by_key(|s| (s.slot.created_s, s.hash));
        Ok(slots)
    }

    /// What is wrong with key slots that cannot be read. They lock out nobody who has another one.
    pub fn damaged_slots(&self) -> Result<Vec<RepoError>, RepoError> {
        let mut damaged = Vec::new();
        for listed in self.store.list("keys/")? {
            match self.store.get(&listed.name) {
                // Somebody removed it after it was listed.
                Err(StoreError::NotFound { .. }) => {}
                bytes => damaged.extend(read_slot(&listed.name, &bytes?).err()),
            }
        }
        Ok(damaged)
    }

    /// Adds a way in.
    pub fn add_slot(&self, secret: &Secret, cost: Cost, label: &str) -> Result<KeySlot, RepoError> {
        if label.len() > Slot::MAX_LABEL_LEN {
            return Err(RepoError::LongLabel(label.len()));
        }
        let now = Timestamp::now().as_second();
        let slot = seal_slot(&self.master, secret, random_bytes()?, cost, now, label)?;
        put_slot(self.store.as_ref(), &slot)
    }

    /// Removes a way in; never the last one.
    pub fn remove_slot(&self, hash: &Hash) -> Result<(), RepoError> {
        let (slots, _) = read_slots(self.store.as_ref())?;
        if !slots.iter().any(|s| s.hash == *hash) {
            return Err(RepoError::NoSuchSlot(*hash));
        }
        if slots.len() == 1 {
            return Err(RepoError::LastSlot);
        }
        Ok(self.store.delete(&ObjectName::key(hash))?)
    }

    /// The slot that `secret` opens.
    pub fn slot_of(&self, secret: &Secret) -> Result<Option<KeySlot>, RepoError> {
        Ok(self.slots()?.into_iter().find(|s| open_slot(&s.slot, secret).is_ok()))
    }
}

fn put_slot(store: &dyn Store, slot: &Slot) -> Result<KeySlot, RepoError> {
    let bytes = slot.to_bytes();
    let hash = Hash::of(&bytes);
    store.put(&ObjectName::key(&hash), &bytes)?;
    Ok(KeySlot { hash, slot: slot.clone() })
}

/// Every slot that can be read, and one that cannot, if there is any. A damaged slot must not lock out
/// those who have another one.
fn read_slots(store: &dyn Store) -> Result<(Vec<KeySlot>, Option<ObjectName>), RepoError> {
    let mut slots = Vec::new();
    let mut damaged = None;
    for listed in store.list("keys/")? {
        let bytes = match store.get(&listed.name) {
            // Somebody removed it after it was listed.
            Err(StoreError::NotFound { .. }) => continue,
            got => got?,
        };
        match read_slot(&listed.name, &bytes) {
            Ok(slot) => slots.push(slot),
            Err(error) => damaged = Some((listed.name, error)),
        }
    }
    match damaged {
        Some((_, error)) if slots.is_empty() => Err(error),
        _ if slots.is_empty() => Err(RepoError::NoSlots),
        damaged => Ok((slots, damaged.map(|(name, _)| name))),
    }
}

fn read_slot(name: &ObjectName, bytes: &[u8]) -> Result<KeySlot, RepoError> {
    let hash = Hash::of(bytes);
    let slot =
        Slot::from_bytes(bytes).map_err(|source| RepoError::Format { name: name.to_string(), source })?;
    if name.promised_hash() != Some(hash) {
        return Err(RepoError::Damaged { name: name.clone(), reason: "its hash is wrong".into() });
    }
    Ok(KeySlot { hash, slot })
}

/// Tries the secret on every slot of its kind. A slot may open to the key of another repository, one
/// whose creation was interrupted here, so the key must also fit the descriptor.
fn unlock(
    slots: &[KeySlot],
    secret: &Secret,
    descriptor: &[u8],
) -> Result<(MasterKey, RepositoryKeys), RepoError> {
    let mut outcome = RepoError::from(KeyError::Wrong);
    for KeySlot { slot, .. } in slots {
        match open_slot(slot, secret) {
            Ok(master) => {
                let keys = RepositoryKeys::derive(&master);
                if Descriptor::is_authentic(descriptor, &keys) {
                    return Ok((master, keys));
                }
                outcome = RepoError::Forged(ObjectName::descriptor());
            }
            Err(KeyError::Cost(cost)) => outcome = KeyError::Cost(cost).into(),
            Err(_) => {}
        }
    }
    Err(outcome)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::store::MemoryStore;

    fn key_file(byte: u8) -> Secret {
        Secret::KeyFile(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn what_an_interrupted_creation_left_does_not_lock_anyone_out() {
        let cache = tempfile::tempdir().unwrap();
        let secret = key_file(1);
        for n in 0..8 {
            let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
            let slot = seal_slot(&MasterKey([n; 32]), &secret, [n; 32], Cost::FLOOR, 0, "left").unwrap();
            put_slot(store.as_ref(), &slot).unwrap();
            let options = CreateOptions::default();
            Repository::create(Arc::clone(&store), &secret, cache.path(), &options).unwrap();
            Repository::open(Arc::clone(&store), &secret, cache.path()).unwrap();
            let wrong = Repository::open(store, &key_file(2), cache.path());
            assert!(matches!(wrong.err(), Some(RepoError::Key(KeyError::Wrong))));
        }
    }

    #[test]
    fn a_label_that_no_reader_would_take_is_not_written() {
        let (store, cache) = (MemoryStore::default(), tempfile::tempdir().unwrap());
        let options = CreateOptions { cost: Cost::FLOOR, ..CreateOptions::default() };
        let repository = Repository::create(Arc::new(store), &key_file(1), cache.path(), &options).unwrap();
        let add = |length| repository.add_slot(&key_file(2), Cost::FLOOR, &"x".repeat(length));
        assert!(matches!(add(257), Err(RepoError::LongLabel(257))));
        assert_eq!(repository.slots().unwrap().len(), 1);
        add(256).unwrap();
        assert_eq!(repository.slots().unwrap().len(), 2);
    }
}
