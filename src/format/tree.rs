//! A directory's listing: what restore needs and nothing that belongs to one machine, so that equal
//! directories are equal trees everywhere.
//!
//! A listing of up to [`SPLIT_ENTRIES`] entries is one page. A longer one is split after names that
//! hash to a boundary, and an index names its pages: a new file in a huge directory rewrites one page.

use std::sync::Arc;

use minicbor::{Decoder, Encoder};

use super::cbor::{self, Cbor, FormatError, INFALLIBLE};
use super::content::Content;
use super::hints::{self, Bounds, Hint};
use crate::codec::ChunkId;

/// Listings longer than this are split into pages.
pub const SPLIT_ENTRIES: usize = 512;
/// No page has more entries.
pub const MAX_PAGE_ENTRIES: usize = 2048;
/// A page is closed when its entries' variable parts pass this many bytes.
const MAX_PAGE_LEN: usize = 1 << 20;
/// A page ends after a name whose BLAKE3 hash begins with a zero byte: every 256 names on average.
const PAGE_BOUNDARY: u8 = 0;

/// Keys of [`Attributes`] from here on are hints.
const FIRST_HINT: u64 = 128;
/// What an entry takes of them.
const HINT_BOUNDS: Bounds = Bounds { count: 16, bytes: 4 << 10 };

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

/// One extended attribute (POSIX ACLs are extended attributes too).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Xattr {
    /// The name with its namespace, such as `user.comment`.
    pub name: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
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

/// A secret file's place in the user's secret document. The entry's own content is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultItem {
    /// The item.
    pub item: String,
    /// The version of it that was current.
    pub version: u64,
}

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

    fn encode(&self, owner: usize, to: &mut Encoder<Vec<u8>>) {
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

    fn decode(from: &mut Decoder<'_>, owners: &[Arc<Owner>]) -> Result<Self, minicbor::decode::Error> {
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

/// Whether `name` can stand alone in a directory and leads nowhere else.
pub(crate) fn is_component(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.iter().any(|b| matches!(b, 0 | b'/'))
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

impl Attributes {
    /// The flags without those that are hints.
    pub fn critical_flags(&self) -> u64 {
        self.flags & !flags::HINTS
    }

    /// A map with ascending keys: 0 xattrs, 1 link group, 2 flags, 3 vault item, from 128 on hints;
    /// absent when empty.
    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
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

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
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

/// Entries in ascending order of their names' bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
}

/// The pages of a listing too long for one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageIndex {
    /// Each page's id and number of entries, in order of names.
    pub pages: Vec<(ChunkId, u64)>,
}

/// What a directory's id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeObject {
    /// The whole listing, or a part of it when named by an index.
    Page(Page),
    /// The listing's pages.
    Index(PageIndex),
}

impl TreeObject {
    /// Reads either; refuses anything the encoders would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        match bytes.get(1) {
            Some(0) => Page::from_bytes(bytes).map(Self::Page),
            Some(1) => PageIndex::from_bytes(bytes).map(Self::Index),
            _ => Err(FormatError::malformed("tree", "neither a page nor an index")),
        }
    }
}

impl Page {
    /// The object's bytes; their tree id names it.
    pub fn to_bytes(&self) -> Vec<u8> {
        Cbor::to_bytes(self)
    }

    /// Reads a page; refuses anything that [`Page::to_bytes`] would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        Cbor::from_bytes(bytes)
    }
}

impl PageIndex {
    /// The object's bytes; their tree id names it.
    pub fn to_bytes(&self) -> Vec<u8> {
        Cbor::to_bytes(self)
    }

    /// Reads an index; refuses anything that [`PageIndex::to_bytes`] would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        Cbor::from_bytes(bytes)
    }
}

impl Cbor for Page {
    const WHAT: &'static str = "tree page";

