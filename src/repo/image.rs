//! Publishes the local index into the store now and then, and begins from such an image on a machine
//! that has none, so that a fresh machine does not pay for all of history.
//!
//! An image is never trusted: what it says is proven by the hash of the bytes read, what came after
//! it is read from the segments' ends, and an image that cannot be used is passed over.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{RepoError, Repository};
use crate::codec::{Codec, Hash, Packed, RepositoryKeys};
use crate::format::{BlockKind, ChunkEntry, ImageRecord, ObjectName, SegmentKind, SegmentWriter, TocBlock};
use crate::index::Catalog;
use crate::keys::random_bytes;
use crate::store::Store;

/// Segments that came since the last image before another is worth its bytes.
const SEGMENTS_PER_IMAGE: u64 = 256;
/// Bytes of the compressed image in one block.
const PIECE_LEN: usize = 8 << 20;
/// Pieces in one object.
const PIECES_PER_PART: usize = 6;
/// zstd level for images, which are written seldom and mostly hold hashes.
const LEVEL: i32 = 3;

impl Repository {
    /// Publishes an image of the index if enough came since the last one; says whether it did.
    pub fn publish_index_if_due(&mut self) -> Result<bool, RepoError> {
        let segments = self.catalog().segment_count()?;
        if segments < self.catalog().image_segments()? + SEGMENTS_PER_IMAGE {
            return Ok(false);
        }
        // Another machine may have published meanwhile.
        let published = newest(self.store.as_ref())?.and_then(|parts| self.image_record(&parts[0]).ok());
        let known = published.filter(|r| r.schema == Catalog::SCHEMA_VERSION).map_or(0, |r| r.segments);
        if segments < known + SEGMENTS_PER_IMAGE {
            self.catalog.set_image_segments(known)?;
            return Ok(false);
        }
        self.publish_index()?;
        self.catalog.set_image_segments(segments)?;
        Ok(true)
    }

    /// Publishes an image of the index.
    pub fn publish_index(&self) -> Result<(), RepoError> {
        let folder = self.cache().to_path_buf();
        let (plain, packed) = (folder.join("image.sqlite"), folder.join("image.zst"));
        let _removed = (RemoveOnDrop(plain.clone()), RemoveOnDrop(packed.clone()));
        remove(&plain)?;
        self.catalog().save_into(&plain)?;
        let copied = File::open(&plain)
            .and_then(|from| zstd::stream::copy_encode(from, File::create(&packed)?, LEVEL));
        copied.map_err(|source| cache_error(&packed, source))?;
        let length = std::fs::metadata(&packed).map_err(|source| cache_error(&packed, source))?.len();
        let parts = length.div_ceil((PIECE_LEN * PIECES_PER_PART) as u64).max(1) as u32;
        let (image, segments) = (random_bytes()?, self.catalog().segment_count()?);
        let mut file = File::open(&packed).map_err(|source| cache_error(&packed, source))?;
        let now = Timestamp::now();
        for part in 0..parts {
            let record = ImageRecord { image, part, parts, schema: Catalog::SCHEMA_VERSION, segments };
            let segment = part_of(&mut file, &self.keys).map_err(|source| cache_error(&packed, source))?;
            let sealed = segment.finish(&self.keys, &random_bytes()?, Some(record.to_bytes()));
            let (bytes, _) = sealed.map_err(RepoError::Seal)?;
            self.store.put(&ObjectName::index(now, &Hash::of(&bytes)), &bytes)?;
        }
        Ok(())
    }

    /// Removes every published image. Returns of how many objects they were.
    pub fn remove_images(&self) -> Result<usize, RepoError> {
        let parts: Vec<Part> = images(self.store.as_ref())?.into_values().flatten().collect();
        parts.iter().try_for_each(|part| self.store.delete(&part.name))?;
        Ok(parts.len())
    }

    /// Removes images of which a newer one is there; says how many objects that were.
    pub fn remove_old_images(&mut self) -> Result<usize, RepoError> {
        let mut images = images(self.store.as_ref())?;
        images.pop_last();
        let old: Vec<Part> = images.into_values().flatten().collect();
        for part in &old {
            self.store.delete(&part.name)?;
        }
        Ok(old.len())
    }

