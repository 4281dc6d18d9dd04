//! The table of contents: a segment's blocks, the chunks in them, and a record. Knows how both table and
//! blocks are opened, not where their bytes come from.

use minicbor::{Decoder, Encoder};

use super::super::cbor::{self, Cbor, FormatError, INFALLIBLE};
use super::{Header, MAX_BLOCK_LEN, MAX_OBJECT_LEN, SegmentError};
use crate::codec::{ChunkId, Codec, Decompressor, Domain, Opener, TAG_LEN};

/// The version of the table of contents.
const VERSION: u64 = 1;
/// No table of contents unpacks to more.
const MAX_TOC_LEN: usize = 48 << 20;

/// The table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toc {
    /// In the order they stand, data blocks first.
    pub blocks: Vec<TocBlock>,
    /// A commit's snapshot record; what else the kind of segment carries.
    pub record: Option<Vec<u8>>,
}

impl Toc {
    /// Opens the sealed table that begins at `toc_start`.
    pub fn open(
        header: &Header,
        opener: &Opener,
        toc_start: u64,
        sealed: &[u8],
    ) -> Result<Self, SegmentError> {
        let malformed = |reason: &str| FormatError::malformed("table of contents", reason);
        let (body, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or_else(|| malformed("too short"))?;
        let mut plain = body.to_vec();
        opener.open(Domain::Toc, 0, &toc_associated(header, toc_start), &mut plain, tag)?;
        let number = |at: usize| -> Option<usize> {
            Some(u32::from_le_bytes(plain.get(at..at + 4)?.try_into().ok()?) as usize)
        };
        let (packed_len, raw_len) = number(0).zip(number(4)).ok_or_else(|| malformed("too short"))?;
        let packed = plain.get(8..8 + packed_len).ok_or_else(|| malformed("lengths do not fit"))?;
        if raw_len > MAX_TOC_LEN || plain[8 + packed_len..].iter().any(|b| *b != 0) {
            return Err(malformed("length or padding out of range").into());
        }
        let mut raw = Vec::new();
        Decompressor::new()?.unpack_into(Codec::Zstd, packed, raw_len, &mut raw)?;
        let toc: Self = Cbor::from_bytes(&raw)?;
        match toc.blocks.last().map_or(Header::LEN as u64, |b| b.start + u64::from(b.stored_len)) {
            end if end == toc_start => Ok(toc),
            _ => Err(malformed("blocks do not fill the segment").into()),
        }
    }

    /// Where the tree blocks begin: one read from here to the end has everything but file data.
    pub fn tree_start(&self) -> Option<u64> {
        self.blocks.iter().find(|b| b.kind == BlockKind::Tree).map(|b| b.start)
    }
}

impl Cbor for Toc {
    const WHAT: &'static str = "table of contents";
    const VERSION: Option<u64> = Some(VERSION);

    /// `[1, [[kind, codec, stored length, ids, [length, …]], …], record or null]`.
    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        to.array(3).expect(INFALLIBLE).u64(VERSION).expect(INFALLIBLE);
        to.array(self.blocks.len() as u64).expect(INFALLIBLE);
        for block in &self.blocks {
            to.array(5).expect(INFALLIBLE);
            to.u8(block.kind as u8).expect(INFALLIBLE).u8(block.codec as u8).expect(INFALLIBLE);
            to.u32(block.stored_len).expect(INFALLIBLE);
            to.bytes_len(32 * block.chunks.len() as u64).expect(INFALLIBLE);
            for chunk in &block.chunks {
                to.writer_mut().extend_from_slice(chunk.id.as_bytes());
            }
            to.array(block.chunks.len() as u64).expect(INFALLIBLE);
            for chunk in &block.chunks {
                to.u32(chunk.length).expect(INFALLIBLE);
            }
        }
        match &self.record {
            Some(record) => to.bytes(record).expect(INFALLIBLE),
            None => to.null().expect(INFALLIBLE),
        };
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 3)?;
        if from.u64()? != VERSION {
            return Err(cbor::message("another version"));
        }
        let mut start = Header::LEN as u64;
        let count = cbor::array(from)?;
        let blocks = cbor::items(from, count, |from| {
            let block = TocBlock::decode(from, start)?;
            start += u64::from(block.stored_len);
            Ok(block)
        })?;
        if !blocks.is_sorted_by_key(|b| b.kind as u8) {
            return Err(cbor::message("a data block behind a tree block"));
        }
        let record = match from.datatype()? {
            minicbor::data::Type::Null => {
                from.null()?;
                None
            }
            _ => Some(from.bytes()?.to_vec()),
        };
        Ok(Self { blocks, record })
    }
}

