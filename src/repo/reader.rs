//! Reads chunks and trees, and believes none of them before its id is checked. A chunk that lies in several
//! segments is read from any that gives it. Keeps the blocks it unpacked last; one reader per thread.

mod block_cache;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use block_cache::{BlockCache, BlockKey};

use super::RepoError;
use crate::codec::{ChunkId, Decompressor, Opener, RepositoryKeys};
use crate::format::{BlockKind, Content, ContentList, Entry, Extent, Page, TocBlock, TreeObject};
use crate::index::{BlockRow, Catalog, KnownSegment, Location, SegmentRow};
use crate::store::Store;

/// Unpacked bytes kept for the next chunk of the same block.
const CACHE_LEN: usize = 12 << 20;

/// Makes readers, in any thread.
#[derive(Clone)]
pub struct Readers {
    pub(super) store: Arc<dyn Store>,
    pub(super) keys: Arc<RepositoryKeys>,
    pub(super) cache: PathBuf,
}

impl Readers {
    /// A reader of chunks and trees, for one thread.
    pub fn reader(&self) -> Result<Reader, RepoError> {
        Reader::new(Arc::clone(&self.store), Arc::clone(&self.keys), Catalog::open(&self.cache)?.reader()?)
    }

    /// The repository's folder on local disk.
    pub fn cache(&self) -> &Path {
        &self.cache
    }
}

/// Reads from one repository.
pub struct Reader {
    store: Arc<dyn Store>,
    keys: Arc<RepositoryKeys>,
    catalog: Catalog,
    segments: HashMap<SegmentRow, Arc<OpenSegment>>,
    cache: BlockCache,
    unpack: Decompressor,
    /// Each chunk is looked up in the newest index.
    is_passing: bool,
}

/// A segment ready to read blocks of.
struct OpenSegment {
    known: KnownSegment,
    opener: Opener,
}

impl Reader {
    pub(super) fn new(
        store: Arc<dyn Store>,
        keys: Arc<RepositoryKeys>,
        catalog: Catalog,
    ) -> Result<Self, RepoError> {
        let unpack = Decompressor::new()?;
        let (segments, cache) = (HashMap::new(), BlockCache::new(CACHE_LEN));
        Ok(Self { store, keys, catalog, segments, cache, unpack, is_passing: false })
    }

    /// The same, for beside a writer: what is read from the index is of one moment for each chunk, not for as long as the
    /// reader lives. Until such a moment ends, the index's write-ahead log can only grow.
    pub fn passing(mut self) -> Self {
        self.is_passing = true;
        self
    }

