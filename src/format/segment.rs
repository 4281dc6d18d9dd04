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

use minicbor::{Decoder, Encoder};
use subtle::ConstantTimeEq;

use super::cbor::{self, Cbor, FormatError, INFALLIBLE};
use crate::codec::{
    ChunkId, Codec, CompressError, Decompressor, Domain, OpenError, Opener, Packed, RepositoryKeys, SALT_LEN,
    TAG_LEN,
};

const MAGIC: &[u8; 7] = b"HKSEGMT";
/// The version of the segment: a digit behind the magic.
const SEGMENT_VERSION: u8 = 1;
const END_MAGIC: &[u8; 8] = b"HKSEGEND";
/// Objects are padded to a multiple of this, so that their sizes say little.
pub const TOC_PADDING: usize = 4 << 10;
/// No object is longer: each is one request on any store, whole or not there.
pub const MAX_OBJECT_LEN: u64 = 64 << 20;
/// No block unpacks to more.
pub const MAX_BLOCK_LEN: usize = 16 << 20;
/// The version of the table of contents.
const VERSION: u64 = 1;
/// No table of contents unpacks to more.
const MAX_TOC_LEN: usize = 48 << 20;

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

/// The first [`Header::LEN`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the segment is for.
    pub kind: SegmentKind,
    salt: [u8; SALT_LEN],
    commitment: [u8; 32],
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

/// A chunk and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    /// The chunk.
    pub id: ChunkId,
    /// Bytes of it.
    pub length: u32,
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

fn block_associated(header: &Header, kind: BlockKind, codec: Codec, raw_len: u32) -> Vec<u8> {
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend([kind as u8, codec as u8]);
    bytes.extend(raw_len.to_le_bytes());
    bytes
}

fn toc_associated(header: &Header, toc_start: u64) -> Vec<u8> {
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend(toc_start.to_le_bytes());
    bytes
}

/// A block waiting to be sealed.
#[derive(Debug)]
pub struct PackedBlock {
    /// Its bytes.
    pub packed: Packed,
    /// Its chunks, in order.
    pub chunks: Vec<ChunkEntry>,
}

/// Gathers packed blocks and turns them into a segment's bytes.
pub struct SegmentWriter {
    kind: SegmentKind,
    data: Vec<PackedBlock>,
    trees: Vec<PackedBlock>,
    stored_len: usize,
    chunks: usize,
}

impl SegmentWriter {
    /// An empty segment.
    pub fn new(kind: SegmentKind) -> Self {
        Self { kind, data: Vec::new(), trees: Vec::new(), stored_len: 0, chunks: 0 }
    }