    fn image_record(&self, part: &Part) -> Result<ImageRecord, RepoError> {
        let (_, toc) = self.read_toc(&part.name, part.length)?;
        let record = toc.record.unwrap_or_default();
        let name = part.name.to_string();
        ImageRecord::from_bytes(&record).map_err(|source| RepoError::Format { name, source })
    }
}

/// Fills an empty cache folder from the newest image that can be used. Whatever is wrong with images
/// only costs time: the index is then built from the segments. Says whether one was used.
pub(super) fn adopt_image(store: &dyn Store, keys: &RepositoryKeys, folder: &Path) -> bool {
    let index = folder.join("index.sqlite");
    if index.exists() || std::fs::create_dir_all(folder).is_err() {
        return false;
    }
    let download = folder.join(format!("image.{}.part", std::process::id()));
    let _removed = RemoveOnDrop(download.clone());
    let Ok(mut images) = images(store) else { return false };
    while let Some((_, parts)) = images.pop_last() {
        if fetch(store, keys, &parts, &download).is_some() && Catalog::is_usable(&download) {
            return std::fs::rename(&download, &index).is_ok();
        }
    }
    false
}

/// A part of an image in the store.
struct Part {
    name: ObjectName,
    length: u64,
}

/// Parts of one image have one time in their names.
fn images(store: &dyn Store) -> Result<BTreeMap<String, Vec<Part>>, RepoError> {
    let mut images: BTreeMap<String, Vec<Part>> = BTreeMap::new();
    for listed in store.list("index/")? {
        let time = listed.name.as_str().split('-').next().unwrap_or_default().to_string();
        images.entry(time).or_default().push(Part { name: listed.name, length: listed.length });
    }
    Ok(images)
}

fn newest(store: &dyn Store) -> Result<Option<Vec<Part>>, RepoError> {
    Ok(images(store)?.pop_last().map(|(_, parts)| parts))
}

/// Puts an image together in a file; none when a part is missing or damaged.
fn fetch(store: &dyn Store, keys: &RepositoryKeys, parts: &[Part], to: &Path) -> Option<()> {
    let mut opened = BTreeMap::new();
    let mut image = None;
    for part in parts {
        let (header, opener, toc) = super::inventory::open_toc(store, keys, &part.name, part.length).ok()?;
        let record = ImageRecord::from_bytes(toc.record.as_deref()?).ok()?;
        let is_usable = header.kind == SegmentKind::Index
            && record.schema == Catalog::SCHEMA_VERSION
            && record.parts as usize == parts.len()
            && *image.get_or_insert(record.image) == record.image;
        is_usable.then_some(())?;
        opened.insert(record.part, (part, header, opener, toc));
    }
    // A part that is there twice stands where another is missing.
    (opened.len() == parts.len()).then_some(())?;
    let file = File::create(to).ok()?;
    let mut unpacked = zstd::stream::write::Decoder::new(file).ok()?;
    for (part, header, opener, toc) in opened.values() {
        for (number, block) in toc.blocks.iter().enumerate() {
            let raw = open_piece(store, &part.name, header, opener, number as u32, block)?;
            unpacked.write_all(&raw).ok()?;
        }
    }
    unpacked.flush().ok()
}

fn open_piece(
    store: &dyn Store,
    name: &ObjectName,
    header: &crate::format::Header,
    opener: &crate::codec::Opener,
    number: u32,
    block: &TocBlock,
) -> Option<Vec<u8>> {
    let stored = store.get_range(name, block.start, block.stored_len as usize).ok()?;
    let mut raw = Vec::new();
    let mut unpack = crate::codec::Decompressor::new().ok()?;
    block.open(header, opener, number, &stored, &mut unpack, &mut raw).ok()?;
    Some(raw)
}

/// The next part of a compressed image, as a segment of stored blocks.
fn part_of(file: &mut File, keys: &RepositoryKeys) -> io::Result<SegmentWriter> {
    let mut segment = SegmentWriter::new(SegmentKind::Index);
    for _ in 0..PIECES_PER_PART {
        let mut bytes = Vec::new();
        file.take(PIECE_LEN as u64).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            break;
        }
        let chunk = ChunkEntry { id: keys.chunk_id(&bytes), length: bytes.len() as u32 };
        segment.push(BlockKind::Data, Packed { codec: Codec::Stored, bytes }, vec![chunk]);
    }
    Ok(segment)
}

fn cache_error(path: &Path, source: io::Error) -> RepoError {
    crate::index::IndexError::Folder { path: path.into(), source }.into()
}