    /// `[0, [uid, gid, user, group, …], [entry, …]]`: owners stand once, in order of first use.
    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        let mut owners: Vec<&Arc<Owner>> = Vec::new();
        let indices: Vec<usize> = self
            .entries
            .iter()
            .map(|entry| {
                match owners.iter().rposition(|o| Arc::ptr_eq(o, &entry.owner) || **o == entry.owner) {
                    Some(index) => index,
                    None => {
                        owners.push(&entry.owner);
                        owners.len() - 1
                    }
                }
            })
            .collect();
        to.array(3).expect(INFALLIBLE).u8(0).expect(INFALLIBLE);
        to.array(4 * owners.len() as u64).expect(INFALLIBLE);
        for owner in owners {
            to.u32(owner.uid).expect(INFALLIBLE).u32(owner.gid).expect(INFALLIBLE);
            to.str(&owner.user).expect(INFALLIBLE).str(&owner.group).expect(INFALLIBLE);
        }
        to.array(self.entries.len() as u64).expect(INFALLIBLE);
        for (entry, owner) in self.entries.iter().zip(indices) {
            entry.encode(owner, to);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 3)?;
        if from.u8()? != 0 {
            return Err(cbor::message("not a page"));
        }
        let owners = cbor::array(from)?;
        if owners % 4 != 0 || owners / 4 > MAX_PAGE_ENTRIES as u64 {
            return Err(cbor::message("an owner has 4 fields, and a page fewer owners"));
        }
        let owners = cbor::items(from, owners / 4, |from| {
            Ok(Arc::new(Owner {
                uid: from.u32()?,
                gid: from.u32()?,
                user: from.str()?.into(),
                group: from.str()?.into(),
            }))
        })?;
        let count = cbor::array(from)?;
        if count > MAX_PAGE_ENTRIES as u64 {
            return Err(cbor::message("more entries than a page has"));
        }
        let entries = cbor::items(from, count, |from| Entry::decode(from, &owners))?;
        if !entries.is_sorted_by(|a, b| a.name < b.name) {
            return Err(cbor::message("names out of order"));
        }
        Ok(Self { entries })
    }
}

impl Cbor for PageIndex {
    const WHAT: &'static str = "page index";

    /// `[1, ids, [count, …]]`.
    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        to.array(3).expect(INFALLIBLE).u8(1).expect(INFALLIBLE);
        to.bytes_len(32 * self.pages.len() as u64).expect(INFALLIBLE);
        for (id, _) in &self.pages {
            to.writer_mut().extend_from_slice(id.as_bytes());
        }
        to.array(self.pages.len() as u64).expect(INFALLIBLE);
        for (_, count) in &self.pages {
            to.u64(*count).expect(INFALLIBLE);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 3)?;
        if from.u8()? != 1 {
            return Err(cbor::message("not a page index"));
        }
        let ids = from.bytes()?;
        let count = cbor::array(from)?;
        if count.checked_mul(32) != Some(ids.len() as u64) {
            return Err(cbor::message("as many ids as counts"));
        }
        let mut ids = ids.chunks_exact(32).map(|id| ChunkId::from_slice(id).expect("chunks_exact(32)"));
        let pages = cbor::items(from, count, |from| Ok((ids.next().expect("counted above"), from.u64()?)))?;
        if pages.len() < 2
            || pages.iter().any(|(_, entries)| !(1..=MAX_PAGE_ENTRIES as u64).contains(entries))
        {
            return Err(cbor::message("an index of one page, or of pages of impossible length"));
        }
        Ok(Self { pages })
    }
}

/// Splits a listing into pages as its entries come, in order of names.
pub struct PageBuilder {
    split: bool,
    pending: Vec<Entry>,
    pending_len: usize,
    pages: Vec<(ChunkId, u64)>,
}

impl PageBuilder {
    /// For a listing of `entries` entries.
    pub fn new(entries: usize) -> Self {
        Self { split: entries > SPLIT_ENTRIES, pending: Vec::new(), pending_len: 0, pages: Vec::new() }
    }

    /// Adds the next entry. `store` keeps a finished object's bytes and returns its id.
    pub fn push<E>(
        &mut self,
        entry: Entry,
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        let boundary = blake3::hash(&entry.name).as_bytes()[0] == PAGE_BOUNDARY;
        self.pending_len += variable_len(&entry);
        self.pending.push(entry);
        let full = self.pending_len >= MAX_PAGE_LEN || self.pending.len() >= MAX_PAGE_ENTRIES;
        if full || (self.split && boundary) { self.close(store) } else { Ok(()) }
    }

