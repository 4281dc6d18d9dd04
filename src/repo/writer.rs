//! The write pipeline: chunks in, segments in the store out.
//!
//! Sessions (one per walking thread) hash, ask the ledger whether a chunk is new, and gather new ones
//! into blocks of neighbours. Packers compress blocks and fill the open segment. Uploaders seal full
//! segments, put them, and enter them into the index. All queues are bounded.
//!
//! Memory: `2 × threads + 2` blocks being gathered, queued or packed (a block is no longer than the
//! repository's block length, 2 MiB by default, or a single chunk), one open segment, one full one that waits, and
//! one for each uploader, which takes about a block more while it is sealed.
//!
//! Order is what makes a crash harmless: a segment is whole in the store before the index knows it,
//! and a snapshot is written only after all its segments. What a killed run leaves are segments that
//! nothing names; the next run finds them in the index and uses them.

use std::collections::HashSet;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{RepoError, Repository};
use crate::codec::{ChunkId, Compressor, Hash, RepositoryKeys, SnapshotId};
use crate::format::{
    BlockKind, ChunkEntry, CommitName, Header, ObjectName, SegmentKind, SegmentWriter, ShortHash,
    SnapshotRecord,
};
use crate::index::{Catalog, CatalogWriter, SegmentRow};
use crate::keys::random_bytes;
use crate::store::Store;

/// One thread that seals and puts segments keeps up with so many that compress.
const PACKERS_PER_UPLOADER: usize = 2;
/// The ledger's parts, so that threads seldom wait for each other.
const SHARDS: usize = 64;
/// Segments grow with the repository, so that the list of those a snapshot needs stays short.
const SEGMENT_LEN: std::ops::RangeInclusive<u64> = (16 << 20)..=(60 << 20);
/// About so many segments a repository has before they grow.
const SEGMENTS_WANTED: u64 = 4096;
/// What is left over at the end rides inside the commit when it is no longer than this.
const COMMIT_LEN: usize = 8 << 20;

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct WriterOptions {
    /// zstd level, -7 to 19.
    pub level: i32,
    /// Threads that compress.
    pub threads: usize,
    /// Where segments go.
    pub target: WriteTarget,
}

/// Where a pipeline's segments go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteTarget {
    /// Into the store.
    Store,
    /// Nowhere: full segments are let go, for a run that only tells what it would do.
    Nowhere,
}

/// Where a chunk came to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The chunk.
    pub id: ChunkId,
    /// Whether this run is the first to store it.
    pub new: bool,
}

/// The pipeline. Ends with [`Writer::finish`]; dropped, it stops and leaves what it has written.
pub struct Writer {
    shared: Arc<Shared>,
    blocks: Sender<RawBlock>,
    packers: Vec<JoinHandle<()>>,
    uploaders: Vec<JoinHandle<()>>,
    block_len: usize,
}

/// What a pipeline has done.
pub struct Finished {
    /// Blocks that filled no segment of their own.
    pub residual: SegmentWriter,
    /// Segments that chunks were found in or put into.
    pub segments: HashSet<SegmentRow>,
    /// Bytes of the objects put so far.
    pub bytes_stored: u64,
    /// Objects put so far.
    pub objects: u64,
}

struct Shared {
    store: Arc<dyn Store>,
    keys: Arc<RepositoryKeys>,
    catalog: Mutex<CatalogWriter>,
    ledger: Ledger,
    open: Mutex<SegmentWriter>,
    segment_len: usize,
    target: WriteTarget,
    /// Segments in which a chunk does not count as stored.
    avoid: HashSet<SegmentRow>,
    done: Mutex<Done>,
    pool: (Sender<Vec<u8>>, Receiver<Vec<u8>>),
}

#[derive(Default)]
struct Done {
    error: Option<RepoError>,
    segments: HashSet<SegmentRow>,
    bytes_stored: u64,
    objects: u64,
}

/// Neighbouring chunks on their way to be packed.
struct RawBlock {
    kind: BlockKind,
    raw: Vec<u8>,
    chunks: Vec<ChunkEntry>,
}

/// Chunks that this run has taken on and the index does not know yet. One place decides "known or new".
struct Ledger([Mutex<HashSet<ChunkId>>; SHARDS]);

impl Ledger {
    fn shard(&self, id: &ChunkId) -> MutexGuard<'_, HashSet<ChunkId>> {
        lock(&self.0[usize::from(id.0[31]) % SHARDS])
    }

    /// All of it: until it is let go, no session looks anything up.
    fn all(&self) -> Vec<MutexGuard<'_, HashSet<ChunkId>>> {
        self.0.iter().map(lock).collect()
    }
}

