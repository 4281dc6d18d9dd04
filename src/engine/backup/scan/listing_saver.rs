//! Writes a directory's tree and its row in the local index, entry by entry.

use super::directory::Directory;
use crate::engine::backup::BackupError;
use crate::engine::backup::seen_listing::{SeenListingWriter, Signature};
use crate::format::{Entry, EntryKind, PageBuilder};
use crate::index::{SeenDirectory, SeenRow};
use crate::repo::{RepoError, WriteSession};

/// Writes a directory's tree and its row in the local index, entry by entry.
pub struct ListingSaver {
    pages: PageBuilder,
    seen: SeenListingWriter,
    digest: [u8; 16],
    files: u64,
    bytes: u64,
}

impl ListingSaver {
    pub fn new(entries: usize, digest: [u8; 16]) -> Self {
        Self {
            pages: PageBuilder::new(entries),
            seen: SeenListingWriter::default(),
            digest,
            files: 0,
            bytes: 0,
        }
    }

    pub fn push(
        &mut self,
        signature: Signature,
        entry: Entry,
        session: &mut WriteSession,
    ) -> Result<(), RepoError> {
        if signature == Signature::NONE {
            self.digest = [0; 16];
        }
        if matches!(entry.kind, EntryKind::File(_)) {
            self.files += 1;
            self.bytes += entry.size();
        }
        self.seen.push(signature, entry.clone());
        self.pages.push(entry, &mut |bytes: Vec<u8>| session.tree(&bytes).map(|s| s.id))
    }

    pub fn finish(self, directory: &Directory, session: &mut WriteSession) -> Result<SeenRow, BackupError> {
        let tree = self.pages.finish(&mut |bytes: Vec<u8>| session.tree(&bytes).map(|s| s.id))?;
        let seen = SeenDirectory { digest: self.digest, tree, files: self.files, bytes: self.bytes };
        let (device, inode) = (directory.stat.device, directory.stat.inode);
        Ok(SeenRow { device, inode, seen, entries: self.seen.finish() })
    }
}
