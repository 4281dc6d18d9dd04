//! The identities everything is named by. Knows how they print and parse, not what they name.

use std::fmt;
use std::str::FromStr;

/// Raised when a text is not the hexadecimal form of an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal digits")]
pub struct ParseIdError {
    expected: usize,
}

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The identity's bytes.
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Reads an identity from exactly [`Self::LEN`] bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Lower-case hexadecimal, the form used in object names.
            pub fn to_hex(self) -> String {
                hex(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), &hex(&self.0)[..16])
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; $len];
                unhex(text, &mut bytes).ok_or(ParseIdError { expected: 2 * $len })?;
                Ok(Self(bytes))
            }
        }
    };
}

identity!(
    /// Names a run of content: keyed BLAKE3 of its bytes. File data and trees use different
    /// keys, so a file that looks like a tree never gets the tree's name.
    ChunkId,
    32
);
identity!(
    /// Names a stored object: BLAKE3, without a key, of all its bytes.
    Hash,
    32
);
identity!(
    /// Names a snapshot. Random, and the same in every supersession of the snapshot.
    SnapshotId,
    16
);

impl Hash {
    /// BLAKE3 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The eight leading bytes, by which a snapshot names the segments it needs. Two segments
    /// that share them only make the set of needed segments larger, which is safe.
    pub fn short(&self) -> [u8; 8] {
        let mut short = [0; 8];
        short.copy_from_slice(&self.0[..8]);
        short
    }
}

impl SnapshotId {
    /// The form shown to people: the first eight digits, as many as tell snapshots apart in practice.
    pub fn short_hex(&self) -> String {
        hex(&self.0[..4])
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Fills `bytes` from lower-case hexadecimal of exactly twice its length.
fn unhex(text: &str, bytes: &mut [u8]) -> Option<()> {
    let digits = text.as_bytes();
    if digits.len() != bytes.len() * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

/// Upper case is refused: one identity has one name.
fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_and_parses_to_itself() {
        let id = SnapshotId(*b"\x00\x01\xfe\xff0123456789ab");
        assert_eq!(id.to_hex(), "0001feff303132333435363738396162");
        assert_eq!(id.to_hex().parse(), Ok(id));
        assert_eq!(id.short_hex(), "0001feff");
    }

    #[test]
    fn upper_case_short_and_foreign_digits_are_refused() {
        for text in ["", "00", "0001FEFF303132333435363738396162", "zz01feff303132333435363738396162"] {
            assert!(text.parse::<SnapshotId>().is_err(), "{text}");
        }
    }
}