/// A poisoned lock means that a thread panicked; what it guards is only counted and looked up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Repository {
    /// Starts a pipeline into this repository. What is condemned is stored again.
    pub fn writer(&self, options: &WriterOptions) -> Result<Writer, RepoError> {
        self.writer_avoiding(options, HashSet::new())
    }

    /// Starts a pipeline that stores again what lies only in the segments of `avoid`, too.
    pub fn writer_avoiding(
        &self,
        options: &WriterOptions,
        mut avoid: HashSet<SegmentRow>,
    ) -> Result<Writer, RepoError> {
        avoid.extend(self.unreliable_rows()?);
        let stored = self.catalog().stored_bytes()?;
        let segment_len = (stored / SEGMENTS_WANTED).clamp(*SEGMENT_LEN.start(), *SEGMENT_LEN.end());
        let shared = Arc::new(Shared {
            store: Arc::clone(self.store()),
            keys: Arc::clone(self.keys()),
            catalog: Mutex::new(CatalogWriter::new(Catalog::open(self.cache())?)),
            ledger: Ledger(std::array::from_fn(|_| Mutex::default())),
            open: Mutex::new(SegmentWriter::new(SegmentKind::Bulk)),
            segment_len: segment_len as usize,
            target: options.target,
            avoid,
            done: Mutex::default(),
            pool: bounded(2 * options.threads + 2),
        });
        Writer::start(shared, options, self.descriptor().block_len as usize)
    }

    /// Writes the snapshot: its record, with the blocks that are left over when they are few. Once
    /// this returns, the commit is durable and every pruner sees it. `finished` fills `deps`.
    pub fn commit(&mut self, finished: Finished, mut record: SnapshotRecord) -> Result<Committed, RepoError> {
        let (mut bytes_stored, mut objects) = (finished.bytes_stored, finished.objects);
        let mut deps: HashSet<ShortHash> = record.deps.drain(..).collect();
        for row in &finished.segments {
            let segment = self.catalog().segment(*row);
            // A prune on this machine has deleted it, and took it out of the index.
            let is_gone = segment.as_ref().is_err_and(crate::index::IndexError::is_absent);
            deps.insert(if is_gone { Err(RepoError::IndexChanged) } else { Ok(segment?) }?.hash.short());
        }
        let mut residual = finished.residual;
        if residual.len() > COMMIT_LEN {
            let put = put_segment(self.store.as_ref(), &self.keys, residual, None, ObjectName::segment)?;
            put.enter(&mut self.catalog)?;
            deps.insert(put.hash.short());
            bytes_stored += put.length;
            objects += 1;
            residual = SegmentWriter::new(SegmentKind::Bulk);
        }
        record.deps = deps.into_iter().collect();
        record.deps.sort_unstable();
        residual.set_kind(SegmentKind::Commit);
        let bytes = record.to_bytes();
        // What a reader would refuse must not be published.
        SnapshotRecord::from_bytes(&bytes).map_err(|error| RepoError::Seal(error.into()))?;
        let time = jiff::Timestamp::from_millisecond(record.time_ms).unwrap_or_default();
        let put = put_segment(self.store.as_ref(), &self.keys, residual, Some(bytes), |hash| {
            let name = CommitName { time, id: record.id, supersession: record.supersession, hash: *hash };
            name.to_object_name()
        })?;
        put.enter(&mut self.catalog)?;
        self.catalog.add_snapshot(&put.name, &put.hash, &record)?;
        Ok(Committed {
            id: record.id,
            supersession: record.supersession,
            hash: put.hash,
            deps: record.deps,
            bytes_stored: bytes_stored + put.length,
            objects: objects + 1,
        })
    }
}

/// A commit that is in the store, and what it cost. It is safe once [`Repository::look`] says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The snapshot.
    pub id: SnapshotId,
    /// Which commit of the snapshot this is.
    pub supersession: u32,
    /// Leading bytes of the hash of every segment the snapshot may need.
    pub deps: Vec<ShortHash>,
    /// Of the commit object's bytes.
    pub hash: Hash,
    /// Bytes of all objects of the run.
    pub bytes_stored: u64,
    /// Objects of the run.
    pub objects: u64,
}

impl Writer {
    fn start(shared: Arc<Shared>, options: &WriterOptions, block_len: usize) -> Result<Self, RepoError> {
        let (blocks, queued) = bounded::<RawBlock>(options.threads + 1);
        let (full, ready) = bounded::<SegmentWriter>(1);
        let mut packers = Vec::new();
        for _ in 0..options.threads.max(1) {
            let compressor = Compressor::new(options.level)?;
            let (shared, queued, full) = (Arc::clone(&shared), queued.clone(), full.clone());
            packers.push(std::thread::spawn(move || pack_blocks(&shared, compressor, &queued, &full)));
        }
        let uploaders = (0..options.threads.div_ceil(PACKERS_PER_UPLOADER).max(1))
            .map(|_| {
                let (shared, ready) = (Arc::clone(&shared), ready.clone());
                std::thread::spawn(move || upload_segments(&shared, &ready))
            })
            .collect();
        Ok(Self { shared, blocks, packers, uploaders, block_len })
    }

