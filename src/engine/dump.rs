//! Writes a file's bytes, or a directory as a tar archive. Every chunk is checked by its id before
//! its bytes are written. Knows an output, no place to restore to.

mod archive;
mod header;

use std::io::{self, Write};

pub use archive::{ArchiveReport, dump_archive};

use super::lookup::Located;
use super::{BrowseError, HomePath, Kind};
use crate::codec::ChunkId;
use crate::format::{Content, Entry, EntryKind, Extent, FormatError, flags};
use crate::repo::{Reader, RepoError};

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Writes a file's bytes, zeros where it has holes, and returns how many they were.
pub fn dump_file(reader: &mut Reader, file: &Located, to: &mut dyn Write) -> Result<u64, BrowseError> {
    let Located { path, entry } = file;
    let EntryKind::File(content) = &entry.kind else {
        return Err(BrowseError::NotFile { path: path.clone(), kind: Kind::of(entry) });
    };
    if entry.attributes.vault.is_some() {
        return Err(BrowseError::InVault { path: path.clone() });
    }
    if is_without_content(entry) {
        return Err(BrowseError::WithoutContent { path: path.clone() });
    }
    write_content(reader, path, content, to)?;
    to.flush()?;
    Ok(content.size())
}

fn is_without_content(entry: &Entry) -> bool {
    entry.attributes.flags & flags::FOREIGN_LINK != 0 || entry.attributes.vault.is_some()
}

fn write_content(
    reader: &mut Reader,
    path: &HomePath,
    content: &Content,
    to: &mut dyn Write,
) -> Result<(), BrowseError> {
    let mut chunk = Vec::new();
    let mut write = |reader: &mut Reader, extent: Extent| match extent {
        Extent::Hole { length } => Ok(write_zeros(to, length)?),
        Extent::Data { id, length } => {
            chunk.clear();
            reader.data(&id, &mut chunk)?;
            if chunk.len() as u64 != length {
                return Err(other_length(&id).into());
            }
            Ok(to.write_all(&chunk)?)
        }
    };
    reader.extents(content, &mut write).map_err(|failure| match failure {
        Failure::Read(source) => BrowseError::Read { path: path.clone(), source },
        Failure::Write(source) => BrowseError::Write(source),
    })
}

fn write_zeros(to: &mut dyn Write, mut length: u64) -> io::Result<()> {
    while length > 0 {
        let part = length.min(ZEROS.len() as u64);
        to.write_all(&ZEROS[..part as usize])?;
        length -= part;
    }
    Ok(())
}

fn other_length(id: &ChunkId) -> RepoError {
    let reason = "a chunk of another length than its file says".into();
    RepoError::Format { name: format!("chunk {id}"), source: FormatError::Malformed { what: "file", reason } }
}

/// Which side of a copy failed.
enum Failure {
    Read(RepoError),
    Write(io::Error),
}

impl From<RepoError> for Failure {
    fn from(error: RepoError) -> Self {
        Self::Read(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

#[cfg(test)]
mod tests;
