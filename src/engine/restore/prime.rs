//! Tells the local index what a restored home looks like, so that the next backup reads nothing.
//!
//! Every start of an ephemeral node is a restore: without this, the first backup after each would
//! read every file again, since inodes and change times are all new. Nothing is taken on trust: only
//! an entry that stands there with the kind, size and modification time of the snapshot's counts as
//! seen, and a directory counts as unchanged only if all of its entries do and nothing else is in it.

use std::os::fd::AsFd;
use std::path::Path;

use super::plan::Context;
use super::root::Root;
use super::{RestoreError, RestoreSource, RestoreTarget};
use crate::codec::{ChunkId, Hash};
use crate::engine::backup::seen_listing::{SeenListingWriter, Signature, digest};
use crate::files::place::Place;
use crate::files::walk::{self, ListBuffer, Listed};
use crate::format::{Entry, EntryKind};
use crate::index::{HomeKey, Seen, SeenDirectory, SeenRow, SeenWriter};
use crate::repo::{Reader, Readers};

/// Primes the index with a whole home that came back to where it was, or where it will be backed up from.
pub fn prime(
    readers: &Readers,
    source: &RestoreSource,
    root: &Root,
    context: &Context<'_>,
) -> Result<(), RestoreError> {
    let Some(place) = root.place.clone() else { return Ok(()) };
    let seen = Seen::open(readers.cache())?;
    let is_known = seen.home(&context.options.source, &source.user)?.is_some();
    if !source.path.is_empty() || (is_known && !is_home(source, &context.options.target)) {
        return Ok(());
    }
    let EntryKind::Directory(tree) = source.entry.kind else { return Ok(()) };
    let mut primer = Primer {
        reader: readers.reader()?,
        buffer: ListBuffer::default(),
        seen,
        home: (&context.options.source, &source.user),
        rows: Vec::new(),
        rows_len: 0,
        writer: None,
        visited: Vec::new(),
    };
    let mut stack = vec![(place, tree)];
    while let Some((place, tree)) = stack.pop() {
        match primer.directory(&place, tree, &mut stack) {
            // Nothing counts as seen there; that it did not come back has been reported.
            Err(RestoreError::Repository(error)) if error.is_damage() => {}
            primed => primed?,
        }
    }
    primer.finish(&source.commit)
}

/// Whether the target is the home itself.
fn is_home(source: &RestoreSource, target: &RestoreTarget) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let same = |path: &Path| path.canonicalize().is_ok_and(|path| path == source.home_path);
    match target {
        RestoreTarget::InPlace => true,
        RestoreTarget::PerUser(path) => same(&path.join(std::ffi::OsStr::from_bytes(&source.user))),
        RestoreTarget::Contents(path) => same(path),
    }
}

/// Bytes of rows gathered before they are written. Writing begins late, since others wait meanwhile.
const ROWS_LEN: usize = 8 << 20;

struct Primer<'p> {
    reader: Reader,
    buffer: ListBuffer,
    seen: Seen,
    /// Source and user.
    home: (&'p str, &'p [u8]),
    rows: Vec<SeenRow>,
    rows_len: usize,
    writer: Option<(SeenWriter, HomeKey)>,
    visited: Vec<(u64, u64)>,
}

impl Primer<'_> {
    fn flush(&mut self) -> Result<&mut (SeenWriter, HomeKey), RestoreError> {
        if self.writer.is_none() {
            let mut writer = self.seen.writer()?;
            let home = writer.home(self.home.0, self.home.1)?;
            self.writer = Some((writer, home));
        }
        let open = self.writer.as_mut().expect("made above");
        open.0.put(open.1, &self.rows)?;
        self.rows.clear();
        self.rows_len = 0;
        Ok(open)
    }

    fn finish(mut self, commit: &Hash) -> Result<(), RestoreError> {
        let visited = std::mem::take(&mut self.visited);
        let (writer, home) = self.flush()?;
        // What is a secret by now is for the next backup to find out: it looks at names, and reads nothing.
        writer.finish_home(*home, commit, &[0; 16], &visited)?;
        match self.writer {
            Some((writer, _)) => Ok(writer.commit()?),
            None => Ok(()),
        }
    }

    /// Compares one directory with its tree; subdirectories that both have come next.
    fn directory(
        &mut self,
        place: &Place,
        tree: ChunkId,
        stack: &mut Vec<(Place, ChunkId)>,
    ) -> Result<(), RestoreError> {
        let (Ok(listing), Ok(stat)) =
            (walk::list(place.as_fd(), &mut self.buffer, |_| true), walk::stat(place.as_fd()))
        else {
            return Ok(());
        };
        let mut there = listing.entries.iter().peekable();
        let mut writer = SeenListingWriter::default();
        let mut is_same = true;
        let (mut files, mut bytes) = (0, 0);
        self.reader.entries(&tree, |_, entry| {
            while there.next_if(|l| *l.name < *entry.name).is_some() {
                is_same = false;
            }
            let listed = there.next_if(|l| *l.name == *entry.name);
            let signature =
                listed.filter(|l| is_restored(&entry, l)).map_or(Signature::NONE, |l| Signature::of(&l.stat));
            is_same &= signature != Signature::NONE;
            if let (EntryKind::Directory(tree), Some(_)) = (&entry.kind, listed)
                && let Ok(next) = place.open_directory(&entry.name)
            {
                stack.push((next, *tree));
            }
            if matches!(entry.kind, EntryKind::File(_)) {
                files += 1;
                bytes += entry.size();
            }
            writer.push(signature, entry);
            Ok::<_, RestoreError>(())
        })?;
        is_same &= there.next().is_none();
        let digest = if is_same { digest(&listing.entries) } else { [0; 16] };
        let seen = SeenDirectory { digest, tree, files, bytes };
        let row = SeenRow { device: stat.device, inode: stat.inode, seen, entries: writer.finish() };
        self.visited.push((row.device, row.inode));
        self.rows_len += row.entries.len();
        self.rows.push(row);
        if self.rows_len >= ROWS_LEN {
            self.flush()?;
        }
        Ok(())
    }
}

/// Whether what stands there is the entry, as far as a stat tells. Marked files are read again.
fn is_restored(entry: &Entry, listed: &Listed) -> bool {
    let stat = &listed.stat;
    let is_same_kind = match entry.kind {
        EntryKind::File(_) => stat.kind.is_file() && entry.size() == stat.size,
        EntryKind::Directory(_) => return stat.kind.is_dir() && entry.mode == stat.mode,
        EntryKind::Symlink(_) => stat.kind.is_symlink(),
        EntryKind::Fifo => stat.kind.is_fifo(),
        EntryKind::CharDevice(_) => stat.kind.is_char_device(),
        EntryKind::BlockDevice(_) => stat.kind.is_block_device(),
    };
    let is_same_mode = stat.kind.is_symlink() || entry.mode == stat.mode;
    let is_same_owner = (entry.owner.uid, entry.owner.gid) == (stat.uid, stat.gid);
    let is_same_time = (entry.mtime_s, entry.mtime_ns) == stat.mtime;
    is_same_kind && is_same_mode && is_same_owner && is_same_time && entry.attributes.critical_flags() == 0
}
