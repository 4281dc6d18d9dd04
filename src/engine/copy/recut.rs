//! File contents on their way from one repository to another: read, verified, and cut again.

use std::sync::Arc;

use crate::codec::{Chunker, RepositoryKeys};
use crate::engine::Meter;
use crate::engine::content_writer::{ContentWriter, StoredContent};
use crate::engine::rewrite::{ContentError, Contents, RewriteError};
use crate::format::{Content, Extent};
use crate::repo::{Reader, RepoError, Repository, WriteSession};

/// One thread's way of copying contents.
pub struct Recut<'a> {
    reader: Reader,
    writer: ContentWriter<'a>,
    keys: Arc<RepositoryKeys>,
    meter: &'a Meter,
}

impl<'a> Recut<'a> {
    /// From one repository into another, whose chunker is given.
    pub fn new(
        from: &Repository,
        to: &Repository,
        chunker: &'a Chunker,
        meter: &'a Meter,
    ) -> Result<Self, RepoError> {
        let (reader, keys) = (from.reader()?, Arc::clone(to.keys()));
        Ok(Self { reader, writer: ContentWriter::new(chunker), keys, meter })
    }
}

impl Contents for Recut<'_> {
    fn rewrite(
        &mut self,
        content: &Content,
        session: &mut WriteSession,
    ) -> Result<StoredContent, ContentError> {
        let (mut stream, meter) = (self.writer.begin(session), self.meter);
        self.reader.extents(content, &mut |reader, extent| match extent {
            Extent::Hole { length } => stream.hole(length).map_err(ContentError::target),
            Extent::Data { id, length } => {
                if meter.is_interrupted() {
                    return Err(ContentError::Fatal(RewriteError::Interrupted));
                }
                let stored = reader.with_data(&id, length, |bytes| stream.data(bytes));
                stored.map_err(ContentError::source)?.map_err(ContentError::target)?;
                Meter::add(&meter.bytes_moved, length);
                Ok(())
            }
        })?;
        stream.finish().map_err(ContentError::target)
    }

    fn link_group(&self, group: &[u8; 16]) -> [u8; 16] {
        self.keys.copied_link_group(group)
    }
}
