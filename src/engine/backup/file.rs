//! Turns one open file into content: regions, cuts, chunks. Knows no names and no directories.

use rustix::io::Errno;

use crate::codec::{ChunkId, Chunker};
use crate::engine::Meter;
use crate::files::read::{OpenFile, Region};
use crate::format::{Content, ContentList, Extent, ListBuilder};
use crate::repo::{RepoError, WriteSession};

/// Bytes read at once, at least two of the largest chunks, so that little is moved between reads.
const BUFFER_LEN: usize = 2 << 20;

/// What a file became.
#[derive(Debug)]
pub struct SavedFile {
    /// Its content.
    pub content: Content,
    /// Bytes that the repository did not have.
    pub bytes_new: u64,
}

/// Why a file was not saved.
#[derive(Debug)]
pub enum SaveError {
    /// The file; others go on.
    Read(Errno),
    /// The repository; the run is over.
    Repository(RepoError),
    /// Someone asked to stop; the run is over.
    Interrupted,
}

impl From<RepoError> for SaveError {
    fn from(error: RepoError) -> Self {
        Self::Repository(error)
    }
}

/// Saves files one after the other, with one buffer for all.
pub struct FileSaver<'a> {
    chunker: &'a Chunker,
    meter: &'a Meter,
    buffer: Vec<u8>,
}

impl<'a> FileSaver<'a> {
    /// A saver for one thread.
    pub fn new(chunker: &'a Chunker, meter: &'a Meter) -> Self {
        Self { chunker, meter, buffer: vec![0; BUFFER_LEN.max(2 * chunker.window())] }
    }

    /// Reads the file once, from beginning to end, and stores what is new of it.
    pub fn save(&mut self, file: &OpenFile, session: &mut WriteSession) -> Result<SavedFile, SaveError> {
        let mut extents = ExtentSink { session, lists: ListBuilder::default(), bytes_new: 0 };
        if !file.is_sparse() {
            // No further than the end it had when it was opened: one that grows as fast as it is read would
            // never end, and its owner could have it so.
            self.save_data(file, 0, file.stat.size, &mut extents)?;
            return extents.finish();
        }
        let mut at = 0;
        while let Some(region) = file.region(at).map_err(SaveError::Read)? {
            at = match region {
                Region::Hole { length } => {
                    extents.hole(length)?;
                    at + length
                }
                Region::Data { start, end } => {
                    let read = self.save_data(file, start, end, &mut extents)?;
                    if start + read < end {
                        break;
                    }
                    end
                }
            };
        }
        extents.finish()
    }

    /// Cuts and stores the bytes from `start` to `end`, or to the file's end; returns how many there were.
    fn save_data(
        &mut self,
        file: &OpenFile,
        start: u64,
        end: u64,
        extents: &mut ExtentSink<'_>,
    ) -> Result<u64, SaveError> {
        let (mut at, mut filled) = (start, 0);
        loop {
            // Here, so that neither a huge file nor a huge directory delays the end.
            if self.meter.is_interrupted() {
                return Err(SaveError::Interrupted);
            }
            let wanted = (self.buffer.len() - filled).min(usize::try_from(end - at).unwrap_or(usize::MAX));
            let read =
                file.read_at(&mut self.buffer[filled..filled + wanted], at).map_err(SaveError::Read)?;
            at += read as u64;
            filled += read;
            Meter::add(&self.meter.bytes_moved, read as u64);
            let is_end = read < wanted || at == end;
            let mut used = 0;
            while filled - used >= self.chunker.window() || (is_end && used < filled) {
                let length = self.chunker.cut(&self.buffer[used..filled]);
                extents.data(&self.buffer[used..used + length])?;
                used += length;
            }
            if is_end {
                return Ok(at - start);
            }
            self.buffer.copy_within(used..filled, 0);
            filled -= used;
        }
    }
}

/// Collects a file's extents, storing chunks and lists as they come.
struct ExtentSink<'s> {
    session: &'s mut WriteSession,
    lists: ListBuilder,
    bytes_new: u64,
}

impl ExtentSink<'_> {
    fn data(&mut self, bytes: &[u8]) -> Result<(), RepoError> {
        let stored = self.session.data(bytes)?;
        if stored.new {
            self.bytes_new += bytes.len() as u64;
        }
        self.push(Extent::Data { id: stored.id, length: bytes.len() as u64 })
    }

    fn hole(&mut self, length: u64) -> Result<(), RepoError> {
        self.push(Extent::Hole { length })
    }

    fn push(&mut self, extent: Extent) -> Result<(), RepoError> {
        let session = &mut *self.session;
        self.lists.push(extent, &mut |list| store_list(session, list))
    }

    fn finish(self) -> Result<SavedFile, SaveError> {
        let session = self.session;
        let content = self.lists.finish(&mut |list| store_list(session, list))?;
        Ok(SavedFile { content, bytes_new: self.bytes_new })
    }
}

fn store_list(session: &mut WriteSession, list: &ContentList) -> Result<ChunkId, RepoError> {
    Ok(session.tree(&list.to_bytes())?.id)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;
    use crate::files::walk;
    use crate::keys::{Cost, Secret};
    use crate::repo::{CreateOptions, Repository, WriteTarget, WriterOptions};
    use crate::store::MemoryStore;

    #[test]
    fn a_file_is_read_no_further_than_it_went_when_it_was_opened() {
        let folder = tempfile::tempdir().unwrap();
        let secret = Secret::KeyFile([7; 32].into());
        let create = CreateOptions { cost: Cost::FLOOR, ..CreateOptions::default() };
        let cache = folder.path().join("cache");
        let repository = Repository::create(Arc::new(MemoryStore::new()), &secret, &cache, &create).unwrap();
        let mut named = std::fs::File::create(folder.path().join("log")).unwrap();
        named.write_all(&[1; 5000]).unwrap();
        let file = OpenFile::open(walk::open_path(folder.path()).unwrap(), b"log").unwrap();
        named.write_all(&[2; 5000]).unwrap();
        let chunker = Chunker::new(create.chunker, repository.keys().gear_table());
        let meter = Meter::default();
        let writer =
            repository.writer(&WriterOptions { level: 1, threads: 1, target: WriteTarget::Store }).unwrap();
        let mut session = writer.session().unwrap();
        let saved = FileSaver::new(&chunker, &meter).save(&file, &mut session).unwrap();
        assert_eq!(saved.content.size(), 5000);
    }
}
