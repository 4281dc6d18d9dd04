//! The keys of the vault: one secret opens all of it, each value is sealed under a key of its own, and a version is
//! named by what it holds. Bytes in, bytes out; knows no JSON.

use std::fmt;

use blake3::Hasher;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::codec::{Domain, Sealer};
use crate::keys::{KeyError, random_bytes};

/// Bytes of the salt in front of each sealed value.
const SALT_LEN: usize = 32;
/// Bytes of the tag behind it.
const TAG_LEN: usize = 16;
/// A value that says it is longer when unpacked is damaged.
pub const MAX_VALUE_LEN: usize = 1 << 20;
/// zstd level of values.
const LEVEL: i32 = 9;

/// What opens the vault. A repository has one, derived from its key; one may also be kept as a file.
#[derive(Clone, Zeroize, ZeroizeOnDrop, PartialEq, Eq)]
pub struct VaultSecret([u8; 32]);

impl fmt::Debug for VaultSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultSecret({})", self.id())
    }
}

/// Names a version of an item by what it holds: equal only where user, item and content are. It tells nothing
/// to whoever lacks the vault's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_canonical = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).map_err(drop)?;
        if is_canonical { Ok(Self(number)) } else { Err(()) }
    }
}

/// What a sealed value belongs to; nothing else opens it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Whose it is.
    pub user: &'a str,
    /// The item's name.
    pub item: &'a str,
    /// Which version of it.
    pub version: Version,
}

/// Why a sealed value was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// It is not what was sealed for this place with this secret.
    #[error("it is damaged, or was sealed for something else")]
    Damaged,
    /// It opens, and is longer or shorter than the document says.
    #[error("it is longer or shorter than the document says")]
    OtherLength,
}

impl VaultSecret {
    /// A secret from these bytes, which must be as good as random.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Names the secret without telling it.
    pub fn id(&self) -> String {
        let id = blake3::derive_key("homekeep 2026-11-24 vault 1 secret id", &self.0);
        id[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The version that a content is.
    pub fn version(&self, user: &str, item: &str, content: &[u8]) -> Version {
        let key = Zeroizing::new(blake3::derive_key("homekeep 2026-11-24 vault 1 version", &self.0));
        let mut hasher = Hasher::new_keyed(&key);
        for part in [user.as_bytes(), item.as_bytes(), content] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let hash = hasher.finalize();
        Version(u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash is longer")))
    }

    /// Packs and encrypts a value: salt, ciphertext, tag. `user_salt` is the user's document's.
    pub fn seal(&self, place: Place<'_>, user_salt: &[u8], value: &[u8]) -> Result<Vec<u8>, KeyError> {
        let salt: [u8; SALT_LEN] = random_bytes()?;
        let mut packed = Zeroizing::new(zstd::bulk::compress(value, LEVEL).unwrap_or_default());
        let tag =
            self.cipher(place.user, user_salt, &salt).seal(Domain::Block, 0, &associated(place), &mut packed);
        let mut sealed = salt.to_vec();
        sealed.extend_from_slice(&packed);
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Decrypts and unpacks a value, and makes sure that it is the version it is said to be.
    pub fn open(
        &self,
        place: Place<'_>,
        user_salt: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let (salt, rest) = sealed.split_first_chunk::<SALT_LEN>().ok_or(UnsealError::Damaged)?;
        let (packed, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(UnsealError::Damaged)?;
        let mut packed = Zeroizing::new(packed.to_vec());
        self.cipher(place.user, user_salt, salt)
            .open(Domain::Block, 0, &associated(place), &mut packed, tag)
            .map_err(|_| UnsealError::Damaged)?;
        let value = zstd::bulk::decompress(&packed, MAX_VALUE_LEN).map_err(|_| UnsealError::Damaged)?;
        Ok(Zeroizing::new(value))
    }

    /// The cipher for one value: its salt is random, so that no key seals twice.
    fn cipher(&self, user: &str, user_salt: &[u8], salt: &[u8; SALT_LEN]) -> Sealer {
        let user_key = Zeroizing::new(blake3::derive_key("homekeep 2026-11-24 vault 1 user", &self.0));
        let mut hasher = Hasher::new_keyed(&user_key);
        for part in [user.as_bytes(), user_salt, salt] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let key = Zeroizing::new(*hasher.finalize().as_bytes());
        Sealer::new(&key)
    }
}

fn associated(place: Place<'_>) -> Vec<u8> {
    let mut bytes = b"homekeep vault 1".to_vec();
    for part in [place.user.as_bytes(), place.item.as_bytes()] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes.extend_from_slice(&place.version.0.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { user: "ann", item: ".ssh/id_rsa", version: Version(7) };

    #[test]
    fn what_is_sealed_opens_at_its_place_only() {
        let secret = VaultSecret::new([1; 32]);
        let sealed = secret.seal(PLACE, b"salt", b"-----BEGIN").unwrap();
        assert_eq!(&secret.open(PLACE, b"salt", &sealed).unwrap()[..], b"-----BEGIN");
        let others = [
            Place { user: "bob", ..PLACE },
            Place { item: ".ssh/id_dsa", ..PLACE },
            Place { version: Version(8), ..PLACE },
        ];
        for other in others {
            assert_eq!(secret.open(other, b"salt", &sealed).unwrap_err(), UnsealError::Damaged, "{other:?}");
        }
        assert!(secret.open(PLACE, b"pepper", &sealed).is_err());
        assert!(VaultSecret::new([2; 32]).open(PLACE, b"salt", &sealed).is_err());
    }

    #[test]
    fn no_byte_of_a_sealed_value_may_change_and_none_may_be_missing() {
        let secret = VaultSecret::new([1; 32]);
        let sealed = secret.seal(PLACE, b"salt", b"token").unwrap();
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert!(secret.open(PLACE, b"salt", &other).is_err(), "byte {at}");
            assert!(secret.open(PLACE, b"salt", &sealed[..at]).is_err(), "cut to {at}");
        }
    }

    #[test]
    fn a_version_is_the_content_for_this_user_and_item() {
        let secret = VaultSecret::new([1; 32]);
        let version = secret.version("ann", "a", b"x");
        assert_eq!(version, secret.version("ann", "a", b"x"));
        for other in [("bob", "a", "x"), ("ann", "b", "x"), ("ann", "a", "y"), ("an", "na", "x")] {
            assert_ne!(version, secret.version(other.0, other.1, other.2.as_bytes()), "{other:?}");
        }
        assert_ne!(version, VaultSecret::new([2; 32]).version("ann", "a", b"x"));
        assert_eq!(version.to_string().parse(), Ok(version));
        assert_eq!("+000000000000001".parse::<Version>(), Err(()));
    }

    #[test]
    fn equal_values_are_sealed_differently_each_time() {
        let secret = VaultSecret::new([1; 32]);
        assert_ne!(secret.seal(PLACE, b"s", b"x").unwrap(), secret.seal(PLACE, b"s", b"x").unwrap());
    }
}
