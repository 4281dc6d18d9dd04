//! The pages of a long listing, by their ids. Knows how many entries each has, not which.

use minicbor::{Decoder, Encoder};

use super::super::cbor::{self, Cbor, FormatError, INFALLIBLE};
use super::MAX_PAGE_ENTRIES;
use crate::codec::ChunkId;

/// The pages of a listing too long for one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageIndex {
    /// Each page's id and number of entries, in order of names.
    pub pages: Vec<(ChunkId, u64)>,
}

impl PageIndex {
    /// The object's bytes; their tree id names it.
    pub fn to_bytes(&self) -> Vec<u8> {
        Cbor::to_bytes(self)
    }

    /// Reads an index; refuses anything that [`PageIndex::to_bytes`] would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        Cbor::from_bytes(bytes)
    }
}

impl Cbor for PageIndex {
    const WHAT: &'static str = "page index";

    /// `[1, ids, [count, …]]`.
    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        to.array(3).expect(INFALLIBLE).u8(1).expect(INFALLIBLE);
        to.bytes_len(32 * self.pages.len() as u64).expect(INFALLIBLE);
        for (id, _) in &self.pages {
            to.writer_mut().extend_from_slice(id.as_bytes());
        }
        to.array(self.pages.len() as u64).expect(INFALLIBLE);
        for (_, count) in &self.pages {
            to.u64(*count).expect(INFALLIBLE);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 3)?;
        if from.u8()? != 1 {
            return Err(cbor::message("not a page index"));
        }
        let ids = from.bytes()?;
        let count = cbor::array(from)?;
        if count.checked_mul(32) != Some(ids.len() as u64) {
            return Err(cbor::message("as many ids as counts"));
        }
        let mut ids = ids.chunks_exact(32).map(|id| ChunkId::from_slice(id).expect("chunks_exact(32)"));
        let pages = cbor::items(from, count, |from| Ok((ids.next().expect("counted above"), from.u64()?)))?;
        if pages.len() < 2
            || pages.iter().any(|(_, entries)| !(1..=MAX_PAGE_ENTRIES as u64).contains(entries))
        {
            return Err(cbor::message("an index of one page, or of pages of impossible length"));
        }
        Ok(Self { pages })
    }
}
