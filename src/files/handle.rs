//! One inode that is already open, and how its metadata is read and changed through nothing but the
//! handle. Does not know its name, nor what should be set.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{self, AtFlags, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::{Errno, Result};

use crate::format::EntryKind;

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A socket.
    Socket,
}

impl Kind {
    /// `None` if the file system does not say.
    pub(super) fn from_file_type(kind: FileType) -> Option<Self> {
        Some(match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Socket => Self::Socket,
            FileType::Unknown => return None,
        })
    }
}

impl From<&EntryKind> for Kind {
    fn from(kind: &EntryKind) -> Self {
        match kind {
            EntryKind::File(_) => Self::File,
            EntryKind::Directory(_) => Self::Directory,
            EntryKind::Symlink(_) => Self::Symlink,
            EntryKind::Fifo => Self::Fifo,
            EntryKind::CharDevice(_) => Self::CharDevice,
            EntryKind::BlockDevice(_) => Self::BlockDevice,
        }
    }
}

/// An open inode. Files and directories are open for use, everything else with `O_PATH`.
#[derive(Clone, Copy)]
pub(super) struct Handle<'a> {
    pub fd: BorrowedFd<'a>,
    pub kind: Kind,
}

/// The kernel's limit of a list of attribute names.
const XATTR_LIST_MAX: usize = 64 << 10;

impl Handle<'_> {
    fn is_path_only(&self) -> bool {
        !matches!(self.kind, Kind::File | Kind::Directory)
    }

    /// The inode as a path, for system calls that refuse an `O_PATH` descriptor and have no form
    /// that takes one: chmod and the attribute calls on every kernel before 6.6 and 6.13, and times
    /// before 5.8. The kernel resolves it to the open inode itself, whatever its name leads to by
    /// now, and goes no further when that is a symbolic link.
    fn proc_path(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }

    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        // Minus one means "leave it" to the kernel; a file must not stay root's by that.
        if uid == Some(u32::MAX) || gid == Some(u32::MAX) {
            return Err(Errno::INVAL);
        }
        fs::chownat(self.fd, "", uid.map(Uid::from_raw), gid.map(Gid::from_raw), AtFlags::EMPTY_PATH)
    }

    pub fn set_mode(&self, mode: u16) -> Result<()> {
        let mode = Mode::from_raw_mode(u32::from(mode) & 0o7777);
        if self.is_path_only() { fs::chmod(self.proc_path(), mode) } else { fs::fchmod(self.fd, mode) }
    }

    /// Sets the modification time; the access time stays as it is.
    pub fn set_mtime(&self, seconds: i64, nanoseconds: u32) -> Result<()> {
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT },
            last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
        };
        if self.is_path_only() {
            fs::utimensat(fs::CWD, self.proc_path(), &times, AtFlags::empty())
        } else {
            fs::futimens(self.fd, &times)
        }
    }

    pub fn set_xattr(&self, name: &[u8], value: &[u8]) -> Result<()> {
        if self.is_path_only() {
            fs::setxattr(self.proc_path(), name, value, XattrFlags::empty())
        } else {
            fs::fsetxattr(self.fd, name, value, XattrFlags::empty())
        }
    }

    pub fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        if self.is_path_only() {
            fs::removexattr(self.proc_path(), name)
        } else {
            fs::fremovexattr(self.fd, name)
        }
    }

    /// The attributes' names, each ended by a zero byte.
    pub fn xattr_names(&self) -> Result<Vec<u8>> {
        // Most inodes have none or few: the first call is the only one.
        let mut few = [0; 512];
        match self.list_xattrs(&mut few) {
            Err(Errno::RANGE) => {}
            length => return length.map(|length| few[..length].to_vec()),
        }
        let mut names = vec![0; XATTR_LIST_MAX];
        let length = self.list_xattrs(&mut names)?;
        names.truncate(length);
        Ok(names)
    }

    fn list_xattrs(&self, buffer: &mut [u8]) -> Result<usize> {
        if self.is_path_only() {
            fs::listxattr(self.proc_path(), buffer)
        } else {
            fs::flistxattr(self.fd, buffer)
        }
    }
}
