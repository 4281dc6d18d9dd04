//! Moves what snapshots need out of some segments, and publishes the snapshots again without these. A snapshot
//! keeps its id and its trees; its new commit, of the next supersession, names other segments. The old
//! commit counts until a look has shown the new one to be safe (docs/safety.md).

use std::collections::{HashMap, HashSet};

use super::reach::Reached;
use super::writer::put_segment;
use super::{Committed, Finished, RepoError, Repository, Snapshot, WriterOptions};
use crate::codec::Hash;
use crate::format::{BlockKind, ObjectName, SegmentKind, SegmentWriter, ShortHash, SnapshotRecord};
use crate::index::{ListedSegment, SegmentRow};

/// Chunks that were copied.
#[derive(Debug, Default)]
pub struct Moved {
    /// The segments that hold them now.
    pub segments: Vec<ShortHash>,
    /// Bytes that were written.
    pub bytes_stored: u64,
    /// Objects that were written.
    pub objects: u64,
}

impl Repository {
    /// Copies every chunk that is reached and lies only in these segments into new ones. Chunks are verified on the
    /// way: what is damaged is an error, and nothing of it is copied.
    pub fn move_out(
        &mut self,
        segments: &[ListedSegment],
        reached: &Reached,
        options: &WriterOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Moved, RepoError> {
        let avoid: HashSet<SegmentRow> = segments.iter().map(|s| s.row).collect();
        let writer = self.writer_avoiding(options, avoid)?;
        let mut session = writer.session()?;
        let (mut reader, distrusted) = (self.reader()?, self.catalog().distrusted_blocks()?);
        for segment in segments {
            let (_, toc) = self.read_toc(&segment.name, segment.length)?;
            for (number, block) in toc.blocks.iter().enumerate() {
                // What a damaged block had and is reached lies elsewhere too.
                if distrusted.contains(&(segment.row, number as u32))
                    || !block.chunks.iter().any(|chunk| reached.is_reached(&chunk.id))
                {
                    continue;
                }
                let raw = reader.read_block(segment.row, number as u32)?;
                let mut rest = &raw[..];
                for chunk in &block.chunks {
                    let (bytes, behind) = rest.split_at(chunk.length as usize);
                    rest = behind;
                    if !reached.is_reached(&chunk.id) {
                        continue;
                    }
                    let stored = match block.kind {
                        BlockKind::Data => session.data(bytes)?,
                        BlockKind::Tree => session.tree(bytes)?,
                    };
                    if stored.id != chunk.id {
                        let reason = "a chunk's bytes do not have its id".into();
                        return Err(RepoError::Damaged { name: segment.name.clone(), reason });
                    }
                }
                progress(u64::from(block.stored_len));
            }
        }
        session.flush()?;
        let finished = self.put_rest(writer.finish()?)?;
        let mut moved =
            Moved { bytes_stored: finished.bytes_stored, objects: finished.objects, ..Moved::default() };
        for row in &finished.segments {
            moved.segments.push(self.catalog().segment(*row)?.hash.short());
        }
        Ok(moved)
    }

    /// Puts what filled no segment of its own into one nevertheless: for chunks that no commit of this run names.
    pub fn put_rest(&mut self, mut finished: Finished) -> Result<Finished, RepoError> {
        if finished.residual.is_empty() {
            return Ok(finished);
        }
        let residual = std::mem::replace(&mut finished.residual, SegmentWriter::new(SegmentKind::Bulk));
        let (row, length) = self.put_bulk(residual)?;
        finished.segments.insert(row);
        finished.bytes_stored += length;
        finished.objects += 1;
        Ok(finished)
    }

    /// Publishes snapshots again, with `added` in place of those of their deps that are in `without`, and makes the look for
    /// all of them. Everything the snapshots need of the segments in `without` must lie in `added` or in their other deps. `supersession` gives the number of the next commit of a snapshot. When the look fails, both
    /// commits of each snapshot stay, and the older ones still count. What `commits` hold is
    /// read one after the other, so that ten thousand snapshots are not in memory at once.
    pub fn republish(
        &mut self,
        commits: &[Hash],
        without: &HashSet<ShortHash>,
        added: &[ShortHash],
        supersession: impl Fn(&Snapshot) -> u32,
    ) -> Result<Vec<Committed>, RepoError> {
        let gc_seen: Vec<String> = self.gc().names().map(ToString::to_string).collect();
        let mut replaced: HashMap<Hash, Hash> = HashMap::new();
        let mut published = Vec::new();
        for commit in self.oldest_first(commits)? {
            let snapshot = self.snapshot(&commit)?.ok_or(RepoError::IndexChanged)?;
            let supersession = supersession(&snapshot);
            let mut record = SnapshotRecord { supersession, ..snapshot.record };
            record.gc_seen.clone_from(&gc_seen);
            for parent in &mut record.parents {
                *parent = *replaced.get(parent).unwrap_or(parent);
            }
            record.parents.sort();
            let named = record.deps.iter().copied().chain([snapshot.hash.short()]);
            let kept = named.filter(|dep| !without.contains(dep));
            let deps: HashSet<ShortHash> = kept.chain(added.iter().copied()).collect();
            record.deps = deps.into_iter().collect();
            let committed = self.commit(Finished::nothing(), record)?;
            replaced.insert(snapshot.hash, committed.hash);
            published.push(committed);
        }
        for committed in &published {
            self.look(&committed.hash, &committed.deps)?;
        }
        Ok(published)
    }
}

impl Repository {
    fn oldest_first(&self, commits: &[Hash]) -> Result<Vec<Hash>, RepoError> {
        let wanted: HashSet<&Hash> = commits.iter().collect();
        let mut summaries = self.catalog().summaries()?;
        summaries.retain(|summary| wanted.contains(&summary.hash));
        summaries.sort_by_key(|summary| (summary.time_ms, summary.id));
        match summaries.len() == wanted.len() {
            true => Ok(summaries.into_iter().map(|summary| summary.hash).collect()),
            false => Err(RepoError::IndexChanged),
        }
    }
}

impl Finished {
    /// What a pipeline that was given nothing has done.
    fn nothing() -> Self {
        Self {
            residual: SegmentWriter::new(SegmentKind::Bulk),
            segments: HashSet::new(),
            bytes_stored: 0,
            objects: 0,
        }
    }
}

impl Repository {
    /// Puts blocks as a bulk segment, which is then known here.
    fn put_bulk(&mut self, segment: SegmentWriter) -> Result<(SegmentRow, u64), RepoError> {
        let put = put_segment(self.store.as_ref(), &self.keys, segment, None, ObjectName::segment)?;
        Ok((put.enter(&mut self.catalog)?, put.length))
    }
}

#[cfg(test)]
mod tests;