/// What the table of contents says of a block. Chunks stand in the unpacked block in this order, back to back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TocBlock {
    /// What its chunks are.
    pub kind: BlockKind,
    /// How it is packed.
    pub codec: Codec,
    /// Where it begins in the object.
    pub start: u64,
    /// Bytes in the object, tag included.
    pub stored_len: u32,
    /// Bytes when unpacked.
    pub raw_len: u32,
    /// Its chunks.
    pub chunks: Vec<ChunkEntry>,
}

impl TocBlock {
    fn decode(from: &mut Decoder<'_>, start: u64) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 5)?;
        let kind = match from.u8()? {
            0 => BlockKind::Data,
            1 => BlockKind::Tree,
            _ => return Err(cbor::message("unknown kind of block")),
        };
        let codec = match from.u8()? {
            0 => Codec::Stored,
            1 => Codec::Zstd,
            _ => return Err(cbor::message("unknown codec")),
        };
        let stored_len = from.u32()?;
        let ids = from.bytes()?;
        let count = cbor::array(from)?;
        if count.checked_mul(32) != Some(ids.len() as u64) {
            return Err(cbor::message("as many ids as lengths"));
        }
        let mut raw_len = 0_usize;
        let mut ids = ids.chunks_exact(32).map(|id| ChunkId::from_slice(id).expect("chunks_exact(32)"));
        let chunks = cbor::items(from, count, |from| {
            let chunk = ChunkEntry { id: ids.next().expect("counted above"), length: from.u32()? };
            raw_len += chunk.length as usize;
            if chunk.length == 0 { Err(cbor::message("an empty chunk")) } else { Ok(chunk) }
        })?;
        if chunks.is_empty()
            || raw_len > MAX_BLOCK_LEN
            || (stored_len as usize) < TAG_LEN
            || u64::from(stored_len) > MAX_OBJECT_LEN
        {
            return Err(cbor::message("a block's length out of range"));
        }
        Ok(Self { kind, codec, start, stored_len, raw_len: raw_len as u32, chunks })
    }

    /// Opens and unpacks the block at `index` from its `stored_len` bytes. The chunks in it are not yet verified.
    pub fn open(
        &self,
        header: &Header,
        opener: &Opener,
        index: u32,
        stored: &[u8],
        unpack: &mut Decompressor,
        raw: &mut Vec<u8>,
    ) -> Result<(), SegmentError> {
        let malformed = || FormatError::malformed("block", "shorter than its tag");
        let (body, tag) = stored.split_last_chunk::<TAG_LEN>().ok_or_else(malformed)?;
        let mut plain = body.to_vec();
        let associated = block_associated(header, self.kind, self.codec, self.raw_len);
        opener.open(Domain::Block, index.into(), &associated, &mut plain, tag)?;
        unpack.unpack_into(self.codec, &plain, self.raw_len as usize, raw)?;
        Ok(())
    }
}

/// A chunk and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    /// The chunk.
    pub id: ChunkId,
    /// Bytes of it.
    pub length: u32,
}

/// What a block's chunks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BlockKind {
    /// File data.
    Data = 0,
    /// Tree pages, page indexes, content lists.
    Tree = 1,
}

/// What a block's tag covers beside its bytes.
pub(super) fn block_associated(header: &Header, kind: BlockKind, codec: Codec, raw_len: u32) -> Vec<u8> {
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend([kind as u8, codec as u8]);
    bytes.extend(raw_len.to_le_bytes());
    bytes
}

/// What the table's tag covers beside its bytes.
pub(super) fn toc_associated(header: &Header, toc_start: u64) -> Vec<u8> {
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend(toc_start.to_le_bytes());
    bytes
}