    /// Adds a block, which is already packed.
    pub fn push(&mut self, kind: BlockKind, packed: Packed, chunks: Vec<ChunkEntry>) {
        self.stored_len += packed.bytes.len() + TAG_LEN;
        self.chunks += chunks.len();
        match kind {
            BlockKind::Data => self.data.push(PackedBlock { packed, chunks }),
            BlockKind::Tree => self.trees.push(PackedBlock { packed, chunks }),
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty() && self.trees.is_empty()
    }

    /// About how long the segment will be.
    pub fn len(&self) -> usize {
        Header::LEN + self.stored_len + 40 * self.chunks + TOC_PADDING
    }

    /// Changes what the segment is for: what began as bulk may end in a commit.
    pub fn set_kind(&mut self, kind: SegmentKind) {
        self.kind = kind;
    }

    /// Seals everything, and opens each part again to prove that it was sealed right.
    pub fn finish(
        self,
        keys: &RepositoryKeys,
        random: &[u8; 32],
        record: Option<Vec<u8>>,
    ) -> Result<(Vec<u8>, Toc), SegmentError> {
        let tree_from = self.data.len();
        let blocks: Vec<PackedBlock> = self.data.into_iter().chain(self.trees).collect();
        let ids = blocks.iter().flat_map(|b| b.chunks.iter().map(|c| &c.id));
        let salt = keys.segment_salt(random, ids, record.as_deref().unwrap_or_default());
        let (sealer, commitment) = keys.segment_cipher(self.kind as u8, &salt);
        let header = Header { kind: self.kind, salt, commitment };

        let mut bytes =
            Vec::with_capacity(Header::LEN + self.stored_len + 40 * self.chunks + 2 * TOC_PADDING);
        bytes.extend(header.to_bytes());
        let mut toc = Toc { blocks: Vec::with_capacity(blocks.len()), record };
        let mut scratch = Vec::new();
        for (index, PackedBlock { packed, chunks }) in blocks.into_iter().enumerate() {
            let start = bytes.len() as u64;
            let raw_len = chunks.iter().map(|c| c.length).sum();
            let kind = if index < tree_from { BlockKind::Data } else { BlockKind::Tree };
            let associated = block_associated(&header, kind, packed.codec, raw_len);
            seal_verified(
                &sealer,
                Domain::Block,
                index as u64,
                &associated,
                &packed.bytes,
                &mut bytes,
                &mut scratch,
            )?;
            let stored_len = (packed.bytes.len() + TAG_LEN) as u32;
            toc.blocks.push(TocBlock { kind, codec: packed.codec, start, stored_len, raw_len, chunks });
        }
        let toc_start = bytes.len();
        let plain = pad_toc(&Cbor::to_bytes(&toc), toc_start)?;
        let associated = toc_associated(&header, toc_start as u64);
        seal_verified(&sealer, Domain::Toc, 0, &associated, &plain, &mut bytes, &mut scratch)?;
        // Proves that every limit is kept, too: what a reader would refuse must not be published.
        if Toc::open(&header, &sealer, toc_start as u64, &bytes[toc_start..])? != toc {
            return Err(SegmentError::Verification);
        }
        let toc_len = (bytes.len() - toc_start) as u32;
        bytes.extend(toc_len.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(END_MAGIC);
        Ok((bytes, toc))
    }
}

/// Appends `plain`, sealed, to `bytes`; then opens what was appended and compares.
fn seal_verified(
    sealer: &Opener,
    domain: Domain,
    position: u64,
    associated: &[u8],
    plain: &[u8],
    bytes: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) -> Result<(), SegmentError> {
    let start = bytes.len();
    bytes.extend_from_slice(plain);
    let tag = sealer.seal(domain, position, associated, &mut bytes[start..]);
    scratch.clear();
    scratch.extend_from_slice(&bytes[start..]);
    bytes.extend(tag);
    match sealer.open(domain, position, associated, scratch, &tag) {
        Ok(()) if scratch == plain => Ok(()),
        _ => Err(SegmentError::Verification),
    }
}

/// Compresses the table and pads it so that the segment ends on a multiple of [`TOC_PADDING`].
fn pad_toc(raw: &[u8], toc_start: usize) -> Result<Vec<u8>, SegmentError> {
    let packed = zstd::bulk::compress(raw, 3).map_err(CompressError::Zstd)?;
    let mut plain = Vec::with_capacity(packed.len() + TOC_PADDING + 8);
    plain.extend((packed.len() as u32).to_le_bytes());
    plain.extend((raw.len() as u32).to_le_bytes());
    plain.extend(packed);
    let unpadded = toc_start + plain.len() + TAG_LEN + Trailer::LEN;
    plain.resize(plain.len() + unpadded.next_multiple_of(TOC_PADDING) - unpadded, 0);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Compressor, MasterKey};

    fn keys(n: u8) -> RepositoryKeys {
        RepositoryKeys::derive(&MasterKey([n; 32]))
    }

    fn segment() -> (Vec<u8>, Toc) {
        let mut compressor = Compressor::new(3).unwrap();
        let mut writer = SegmentWriter::new(SegmentKind::Commit);
        let chunk = |bytes: &[u8]| ChunkEntry { id: keys(1).chunk_id(bytes), length: bytes.len() as u32 };
        let tree = b"a tree";
        writer.push(BlockKind::Tree, compressor.pack(tree).unwrap(), vec![chunk(tree)]);
        let text = b"some text ".repeat(1000);
        writer.push(
            BlockKind::Data,
            compressor.pack(&text).unwrap(),
            vec![chunk(&text[..5]), chunk(&text[5..])],
        );
        writer.finish(&keys(1), &[9; 32], Some(b"record".to_vec())).unwrap()
    }

    fn read(bytes: &[u8], keys: &RepositoryKeys) -> Result<(Toc, Vec<Vec<u8>>), SegmentError> {
        let header = Header::from_bytes(bytes)?;
        let opener = header.opener(keys)?;
        let trailer = Trailer::from_bytes(bytes, bytes.len() as u64)?;
        let toc_range = trailer.toc_start as usize..bytes.len() - Trailer::LEN;
        let toc = Toc::open(&header, &opener, trailer.toc_start, &bytes[toc_range])?;
        let mut raws = vec![];
        for (index, block) in toc.blocks.iter().enumerate() {
            let stored = &bytes[block.start as usize..][..block.stored_len as usize];
            let mut raw = vec![];
            block.open(&header, &opener, index as u32, stored, &mut Decompressor::new()?, &mut raw)?;
            raws.push(raw);
        }
        Ok((toc, raws))
    }

    #[test]
    fn a_segment_reads_back_with_trees_behind_data_and_is_padded() {
        let (bytes, written) = segment();
        assert_eq!(bytes.len() % TOC_PADDING, 0);
        let (toc, raws) = read(&bytes, &keys(1)).unwrap();
        assert_eq!(toc, written);
        assert_eq!(raws, [b"some text ".repeat(1000), b"a tree".to_vec()]);
        assert_eq!(toc.record.as_deref(), Some(&b"record"[..]));
        assert_eq!(toc.tree_start(), Some(toc.blocks[1].start));
    }

    #[test]
    fn a_segment_of_a_newer_version_is_called_so() {
        let (mut bytes, _) = segment();
        bytes[7] = b'2';
        let newer = FormatError::Version { what: "the segment", found: 2, known: 1 };
        assert_eq!(Header::from_bytes(&bytes), Err(newer));
    }

    #[test]
    fn what_a_reader_would_refuse_is_not_sealed() {
        let mut writer = SegmentWriter::new(SegmentKind::Bulk);
        let chunk = ChunkEntry { id: ChunkId([1; 32]), length: MAX_BLOCK_LEN as u32 + 1 };
        writer.push(BlockKind::Data, Packed { codec: Codec::Stored, bytes: vec![1] }, vec![chunk]);
        assert!(writer.finish(&keys(1), &[9; 32], None).is_err());
    }

    #[test]
    fn a_table_is_not_looked_for_in_an_object_of_impossible_length() {
        let mut end = ((MAX_OBJECT_LEN as u32) - 80).to_le_bytes().to_vec();
        end.extend([0; 4]);
        end.extend(END_MAGIC);
        assert!(Trailer::from_bytes(&end, MAX_OBJECT_LEN).is_err());
        assert!(Trailer::from_bytes(&end, MAX_OBJECT_LEN + 16).is_err());
        end[..4].copy_from_slice(&100_u32.to_le_bytes());
        assert!(Trailer::from_bytes(&end, MAX_OBJECT_LEN).is_ok());
        assert!(Trailer::from_bytes(&end, MAX_OBJECT_LEN + 1).is_err());
    }

    #[test]
    fn another_repositorys_segment_is_called_so() {
        assert!(matches!(read(&segment().0, &keys(2)), Err(SegmentError::ForeignKey)));
    }

    #[test]
    fn every_flipped_byte_and_every_truncation_is_noticed() {
        let (bytes, _) = segment();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(read(&damaged, &keys(1)).is_err(), "byte {at}");
            assert!(read(&bytes[..at], &keys(1)).is_err(), "length {at}");
        }
    }
}
