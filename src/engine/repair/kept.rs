//! File contents that stay as they are if all of their chunks can be read.

use crate::engine::Meter;
use crate::engine::content_writer::{ContentWriter, StoredContent};
use crate::engine::rewrite::{ContentError, Contents, rewrite_content};
use crate::format::Content;
use crate::repo::{Reader, WriteSession};

/// One thread's way of reading contents to their end.
pub struct Kept<'a> {
    reader: Reader,
    writer: ContentWriter<'a>,
    meter: &'a Meter,
}

impl<'a> Kept<'a> {
    /// Reads with `reader`; nothing is cut by the writer.
    pub fn new(reader: Reader, writer: ContentWriter<'a>, meter: &'a Meter) -> Self {
        Self { reader, writer, meter }
    }
}

impl Contents for Kept<'_> {
    /// The same chunks again: the pipeline notes where they are, and stores those again that are not where they
    /// can be relied on.
    fn rewrite(
        &mut self,
        content: &Content,
        session: &mut WriteSession,
    ) -> Result<StoredContent, ContentError> {
        let (reader, writer) = (&mut self.reader, &mut self.writer);
        rewrite_content(reader, writer, content, session, self.meter, |stream, bytes| stream.chunk(bytes))
    }

    fn link_group(&self, group: &[u8; 16]) -> [u8; 16] {
        *group
    }
}
