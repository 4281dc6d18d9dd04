//! Turns one open file into content, region by region. Knows no names and no directories.

use rustix::io::Errno;

use crate::codec::Chunker;
use crate::engine::Meter;
use crate::engine::content_writer::{ContentStream, ContentWriter, StoredContent};
use crate::files::read::{OpenFile, Region};
use crate::repo::{RepoError, WriteSession};

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

/// Saves files one after the other.
pub struct FileSaver<'a> {
    contents: ContentWriter<'a>,
    meter: &'a Meter,
}

impl<'a> FileSaver<'a> {
    /// A saver for one thread.
    pub fn new(chunker: &'a Chunker, meter: &'a Meter) -> Self {
        Self { contents: ContentWriter::new(chunker), meter }
    }

    /// Reads the file once, from beginning to end, and stores what is new of it.
    pub fn save(&mut self, file: &OpenFile, session: &mut WriteSession) -> Result<StoredContent, SaveError> {
        let mut stream = self.contents.begin(session);
        if !file.is_sparse() {
            // No further than the end it had when it was opened: one that grows as fast as it is read would
            // never end, and its owner could have it so.
            save_data(self.meter, file, 0, file.stat.size, &mut stream)?;
            return Ok(stream.finish()?);
        }
        let mut at = 0;
        while let Some(region) = file.region(at).map_err(SaveError::Read)? {
            at = match region {
                Region::Hole { length } => {
                    stream.hole(length)?;
                    at + length
                }
                Region::Data { start, end } => {
                    let read = save_data(self.meter, file, start, end, &mut stream)?;
                    if start + read < end {
                        break;
                    }
                    end
                }
            };
        }
        Ok(stream.finish()?)
    }
}

/// Stores the bytes from `start` to `end`, or to the file's end; returns how many there were.
fn save_data(
    meter: &Meter,
    file: &OpenFile,
    start: u64,
    end: u64,
    stream: &mut ContentStream<'_>,
) -> Result<u64, SaveError> {
    let mut at = start;
    loop {
        // Here, so that neither a huge file nor a huge directory delays the end.
        if meter.is_interrupted() {
            return Err(SaveError::Interrupted);
        }
        if at >= end {
            return Ok(at - start);
        }
        let room = stream.room();
        let wanted = room.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        let read = file.read_at(&mut room[..wanted], at).map_err(SaveError::Read)?;
        stream.advance(read)?;
        at += read as u64;
        Meter::add(&meter.bytes_moved, read as u64);
        if read < wanted {
            return Ok(at - start);
        }
    }
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
