//! One name in a directory: what it is, whose, and of when. Knows one entry, not its neighbours.

use std::sync::Arc;

use minicbor::{Decoder, Encoder};

use super::super::cbor::{self, FormatError, INFALLIBLE};
use super::super::content::Content;
use super::{Attributes, Page};
use crate::codec::ChunkId;

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name's bytes: one component, not empty, without `/` and NUL, neither `.` nor `..`.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky: 12 bits.
    pub mode: u16,
    /// Who owns it; shared, since a listing has few owners.
    pub owner: Arc<Owner>,
    /// Seconds of the modification time since 1970.
    pub mtime_s: i64,
    /// Nanoseconds of it, below 10^9.
    pub mtime_ns: u32,
    /// What few entries have.
    pub attributes: Attributes,
}

impl Entry {
    /// The file's size; 0 for everything else.
    pub fn size(&self) -> u64 {
        match &self.kind {
            EntryKind::File(content) => content.size(),
            _ => 0,
        }
    }

    /// Whether this is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, EntryKind::Directory(_))
    }

    /// An entry by itself, outside of a page, as a snapshot record holds a home's own directory
    /// and the local index keeps what it saw.
    pub fn to_bytes(&self) -> Vec<u8> {
        Page { entries: vec![self.clone()] }.to_bytes()
    }

    /// Reads what [`Entry::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut page = Page::from_bytes(bytes)?;
        match (page.entries.pop(), page.entries.pop()) {
            (Some(entry), None) => Ok(entry),
            _ => Err(FormatError::malformed("entry", "not exactly one entry")),
        }
    }

    pub(super) fn encode(&self, owner: usize, to: &mut Encoder<Vec<u8>>) {
        let attributes = self.attributes != Attributes::default();
        to.array(if attributes { 8 } else { 7 }).expect(INFALLIBLE);
        to.bytes(&self.name).expect(INFALLIBLE);
        to.u8(self.kind.code()).expect(INFALLIBLE);
        to.u16(self.mode).expect(INFALLIBLE);
        to.u64(owner as u64).expect(INFALLIBLE);
        to.i64(self.mtime_s).expect(INFALLIBLE);
        to.u32(self.mtime_ns).expect(INFALLIBLE);
        self.kind.encode(to);
        if attributes {
            self.attributes.encode(to);
        }
    }

    pub(super) fn decode(
        from: &mut Decoder<'_>,
        owners: &[Arc<Owner>],
    ) -> Result<Self, minicbor::decode::Error> {
        let fields = cbor::array(from)?;
        if !(7..=8).contains(&fields) {
            return Err(cbor::message("an entry has 7 or 8 fields"));
        }
        let name = from.bytes()?.to_vec();
        let code = from.u8()?;
        let mode = from.u16()?;
        let owner = from.u64()?;
        let (mtime_s, mtime_ns) = (from.i64()?, from.u32()?);
        let kind = EntryKind::decode(code, from)?;
        let attributes = if fields == 8 { Attributes::decode(from)? } else { Attributes::default() };
        let owner = usize::try_from(owner).ok().and_then(|index| owners.get(index));
        let owner = Arc::clone(owner.ok_or_else(|| cbor::message("no such owner"))?);
        if !is_component(&name) || mode > 0o7777 || mtime_ns >= 1_000_000_000 {
            return Err(cbor::message("name, mode or time out of range"));
        }
        Ok(Self { name, kind, mode, owner, mtime_s, mtime_ns, attributes })
    }
}

/// What an entry is, and what that kind alone has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File(Content),
    /// A directory; the id names its [`TreeObject`].
    Directory(ChunkId),
    /// A symbolic link and where it points.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice(u64),
    /// A block device.
    BlockDevice(u64),
}

impl EntryKind {
    fn code(&self) -> u8 {
        match self {
            Self::File(_) => 0,
            Self::Directory(_) => 1,
            Self::Symlink(_) => 2,
            Self::Fifo => 3,
            Self::CharDevice(_) => 4,
            Self::BlockDevice(_) => 5,
        }
    }

    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        match self {
            Self::File(content) => content.encode(to),
            Self::Directory(tree) => drop(to.bytes(tree.as_bytes()).expect(INFALLIBLE)),
            Self::Symlink(target) => drop(to.bytes(target).expect(INFALLIBLE)),
            Self::Fifo => drop(to.null().expect(INFALLIBLE)),
            Self::CharDevice(device) | Self::BlockDevice(device) => drop(to.u64(*device).expect(INFALLIBLE)),
        }
    }

    fn decode(code: u8, from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        Ok(match code {
            0 => Self::File(Content::decode(from)?),
            1 => Self::Directory(ChunkId(cbor::bytes_of(from)?)),
            2 => Self::Symlink(from.bytes()?.to_vec()),
            3 => {
                from.null()?;
                Self::Fifo
            }
            4 => Self::CharDevice(from.u64()?),
            5 => Self::BlockDevice(from.u64()?),
            _ => return Err(cbor::message("unknown kind of entry")),
        })
    }
}

/// Who owns an entry. Names decide at restore; numbers are the fallback.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Owner {
    /// Numeric user id.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
    /// The user's name on the machine that was backed up; empty if it had none.
    pub user: String,
    /// The group's name there; empty if it had none.
    pub group: String,
}

/// Whether `name` can stand alone in a directory and leads nowhere else.
pub(crate) fn is_component(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.iter().any(|b| matches!(b, 0 | b'/'))
}
