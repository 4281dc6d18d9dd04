//! Turns packed blocks into a segment's bytes, and proves that they open again. Knows no store.

use super::super::cbor::Cbor;
use super::toc::{block_associated, toc_associated};
use super::trailer::END_MAGIC;
use super::{BlockKind, ChunkEntry, Header, SegmentError, SegmentKind, TOC_PADDING, Toc, TocBlock, Trailer};
use crate::codec::{CompressError, Domain, Opener, Packed, RepositoryKeys, TAG_LEN};

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

/// A block waiting to be sealed.
struct PackedBlock {
    /// Its bytes.
    packed: Packed,
    /// Its chunks, in order.
    chunks: Vec<ChunkEntry>,
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
