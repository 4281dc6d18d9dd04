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

#[cfg(test)]
mod tests {
    use rustix::fs::FileType;

    use super::*;
    use crate::files::walk::Stat;
    use crate::format::{Attributes, Content, Extent, Owner, flags};

    /// A file of five bytes.
    fn entry() -> Entry {
        Entry {
            name: b"a".to_vec(),
            kind: EntryKind::File(Content { depth: 0, extents: vec![Extent::Hole { length: 5 }] }),
            mode: 0o640,
            owner: Owner { uid: 7, gid: 8, ..Owner::default() }.into(),
            mtime_s: 10,
            mtime_ns: 11,
            attributes: Attributes::default(),
        }
    }

    fn stat() -> Stat {
        Stat {
            kind: FileType::RegularFile,
            mode: 0o640,
            links: 1,
            uid: 7,
            gid: 8,
            device: 1,
            inode: 2,
            size: 5,
            blocks: 8,
            mtime: (10, 11),
            ctime: (20, 21),
            special: 0,
        }
    }

    fn is_like(entry: &Entry, stat: Stat) -> bool {
        is_restored(entry, &Listed { name: b"a".as_slice().into(), stat })
    }

    /// The next backup reads nothing of what counts as restored: whatever a stat tells apart, it has to read.
    #[test]
    fn one_difference_is_enough_to_be_read_again() {
        assert!(is_like(&entry(), stat()));
        for differ in [
            |s: &mut Stat| s.kind = FileType::Fifo,
            |s: &mut Stat| s.kind = FileType::Directory,
            |s: &mut Stat| s.size = 6,
            |s: &mut Stat| s.mode = 0o600,
            |s: &mut Stat| s.uid = 0,
            |s: &mut Stat| s.gid = 0,
            |s: &mut Stat| s.mtime.0 = 9,
            |s: &mut Stat| s.mtime.1 = 12,
        ] {
            let mut other = stat();
            differ(&mut other);
            assert!(!is_like(&entry(), other), "{other:?}");
        }
        let mut marked = entry();
        marked.attributes.flags = flags::FOREIGN_LINK;
        assert!(!is_like(&marked, stat()));
    }

    #[test]
    fn a_directory_is_its_mode_and_a_link_has_none() {
        let directory = Entry { kind: EntryKind::Directory(ChunkId([0; 32])), ..entry() };
        let there = Stat { kind: FileType::Directory, uid: 0, mtime: (1, 1), ..stat() };
        assert!(is_like(&directory, there));
        assert!(!is_like(&directory, Stat { mode: 0o755, ..there }));
        assert!(!is_like(&directory, stat()));
        let link = Entry { kind: EntryKind::Symlink(b"b".to_vec()), ..entry() };
        let there = Stat { kind: FileType::Symlink, mode: 0o777, ..stat() };
        assert!(is_like(&link, there));
        assert!(!is_like(&link, Stat { mtime: (9, 11), ..there }));
    }
}
