//! The container of everything sealed: blocks of chunks, a table of contents, a trailer.
//!
//! ```text
//!  0  magic "HKSEGMT1"      8
//!  8  kind                  1   what the object is for
//!  9  key mechanism         1   0: the repository's key. Others are kept for write-only hosts
//! 10  reserved              6   zero
//! 16  salt                 32
//! 48  commitment           32   keeps another key from opening what it did not seal
//! 80  blocks                    each followed by its tag
//!     table of contents         sealed: zstd length (4), raw length (4), zstd frame, zeros; tag
//! -16 length of the above   4
//! -12 reserved              4   zero
//!  -8 magic "HKSEGEND"      8
//! ```
//! Numbers are little-endian. The whole is a multiple of [`TOC_PADDING`] long.

mod header;
#[cfg(test)]
mod tests;
mod toc;
mod trailer;
mod writer;

pub use header::Header;
pub use toc::{BlockKind, ChunkEntry, Toc, TocBlock};
pub use trailer::Trailer;
pub use writer::SegmentWriter;

use super::cbor::FormatError;
use crate::codec::{CompressError, OpenError};

/// Objects are padded to a multiple of this, so that their sizes say little.
pub const TOC_PADDING: usize = 4 << 10;
/// No object is longer: each is one request on any store, whole or not there.
pub const MAX_OBJECT_LEN: u64 = 64 << 20;
/// No block unpacks to more.
pub const MAX_BLOCK_LEN: usize = 16 << 20;

/// What a segment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SegmentKind {
    /// Bulk data.
    Bulk = 1,
    /// A snapshot, perhaps with all its new data.
    Commit = 2,
    /// An image of the index.
    Index = 3,
    /// A record of garbage collection.
    Collection = 4,
    /// What homes came to in the past.
    History = 5,
}

/// Why a segment cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Its structure is not a segment's.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// It was sealed with another key.
    #[error("sealed with another key: it belongs to another repository")]
    ForeignKey,
    /// Its bytes were changed.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It does not unpack.
    #[error(transparent)]
    Compress(#[from] CompressError),
    /// What was sealed did not open to the same bytes: the machine is broken.
    #[error("a sealed block did not open to what was sealed; the machine's memory or processor is faulty")]
    Verification,
}
