//! What a file's bytes are made of: chunks and holes, in order; lists of lists for large files.
//!
//! A large file's chunks are named in list objects whose ends depend on the ids in them, so that an
//! edit rewrites the lists around it and no others.

use minicbor::{Decoder, Encoder};

use super::cbor::{self, Cbor, FormatError, INFALLIBLE};
use crate::codec::ChunkId;

/// More extents than this are moved to list objects of their own.
pub const INLINE_EXTENTS: usize = 16;
/// A list ends after an extent whose id has these low bits zero in its first byte: every 64 on average.
const LIST_BOUNDARY: u8 = 0x3f;
/// A list ends here at the latest.
const MAX_LIST_EXTENTS: usize = 512;
/// Lists of lists of lists hold more than any file system allows.
const MAX_DEPTH: u8 = 8;

/// A run of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extent {
    /// Bytes found in a chunk (at depth 0) or described by a list (above).
    Data {
        /// The chunk's or the list's id.
        id: ChunkId,
        /// How many bytes of the file it covers; never 0.
        length: u64,
    },
    /// Bytes never written; they read as zeros and take no room.
    Hole {
        /// How many; never 0.
        length: u64,
    },
}

impl Extent {
    /// Bytes of the file covered.
    pub fn length(&self) -> u64 {
        match self {
            Self::Data { length, .. } | Self::Hole { length } => *length,
        }
    }
}

/// Extents with the depth of what their ids name: 0 chunks, 1 lists of chunks, and so on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Content {
    /// 0: extents name chunks of file data. n: they name lists of depth n - 1.
    pub depth: u8,
    /// The runs in file order.
    pub extents: Vec<Extent>,
}

impl Content {
    /// The file's size in bytes, holes included.
    pub fn size(&self) -> u64 {
        self.extents.iter().map(Extent::length).fold(0, u64::saturating_add)
    }

    /// `[depth, ids, lengths]`; a negative length -n is a hole of n bytes and has no id.
    pub(super) fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        let ids = self.extents.iter().filter(|e| matches!(e, Extent::Data { .. })).count();
        to.array(3).expect(INFALLIBLE).u8(self.depth).expect(INFALLIBLE);
        to.bytes_len(32 * ids as u64).expect(INFALLIBLE);
        for extent in &self.extents {
            if let Extent::Data { id, .. } = extent {
                to.writer_mut().extend_from_slice(id.as_bytes());
            }
        }
        to.array(self.extents.len() as u64).expect(INFALLIBLE);
        for extent in &self.extents {
            match extent {
                Extent::Data { length, .. } => to.u64(*length).expect(INFALLIBLE),
                Extent::Hole { length } => to.i64(-(*length as i64)).expect(INFALLIBLE),
            };
        }
    }

    pub(super) fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 3)?;
        let depth = from.u8()?;
        let raw_ids = from.bytes()?;
        if depth > MAX_DEPTH || raw_ids.len() % 32 != 0 {
            return Err(cbor::message("depth or ids out of range"));
        }
        let mut ids = raw_ids.chunks_exact(32).map(|id| ChunkId::from_slice(id).expect("chunks_exact(32)"));
        let count = cbor::array(from)?;
        if count > MAX_LIST_EXTENTS as u64 {
            return Err(cbor::message("more extents than a list has"));
        }
        let extents = cbor::items(from, count, |from| match from.i64()? {
            0 | i64::MIN => Err(cbor::message("an extent of no bytes")),
            ..0 if depth > 0 => Err(cbor::message("a hole among lists")),
            hole if hole < 0 => Ok(Extent::Hole { length: hole.unsigned_abs() }),
            length => {
                let id = ids.next().ok_or_else(|| cbor::message("fewer ids than extents"))?;
                Ok(Extent::Data { id, length: length.unsigned_abs() })
            }
        })?;
        if ids.next().is_some() {
            return Err(cbor::message("more ids than extents"));
        }
        let content = Self { depth, extents };
        if content.size() > i64::MAX as u64 {
            return Err(cbor::message("larger than a file can be"));
        }
        Ok(content)
    }
}

/// A list object: the extents of a part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentList(pub Content);

impl ContentList {
    /// The object's bytes; their tree id names it.
    pub fn to_bytes(&self) -> Vec<u8> {
        Cbor::to_bytes(self)
    }

    /// Reads a list; refuses anything that [`ContentList::to_bytes`] would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        Cbor::from_bytes(bytes)
    }
}

impl Cbor for ContentList {
    const WHAT: &'static str = "content list";

    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        to.array(2).expect(INFALLIBLE).u8(2).expect(INFALLIBLE);
        self.0.encode(to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 2)?;
        match from.u8()? {
            2 => Ok(Self(Content::decode(from)?)),
            _ => Err(cbor::message("not a content list")),
        }
    }
}

/// Gathers a file's extents into lists as they come, so that a file of any size takes little memory.
#[derive(Default)]
pub struct ListBuilder {
    /// `levels[n]` holds the pending extents of depth n.
    levels: Vec<Vec<Extent>>,
}

impl ListBuilder {
    /// Adds the next run of the file. `store` keeps a finished list object and returns its id.
    pub fn push<E>(
        &mut self,
        extent: Extent,
        store: &mut impl FnMut(&ContentList) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        self.push_at(0, extent, store)
    }

