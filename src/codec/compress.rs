//! Blocks to fewer bytes and back: zstd, or stored as they are when that does not pay.

use std::io;

use zstd::zstd_safe;

/// How a block's bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// As they are.
    Stored = 0,
    /// One zstd frame.
    Zstd = 1,
}

/// What can go wrong with a block's bytes.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// zstd refused; on reading, the frame is damaged or larger than declared.
    #[error("zstd: {0}")]
    Zstd(io::Error),
    /// The frame holds another number of bytes than declared.
    #[error("block unpacks to {actual} bytes, {declared} were declared")]
    Length {
        /// Bytes the table of contents speaks of.
        declared: usize,
        /// Bytes that came out.
        actual: usize,
    },
    /// What came back was not what went in: the compressor or the memory is broken.
    #[error("a block did not survive compression; the machine's memory or the zstd library is faulty")]
    Verification,
}

/// A packed block.
#[derive(Debug)]
pub struct Packed {
    /// How `bytes` are kept.
    pub codec: Codec,
    /// The block as it will be sealed.
    pub bytes: Vec<u8>,
}

/// Packs blocks at one level; keeps zstd's working memory between blocks.
pub struct Compressor {
    zstd: zstd::bulk::Compressor<'static>,
    probe: zstd::bulk::Compressor<'static>,
    check: Decompressor,
    packed: Vec<u8>,
    scratch: Vec<u8>,
}

/// Bytes looked at, in pieces spread over a block, to tell whether compressing it will pay.
const PROBE_PIECE: usize = 4 << 10;
const PROBE_PIECES: usize = 4;
/// Compression pays when it saves at least one part in this many.
const WORTHWHILE: usize = 32;

impl Compressor {
    /// A compressor at a zstd level from -7 to 19.
    pub fn new(level: i32) -> Result<Self, CompressError> {
        let compressor = |level| zstd::bulk::Compressor::new(level).map_err(CompressError::Zstd);
        Ok(Self {
            zstd: compressor(level)?,
            probe: compressor(1)?,
            check: Decompressor::new()?,
            packed: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Packs `raw` and proves that it unpacks to the same bytes again.
    pub fn pack(&mut self, raw: &[u8]) -> Result<Packed, CompressError> {
        if !self.looks_compressible(raw)? {
            return Ok(stored(raw));
        }
        self.packed.clear();
        self.packed.reserve(zstd_safe::compress_bound(raw.len()));
        let length = self.zstd.compress_to_buffer(raw, &mut self.packed).map_err(CompressError::Zstd)?;
        if length > raw.len() - raw.len() / WORTHWHILE {
            return Ok(stored(raw));
        }
        let packed = Packed { codec: Codec::Zstd, bytes: self.packed.clone() };
        self.check.unpack_into(packed.codec, &packed.bytes, raw.len(), &mut self.scratch)?;
        if self.scratch != raw {
            return Err(CompressError::Verification);
        }
        Ok(packed)
    }

    /// Trying a few pieces at the fastest level costs little; compressing a whole block of noise costs much.
    fn looks_compressible(&mut self, raw: &[u8]) -> Result<bool, CompressError> {
        if raw.len() < 2 * PROBE_PIECE * PROBE_PIECES {
            return Ok(true);
        }
        let step = (raw.len() - PROBE_PIECE) / (PROBE_PIECES - 1);
        for piece in 0..PROBE_PIECES {
            let start = piece * step;
            let sample = &raw[start..start + PROBE_PIECE];
            self.scratch.resize(zstd_safe::compress_bound(PROBE_PIECE), 0);
            let length =
                self.probe.compress_to_buffer(sample, &mut self.scratch[..]).map_err(CompressError::Zstd)?;
            if length < PROBE_PIECE - PROBE_PIECE / WORTHWHILE {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn stored(raw: &[u8]) -> Packed {
    Packed { codec: Codec::Stored, bytes: raw.to_vec() }
}

/// Unpacks blocks; never gives more bytes than were declared.
pub struct Decompressor(zstd::bulk::Decompressor<'static>);

impl Decompressor {
    /// Working memory for unpacking.
    pub fn new() -> Result<Self, CompressError> {
        zstd::bulk::Decompressor::new().map(Self).map_err(CompressError::Zstd)
    }

    /// Unpacks into `raw`, which will hold exactly `declared` bytes. The caller has bounded `declared`.
    pub fn unpack_into(
        &mut self,
        codec: Codec,
        packed: &[u8],
        declared: usize,
        raw: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        raw.clear();
        let actual = match codec {
            Codec::Stored => {
                raw.extend_from_slice(packed);
                packed.len()
            }
            Codec::Zstd => {
                raw.reserve_exact(declared);
                self.0.decompress_to_buffer(packed, raw).map_err(CompressError::Zstd)?
            }
        };
        if actual != declared {
            return Err(CompressError::Length { declared, actual });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn text_shrinks_and_noise_is_stored() {
        let mut compressor = Compressor::new(3).unwrap();
        let text = b"all work and no play ".repeat(10_000);
        let packed = compressor.pack(&text).unwrap();
        assert_eq!(packed.codec, Codec::Zstd);
        assert!(packed.bytes.len() < text.len() / 20);
        let noise = noise(1 << 20);
        let packed = compressor.pack(&noise).unwrap();
        assert_eq!((packed.codec, packed.bytes), (Codec::Stored, noise));
    }

    #[test]
    fn a_block_that_is_noise_only_at_its_ends_is_compressed() {
        let mut block = noise(16 << 10);
        block.extend(b"text ".repeat(100_000));
        block.extend(noise(16 << 10));
        assert_eq!(Compressor::new(3).unwrap().pack(&block).unwrap().codec, Codec::Zstd);
    }

    #[test]
    fn a_frame_larger_than_declared_is_refused() {
        let packed = Compressor::new(3).unwrap().pack(&vec![0; 1 << 20]).unwrap();
        let mut raw = vec![];
        let mut unpack = |declared| {
            Decompressor::new().unwrap().unpack_into(packed.codec, &packed.bytes, declared, &mut raw)
        };
        assert!(unpack(1 << 20).is_ok());
        assert!(unpack((1 << 20) - 1).is_err());
        assert!(unpack((1 << 20) + 1).is_err());
        assert!(unpack(0).is_err());
    }
}
