//! Where a listing is cut into pages: by names, so that all who list the same cut alike. Knows when a
//! page ends, not where it is stored.

use super::{Entry, EntryKind, MAX_PAGE_ENTRIES, Page, PageIndex};
use crate::codec::ChunkId;

/// Listings longer than this are split into pages.
pub const SPLIT_ENTRIES: usize = 512;
/// A page is closed when its entries' variable parts pass this many bytes.
const MAX_PAGE_LEN: usize = 1 << 20;
/// A page ends after a name whose BLAKE3 hash begins with a zero byte: every 256 names on average.
const PAGE_BOUNDARY: u8 = 0;

/// Splits a listing into pages as its entries come, in order of names.
pub struct PageBuilder {
    split: bool,
    pending: Vec<Entry>,
    pending_len: usize,
    pages: Vec<(ChunkId, u64)>,
}

impl PageBuilder {
    /// For a listing of `entries` entries.
    pub fn new(entries: usize) -> Self {
        Self { split: entries > SPLIT_ENTRIES, pending: Vec::new(), pending_len: 0, pages: Vec::new() }
    }

    /// Adds the next entry. `store` keeps a finished object's bytes and returns its id.
    pub fn push<E>(
        &mut self,
        entry: Entry,
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        let boundary = blake3::hash(&entry.name).as_bytes()[0] == PAGE_BOUNDARY;
        self.pending_len += variable_len(&entry);
        self.pending.push(entry);
        let full = self.pending_len >= MAX_PAGE_LEN || self.pending.len() >= MAX_PAGE_ENTRIES;
        if full || (self.split && boundary) { self.close(store) } else { Ok(()) }
    }

    fn close<E>(&mut self, store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>) -> Result<(), E> {
        let page = Page { entries: std::mem::take(&mut self.pending) };
        self.pending_len = 0;
        self.pages.push((store(page.to_bytes())?, page.entries.len() as u64));
        Ok(())
    }

    /// The directory's tree id.
    pub fn finish<E>(mut self, store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>) -> Result<ChunkId, E> {
        if !self.pending.is_empty() || self.pages.is_empty() {
            self.close(store)?;
        }
        match self.pages[..] {
            [(only, _)] => Ok(only),
            _ => store(PageIndex { pages: self.pages }.to_bytes()),
        }
    }
}

/// About how many bytes an entry takes in a page.
fn variable_len(entry: &Entry) -> usize {
    let kind = match &entry.kind {
        EntryKind::File(content) => 37 * content.extents.len(),
        EntryKind::Symlink(target) => target.len(),
        _ => 32,
    };
    let xattrs: usize = entry.attributes.xattrs.iter().map(|x| x.name.len() + x.value.len() + 6).sum();
    let hints: usize = entry.attributes.hints.iter().map(|(_, value)| value.len() + 12).sum();
    entry.name.len() + kind + xattrs + hints + 24
}
