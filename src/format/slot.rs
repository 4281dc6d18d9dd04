//! A key slot: the master key wrapped under one passphrase or key file. Knows the layout; deriving
//! the wrapping key is the business of `keys`.

use minicbor::{Decoder, Encoder};

use super::cbor::{self, Cbor, FormatError, INFALLIBLE};

const MAGIC: &[u8; 8] = b"HKEEPKEY";
const VERSION: u64 = 1;

/// How the wrapping key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// From 32 random bytes in a key file.
    KeyFile,
    /// From a passphrase, by Argon2id.
    Passphrase {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
}

/// One way into the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// How the wrapping key is made.
    pub kind: SlotKind,
    /// Makes equal passphrases unequal.
    pub salt: [u8; 32],
    /// Keeps another passphrase from opening this slot.
    pub commitment: [u8; 32],
    /// The master key, sealed: 32 bytes and a tag.
    pub wrapped: [u8; 48],
    /// Seconds since 1970.
    pub created_s: i64,
    /// Whom or what it is for, in the words of whoever added it.
    pub label: String,
}

impl Slot {
    /// No label has more bytes.
    pub const MAX_LABEL_LEN: usize = 256;

    /// The object's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(Cbor::to_bytes(self));
        bytes
    }

    /// Reads a slot; nothing in it is trusted before it opens.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        Cbor::from_bytes(bytes.strip_prefix(MAGIC).ok_or(FormatError::Magic("the key slot"))?)
    }

    /// Everything the wrapping authenticates beside the key: all fields but the last two secrets.
    pub fn associated_data(&self) -> Vec<u8> {
        Self { commitment: [0; 32], wrapped: [0; 48], ..self.clone() }.to_bytes()
    }
}

impl Cbor for Slot {
    const WHAT: &'static str = "key slot";
    const VERSION: Option<u64> = Some(VERSION);

    /// `[1, kind, [memory, passes, lanes], salt, commitment, wrapped, created, label]`.
    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        to.array(8).expect(INFALLIBLE).u64(VERSION).expect(INFALLIBLE);
        let (kind, cost) = match self.kind {
            SlotKind::KeyFile => (0, [0; 3]),
            SlotKind::Passphrase { memory_kib, passes, lanes } => (1, [memory_kib, passes, lanes]),
        };
        to.u8(kind).expect(INFALLIBLE).array(3).expect(INFALLIBLE);
        for number in cost {
            to.u32(number).expect(INFALLIBLE);
        }
        to.bytes(&self.salt).expect(INFALLIBLE).bytes(&self.commitment).expect(INFALLIBLE);
        to.bytes(&self.wrapped).expect(INFALLIBLE);
        to.i64(self.created_s).expect(INFALLIBLE).str(&self.label).expect(INFALLIBLE);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 8)?;
        if from.u64()? != VERSION {
            return Err(cbor::message("another version"));
        }
        let kind = from.u8()?;
        cbor::array_of(from, 3)?;
        let cost = [from.u32()?, from.u32()?, from.u32()?];
        let kind = match (kind, cost) {
            (0, [0, 0, 0]) => SlotKind::KeyFile,
            (1, [memory_kib, passes, lanes]) => SlotKind::Passphrase { memory_kib, passes, lanes },
            _ => return Err(cbor::message("unknown kind of slot")),
        };
        Ok(Self {
            kind,
            salt: cbor::bytes_of(from)?,
            commitment: cbor::bytes_of(from)?,
            wrapped: cbor::bytes_of(from)?,
            created_s: from.i64()?,
            label: cbor::text(from, Self::MAX_LABEL_LEN)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> Slot {
        Slot {
            kind: SlotKind::Passphrase { memory_kib: 262_144, passes: 3, lanes: 4 },
            salt: [1; 32],
            commitment: [2; 32],
            wrapped: [3; 48],
            created_s: 1_764_000_000,
            label: "admin".into(),
        }
    }

    #[test]
    fn a_label_has_at_most_256_bytes() {
        for (length, is_read) in [(256, true), (257, false)] {
            let slot = Slot { label: "x".repeat(length), ..slot() };
            assert_eq!(Slot::from_bytes(&slot.to_bytes()).is_ok(), is_read, "{length}");
        }
    }

    #[test]
    fn both_kinds_read_back_and_damage_is_refused() {
        let slot = slot();
        let file = Slot { kind: SlotKind::KeyFile, ..slot.clone() };
        for slot in [slot, file] {
            let bytes = slot.to_bytes();
            assert_eq!(Slot::from_bytes(&bytes), Ok(slot));
            for length in 0..bytes.len() {
                assert!(Slot::from_bytes(&bytes[..length]).is_err());
            }
        }
    }
}
