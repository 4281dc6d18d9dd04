//! Hints: numbered byte strings of later programs. They are kept, so that what was read is written with
//! the same bytes, and ignored. Knows how they are written and bounded, not what any of them says.

use minicbor::{Decoder, Encoder};

use super::cbor::{self, INFALLIBLE};

/// A hint's number and what it says.
pub type Hint = (u64, Vec<u8>);

/// What one place takes.
pub(super) struct Bounds {
    /// So many hints.
    pub count: usize,
    /// So many bytes in all of them.
    pub bytes: usize,
}

/// Writes hints as items of a map whose head is written.
pub(super) fn encode(hints: &[Hint], to: &mut Encoder<Vec<u8>>) {
    for (key, value) in hints {
        to.u64(*key).expect(INFALLIBLE).bytes(value).expect(INFALLIBLE);
    }
}

/// Reads the value of `key`, which was read, and adds both to the hints before it.
pub(super) fn decode_next(
    key: u64,
    from: &mut Decoder<'_>,
    bounds: &Bounds,
    hints: &mut Vec<Hint>,
) -> Result<(), minicbor::decode::Error> {
    let value = from.bytes()?;
    if hints.last().is_some_and(|(last, _)| *last >= key) {
        return Err(cbor::message("hints out of order"));
    }
    let bytes: usize = hints.iter().map(|(_, value)| value.len()).sum();
    if hints.len() >= bounds.count || bytes + value.len() > bounds.bytes {
        return Err(cbor::message("more hints than there may be"));
    }
    hints.push((key, value.to_vec()));
    Ok(())
}
