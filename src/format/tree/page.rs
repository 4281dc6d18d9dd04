//! A run of a listing's entries, or all of them, with their owners. Knows nothing of other pages.

use std::sync::Arc;

use minicbor::{Decoder, Encoder};

use super::super::cbor::{self, Cbor, FormatError, INFALLIBLE};
use super::{Entry, Owner};

/// No page has more entries.
pub const MAX_PAGE_ENTRIES: usize = 2048;

/// Entries in ascending order of their names' bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
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