    /// What is known of the repository.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Gives `use_bytes` a chunk of file data, of `length` bytes, once it is verified.
    pub fn with_data<T>(
        &mut self,
        id: &ChunkId,
        length: u64,
        use_bytes: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, RepoError> {
        let found = self.find(BlockKind::Data, id)?;
        match found.bytes() {
            bytes if bytes.len() as u64 == length => Ok(use_bytes(bytes)),
            _ => Err(self.wrong_bytes(found.location.segment)),
        }
    }

    /// The name that all links to one inode share.
    pub fn link_group(&self, device: u64, inode: u64, changed_ns: i128) -> [u8; 16] {
        self.keys.link_group(device, inode, changed_ns)
    }

    /// A chunk of file data, appended to `to`.
    pub fn data(&mut self, id: &ChunkId, to: &mut Vec<u8>) -> Result<(), RepoError> {
        to.extend_from_slice(self.find(BlockKind::Data, id)?.bytes());
        Ok(())
    }

    /// A chunk of whatever kind, appended to `to`.
    pub fn chunk(&mut self, kind: BlockKind, id: &ChunkId, to: &mut Vec<u8>) -> Result<(), RepoError> {
        to.extend_from_slice(self.find(kind, id)?.bytes());
        Ok(())
    }

    /// Whether `bytes` are the chunk of file data with this id.
    pub fn is_data(&self, id: &ChunkId, bytes: &[u8]) -> bool {
        self.keys.chunk_id(bytes) == *id
    }

    /// A directory's page or index of pages.
    pub fn tree(&mut self, id: &ChunkId) -> Result<TreeObject, RepoError> {
        TreeObject::from_bytes(self.find(BlockKind::Tree, id)?.bytes())
            .map_err(|source| RepoError::Format { name: format!("tree {id}"), source })
    }

    /// Every entry of a directory, in order of names. `visit` ends the listing with an error of its own.
    pub fn entries<E: From<RepoError>>(
        &mut self,
        id: &ChunkId,
        mut visit: impl FnMut(&mut Self, Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        let pages = match self.tree(id)? {
            TreeObject::Page(page) => {
                return page.entries.into_iter().try_for_each(|entry| visit(self, entry));
            }
            TreeObject::Index(index) => index.pages,
        };
        let mut last = Vec::new();
        for (id, entries) in pages {
            let page = match self.tree(&id)? {
                TreeObject::Page(page) if is_next_page(&page, entries, &last) => page,
                _ => return Err(RepoError::MalformedTree(id).into()),
            };
            last = page.entries.last().map(|entry| entry.name.clone()).unwrap_or_default();
            page.entries.into_iter().try_for_each(|entry| visit(self, entry))?;
        }
        Ok(())
    }

    /// All entries of a directory.
    pub fn listing(&mut self, id: &ChunkId) -> Result<Vec<Entry>, RepoError> {
        let mut entries = Vec::new();
        self.entries(id, |_, entry| {
            entries.push(entry);
            Ok::<_, RepoError>(())
        })?;
        Ok(entries)
    }

    /// The chunks and holes of a file, in order; lists are read as they come.
    pub fn extents<E: From<RepoError>>(
        &mut self,
        content: &Content,
        visit: &mut impl FnMut(&mut Self, Extent) -> Result<(), E>,
    ) -> Result<(), E> {
        for extent in &content.extents {
            match extent {
                Extent::Data { id, length } if content.depth > 0 => {
                    let list = self.list(id)?;
                    if list.depth + 1 != content.depth || list.size() != *length {
                        return Err(RepoError::MalformedTree(*id).into());
                    }
                    self.extents(&list, visit)?;
                }
                extent => visit(self, *extent)?,
            }
        }
        Ok(())
    }

    /// What a content list names.
    pub fn list(&mut self, id: &ChunkId) -> Result<Content, RepoError> {
        let list = ContentList::from_bytes(self.find(BlockKind::Tree, id)?.bytes());
        list.map(|l| l.0).map_err(|source| RepoError::Format { name: format!("content list {id}"), source })
    }

    /// A chunk, verified, from the first of its places that gives it. If none does, what was wrong with
    /// the first place is the error.
    pub(super) fn find(&mut self, kind: BlockKind, id: &ChunkId) -> Result<Found, RepoError> {
        let found = self.find_anywhere(kind, id);
        if self.is_passing {
            self.catalog.see_newest()?;
        }
        found
    }

    fn find_anywhere(&mut self, kind: BlockKind, id: &ChunkId) -> Result<Found, RepoError> {
        let first = self.catalog.locate(id)?.ok_or(RepoError::MissingChunk(*id))?;
        let error = match self.find_at(kind, id, first) {
            Err(error) if error.is_damage() || matches!(error, RepoError::Store(_)) => error,
            result => return result,
        };
        let places = self.catalog.locate_all(id)?;
        let mut others = places.into_iter().filter(|place| *place != first);
        others.find_map(|place| self.find_at(kind, id, place).ok()).ok_or(error)
    }

    fn find_at(&mut self, kind: BlockKind, id: &ChunkId, location: Location) -> Result<Found, RepoError> {
        let block = self.block(location.segment, location.block)?;
        match slice(&block, &location) {
            Some(bytes) if self.id_of(kind, bytes) == *id => Ok(Found { location, block }),
            _ => Err(self.wrong_bytes(location.segment)),
        }
    }

    /// The id that a chunk of these bytes has.
    pub(super) fn id_of(&self, kind: BlockKind, bytes: &[u8]) -> ChunkId {
        match kind {
            BlockKind::Data => self.keys.chunk_id(bytes),
            BlockKind::Tree => self.keys.tree_id(bytes),
        }
    }

    /// An unpacked block, authentic but with its chunks not yet checked.
    pub fn block(&mut self, segment: SegmentRow, number: u32) -> Result<Arc<Vec<u8>>, RepoError> {
        if let Some(bytes) = self.cache.get((segment, number)) {
            return Ok(bytes);
        }
        let bytes = Arc::new(self.read_block(segment, number)?);
        self.cache.insert((segment, number), Arc::clone(&bytes));
        Ok(bytes)
    }

    /// Reads and opens a block without keeping it.
    pub fn read_block(&mut self, row: SegmentRow, number: u32) -> Result<Vec<u8>, RepoError> {
        let BlockRow { kind, codec, start, stored_len, raw_len } = self.catalog.block(row, number)?;
        let segment = self.segment(row)?;
        let stored = self.store.get_range(&segment.known.name, start, stored_len as usize)?;
        let block = TocBlock { kind, codec, start, stored_len, raw_len, chunks: Vec::new() };
        let mut raw = Vec::new();
        block
            .open(&segment.known.header, &segment.opener, number, &stored, &mut self.unpack, &mut raw)
            .map_err(|source| RepoError::Segment { name: segment.known.name.clone(), source })?;
        Ok(raw)
    }

    fn segment(&mut self, row: SegmentRow) -> Result<Arc<OpenSegment>, RepoError> {
        if let Some(segment) = self.segments.get(&row) {
            return Ok(Arc::clone(segment));
        }
        let known = self.catalog.segment(row)?;
        let opener = known.header.opener(&self.keys);
        let opener = opener.map_err(|source| RepoError::Segment { name: known.name.clone(), source })?;
        let segment = Arc::new(OpenSegment { known, opener });
        self.segments.insert(row, Arc::clone(&segment));
        Ok(segment)
    }

    fn wrong_bytes(&self, row: SegmentRow) -> RepoError {
        match self.catalog.segment(row) {
            Ok(known) => {
                RepoError::Damaged { name: known.name, reason: "a chunk's bytes do not have its id".into() }
            }
            Err(error) => error.into(),
        }
    }
}

/// Whether a page has as many entries as its index says, with names behind those of the page before.
fn is_next_page(page: &Page, entries: u64, last: &[u8]) -> bool {
    page.entries.len() as u64 == entries && page.entries.first().is_some_and(|first| *first.name > *last)
}

/// A chunk that was verified where it lies.
pub(super) struct Found {
    location: Location,
    block: Arc<Vec<u8>>,
}

impl Found {
    /// The chunk.
    pub(super) fn bytes(&self) -> &[u8] {
        slice(&self.block, &self.location).expect("it was verified there")
    }
}

/// Where `location` lies in its block; none when the index says nonsense.
pub(super) fn slice<'b>(block: &'b [u8], location: &Location) -> Option<&'b [u8]> {
    block.get(location.start as usize..)?.get(..location.length as usize)
}
