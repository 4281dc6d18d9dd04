//! How a directory's entries are kept in the local index, and the digest that says "nothing changed".
//! Local knowledge only: nothing of it is part of the repository's format.

use crate::files::walk::{Listed, Stat};
use crate::format::{Entry, Page};

/// Entries are kept in frames, so that a directory with a million of them needs little memory.
const FRAME_ENTRIES: usize = 512;
/// Bytes of a signature.
const SIGNATURE_LEN: usize = 20;

/// What must be equal for an entry to be taken over without a look inside: inode and change time.
/// Everything else a stat shows cannot change without the change time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_LEN]);

impl Signature {
    /// The signature of what a stat shows.
    pub fn of(stat: &Stat) -> Self {
        let mut bytes = [0; SIGNATURE_LEN];
        bytes[..8].copy_from_slice(&stat.inode.to_le_bytes());
        bytes[8..16].copy_from_slice(&stat.ctime.0.to_le_bytes());
        bytes[16..].copy_from_slice(&stat.ctime.1.to_le_bytes());
        Self(bytes)
    }

    /// Equals no stat's: the entry is looked at again next time.
    pub const NONE: Self = Self([0xff; SIGNATURE_LEN]);
}

/// A digest of a directory's entries as stats show them; equal only if nothing changed directly in it.
pub fn digest(entries: &[Listed]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for Listed { name, stat } in entries {
        let mut bytes = [0; 64];
        bytes[..2].copy_from_slice(&(name.len() as u16).to_le_bytes());
        bytes[2..4].copy_from_slice(&stat.mode.to_le_bytes());
        bytes[4..8].copy_from_slice(&stat.kind.as_raw_mode().to_le_bytes());
        bytes[8..16].copy_from_slice(&stat.inode.to_le_bytes());
        bytes[16..24].copy_from_slice(&stat.size.to_le_bytes());
        bytes[24..32].copy_from_slice(&stat.mtime.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&stat.ctime.0.to_le_bytes());
        bytes[40..44].copy_from_slice(&stat.mtime.1.to_le_bytes());
        bytes[44..48].copy_from_slice(&stat.ctime.1.to_le_bytes());
        bytes[48..52].copy_from_slice(&stat.uid.to_le_bytes());
        bytes[52..56].copy_from_slice(&stat.gid.to_le_bytes());
        bytes[56..64].copy_from_slice(&stat.device.to_le_bytes());
        hasher.update(&bytes).update(name);
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    digest
}

/// Writes a directory's entries, in order of names.
#[derive(Default)]
pub struct SeenListingWriter {
    bytes: Vec<u8>,
    signatures: Vec<Signature>,
    page: Page,
}

impl SeenListingWriter {
    /// Adds the next entry.
    pub fn push(&mut self, signature: Signature, entry: Entry) {
        self.signatures.push(signature);
        self.page.entries.push(entry);
        if self.signatures.len() == FRAME_ENTRIES {
            self.end_frame();
        }
    }

    /// A frame: number of entries (4), length of the page (4), signatures, page.
    fn end_frame(&mut self) {
        let page = self.page.to_bytes();
        self.bytes.extend((self.signatures.len() as u32).to_le_bytes());
        self.bytes.extend((page.len() as u32).to_le_bytes());
        self.bytes.extend(self.signatures.iter().flat_map(|s| s.0));
        self.bytes.extend(page);
        self.signatures.clear();
        self.page.entries.clear();
    }

    /// The encoded listing.
    pub fn finish(mut self) -> Vec<u8> {
        if !self.signatures.is_empty() {
            self.end_frame();
        }
        self.bytes
    }
}

/// Reads what a [`SeenListingWriter`] wrote, entry by entry. Damage ends the listing early: entries
/// that are not found are read from their files again.
pub struct SeenListing {
    bytes: Vec<u8>,
    at: usize,
    frame: std::iter::Zip<std::vec::IntoIter<Signature>, std::vec::IntoIter<Entry>>,
}

impl SeenListing {
    /// Begins at the first entry.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0, frame: Vec::new().into_iter().zip(Vec::new()) }
    }

    fn next_frame(&mut self) -> Option<()> {
        let number =
            |at: usize| Some(u32::from_le_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?) as usize);
        let (count, page_len) = (number(self.at)?, number(self.at + 4)?);
        let signatures_at = self.at + 8;
        let page_at = signatures_at.checked_add(count.checked_mul(SIGNATURE_LEN)?)?;
        let signatures = self.bytes.get(signatures_at..page_at)?;
        let page = Page::from_bytes(self.bytes.get(page_at..page_at.checked_add(page_len)?)?).ok()?;
        if page.entries.len() != count {
            return None;
        }
        let signatures: Vec<_> = signatures
            .chunks_exact(SIGNATURE_LEN)
            .map(|s| Signature(s.try_into().expect("exact chunks")))
            .collect();
        self.at = page_at + page_len;
        self.frame = signatures.into_iter().zip(page.entries);
        Some(())
    }
}

impl Iterator for SeenListing {
    type Item = (Signature, Entry);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(next) = self.frame.next() {
                return Some(next);
            }
            self.next_frame()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Attributes, EntryKind, Owner};

    fn entry(n: usize) -> Entry {
        Entry {
            name: format!("{n:08}").into_bytes(),
            kind: EntryKind::Fifo,
            mode: 0o600,
            owner: Owner::default().into(),
            mtime_s: n as i64,
            mtime_ns: 0,
            attributes: Attributes::default(),
        }
    }

    #[test]
    fn listings_of_any_length_read_back_and_damage_only_shortens_them() {
        for count in [0, 1, FRAME_ENTRIES, FRAME_ENTRIES + 1, 3000] {
            let mut writer = SeenListingWriter::default();
            for n in 0..count {
                writer.push(Signature([n as u8; SIGNATURE_LEN]), entry(n));
            }
            let bytes = writer.finish();
            let read: Vec<_> = SeenListing::new(bytes.clone()).collect();
            assert_eq!(read.len(), count);
            assert!(read.iter().enumerate().all(|(n, (s, e))| s.0[0] == n as u8 && *e == entry(n)));
            for length in (0..bytes.len()).step_by(997) {
                assert!(SeenListing::new(bytes[..length].to_vec()).count() <= count);
            }
        }
    }
}