fn remove(path: &Path) -> Result<(), RepoError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cache_error(path, e)),
        _ => Ok(()),
    }
}

/// A temporary file of ours.
struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::SnapshotId;
    use crate::format::SnapshotRecord;
    use crate::keys::Secret;
    use crate::repo::{CreateOptions, WriteTarget, WriterOptions};
    use crate::store::{Call, MemoryStore, RecordStore};

    fn secret() -> Secret {
        Secret::KeyFile([1; 32].into())
    }

    fn record() -> SnapshotRecord {
        SnapshotRecord {
            id: SnapshotId([1; 16]),
            supersession: 0,
            time_ms: 1_764_000_000_000,
            finished_ms: 1_764_000_000_000,
            source: "s".into(),
            host: "h".into(),
            program: "p".into(),
            tags: vec![],
            homes: vec![],
            parents: vec![],
            gc_seen: vec![],
            deps: vec![],
            hints: vec![],
        }
    }

    /// A repository with one snapshot, a chunk and an image.
    fn published(store: &MemoryStore, cache: &Path) -> crate::codec::ChunkId {
        let mut repository =
            Repository::create(Arc::new(store.clone()), &secret(), cache, &CreateOptions::default()).unwrap();
        let writer =
            repository.writer(&WriterOptions { level: 3, threads: 1, target: WriteTarget::Store }).unwrap();
        let mut session = writer.session().unwrap();
        let stored = session.data(b"some data").unwrap();
        session.flush().unwrap();
        repository.commit(writer.finish().unwrap(), record()).unwrap();
        repository.publish_index().unwrap();
        stored.id
    }

    #[test]
    fn a_fresh_machine_begins_with_the_image_and_reads_no_segment() {
        let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
        let id = published(&store, &folder.path().join("one"));
        let recorder = Arc::new(RecordStore::new(store));
        let opened: Arc<dyn Store> = recorder.clone();
        let mut repository = Repository::open(opened, &secret(), &folder.path().join("two")).unwrap();
        let report = repository.sync(&mut |_, _| {}).unwrap();
        assert_eq!((report.commits_added, report.segments_added), (0, 0));
        assert!(repository.catalog().locate(&id).unwrap().is_some());
        let reads_segments = recorder.take_calls().iter().any(|call| {
            matches!(call, Call::Get { name } | Call::GetTail { name, .. } | Call::GetRange { name, .. }
                if name.as_str().starts_with("snapshots/") || name.as_str().starts_with("segments/"))
        });
        assert!(!reads_segments);
    }

    #[test]
    fn a_damaged_image_is_passed_over() {
        let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
        let id = published(&store, &folder.path().join("one"));
        let image = store.list("index/").unwrap().remove(0).name;
        let mut bytes = store.get(&image).unwrap();
        bytes[200] ^= 1;
        store.delete(&image).unwrap();
        store.put(&image, &bytes).unwrap();
        let mut repository =
            Repository::open(Arc::new(store), &secret(), &folder.path().join("two")).unwrap();
        assert_eq!(repository.sync(&mut |_, _| {}).unwrap().commits_added, 1);
        assert!(repository.catalog().locate(&id).unwrap().is_some());
    }

    #[test]
    fn parts_of_two_images_make_none() {
        let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
        published(&store, &folder.path().join("one"));
        let keys = Repository::open(Arc::new(store.clone()), &secret(), &folder.path().join("one")).unwrap();
        let part = |image: u8, part: u32| {
            let record = ImageRecord {
                image: [image; 16],
                part,
                parts: 2,
                schema: Catalog::SCHEMA_VERSION,
                segments: 1,
            };
            let segment = SegmentWriter::new(SegmentKind::Index);
            let (bytes, _) = segment.finish(keys.keys(), &[image; 32], Some(record.to_bytes())).unwrap();
            let name = ObjectName::index(Timestamp::UNIX_EPOCH, &Hash::of(&bytes));
            store.put(&name, &bytes).unwrap();
            Part { name, length: bytes.len() as u64 }
        };
        let target = folder.path().join("image");
        let fetched = |parts: [Part; 2]| fetch(&store, keys.keys(), &parts, &target).is_some();
        assert!(fetched([part(1, 0), part(1, 1)]));
        assert!(!fetched([part(1, 0), part(2, 1)]));
        assert!(!fetched([part(1, 0), part(1, 0)]));
    }
}