    fn close<E>(&mut self, store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>) -> Result<(), E> {
        let page = Page { entries: std::mem::take(&mut self.pending) };
        self.pending_len = 0;
        self.pages.push((store(page.to_bytes())?, page.entries.len() as u64));
        Ok(())
    }

    /// The directory's tree id.
    pub fn finish<E>(mut self, store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>) -> Result<ChunkId, E> {
        if !self.pending.is_empty() || self.pages.is_empty() {
            self.close(store)?;
        }
        match self.pages[..] {
            [(only, _)] => Ok(only),
            _ => store(PageIndex { pages: self.pages }.to_bytes()),
        }
    }
}

/// About how many bytes an entry takes in a page.
fn variable_len(entry: &Entry) -> usize {
    let kind = match &entry.kind {
        EntryKind::File(content) => 37 * content.extents.len(),
        EntryKind::Symlink(target) => target.len(),
        _ => 32,
    };
    let xattrs: usize = entry.attributes.xattrs.iter().map(|x| x.name.len() + x.value.len() + 6).sum();
    let hints: usize = entry.attributes.hints.iter().map(|(_, value)| value.len() + 12).sum();
    entry.name.len() + kind + xattrs + hints + 24
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::convert::Infallible;

    use super::super::content::Extent;
    use super::*;

    fn file(name: &str) -> Entry {
        let extents =
            vec![Extent::Data { id: ChunkId(*blake3::hash(name.as_bytes()).as_bytes()), length: 7 }];
        Entry {
            name: name.into(),
            kind: EntryKind::File(Content { depth: 0, extents }),
            mode: 0o644,
            owner: Owner { uid: 1000, gid: 100, user: "ann".into(), group: "users".into() }.into(),
            mtime_s: 1_700_000_000,
            mtime_ns: 5,
            attributes: Attributes::default(),
        }
    }

    fn build(entries: Vec<Entry>) -> (ChunkId, HashMap<ChunkId, Vec<u8>>) {
        let mut objects = HashMap::new();
        let mut store = |bytes: Vec<u8>| {
            let id = ChunkId(*blake3::hash(&bytes).as_bytes());
            objects.insert(id, bytes);
            Ok::<_, Infallible>(id)
        };
        let mut builder = PageBuilder::new(entries.len());
        for entry in entries {
            builder.push(entry, &mut store).unwrap();
        }
        let id = builder.finish(&mut store).unwrap();
        (id, objects)
    }

    fn listing(count: usize) -> Vec<Entry> {
        (0..count).map(|n| file(&format!("file-{n:06}"))).collect()
    }

    #[test]
    fn a_page_has_exactly_these_bytes() {
        let mut entry = file("a");
        entry.kind = EntryKind::Symlink(b"b".to_vec());
        entry.attributes.flags = flags::CHANGED;
        let page = Page { entries: vec![entry] };
        let mut bytes = vec![0x83, 0, 0x84, 0x19, 0x03, 0xe8, 0x18, 100, 0x63];
        bytes.extend(b"ann\x65users");
        bytes.extend([
            0x81, 0x88, 0x41, b'a', 2, 0x19, 0x01, 0xa4, 0, 0x1a, 0x65, 0x53, 0xf1, 0, 5, 0x41, b'b', 0xa1,
            2, 1,
        ]);
        assert_eq!(page.to_bytes(), bytes);
        assert_eq!(TreeObject::from_bytes(&bytes), Ok(TreeObject::Page(page)));
    }

    #[test]
    fn every_kind_survives_encoding() {
        let kinds = [
            EntryKind::File(Content::default()),
            EntryKind::Directory(ChunkId([9; 32])),
            EntryKind::Symlink(vec![0xff, 0xfe]),
            EntryKind::Fifo,
            EntryKind::CharDevice(5),
            EntryKind::BlockDevice(u64::MAX),
        ];
        let entries: Vec<_> = kinds
            .into_iter()
            .enumerate()
            .map(|(n, kind)| {
                let attributes = Attributes {
                    xattrs: vec![Xattr { name: b"user.x".to_vec(), value: vec![0, 255] }],
                    link_group: Some([n as u8; 16]),
                    flags: flags::ALL | flags::HINTS,
                    vault: Some(VaultItem { item: ".ssh/id_rsa".into(), version: 3 }),
                    hints: vec![(128, vec![]), (u64::MAX, vec![7; 4096])],
                };
                Entry { kind, attributes, mtime_s: -5, mode: 0o7777, ..file(&format!("{n}")) }
            })
            .collect();
        let page = Page { entries };
        assert_eq!(Page::from_bytes(&page.to_bytes()), Ok(page.clone()));
        let alone = &page.entries[2];
        assert_eq!(Entry::from_bytes(&alone.to_bytes()).as_ref(), Ok(alone));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", ".", "..", "a/b", "/", "a\0"] {
            let page = Page { entries: vec![file(name)] };
            assert!(Page::from_bytes(&page.to_bytes()).is_err(), "{name:?}");
        }
        let xattr = |name: &str| Xattr { name: name.into(), value: vec![] };
        for xattrs in [vec![xattr("user.b"), xattr("user.a")], vec![xattr("user.a"), xattr("user.a")]] {
            let attributes = Attributes { xattrs, ..Attributes::default() };
            let page = Page { entries: vec![Entry { attributes, ..file("a") }] };
            assert!(Page::from_bytes(&page.to_bytes()).is_err());
        }
        let page = Page { entries: listing(MAX_PAGE_ENTRIES + 1) };
        assert!(Page::from_bytes(&page.to_bytes()).is_err());
        for pages in [vec![], vec![(ChunkId([1; 32]), 1)], vec![(ChunkId([1; 32]), 0), (ChunkId([2; 32]), 1)]]
        {
            assert!(PageIndex::from_bytes(&PageIndex { pages }.to_bytes()).is_err());
        }
        let twice = Page { entries: vec![file("a"), file("a")] };
        assert!(Page::from_bytes(&twice.to_bytes()).is_err());
    }

    #[test]
    fn what_is_critical_and_unknown_is_refused_and_hints_have_bounds() {
        let is_read = |attributes: Attributes| {
            let page = Page { entries: vec![Entry { attributes, ..file("a") }] };
            Page::from_bytes(&page.to_bytes()).is_ok_and(|read| read == page)
        };
        let flags = |flags| Attributes { flags, ..Attributes::default() };
        assert!(is_read(flags(1 << 32)) && !is_read(flags(1 << 31)) && !is_read(flags(16)));
        let hints = |hints: Vec<Hint>| Attributes { hints, ..Attributes::default() };
        let many = |count| (0..count).map(|n| (128 + n, vec![1])).collect();
        assert!(is_read(hints(many(16))) && !is_read(hints(many(17))));
        assert!(is_read(hints(vec![(128, vec![1; 4096])])) && !is_read(hints(vec![(128, vec![1; 4097])])));
        for wrong in [127, 4] {
            assert!(!is_read(hints(vec![(wrong, vec![1])])), "{wrong}");
        }
        assert!(!is_read(hints(vec![(130, vec![1]), (129, vec![1])])));
        assert!(!is_read(hints(vec![(130, vec![1]), (130, vec![1])])));
        assert_eq!(flags(1 << 40 | flags::CHANGED).critical_flags(), flags::CHANGED);
    }

    #[test]
    fn a_new_name_in_a_huge_directory_rewrites_one_page_and_the_index() {
        let (_, before) = build(listing(20_000));
        let mut entries = listing(20_000);
        entries.insert(10_000, file("file-009999-new"));
        let (id, after) = build(entries);
        assert!(after.keys().filter(|id| !before.contains_key(id)).count() <= 3);
        let Ok(TreeObject::Index(index)) = TreeObject::from_bytes(&after[&id]) else {
            panic!("not an index")
        };
        assert_eq!(index.pages.iter().map(|(_, n)| n).sum::<u64>(), 20_001);
    }

    #[test]
    fn short_listings_are_one_page_and_the_empty_one_exists() {
        for count in [0, 1, SPLIT_ENTRIES] {
            let (id, objects) = build(listing(count));
            assert_eq!(objects.len(), 1);
            let Ok(TreeObject::Page(page)) = TreeObject::from_bytes(&objects[&id]) else {
                panic!("not a page")
            };
            assert_eq!(page.entries.len(), count);
        }
    }
}
