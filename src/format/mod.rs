//! What each stored object contains: encode and decode, nothing else. No I/O, no keys of its own.
//! Every layout stands in docs/format.md; a decoder refuses what its encoder would not have written.

mod cbor;
mod commit;
mod content;
mod descriptor;
mod gc;
mod hints;
mod history;
mod image;
mod name;
mod segment;
mod slot;
mod tree;

pub use cbor::FormatError;
pub use commit::{Attention, HomeRecord, SnapshotRecord};
pub use content::{Content, ContentList, Extent, INLINE_EXTENTS, ListBuilder};
pub use descriptor::Descriptor;
pub use gc::{GcKind, GcRecord, ShortHash};
pub use hints::Hint;
pub use history::{HistoryPoint, HistoryRecord, HomeSize, StoreSize};
pub use image::ImageRecord;
pub use name::{CommitName, ObjectName, ParseNameError};
pub use segment::{
    BlockKind, ChunkEntry, Header, MAX_BLOCK_LEN, MAX_OBJECT_LEN, SegmentError, SegmentKind, SegmentWriter,
    TOC_PADDING, Toc, TocBlock, Trailer,
};
pub use slot::{Slot, SlotKind};
pub(crate) use tree::is_component;
pub use tree::{
    Attributes, Entry, EntryKind, MAX_PAGE_ENTRIES, Owner, Page, PageBuilder, PageIndex, SPLIT_ENTRIES,
    TreeObject, VaultItem, Xattr, flags,
};
