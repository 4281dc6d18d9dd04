//! Creates, changes and removes things in a restore target that hostile users may change at the
//! same time. Knows directories, names and bytes, not snapshots.
//!
//! Why nothing outside the target can be touched, whatever others do to it meanwhile:
//! - The target is opened once. Everything below is reached from a directory that is already open,
//!   by one name without a slash, and no link is followed.
//! - Nothing is written through an inode that was there before: it may have a second name
//!   elsewhere. Files are new; what they replace is unlinked by a rename.
//! - Owner, mode, attributes and times go to an open inode that this process made, never to a name.
//!
//! What others can do is spoil the names inside of directories that they may change anyway.

mod adopt;
mod error;
mod file;
mod node;
mod remove;
mod staged;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::DirBuilder;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::handle::Handle;
use super::metadata::{self, EntryMeta, MetadataProblem};
use crate::format::is_component;

pub use super::handle::Kind;
pub use adopt::Written;
pub use error::PlaceError;
pub use file::PlacedFile;
pub use node::{Device, Original, PlacedNode};
pub use remove::Removal;
pub use staged::is_part_name;

/// The folder, beside homes, that holds those of users who have no account yet. It is nobody's home.
pub const STAGING: &[u8] = b".homekeep-staged";

const OPEN_DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open directory in a restore target. Clones share the open directory.
#[derive(Clone)]
pub struct Place {
    directory: Arc<OwnedFd>,
}

/// Whether the target may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// It is made, with its parents, for root's eyes only until it is finished.
    Create,
    /// It is made, with its parents, and everyone may pass: homes are to lie below it.
    CreatePassable,
    /// That is an error.
    Fail,
}

/// What may stand at the name of something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Nothing: the name is made directly, which is fastest; anything there is an error.
    New,
    /// Anything but a directory: the new thing is made under a temporary name and takes the
    /// place in one step when it is finished.
    Replace,
}

/// Whether a directory was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It is new.
    Created,
    /// It was there before and may have something in it.
    Existing,
}

/// One inode of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// The inode in it.
    pub inode: u64,
}

impl FileId {
    fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// What stands under a name, itself and not what it may link to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Bytes of a file, or of a link's text.
    pub size: u64,
    /// Seconds of the modification time since 1970.
    pub mtime_s: i64,
    /// Nanoseconds of it.
    pub mtime_ns: u32,
    /// 12 permission bits.
    pub mode: u16,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
    /// Which inode.
    pub id: FileId,
    /// How many names the inode has.
    pub links: u64,
    /// Which device a device file stands for.
    pub device_number: u64,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name's bytes.
    pub name: Vec<u8>,
    /// What stands there.
    pub kind: Kind,
}

impl Place {
    /// Opens the target itself. Links on the way to it are followed: whoever names the target may
    /// use them. Below it none is.
    pub fn open_target(path: &Path, if_missing: IfMissing) -> Result<Self, PlaceError> {
        let flags = OPEN_DIRECTORY.difference(OFlags::NOFOLLOW);
        let fail = |errno| PlaceError::new("open the directory", path.as_os_str().as_bytes(), errno);
        let directory = match fs::open(path, flags, Mode::empty()) {
            Err(Errno::NOENT) if if_missing != IfMissing::Fail => {
                create_with_parents(path, if_missing)?;
                fs::open(path, flags, Mode::empty()).map_err(fail)?
            }
            opened => opened.map_err(fail)?,
        };
        Ok(Self::from(directory))
    }

    /// Opens the directory `name`, which is made if nothing is there. If it is new, only this
    /// process's user may enter it until [`Place::finish_directory`]. Anything else at the name is
    /// [`PlaceError::NotADirectory`].
    pub fn make_directory(&self, name: &[u8]) -> Result<(Self, Made), PlaceError> {
        check(name)?;
        let made = match fs::mkdirat(&self.directory, name, Mode::RWXU) {
            Ok(()) => Made::Created,
            Err(Errno::EXIST) => Made::Existing,
            Err(errno) => return Err(PlaceError::new("create the directory", name, errno)),
        };
        Ok((self.open_directory(name)?, made))
    }

