//! AES-256-GCM under a key that seals one segment only. Nonces are positions, so one cannot
//! repeat under a key, and no limit on the volume sealed per key is ever near.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};

/// Bytes of authentication tag behind every sealed run.
pub const TAG_LEN: usize = 16;
/// Bytes of a segment's salt.
pub const SALT_LEN: usize = 32;

/// What is sealed at a position; part of the nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Domain {
    /// A block of chunks; the position is its index.
    Block = 0,
    /// The table of contents; position 0.
    Toc = 1,
}

/// The bytes are not what was sealed at this position under this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("authentication failed: the bytes are damaged or belong elsewhere")]
pub struct OpenError;

/// Seals and opens the parts of one segment.
pub struct Sealer(Aes256Gcm);

/// A [`Sealer`] is all it takes to open; the name says which way data flows.
pub type Opener = Sealer;

impl Sealer {
    /// The cipher for a key of its own.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Aes256Gcm::new(key.into()))
    }

    /// Encrypts `buffer` in place and returns the tag to store behind it.
    pub fn seal(&self, domain: Domain, position: u64, associated: &[u8], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        self.0
            .encrypt_inout_detached(&nonce(domain, position), associated, buffer.into())
            .expect("a segment is far below the 64 GiB that one message may have")
            .into()
    }

    /// Decrypts `buffer` in place when its tag is right; otherwise its contents are unspecified.
    pub fn open(
        &self,
        domain: Domain,
        position: u64,
        associated: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), OpenError> {
        self.0
            .decrypt_inout_detached(&nonce(domain, position), associated, buffer.into(), &Tag::from(*tag))
            .map_err(|_| OpenError)
    }
}

/// Twelve bytes: the domain, three zeros, the position in little-endian order.
fn nonce(domain: Domain, position: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut bytes = [0; 12];
    bytes[0] = domain as u8;
    bytes[4..].copy_from_slice(&position.to_le_bytes());
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_at_its_place() {
        let sealer = Sealer::new(&[3; 32]);
        let mut bytes = b"forty-two".to_vec();
        let tag = sealer.seal(Domain::Block, 5, b"aad", &mut bytes);
        let open = |domain, position, aad: &[u8], tag: &[u8; 16]| {
            let mut copy = bytes.clone();
            sealer.open(domain, position, aad, &mut copy, tag).map(|()| copy)
        };
        assert_eq!(open(Domain::Block, 5, b"aad", &tag), Ok(b"forty-two".to_vec()));
        assert_eq!(open(Domain::Block, 6, b"aad", &tag), Err(OpenError));
        assert_eq!(open(Domain::Toc, 5, b"aad", &tag), Err(OpenError));
        assert_eq!(open(Domain::Block, 5, b"aae", &tag), Err(OpenError));
        assert_eq!(open(Domain::Block, 5, b"aad", &[0; 16]), Err(OpenError));
    }

    /// NIST GCM specification, test case 14: zero key, zero nonce, sixteen zero bytes.
    #[test]
    fn the_cipher_is_the_published_one() {
        let mut bytes = [0; 16];
        let tag = Sealer::new(&[0; 32]).seal(Domain::Block, 0, b"", &mut bytes);
        assert_eq!(
            bytes,
            [0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18]
        );
        assert_eq!(
            tag,
            [0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19]
        );
    }
}
