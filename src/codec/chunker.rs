//! Where files are cut: FastCDC with a gear table drawn from the repository key.

use fastcdc::v2020::{Normalization, cut_gear, select_masks};

/// Smallest, average and largest chunk, in bytes. Fixed when a repository is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkerParameters {
    /// No cut before this many bytes.
    pub min: u32,
    /// What sizes cluster around; a power of two.
    pub average: u32,
    /// A cut here at the latest.
    pub max: u32,
}

impl ChunkerParameters {
    /// Chosen by measurement; the table stands in docs/design.md.
    pub const DEFAULT: Self = Self { min: 64 << 10, average: 256 << 10, max: 1 << 20 };

    /// Whether a chunker can be made of these numbers. Read from storage, they can be anything.
    pub fn are_sound(&self) -> bool {
        (1 << 10..=1 << 20).contains(&self.min)
            && (1 << 12..=1 << 22).contains(&self.average)
            && self.max <= 1 << 23
            && self.average.is_power_of_two()
            && self.min.is_multiple_of(2)
            && self.max.is_multiple_of(2)
            && self.min < self.average
            && self.average < self.max
    }
}

/// Finds where the next chunk of a stream ends.
pub struct Chunker {
    parameters: ChunkerParameters,
    mask_small: u64,
    mask_large: u64,
    gear: Box<[u64; 256]>,
    gear_shifted: Box<[u64; 256]>,
}

impl Chunker {
    /// A chunker for parameters that [`ChunkerParameters::are_sound`].
    pub fn new(parameters: ChunkerParameters, gear: [u64; 256]) -> Self {
        assert!(parameters.are_sound(), "unsound chunker parameters: {parameters:?}");
        let (mask_small, mask_large) = select_masks(parameters.average as usize, Normalization::Level1);
        Self {
            parameters,
            mask_small,
            mask_large,
            gear_shifted: Box::new(gear.map(|word| word << 1)),
            gear: Box::new(gear),
        }
    }

    /// The length of the first chunk of `bytes`: all of them if fewer than the smallest chunk.
    /// Unless the stream ends with `bytes`, give at least [`Chunker::window`] of them.
    pub fn cut(&self, bytes: &[u8]) -> usize {
        let p = &self.parameters;
        let (_, length) = cut_gear(
            bytes,
            p.min as usize,
            p.average as usize,
            p.max as usize,
            self.mask_small,
            self.mask_large,
            self.mask_small << 1,
            self.mask_large << 1,
            &self.gear[..],
            &self.gear_shifted[..],
        );
        length
    }

    /// How many bytes decide a cut: the largest chunk.
    pub fn window(&self) -> usize {
        self.parameters.max as usize
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

    fn chunker(seed: &[u8; 32]) -> Chunker {
        let keys = crate::codec::RepositoryKeys::derive(&crate::codec::MasterKey(*seed));
        Chunker::new(ChunkerParameters { min: 4096, average: 16384, max: 65536 }, keys.gear_table())
    }

    fn cuts(chunker: &Chunker, mut bytes: &[u8]) -> Vec<usize> {
        let mut lengths = vec![];
        while !bytes.is_empty() {
            let length = chunker.cut(bytes);
            lengths.push(length);
            bytes = &bytes[length..];
        }
        lengths
    }

    #[test]
    fn an_insertion_moves_only_the_chunks_around_it() {
        let mut bytes = noise(1 << 20);
        let chunker = chunker(&[1; 32]);
        let before = cuts(&chunker, &bytes);
        bytes.splice(300_000..300_000, *b"inserted");
        let after = cuts(&chunker, &bytes);
        let same_tail = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
        assert!(before.len() - same_tail < before.len() / 2, "{before:?} {after:?}");
    }

    #[test]
    fn sizes_stay_within_bounds_and_depend_on_the_key() {
        let bytes = noise(1 << 20);
        let lengths = cuts(&chunker(&[1; 32]), &bytes);
        let (last, rest) = lengths.split_last().unwrap();
        assert!(rest.iter().all(|l| (4096..=65536).contains(l)) && *last <= 65536);
        assert_ne!(lengths, cuts(&chunker(&[2; 32]), &bytes));
    }
}
