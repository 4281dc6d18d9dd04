//! Turns a stream of bytes and holes into content: cuts, chunks, lists. Knows not where the bytes come from.

use crate::codec::{ChunkId, Chunker};
use crate::format::{Content, ContentList, Extent, ListBuilder};
use crate::repo::{RepoError, Stored, WriteSession};

/// Bytes gathered before they are cut, at least two of the largest chunks, so that little is moved in between.
const BUFFER_LEN: usize = 2 << 20;

/// What a stream became.
#[derive(Debug)]
pub struct StoredContent {
    /// Its content.
    pub content: Content,
    /// Bytes that the repository did not have.
    pub bytes_new: u64,
}

/// Stores streams one after the other, with one buffer for all.
pub struct ContentWriter<'a> {
    chunker: &'a Chunker,
    buffer: Vec<u8>,
}

impl<'a> ContentWriter<'a> {
    /// A writer for one thread.
    pub fn new(chunker: &'a Chunker) -> Self {
        Self { chunker, buffer: vec![0; BUFFER_LEN.max(2 * chunker.window())] }
    }

    /// Begins a stream. One that is dropped before [`ContentStream::finish`] leaves chunks that nothing names.
    pub fn begin<'w>(&'w mut self, session: &'w mut WriteSession) -> ContentStream<'w> {
        let (chunker, buffer) = (self.chunker, &mut self.buffer[..]);
        ContentStream { chunker, buffer, filled: 0, session, lists: ListBuilder::default(), bytes_new: 0 }
    }
}

/// One file's bytes and holes, in order.
pub struct ContentStream<'w> {
    chunker: &'w Chunker,
    buffer: &'w mut [u8],
    /// Bytes in the buffer that are not cut yet.
    filled: usize,
    session: &'w mut WriteSession,
    lists: ListBuilder,
    bytes_new: u64,
}

impl ContentStream<'_> {
    /// Where the next bytes may be put; never empty. [`ContentStream::advance`] says how many were.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// Takes the first `length` bytes of the room as the next bytes of the file.
    pub fn advance(&mut self, length: usize) -> Result<(), RepoError> {
        self.filled += length;
        if self.filled < self.buffer.len() { Ok(()) } else { self.cut(self.chunker.window()) }
    }

    /// The next bytes of the file.
    pub fn data(&mut self, mut bytes: &[u8]) -> Result<(), RepoError> {
        while !bytes.is_empty() {
            let room = self.room();
            let length = room.len().min(bytes.len());
            room[..length].copy_from_slice(&bytes[..length]);
            self.advance(length)?;
            bytes = &bytes[length..];
        }
        Ok(())
    }

    /// The next bytes of the file, which are a chunk whatever stands in them. Not after [`ContentStream::data`],
    /// before a hole.
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<(), RepoError> {
        let stored = self.session.data(bytes)?;
        self.push_stored(stored, bytes.len())
    }

    /// The next bytes were never written. What stands before a hole is cut as if the file ended there.
    pub fn hole(&mut self, length: u64) -> Result<(), RepoError> {
        self.cut(1)?;
        self.push(Extent::Hole { length })
    }

    /// The file ends here.
    pub fn finish(mut self) -> Result<StoredContent, RepoError> {
        self.cut(1)?;
        let session = self.session;
        let content = self.lists.finish(&mut |list| store_list(session, list))?;
        Ok(StoredContent { content, bytes_new: self.bytes_new })
    }

    /// Stores chunks until fewer than `least` bytes are left.
    fn cut(&mut self, least: usize) -> Result<(), RepoError> {
        let mut used = 0;
        while self.filled - used >= least {
            let length = self.chunker.cut(&self.buffer[used..self.filled]);
            let stored = self.session.data(&self.buffer[used..used + length])?;
            self.push_stored(stored, length)?;
            used += length;
        }
        self.buffer.copy_within(used..self.filled, 0);
        self.filled -= used;
        Ok(())
    }

    fn push_stored(&mut self, stored: Stored, length: usize) -> Result<(), RepoError> {
        let length = length as u64;
        if stored.new {
            self.bytes_new += length;
        }
        self.push(Extent::Data { id: stored.id, length })
    }

    fn push(&mut self, extent: Extent) -> Result<(), RepoError> {
        let session = &mut *self.session;
        self.lists.push(extent, &mut |list| store_list(session, list))
    }
}

fn store_list(session: &mut WriteSession, list: &ContentList) -> Result<ChunkId, RepoError> {
    Ok(session.tree(&list.to_bytes())?.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::Bench;
    use crate::repo::{WriteTarget, WriterOptions};

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn in_whatever_pieces_bytes_come_they_are_cut_alike() {
        let bench = Bench::new();
        let chunker =
            Chunker::new(bench.repository.descriptor().chunker, bench.repository.keys().gear_table());
        let options = WriterOptions { level: 1, threads: 1, target: WriteTarget::Nowhere };
        let writer = bench.repository.writer(&options).unwrap();
        let (mut session, mut contents) = (writer.session().unwrap(), ContentWriter::new(&chunker));
        let bytes = noise(BUFFER_LEN + 300_000);
        let mut stored = |piece: usize| {
            let mut stream = contents.begin(&mut session);
            for part in [&bytes[..], &bytes[..5000]] {
                part.chunks(piece).for_each(|piece| stream.data(piece).unwrap());
                stream.hole(77).unwrap();
            }
            stream.finish().unwrap()
        };
        let whole = stored(usize::MAX);
        assert_eq!(whole.content.size(), bytes.len() as u64 + 5000 + 2 * 77);
        assert!(whole.bytes_new >= bytes.len() as u64, "{}", whole.bytes_new);
        for piece in [1000, 16 << 10, BUFFER_LEN - 1, BUFFER_LEN] {
            let again = stored(piece);
            assert_eq!((again.content, again.bytes_new), (whole.content.clone(), 0), "{piece}");
        }
    }

    #[test]
    fn nothing_is_content_without_extents() {
        let bench = Bench::new();
        let chunker =
            Chunker::new(bench.repository.descriptor().chunker, bench.repository.keys().gear_table());
        let options = WriterOptions { level: 1, threads: 1, target: WriteTarget::Nowhere };
        let writer = bench.repository.writer(&options).unwrap();
        let mut session = writer.session().unwrap();
        let stored = ContentWriter::new(&chunker).begin(&mut session).finish().unwrap();
        assert_eq!((stored.content, stored.bytes_new), (Content::default(), 0));
    }
}
