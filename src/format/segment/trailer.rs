//! The end of a segment: where its table of contents is. Plain, and checked by what it leads to.

use super::super::cbor::FormatError;
use super::{Header, MAX_OBJECT_LEN};
use crate::codec::TAG_LEN;

pub(super) const END_MAGIC: &[u8; 8] = b"HKSEGEND";

/// The last [`Trailer::LEN`] bytes: where the table of contents is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Where the sealed table of contents begins.
    pub toc_start: u64,
    /// Its length, tag included.
    pub toc_len: u32,
}

impl Trailer {
    /// Bytes it takes.
    pub const LEN: usize = 16;

    /// Reads the end of an object of `object_len` bytes.
    pub fn from_bytes(bytes: &[u8], object_len: u64) -> Result<Self, FormatError> {
        let malformed = |reason: &str| FormatError::malformed("segment trailer", reason);
        if object_len > MAX_OBJECT_LEN {
            return Err(malformed("the object is longer than any segment"));
        }
        let start = bytes.len().checked_sub(Self::LEN).ok_or_else(|| malformed("too short"))?;
        let bytes = &bytes[start..];
        if &bytes[8..] != END_MAGIC || bytes[4..8] != [0; 4] {
            return Err(malformed("the end is missing: the object is torn"));
        }
        let toc_len = u32::from_le_bytes(bytes[..4].try_into().expect("4 bytes"));
        let toc_start = object_len
            .checked_sub(Self::LEN as u64 + u64::from(toc_len))
            .filter(|start| *start >= Header::LEN as u64 && toc_len as usize > TAG_LEN + 8)
            .ok_or_else(|| malformed("the table of contents does not fit"))?;
        Ok(Self { toc_start, toc_len })
    }
}