    /// Opens the directory `name`; anything else there is [`PlaceError::NotADirectory`].
    pub fn open_directory(&self, name: &[u8]) -> Result<Self, PlaceError> {
        check(name)?;
        let directory = fs::openat(&self.directory, name, OPEN_DIRECTORY, Mode::empty())
            .map_err(|errno| PlaceError::new("open the directory", name, errno))?;
        Ok(Self::from(directory))
    }

    /// Gives the directory its metadata. Last, after everything in it and below is finished:
    /// its time would change again, and its owner could get in the way.
    pub fn finish_directory(&self, meta: &EntryMeta) -> Vec<MetadataProblem> {
        metadata::apply(meta, Handle { fd: self.directory.as_fd(), kind: Kind::Directory })
    }

    /// What stands at `name`; `None` if nothing does.
    pub fn stat(&self, name: &[u8]) -> Result<Option<Found>, PlaceError> {
        check(name)?;
        match fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Found::from_stat(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(PlaceError::new("look at", name, errno)),
        }
    }

    /// Whether nobody but this process's user may enter, and it is theirs.
    pub fn is_private(&self) -> bool {
        let is_mine = |stat: &Stat| stat.st_uid == rustix::process::geteuid().as_raw();
        fs::fstat(&self.directory).is_ok_and(|stat| is_mine(&stat) && stat.st_mode & 0o077 == 0)
    }

    /// Removes the directory `name` if nothing is in it, and says whether it is gone.
    pub fn remove_if_empty(&self, name: &[u8]) -> Result<bool, PlaceError> {
        check(name)?;
        match fs::unlinkat(&self.directory, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(errno) => Err(PlaceError::new("remove", name, errno)),
        }
    }

    /// Everything in the directory, in no order.
    pub fn list(&self) -> Result<Vec<Listed>, PlaceError> {
        list(self.directory.as_fd()).map_err(|errno| PlaceError::new("list the directory", b".", errno))
    }
}

impl From<OwnedFd> for Place {
    fn from(directory: OwnedFd) -> Self {
        Self { directory: Arc::new(directory) }
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({:?})", self.directory)
    }
}

impl Found {
    fn from_stat(stat: &Stat) -> Self {
        Self {
            kind: kind_of(stat),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_s: stat.st_mtime,
            mtime_ns: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            mode: (stat.st_mode & 0o7777) as u16,
            uid: stat.st_uid,
            gid: stat.st_gid,
            id: FileId::of(stat),
            links: stat.st_nlink,
            device_number: stat.st_rdev,
        }
    }
}

fn kind_of(stat: &Stat) -> Kind {
    Kind::from_file_type(FileType::from_raw_mode(stat.st_mode)).unwrap_or(Kind::File)
}

/// Refuses a name that leads out of its directory, wherever it came from.
fn check(name: &[u8]) -> Result<(), PlaceError> {
    if is_component(name) { Ok(()) } else { Err(PlaceError::NotAComponent { name: error::printable(name) }) }
}

/// Each missing directory is made for this process's user alone and opened to others then, whatever the umask
/// says.
fn create_with_parents(path: &Path, if_missing: IfMissing) -> Result<(), PlaceError> {
    let fail = |source| {
        let name = path.display().to_string();
        PlaceError::Io { action: "create the directory", name, source }
    };
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    for directory in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(directory) {
            // Somebody else made it, and says who may enter.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            made => made.map_err(fail)?,
        }
        if if_missing == IfMissing::CreatePassable {
            let handle = fs::open(directory, OPEN_DIRECTORY, Mode::empty());
            let mode = Mode::from_raw_mode(0o755);
            handle.and_then(|handle| fs::fchmod(handle, mode)).map_err(|errno| fail(errno.into()))?;
        }
    }
    Ok(())
}

fn list(directory: BorrowedFd<'_>) -> rustix::io::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !is_component(name) {
            continue;
        }
        let kind = match Kind::from_file_type(entry.file_type()) {
            Some(kind) => kind,
            None => match fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => kind_of(&stat),
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno),
            },
        };
        listed.push(Listed { name: name.to_vec(), kind });
    }
    Ok(listed)
}
