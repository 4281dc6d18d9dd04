//! One file's content, read chunk by chunk and stored again. Knows not what storing a chunk means.

use super::{ContentError, RewriteError};
use crate::engine::Meter;
use crate::engine::content_writer::{ContentStream, ContentWriter, StoredContent};
use crate::format::{Content, Extent};
use crate::repo::{Reader, RepoError, WriteSession};

/// Gives every chunk, verified, to `put`, and the holes between them to the stream.
pub fn rewrite_content(
    reader: &mut Reader,
    writer: &mut ContentWriter<'_>,
    content: &Content,
    session: &mut WriteSession,
    meter: &Meter,
    put: fn(&mut ContentStream<'_>, &[u8]) -> Result<(), RepoError>,
) -> Result<StoredContent, ContentError> {
    let mut stream = writer.begin(session);
    reader.extents(content, &mut |reader, extent| match extent {
        Extent::Hole { length } => stream.hole(length).map_err(ContentError::target),
        Extent::Data { id, length } => {
            if meter.is_interrupted() {
                return Err(ContentError::Fatal(RewriteError::Interrupted));
            }
            let stored = reader.with_data(&id, length, |bytes| put(&mut stream, bytes));
            stored.map_err(ContentError::source)?.map_err(ContentError::target)?;
            Meter::add(&meter.bytes_moved, length);
            Ok(())
        }
    })?;
    stream.finish().map_err(ContentError::target)
}