    /// A way in for one thread. Its last blocks are handed on by [`WriteSession::flush`].
    pub fn session(&self) -> Result<WriteSession, RepoError> {
        let catalog = lock(&self.shared.catalog).catalog().passing_reader()?;
        Ok(WriteSession {
            shared: Arc::clone(&self.shared),
            blocks: self.blocks.clone(),
            catalog,
            data: Gather::default(),
            trees: Gather::default(),
            segments: HashSet::new(),
            block_len: self.block_len,
        })
    }

    /// Waits until everything is packed and every full segment is in the store.
    pub fn finish(self) -> Result<Finished, RepoError> {
        let Self { shared, blocks, packers, uploaders, .. } = self;
        drop(blocks);
        let ended = packers.into_iter().chain(uploaders).all(|thread| thread.join().is_ok());
        let mut done = lock(&shared.done);
        if let Some(error) = done.error.take() {
            return Err(error);
        }
        if !ended {
            return Err(RepoError::Stopped);
        }
        let residual = mem::replace(&mut *lock(&shared.open), SegmentWriter::new(SegmentKind::Bulk));
        Ok(Finished {
            residual,
            segments: mem::take(&mut done.segments),
            bytes_stored: done.bytes_stored,
            objects: done.objects,
        })
    }

    /// The error that stopped the pipeline, if one did: what a session's [`RepoError::Stopped`] is about.
    pub fn take_error(&self) -> Option<RepoError> {
        lock(&self.shared.done).error.take()
    }
}

/// Chunks gathered into the next block.
#[derive(Default)]
struct Gather {
    raw: Vec<u8>,
    chunks: Vec<ChunkEntry>,
}

/// One thread's way into the pipeline.
pub struct WriteSession {
    shared: Arc<Shared>,
    blocks: Sender<RawBlock>,
    catalog: Catalog,
    data: Gather,
    trees: Gather,
    segments: HashSet<SegmentRow>,
    block_len: usize,
}

impl WriteSession {
    /// Stores a chunk of file data unless the repository has it.
    pub fn data(&mut self, bytes: &[u8]) -> Result<Stored, RepoError> {
        let id = self.shared.keys.chunk_id(bytes);
        self.store(BlockKind::Data, id, bytes)
    }

    /// Stores an encoded tree page, page index or content list unless the repository has it.
    pub fn tree(&mut self, bytes: &[u8]) -> Result<Stored, RepoError> {
        let id = self.shared.keys.tree_id(bytes);
        self.store(BlockKind::Tree, id, bytes)
    }

    /// Where a chunk lies that is to be used without its bytes; none if the repository lacks it.
    pub fn reuse(&mut self, id: &ChunkId) -> Result<Option<SegmentRow>, RepoError> {
        let _quiet = self.shared.ledger.shard(id);
        let location = self.catalog.locate_outside(id, &self.shared.avoid)?;
        Ok(location.map(|l| {
            self.segments.insert(l.segment);
            l.segment
        }))
    }

    fn store(&mut self, kind: BlockKind, id: ChunkId, bytes: &[u8]) -> Result<Stored, RepoError> {
        if !self.take_on(&id)? {
            return Ok(Stored { id, new: false });
        }
        if self.gather(kind).raw.len() + bytes.len() > self.block_len {
            self.send(kind)?;
        }
        if self.gather(kind).raw.capacity() == 0 {
            let buffer = self.shared.pool.1.try_recv();
            self.gather(kind).raw = buffer.unwrap_or_else(|_| Vec::with_capacity(self.block_len));
        }
        let gather = self.gather(kind);
        gather.raw.extend_from_slice(bytes);
        gather.chunks.push(ChunkEntry { id, length: bytes.len() as u32 });
        Ok(Stored { id, new: true })
    }

    fn gather(&mut self, kind: BlockKind) -> &mut Gather {
        match kind {
            BlockKind::Data => &mut self.data,
            BlockKind::Tree => &mut self.trees,
        }
    }

    /// Whether the chunk is new, in which case it is from now on this session's to store. The shard
    /// stays locked during the look-up: otherwise two sessions could both find the chunk new, or one
    /// could look before another's segment is entered and ask the ledger after it was cleared.
    fn take_on(&mut self, id: &ChunkId) -> Result<bool, RepoError> {
        let mut shard = self.shared.ledger.shard(id);
        if shard.contains(id) {
            return Ok(false);
        }
        // A segment is in the index before its chunks leave the ledger, so one that left is seen. Perhaps in a segment that only a forgotten snapshot needs. If it is condemned meanwhile, the look
        // after the commit finds out (docs/safety.md).
        match self.catalog.locate_outside(id, &self.shared.avoid)? {
            Some(location) => {
                self.segments.insert(location.segment);
                Ok(false)
            }
            None => Ok(shard.insert(*id)),
        }
    }

