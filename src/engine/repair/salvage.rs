//! Moves what can still be read out of damaged segments into new ones, so that it no longer depends on these.

use super::{RepairError, RepairOptions, Salvaged};
use crate::codec::ChunkId;
use crate::engine::Meter;
use crate::format::BlockKind;
use crate::index::SegmentRow;
use crate::repo::{Reached, RepoError, Repository, WriteTarget, WriterOptions};

/// A chunk in a damaged segment, by where it lies: neighbours are read together.
type Place = (SegmentRow, u32, u32, ChunkId);

/// Stores again every chunk that is reached and lies in a sound block of a damaged segment, unless it is elsewhere
/// too: the pipeline does not count damaged segments. Who needs it has to be told where it is now.
pub fn salvage(
    repository: &mut Repository,
    reached: &Reached,
    options: &RepairOptions,
    meter: &Meter,
) -> Result<Salvaged, RepairError> {
    let mut salvaged = Salvaged::default();
    for row in repository.distrusted()? {
        salvaged.segments.push(repository.catalog().segment(row)?.name);
    }
    salvaged.segments.sort();
    let places = places(repository, reached)?;
    if options.dry_run || places.is_empty() {
        return Ok(salvaged);
    }
    let RepairOptions { level, threads, .. } = *options;
    let writer = repository.writer(&WriterOptions { level, threads, target: WriteTarget::Store })?;
    let (mut session, mut reader) = (writer.session()?, repository.reader()?);
    let mut bytes = Vec::new();
    for (segment, block, _, id) in places {
        if meter.is_interrupted() {
            return Err(RepairError::Interrupted);
        }
        bytes.clear();
        let kind = repository.catalog().block(segment, block)?.kind;
        match reader.chunk(kind, &id, &mut bytes) {
            Ok(()) => {}
            // It became damaged since it was looked at; whoever needs it finds out.
            Err(error) if error.is_damage() => continue,
            Err(error) => return Err(error.into()),
        }
        match kind {
            BlockKind::Data => session.data(&bytes)?,
            BlockKind::Tree => session.tree(&bytes)?,
        };
        salvaged.chunks += 1;
        Meter::add(&meter.bytes_moved, bytes.len() as u64);
    }
    session.flush()?;
    let finished = repository.put_rest(writer.finish()?)?;
    (salvaged.bytes_stored, salvaged.objects) = (finished.bytes_stored, finished.objects);
    Ok(salvaged)
}

fn places(repository: &Repository, reached: &Reached) -> Result<Vec<Place>, RepoError> {
    let (segments, blocks) = (repository.distrusted()?, repository.catalog().distrusted_blocks()?);
    let mut places = Vec::new();
    if segments.is_empty() {
        return Ok(places);
    }
    repository.catalog().scan_chunks(|id, place| {
        let is_sound = !blocks.contains(&(place.segment, place.block));
        if segments.contains(&place.segment) && is_sound && reached.is_reached(id) {
            places.push((place.segment, place.block, place.start, *id));
        }
    })?;
    places.sort_unstable();
    Ok(places)
}
