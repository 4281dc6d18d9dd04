//! What few entries have, and room for what later programs add to them. Knows one entry's attributes,
//! not the entry.

use minicbor::{Decoder, Encoder};

use super::super::cbor::{self, INFALLIBLE};
use super::super::hints::{self, Bounds, Hint};

/// Keys of [`Attributes`] from here on are hints.
const FIRST_HINT: u64 = 128;
/// What an entry takes of them.
const HINT_BOUNDS: Bounds = Bounds { count: 16, bytes: 4 << 10 };

/// What few entries have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Extended attributes, by name.
    pub xattrs: Vec<Xattr>,
    /// Equal for all names of one inode with several.
    pub link_group: Option<[u8; 16]>,
    /// Marks, see [`flags`].
    pub flags: u64,
    /// Where the content is instead of in this repository.
    pub vault: Option<VaultItem>,
    /// What later programs add and others may ignore: keys from 128 on, ascending.
    pub hints: Vec<Hint>,
}

impl Attributes {
    /// The flags without those that are hints.
    pub fn critical_flags(&self) -> u64 {
        self.flags & !flags::HINTS
    }

    /// A map with ascending keys: 0 xattrs, 1 link group, 2 flags, 3 vault item, from 128 on hints;
    /// absent when empty.
    pub(super) fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        let fields = u64::from(!self.xattrs.is_empty())
            + u64::from(self.link_group.is_some())
            + u64::from(self.flags != 0)
            + u64::from(self.vault.is_some())
            + self.hints.len() as u64;
        to.map(fields).expect(INFALLIBLE);
        if !self.xattrs.is_empty() {
            to.u8(0).expect(INFALLIBLE).array(2 * self.xattrs.len() as u64).expect(INFALLIBLE);
            for xattr in &self.xattrs {
                to.bytes(&xattr.name).expect(INFALLIBLE).bytes(&xattr.value).expect(INFALLIBLE);
            }
        }
        if let Some(group) = &self.link_group {
            to.u8(1).expect(INFALLIBLE).bytes(group).expect(INFALLIBLE);
        }
        if self.flags != 0 {
            to.u8(2).expect(INFALLIBLE).u64(self.flags).expect(INFALLIBLE);
        }
        if let Some(VaultItem { item, version }) = &self.vault {
            to.u8(3).expect(INFALLIBLE).array(2).expect(INFALLIBLE);
            to.str(item).expect(INFALLIBLE).u64(*version).expect(INFALLIBLE);
        }
        hints::encode(&self.hints, to);
    }

    pub(super) fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        let mut attributes = Self::default();
        for _ in 0..cbor::map(from)? {
            match from.u64()? {
                0 => attributes.xattrs = decode_xattrs(from)?,
                1 => attributes.link_group = Some(cbor::bytes_of(from)?),
                2 => attributes.flags = from.u64()?,
                3 => {
                    cbor::array_of(from, 2)?;
                    attributes.vault =
                        Some(VaultItem { item: from.str()?.to_string(), version: from.u64()? });
                }
                key if key >= FIRST_HINT => {
                    hints::decode_next(key, from, &HINT_BOUNDS, &mut attributes.hints)?;
                }
                _ => return Err(cbor::message("unknown attribute")),
            }
        }
        if attributes.critical_flags() & !flags::ALL != 0 {
            return Err(cbor::message("unknown flag"));
        }
        Ok(attributes)
    }
}

/// Bits of [`Attributes::flags`].
pub mod flags {
    /// The file changed while it was read, every time; its bytes are of several moments.
    pub const CHANGED: u64 = 1;
    /// The bytes are a consistent copy that SQLite made of a live database.
    pub const SQLITE_COPY: u64 = 2;
    /// A hard link to a file of somebody else: its content was not read.
    pub const FOREIGN_LINK: u64 = 4;
    /// A live SQLite database of which SQLite could not make a copy: plain bytes.
    pub const SQLITE_RAW: u64 = 8;
    /// Every bit that means something.
    pub const ALL: u64 = 15;
    /// Bits that later programs may give a meaning, and a reader that does not know it ignores. A
    /// bit that is neither here nor in [`ALL`] is refused.
    pub const HINTS: u64 = !0 << 32;
}

/// One extended attribute (POSIX ACLs are extended attributes too).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Xattr {
    /// The name with its namespace, such as `user.comment`.
    pub name: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// A secret file's place in the user's secret document. The entry's own content is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultItem {
    /// The item.
    pub item: String,
    /// The version of it that was current.
    pub version: u64,
}

fn decode_xattrs(from: &mut Decoder<'_>) -> Result<Vec<Xattr>, minicbor::decode::Error> {
    let count = cbor::array(from)?;
    if count % 2 != 0 {
        return Err(cbor::message("an attribute without a value"));
    }
    let xattrs = cbor::items(from, count / 2, |from| {
        Ok(Xattr { name: from.bytes()?.to_vec(), value: from.bytes()?.to_vec() })
    })?;
    if xattrs.iter().any(|x| x.name.is_empty() || x.name.contains(&0))
        || !xattrs.is_sorted_by(|a, b| a.name < b.name)
    {
        return Err(cbor::message("attributes' names out of range or order"));
    }
    Ok(xattrs)
}