    /// Hands the gathered chunks of a kind to the packers, if there are any.
    fn send(&mut self, kind: BlockKind) -> Result<(), RepoError> {
        let Gather { raw, chunks } = mem::take(self.gather(kind));
        if chunks.is_empty() {
            return Ok(());
        }
        self.blocks.send(RawBlock { kind, raw, chunks }).map_err(|_| RepoError::Stopped)
    }

    /// Hands on what is gathered. Without it, chunks of this session may be missing.
    pub fn flush(mut self) -> Result<(), RepoError> {
        self.send(BlockKind::Data)?;
        self.send(BlockKind::Tree)?;
        lock(&self.shared.done).segments.extend(self.segments.drain());
        Ok(())
    }
}

/// A packer's life: compress blocks into the open segment, hand on full ones.
fn pack_blocks(
    shared: &Shared,
    mut compressor: Compressor,
    blocks: &Receiver<RawBlock>,
    full: &Sender<SegmentWriter>,
) {
    for mut block in blocks {
        let packed = match compressor.pack(&block.raw) {
            Ok(packed) => packed,
            Err(error) => return fail(shared, error.into()),
        };
        block.raw.clear();
        // A full pool means that enough buffers are about; this one is let go.
        let _ = shared.pool.0.try_send(block.raw);
        let ready = {
            let mut open = lock(&shared.open);
            open.push(block.kind, packed, block.chunks);
            let is_full = open.len() >= shared.segment_len;
            is_full.then(|| mem::replace(&mut *open, SegmentWriter::new(SegmentKind::Bulk)))
        };
        if let Some(segment) = ready
            && full.send(segment).is_err()
        {
            return;
        }
    }
}

/// An uploader's life: put full segments, enter them into the index, clear the ledger of their chunks.
fn upload_segments(shared: &Shared, ready: &Receiver<SegmentWriter>) {
    for segment in ready {
        if shared.target == WriteTarget::Nowhere {
            // Its chunks stay in the ledger, so that none of them counts as new again.
            continue;
        }
        let put = match put_segment(shared.store.as_ref(), &shared.keys, segment, None, ObjectName::segment) {
            Ok(put) => put,
            Err(error) => return fail(shared, error),
        };
        let row = match enter(shared, &put) {
            Ok(row) => row,
            Err(error) => return fail(shared, error),
        };
        for chunk in put.toc.blocks.iter().flat_map(|b| &b.chunks) {
            shared.ledger.shard(&chunk.id).remove(&chunk.id);
        }
        let mut done = lock(&shared.done);
        done.segments.insert(row);
        done.bytes_stored += put.length;
        done.objects += 1;
    }
}

/// Enters a segment into the index, whose write-ahead log would otherwise grow for as long as sessions ask one question
/// after the other. Who waits for a part of the ledger holds nothing that this waits for.
fn enter(shared: &Shared, put: &PutSegment) -> Result<SegmentRow, RepoError> {
    let mut catalog = lock(&shared.catalog);
    let row = put.enter(&mut catalog)?;
    if catalog.has_long_log() {
        let _quiet = shared.ledger.all();
        catalog.empty_log()?;
    }
    Ok(row)
}

/// The first error is the reason; later ones follow from it.
fn fail(shared: &Shared, error: RepoError) {
    lock(&shared.done).error.get_or_insert(error);
}

/// A segment that is whole in the store.
pub(super) struct PutSegment {
    name: ObjectName,
    hash: Hash,
    pub(super) length: u64,
    header: Header,
    toc: crate::format::Toc,
}

impl PutSegment {
    pub(super) fn enter(&self, catalog: &mut CatalogWriter) -> Result<SegmentRow, RepoError> {
        Ok(catalog.add_segment(&self.name, &self.hash, self.length, &self.header, &self.toc)?)
    }
}

/// Seals a segment, names it by its hash and puts it.
pub(super) fn put_segment(
    store: &dyn Store,
    keys: &RepositoryKeys,
    segment: SegmentWriter,
    record: Option<Vec<u8>>,
    name: impl FnOnce(&Hash) -> ObjectName,
) -> Result<PutSegment, RepoError> {
    let (bytes, toc) = segment.finish(keys, &random_bytes()?, record).map_err(RepoError::Seal)?;
    let hash = Hash::of(&bytes);
    let name = name(&hash);
    store.put(&name, &bytes)?;
    let header = Header::from_bytes(&bytes).map_err(|e| RepoError::Seal(e.into()))?;
    Ok(PutSegment { name, hash, length: bytes.len() as u64, header, toc })
}

#[cfg(test)]
mod tests;
