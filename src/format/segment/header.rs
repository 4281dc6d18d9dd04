//! The head of a segment: what it is for, and what its key is derived from. Knows nothing behind it.

use subtle::ConstantTimeEq;

use super::super::cbor::FormatError;
use super::{SegmentError, SegmentKind};
use crate::codec::{Opener, RepositoryKeys, SALT_LEN};

const MAGIC: &[u8; 7] = b"HKSEGMT";
/// The version of the segment: a digit behind the magic.
const SEGMENT_VERSION: u8 = 1;

/// The first [`Header::LEN`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the segment is for.
    pub kind: SegmentKind,
    pub(super) salt: [u8; SALT_LEN],
    pub(super) commitment: [u8; 32],
}

impl Header {
    /// Bytes it takes.
    pub const LEN: usize = 80;

    /// Reads the head of a segment.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let what = "the segment";
        let malformed = |reason: &str| FormatError::malformed(what, reason);
        let bytes: &[u8; Self::LEN] = bytes
            .get(..Self::LEN)
            .and_then(|b| b.try_into().ok())
            .ok_or_else(|| malformed("too short for its head"))?;
        if !bytes.starts_with(MAGIC) {
            return Err(FormatError::Magic(what));
        }
        if bytes[7] != b'0' + SEGMENT_VERSION {
            let (found, known) = (bytes[7].wrapping_sub(b'0').into(), SEGMENT_VERSION.into());
            return Err(FormatError::Version { what, found, known });
        }
        let kind = match bytes[8] {
            1 => SegmentKind::Bulk,
            2 => SegmentKind::Commit,
            3 => SegmentKind::Index,
            4 => SegmentKind::Collection,
            5 => SegmentKind::History,
            _ => return Err(malformed("unknown kind")),
        };
        if bytes[9] != 0 {
            return Err(FormatError::Feature(format!("key mechanism {}", bytes[9])));
        }
        if bytes[10..16] != [0; 6] {
            return Err(malformed("reserved bytes are not zero"));
        }
        let part = |at: usize| bytes[at..at + 32].try_into().expect("within the head");
        Ok(Self { kind, salt: part(16), commitment: part(48) })
    }

    /// The head's bytes.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..7].copy_from_slice(MAGIC);
        bytes[7] = b'0' + SEGMENT_VERSION;
        bytes[8] = self.kind as u8;
        bytes[16..48].copy_from_slice(&self.salt);
        bytes[48..].copy_from_slice(&self.commitment);
        bytes
    }

    /// The segment's cipher, if these are the keys it was sealed with.
    pub fn opener(&self, keys: &RepositoryKeys) -> Result<Opener, SegmentError> {
        let (opener, commitment) = keys.segment_cipher(self.kind as u8, &self.salt);
        if bool::from(commitment.ct_eq(&self.commitment)) {
            Ok(opener)
        } else {
            Err(SegmentError::ForeignKey)
        }
    }
}
