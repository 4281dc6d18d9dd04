//! File contents on their way from one repository to another: read, verified, and cut again.

use std::sync::Arc;

use crate::codec::{Chunker, RepositoryKeys};
use crate::engine::Meter;
use crate::engine::content_writer::{ContentWriter, StoredContent};
use crate::engine::rewrite::{ContentError, Contents, rewrite_content};
use crate::format::Content;
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
        let (reader, writer) = (&mut self.reader, &mut self.writer);
        rewrite_content(reader, writer, content, session, self.meter, |stream, bytes| stream.data(bytes))
    }

    fn link_group(&self, group: &[u8; 16]) -> [u8; 16] {
        self.keys.copied_link_group(group)
    }
}