    fn push_at<E>(
        &mut self,
        depth: usize,
        extent: Extent,
        store: &mut impl FnMut(&ContentList) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        if self.levels.len() <= depth {
            self.levels.push(Vec::new());
        }
        self.levels[depth].push(extent);
        if ends_list(&self.levels[depth]) { self.close(depth, store) } else { Ok(()) }
    }

    /// Turns the pending extents of a level into one list object, named one level up.
    fn close<E>(
        &mut self,
        depth: usize,
        store: &mut impl FnMut(&ContentList) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        let content = Content { depth: depth as u8, extents: std::mem::take(&mut self.levels[depth]) };
        let length = content.size();
        let id = store(&ContentList(content))?;
        self.push_at(depth + 1, Extent::Data { id, length }, store)
    }

    /// The file's content: inline when it is short, otherwise the lists' top.
    pub fn finish<E>(
        mut self,
        store: &mut impl FnMut(&ContentList) -> Result<ChunkId, E>,
    ) -> Result<Content, E> {
        let mut depth = 0;
        while depth + 1 < self.levels.len()
            || self.levels.get(depth).is_some_and(|l| l.len() > INLINE_EXTENTS)
        {
            if !self.levels[depth].is_empty() {
                self.close(depth, store)?;
            }
            depth += 1;
        }
        Ok(Content { depth: depth as u8, extents: self.levels.pop().unwrap_or_default() })
    }
}

/// Only lists longer than what fits inline end early: a short file never pays for a list.
fn ends_list(extents: &[Extent]) -> bool {
    let boundary = match extents.last() {
        Some(Extent::Data { id, .. }) => id.0[0] & LIST_BOUNDARY == 0,
        _ => false,
    };
    extents.len() >= MAX_LIST_EXTENTS || (boundary && extents.len() > INLINE_EXTENTS)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::convert::Infallible;

    use super::*;

    fn data(n: u64) -> Extent {
        Extent::Data { id: ChunkId(*blake3::hash(&n.to_le_bytes()).as_bytes()), length: 1000 + n }
    }

    fn build(extents: &[Extent]) -> (Content, HashMap<ChunkId, ContentList>) {
        let mut lists = HashMap::new();
        let mut store = |list: &ContentList| {
            let id = ChunkId(*blake3::hash(&list.to_bytes()).as_bytes());
            lists.insert(id, list.clone());
            Ok::<_, Infallible>(id)
        };
        let mut builder = ListBuilder::default();
        for extent in extents {
            builder.push(*extent, &mut store).unwrap();
        }
        let content = builder.finish(&mut store).unwrap();
        (content, lists)
    }

    fn flatten(content: &Content, lists: &HashMap<ChunkId, ContentList>) -> Vec<Extent> {
        if content.depth == 0 {
            return content.extents.clone();
        }
        let mut flat = vec![];
        for extent in &content.extents {
            let Extent::Data { id, length } = extent else { panic!("a hole above depth 0") };
            let list = &lists[id].0;
            assert_eq!(list.depth + 1, content.depth);
            assert_eq!(list.size(), *length);
            flat.extend(flatten(list, lists));
        }
        flat
    }

    #[test]
    fn lists_of_any_length_flatten_to_what_went_in() {
        for count in [0, 1, 16, 17, 63, 512, 513, 5_000, 100_000] {
            let extents: Vec<_> = (0..count).map(data).collect();
            let (content, lists) = build(&extents);
            assert_eq!(flatten(&content, &lists), extents, "{count}");
            assert!(content.extents.len() <= MAX_LIST_EXTENTS);
            assert_eq!(content.size(), extents.iter().map(Extent::length).sum::<u64>());
        }
    }

    #[test]
    fn an_edit_rewrites_few_lists() {
        let mut extents: Vec<_> = (0..10_000).map(data).collect();
        let (_, before) = build(&extents);
        extents[5_000] = data(1 << 40);
        let (_, after) = build(&extents);
        assert!(after.keys().filter(|id| !before.contains_key(id)).count() <= 4);
    }

    #[test]
    fn a_list_has_exactly_these_bytes() {
        let list = ContentList(Content {
            depth: 0,
            extents: vec![
                Extent::Data { id: ChunkId([0xaa; 32]), length: 300 },
                Extent::Hole { length: 4096 },
            ],
        });
        let mut bytes = vec![0x82, 2, 0x83, 0, 0x58, 32];
        bytes.extend([0xaa; 32]);
        bytes.extend([0x82, 0x19, 0x01, 0x2c, 0x39, 0x0f, 0xff]);
        assert_eq!(list.to_bytes(), bytes);
        assert_eq!(ContentList::from_bytes(&bytes), Ok(list));
    }

    #[test]
    fn impossible_lists_are_refused() {
        let many = [&[0x82, 2, 0x83, 0, 0x40, 0x99, 2, 1][..], &[0x20; 513]].concat();
        let cases: [&[u8]; 7] = [
            &many,
            &[0x82, 2, 0x83, 1, 0x40, 0x81, 0x20], // a hole among lists
            &[0x82, 2, 0x83, 0, 0x40, 0x81, 0],    // an extent of no bytes
            &[0x82, 2, 0x83, 0, 0x40, 0x81, 1],    // data without an id
            &[0x82, 2, 0x83, 9, 0x40, 0x80],       // too deep
            &[0x82, 2, 0x83, 0, 0x40, 0x9b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0x82, 2, 0x83, 0, 0x40, 0x81, 0x38, 0x00], // -1 not in shortest form
        ];
        for bytes in cases {
            assert!(ContentList::from_bytes(bytes).is_err(), "{bytes:?}");
        }
    }
}
