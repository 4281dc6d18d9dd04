//! Reads whole objects and believes nothing of them: the hash against the name, every block opened and unpacked,
//! every chunk's bytes against its id. Knows one object at a time, not who needs it.

use std::sync::Arc;

use super::inventory::open_segment;
use super::{Readers, RepoError};
use crate::codec::{Decompressor, Hash, RepositoryKeys};
use crate::format::{BlockKind, Header, ObjectName, TocBlock};
use crate::store::Store;

/// Where segments are, whatever they are for.
const SEGMENT_FOLDERS: [&str; 5] = ["segments/", "snapshots/", "index/", "gc/", "history/"];

/// Reads objects, one after the other; one for each thread.
pub struct ObjectReader {
    store: Arc<dyn Store>,
    keys: Arc<RepositoryKeys>,
    unpack: Decompressor,
    raw: Vec<u8>,
}

/// What a look at every byte of an object came to.
#[derive(Debug, Default)]
pub struct ObjectCheck {
    /// Bytes of the object.
    pub bytes: u64,
    /// Bytes that its blocks unpacked to.
    pub raw_bytes: u64,
    /// Chunks whose bytes have their ids.
    pub chunks: u64,
    /// What is wrong with it, if anything is.
    pub damage: Option<ObjectDamage>,
}

/// What is wrong with an object.
#[derive(Debug)]
pub struct ObjectDamage {
    /// The first that was found.
    pub error: RepoError,
    /// Which blocks cannot be had.
    pub blocks: DamagedBlocks,
    /// The head of the segment that lies there, if it can be opened. It may be another than the name says.
    pub head: Option<Header>,
}

/// Which blocks of an object cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DamagedBlocks {
    /// These; none if only what stands between the blocks is damaged.
    Some(Vec<u32>),
    /// All: nothing in it can be found.
    All,
}

impl Readers {
    /// A reader of whole objects, for one thread.
    pub fn object_reader(&self) -> Result<ObjectReader, RepoError> {
        let (store, keys) = (Arc::clone(&self.store), Arc::clone(&self.keys));
        Ok(ObjectReader { store, keys, unpack: Decompressor::new()?, raw: Vec::new() })
    }
}

impl ObjectReader {
    /// Reads an object and looks at every byte. A store that does not answer is an error; everything that is
    /// wrong with the object itself is part of the result.
    pub fn check(&mut self, name: &ObjectName) -> Result<ObjectCheck, RepoError> {
        let bytes = match self.read(name)? {
            Ok(bytes) => bytes,
            Err(error) => {
                let damage = Some(ObjectDamage { error, blocks: DamagedBlocks::All, head: None });
                return Ok(ObjectCheck { damage, ..ObjectCheck::default() });
            }
        };
        let mut check = ObjectCheck { bytes: bytes.len() as u64, ..ObjectCheck::default() };
        let mut head = None;
        if SEGMENT_FOLDERS.iter().any(|folder| name.as_str().starts_with(folder)) {
            head = self.check_segment(name, &bytes, &mut check);
        }
        if check.damage.is_none() && name.promised_hash().is_some_and(|promised| promised != Hash::of(&bytes))
        {
            let error = damaged(name, "its bytes do not have the hash that its name promises");
            check.damage = Some(ObjectDamage { error, blocks: DamagedBlocks::Some(Vec::new()), head });
        }
        Ok(check)
    }

    /// A place on a disk that cannot be read, and cannot be read again, is damage of the object that lies there; a
    /// store that gives nothing at all is not.
    fn read(&self, name: &ObjectName) -> Result<Result<Vec<u8>, RepoError>, RepoError> {
        let read = || self.store.get(name).map_err(RepoError::from);
        match read() {
            Err(error) if !error.is_damage() => {
                self.store.get(&ObjectName::descriptor())?;
                Ok(read())
            }
            bytes => Ok(bytes),
        }
    }

    /// Gives the head, if nothing is wrong.
    fn check_segment(&mut self, name: &ObjectName, bytes: &[u8], check: &mut ObjectCheck) -> Option<Header> {
        let (header, opener, toc) = match open_segment(&self.keys, name, bytes) {
            Ok(opened) => opened,
            Err(error) => {
                check.damage = Some(ObjectDamage { error, blocks: DamagedBlocks::All, head: None });
                return None;
            }
        };
        let mut wrong: Vec<u32> = Vec::new();
        let mut first = None;
        for (number, block) in toc.blocks.iter().enumerate() {
            let number = number as u32;
            match self.check_block(name, &header, &opener, number, block, bytes) {
                Ok(()) => {
                    check.raw_bytes += u64::from(block.raw_len);
                    check.chunks += block.chunks.len() as u64;
                }
                Err(error) => {
                    wrong.push(number);
                    first.get_or_insert(error);
                }
            }
        }
        let Some(error) = first else { return Some(header) };
        let blocks = DamagedBlocks::Some(wrong);
        check.damage = Some(ObjectDamage { error, blocks, head: Some(header) });
        None
    }

    fn check_block(
        &mut self,
        name: &ObjectName,
        header: &Header,
        opener: &crate::codec::Opener,
        number: u32,
        block: &TocBlock,
        object: &[u8],
    ) -> Result<(), RepoError> {
        let start = block.start as usize;
        let stored = object.get(start..).and_then(|rest| rest.get(..block.stored_len as usize));
        let stored = stored.ok_or_else(|| damaged(name, "it ends before one of its blocks does"))?;
        block
            .open(header, opener, number, stored, &mut self.unpack, &mut self.raw)
            .map_err(|source| RepoError::Segment { name: name.clone(), source })?;
        let mut rest = &self.raw[..];
        for chunk in &block.chunks {
            let (bytes, after) = rest.split_at(chunk.length as usize);
            rest = after;
            let id = match block.kind {
                BlockKind::Data => self.keys.chunk_id(bytes),
                BlockKind::Tree => self.keys.tree_id(bytes),
            };
            if id != chunk.id {
                return Err(damaged(name, "a chunk's bytes do not have its id"));
            }
        }
        Ok(())
    }
}

fn damaged(name: &ObjectName, reason: &str) -> RepoError {
    RepoError::Damaged { name: name.clone(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::Bench;

    #[test]
    fn an_object_that_is_not_there_is_damaged_altogether() {
        let mut bench = Bench::new();
        bench.home("ann").file("a", "a");
        bench.backup("2026-11-20T10:00Z");
        let commit = bench.repository.snapshots().unwrap().remove(0).name;
        let mut reader = bench.repository.readers().object_reader().unwrap();
        let whole = reader.check(&commit).unwrap();
        assert!(whole.damage.is_none() && whole.bytes > 0 && whole.chunks == 2);
        bench.store.delete(&commit).unwrap();
        let gone = reader.check(&commit).unwrap();
        assert_eq!((gone.bytes, gone.chunks), (0, 0));
        assert_eq!(gone.damage.unwrap().blocks, DamagedBlocks::All);
    }
}
