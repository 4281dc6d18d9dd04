//! A regular file while it is written. Knows bytes and offsets, not where they come from.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{self, Mode, OFlags};
use rustix::io::{self, Errno};

use super::staged::Staged;
use super::{FileId, Handle, Kind, Place, PlaceError, Placement};
use crate::files::metadata::{self, EntryMeta, MetadataProblem};

const WRITE: &str = "write to";
const CREATE_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A new file that only this process's user can open. Dropped before [`PlacedFile::finish`], it is
/// gone, and what it was to replace still stands.
pub struct PlacedFile {
    staged: Staged,
}

impl Place {
    /// Begins a file. A place that already has a directory of that name refuses it in
    /// [`PlacedFile::finish`].
    pub fn create_file(&self, name: &[u8], placement: Placement) -> Result<PlacedFile, PlaceError> {
        let create = |at: &[u8]| fs::openat(self, at, CREATE_FILE, Mode::RUSR | Mode::WUSR);
        let staged = Staged::create(self, name, placement, "create the file", create)?;
        Ok(PlacedFile { staged })
    }
}

impl PlacedFile {
    /// Writes all of `bytes` at `offset`; several threads may write to one file.
    pub fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> Result<(), PlaceError> {
        while !bytes.is_empty() {
            match io::pwrite(&self.staged, bytes, offset) {
                Ok(0) => return Err(self.fail(WRITE, Errno::IO)),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.fail(WRITE, errno)),
            }
        }
        Ok(())
    }

    /// Makes the file this long. What was never written reads as zeros and takes no space.
    pub fn set_len(&self, size: u64) -> Result<(), PlaceError> {
        fs::ftruncate(&self.staged, size).map_err(|errno| self.fail("set the size of", errno))
    }

    /// Which inode it is, to recognise it when it gets further names.
    pub fn id(&self) -> Result<FileId, PlaceError> {
        self.staged.id()
    }

    /// Gives the file its metadata and puts it under its name. Nothing is forced to disk; who
    /// needs that syncs the file system once, at the end.
    pub fn finish(self, meta: &EntryMeta) -> Result<Vec<MetadataProblem>, PlaceError> {
        let problems = metadata::apply(meta, Handle { fd: self.staged.as_fd(), kind: Kind::File });
        self.staged.publish()?;
        Ok(problems)
    }

    fn fail(&self, action: &'static str, errno: Errno) -> PlaceError {
        PlaceError::new(action, self.staged.name(), errno)
    }
}

impl AsFd for PlacedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.staged.as_fd()
    }
}
