//! File contents that stay as they are if all of their chunks can be read.

use crate::engine::Meter;
use crate::engine::content_writer::{ContentWriter, StoredContent};
use crate::engine::rewrite::{ContentError, Contents, RewriteError};
use crate::format::{Content, Extent};
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
        let (mut stream, meter) = (self.writer.begin(session), self.meter);
        self.reader.extents(content, &mut |reader, extent| match extent {
            Extent::Hole { length } => stream.hole(length).map_err(ContentError::target),
            Extent::Data { id, length } => {
                if meter.is_interrupted() {
                    return Err(ContentError::Fatal(RewriteError::Interrupted));
                }
                let stored = reader.with_data(&id, length, |bytes| stream.chunk(bytes));
                stored.map_err(ContentError::source)?.map_err(ContentError::target)?;
                Meter::add(&meter.bytes_moved, length);
                Ok(())
            }
        })?;
        stream.finish().map_err(ContentError::target)
    }

    fn link_group(&self, group: &[u8; 16]) -> [u8; 16] {
        *group
    }
}
