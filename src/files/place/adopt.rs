//! Takes over a file that an earlier run wrote elsewhere, instead of writing it once more. Trusts only directories
//! that nobody else can enter; does not know why the file was written there.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::staged::Staged;
use super::{Found, Handle, Kind, Place, PlaceError, PlacedNode, Placement, check};
use crate::files::metadata::{self, EntryMeta};

const OPEN_FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A file as it was written: more than its name has to be right.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The directory, which only this process's user may enter.
    pub place: &'a Place,
    /// Its bytes.
    pub size: u64,
}

impl Place {
    /// Moves the regular file `name` from where it was written into this directory, whatever but a directory
    /// stands there, and gives it its metadata. None if it is not there as described, or cannot be moved, as from
    /// another file system.
    pub fn adopt(
        &self,
        name: &[u8],
        written: Written<'_>,
        meta: &EntryMeta,
    ) -> Result<Option<PlacedNode>, PlaceError> {
        check(name)?;
        let take = |at: &[u8]| {
            let handle = open_as_written(name, written, meta)?;
            fs::renameat_with(written.place, name, self, at, RenameFlags::NOREPLACE)?;
            Ok(handle)
        };
        let Ok(staged) = Staged::create(self, name, Placement::Replace, "move the file to", take) else {
            return Ok(None);
        };
        let id = staged.id()?;
        let problems = metadata::apply(meta, Handle { fd: staged.as_fd(), kind: Kind::File });
        staged.publish()?;
        Ok(Some(PlacedNode { id, problems }))
    }
}

/// The times are set last when a file is written, so that one with the right time is whole.
fn open_as_written(name: &[u8], written: Written<'_>, meta: &EntryMeta) -> rustix::io::Result<OwnedFd> {
    let handle = fs::openat(written.place, name, OPEN_FILE, Mode::empty())?;
    let found = Found::from_stat(&fs::fstat(&handle)?);
    let is_as_written = found.kind == Kind::File
        && found.size == written.size
        && (found.mtime_s, found.mtime_ns) == (meta.mtime_s, meta.mtime_ns);
    if is_as_written { Ok(handle) } else { Err(Errno::NOENT) }
}
