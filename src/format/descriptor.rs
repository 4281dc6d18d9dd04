//! The object `format`: what every program must know before it reads anything else.

use minicbor::{Decoder, Encoder};

use super::cbor::{self, Cbor, FormatError, INFALLIBLE};
use crate::codec::{ChunkerParameters, RepositoryKeys};

const MAGIC: &[u8; 8] = b"HOMEKEEP";
const VERSION: u64 = 1;
/// Features this program knows; it refuses repositories that use others.
const KNOWN_FEATURES: [&str; 0] = [];

/// A repository's identity and parameters. Written once; readable without a key, authentic with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Random; tells repositories apart.
    pub repository_id: [u8; 16],
    /// How files are cut here.
    pub chunker: ChunkerParameters,
    /// Bytes of file data that a block gathers before it is compressed.
    pub block_len: u32,
    /// What a program must know to use this repository.
    pub features: Vec<String>,
}

impl Descriptor {
    /// `magic (8) ‖ CBOR ‖ tag (32)`; the tag is keyed, so that nobody without the key can change a parameter.
    pub fn to_bytes(&self, keys: &RepositoryKeys) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(Cbor::to_bytes(self));
        let tag = keys.descriptor_tag(&bytes);
        bytes.extend(tag);
        bytes
    }

    /// Reads a descriptor whose tag is not checked yet.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(FormatError::Magic("the descriptor"))?;
        if rest.len() < 32 {
            return Err(FormatError::malformed("descriptor", "too short"));
        }
        cbor::check_version(rest, "the repository", VERSION)?;
        let descriptor: Self = Cbor::from_bytes(&rest[..rest.len() - 32])?;
        match descriptor.features.iter().find(|f| !KNOWN_FEATURES.contains(&f.as_str())) {
            Some(unknown) => Err(FormatError::Feature(unknown.clone())),
            None => Ok(descriptor),
        }
    }

    /// Whether the bytes were written by someone who has the key.
    pub fn is_authentic(bytes: &[u8], keys: &RepositoryKeys) -> bool {
        use subtle::ConstantTimeEq;
        bytes.len() > 32 && {
            let (body, tag) = bytes.split_at(bytes.len() - 32);
            bool::from(keys.descriptor_tag(body).as_slice().ct_eq(tag))
        }
    }
}

impl Cbor for Descriptor {
    const WHAT: &'static str = "descriptor";

    /// `[version, repository id, [min, average, max], block length, [feature, …]]`.
    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        to.array(5).expect(INFALLIBLE).u64(VERSION).expect(INFALLIBLE);
        to.bytes(&self.repository_id).expect(INFALLIBLE);
        let c = &self.chunker;
        to.array(3).expect(INFALLIBLE);
        to.u32(c.min).expect(INFALLIBLE).u32(c.average).expect(INFALLIBLE).u32(c.max).expect(INFALLIBLE);
        to.u32(self.block_len).expect(INFALLIBLE);
        to.array(self.features.len() as u64).expect(INFALLIBLE);
        for feature in &self.features {
            to.str(feature).expect(INFALLIBLE);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 5)?;
        if from.u64()? != VERSION {
            return Err(cbor::message("another version"));
        }
        let repository_id = cbor::bytes_of(from)?;
        cbor::array_of(from, 3)?;
        let chunker = ChunkerParameters { min: from.u32()?, average: from.u32()?, max: from.u32()? };
        let block_len = from.u32()?;
        if !chunker.are_sound() || !(1 << 16..=8 << 20).contains(&block_len) {
            return Err(cbor::message("chunker parameters or block length out of range"));
        }
        let count = cbor::array(from)?;
        let features = cbor::items(from, count, |from| Ok(from.str()?.to_string()))?;
        Ok(Self { repository_id, chunker, block_len, features })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::MasterKey;

    fn descriptor() -> Descriptor {
        Descriptor {
            repository_id: [1; 16],
            chunker: ChunkerParameters::DEFAULT,
            block_len: 1 << 20,
            features: vec![],
        }
    }

    #[test]
    fn it_reads_back_and_knows_its_key() {
        let keys = RepositoryKeys::derive(&MasterKey([1; 32]));
        let bytes = descriptor().to_bytes(&keys);
        assert_eq!(Descriptor::from_bytes(&bytes), Ok(descriptor()));
        assert!(Descriptor::is_authentic(&bytes, &keys));
        assert!(!Descriptor::is_authentic(&bytes, &RepositoryKeys::derive(&MasterKey([2; 32]))));
    }

    #[test]
    fn unknown_versions_and_features_are_told_apart_from_damage() {
        let keys = RepositoryKeys::derive(&MasterKey([1; 32]));
        let mut newer = descriptor().to_bytes(&keys);
        newer[9] = 2;
        assert!(matches!(Descriptor::from_bytes(&newer), Err(FormatError::Version { found: 2, .. })));
        let featured = Descriptor { features: vec!["telepathy".into()], ..descriptor() }.to_bytes(&keys);
        assert_eq!(Descriptor::from_bytes(&featured), Err(FormatError::Feature("telepathy".into())));
        assert!(matches!(Descriptor::from_bytes(b"something else"), Err(FormatError::Magic(_))));
    }
}
