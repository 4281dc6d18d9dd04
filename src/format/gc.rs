//! The record of garbage collection: which segments are going to be deleted, or were. It stands in the
//! table of contents of a segment of kind `Collection`, below `gc/`. What it is good for stands in docs/safety.md.

use minicbor::{Decoder, Encoder};

use super::cbor::{self, Cbor, FormatError, INFALLIBLE};
use super::commit::{deps, read_deps};

/// The version of the record that this program reads and writes.
const VERSION: u64 = 1;

/// Leading bytes of the hash of a segment or commit, which is how sets of them are kept short.
pub type ShortHash = [u8; 8];

/// What a record says of its segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum GcKind {
    /// They are going to be deleted, unless a snapshot turns out to need them. None of them is used for
    /// anything new any more.
    Condemned = 0,
    /// They were deleted.
    Deleted = 1,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcRecord {
    /// What it says.
    pub kind: GcKind,
    /// When it was made: milliseconds since 1970, by the clock of the host.
    pub time_ms: i64,
    /// The host that made it.
    pub host: String,
    /// The segments and commits it speaks of, ascending.
    pub segments: Vec<ShortHash>,
    /// The commits that were there and needed when it was made, ascending. If one of them is gone later
    /// and no record says so, something is wrong with the store.
    pub commits: Vec<ShortHash>,
}

impl GcRecord {
    /// The host's name has no more bytes.
    pub const MAX_HOST_LEN: usize = 256;

    /// The record's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        Cbor::to_bytes(self)
    }

    /// Reads a record; refuses anything that [`GcRecord::to_bytes`] would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        Cbor::from_bytes(bytes)
    }
}

impl Cbor for GcRecord {
    const WHAT: &'static str = "garbage collection record";
    const VERSION: Option<u64> = Some(VERSION);

    /// `[1, kind, time, host, segments, commits]`.
    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        to.array(6).expect(INFALLIBLE).u64(VERSION).expect(INFALLIBLE);
        to.u8(self.kind as u8).expect(INFALLIBLE).i64(self.time_ms).expect(INFALLIBLE);
        to.str(&self.host).expect(INFALLIBLE);
        deps(to, &self.segments);
        deps(to, &self.commits);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 6)?;
        if from.u64()? != VERSION {
            return Err(cbor::message("another version"));
        }
        let kind = match from.u8()? {
            0 => GcKind::Condemned,
            1 => GcKind::Deleted,
            _ => return Err(cbor::message("unknown kind")),
        };
        Ok(Self {
            kind,
            time_ms: from.i64()?,
            host: cbor::text(from, Self::MAX_HOST_LEN)?,
            segments: read_deps(from)?,
            commits: read_deps(from)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_disorder_is_refused() {
        let record = GcRecord {
            kind: GcKind::Deleted,
            time_ms: -1,
            host: "node".into(),
            segments: vec![[1; 8], [2; 8]],
            commits: vec![[0; 8]],
        };
        assert_eq!(GcRecord::from_bytes(&record.to_bytes()), Ok(record.clone()));
        let disorder = GcRecord { segments: vec![[2; 8], [1; 8]], ..record.clone() };
        assert!(GcRecord::from_bytes(&disorder.to_bytes()).is_err());
        let twice = GcRecord { commits: vec![[0; 8]; 2], ..record };
        assert!(GcRecord::from_bytes(&twice.to_bytes()).is_err());
    }
}
