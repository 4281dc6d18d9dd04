//! Looks at directories: names and what a stat shows, relative to open handles, following no link.
//! Knows nothing of what is wanted from them.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, Statx, StatxFlags};
use rustix::io::Errno;

/// What a stat shows, as far as a snapshot or change detection needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Regular file, directory, …
    pub kind: FileType,
    /// Permission bits with setuid, setgid, sticky.
    pub mode: u16,
    /// Number of names.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// File system.
    pub device: u64,
    /// Inode in it.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Blocks of 512 bytes in use.
    pub blocks: u64,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Change time, likewise.
    pub ctime: (i64, u32),
    /// For devices: major and minor as one number.
    pub special: u64,
}

impl Stat {
    fn from_statx(s: &Statx) -> Self {
        Self {
            kind: FileType::from_raw_mode(s.stx_mode.into()),
            mode: s.stx_mode & 0o7777,
            links: s.stx_nlink,
            uid: s.stx_uid,
            gid: s.stx_gid,
            device: rustix::fs::makedev(s.stx_dev_major, s.stx_dev_minor),
            inode: s.stx_ino,
            size: s.stx_size,
            blocks: s.stx_blocks,
            mtime: (s.stx_mtime.tv_sec, s.stx_mtime.tv_nsec),
            ctime: (s.stx_ctime.tv_sec, s.stx_ctime.tv_nsec),
            special: rustix::fs::makedev(s.stx_rdev_major, s.stx_rdev_minor),
        }
    }

    /// Whether this is the same inode.
    pub fn is_same_inode(&self, other: &Self) -> bool {
        (self.device, self.inode, self.kind) == (other.device, other.inode, other.kind)
    }

    /// Whether nothing happened to the file between the two looks, as far as a stat can tell.
    pub fn is_unchanged(&self, other: &Self) -> bool {
        self.is_same_inode(other)
            && (self.size, self.mtime, self.ctime) == (other.size, other.mtime, other.ctime)
    }

    /// The change time as one number of nanoseconds.
    pub fn ctime_ns(&self) -> i128 {
        i128::from(self.ctime.0) * 1_000_000_000 + i128::from(self.ctime.1)
    }
}

/// A name in a directory with what a stat of it showed.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The name.
    pub name: Box<[u8]>,
    /// The stat.
    pub stat: Stat,
}

/// A directory's entries in order of names, and those whose stat failed.
#[derive(Debug, Default)]
pub struct Listing {
    /// What could be looked at.
    pub entries: Vec<Listed>,
    /// What could not, other than because it vanished meanwhile.
    pub failed: Vec<(Box<[u8]>, Errno)>,
    /// Names that vanished between listing and looking.
    pub vanished: u64,
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// Opens a directory that an administrator named; links on the way are followed.
pub fn open_path(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())
}

/// Opens a directory in a directory; never a link.
pub fn open_directory(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())
}

/// What an open handle refers to.
pub fn stat(file: impl AsFd) -> Result<Stat, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(file, c"", flags, StatxFlags::BASIC_STATS).map(|s| Stat::from_statx(&s))
}

/// What a name in a directory is; a link is itself, not what it points to.
pub fn stat_at(parent: impl AsFd, name: &[u8]) -> Result<Stat, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(parent, name, flags, StatxFlags::BASIC_STATS).map(|s| Stat::from_statx(&s))
}

/// Memory that listing needs, to be used again for the next directory.
pub struct ListBuffer(Vec<MaybeUninit<u8>>);

impl Default for ListBuffer {
    fn default() -> Self {
        Self(vec![MaybeUninit::uninit(); 64 << 10])
    }
}

/// Lists a directory. `wanted` is asked by name, before the stat, whether to look at all.
pub fn list(
    directory: impl AsFd,
    buffer: &mut ListBuffer,
    mut wanted: impl FnMut(&[u8]) -> bool,
) -> Result<Listing, Errno> {
    let directory = directory.as_fd();
    let mut listing = Listing::default();
    let mut raw = RawDir::new(directory, &mut buffer.0);
    while let Some(entry) = raw.next() {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        let bytes = name.to_bytes();
        if bytes == b"." || bytes == b".." || !wanted(bytes) {
            continue;
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        match rustix::fs::statx(directory, name, flags, StatxFlags::BASIC_STATS) {
            Ok(s) => listing.entries.push(Listed { name: bytes.into(), stat: Stat::from_statx(&s) }),
            Err(Errno::NOENT) => listing.vanished += 1,
            Err(error) => listing.failed.push((bytes.into(), error)),
        }
    }
    listing.entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

/// Where a symbolic link points.
pub fn read_link(parent: impl AsFd, name: &[u8]) -> Result<Vec<u8>, Errno> {
    rustix::fs::readlinkat(parent, name, Vec::new()).map(std::ffi::CString::into_bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_listing_is_sorted_and_shows_links_as_themselves() {
        let folder = tempfile::tempdir().unwrap();
        for name in [&b"b"[..], b"\xff\n", b"a"] {
            std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(name)), b"12345").unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("c")).unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        let handle = open_path(folder.path()).unwrap();
        let listing = list(&handle, &mut ListBuffer::default(), |name| name != b"d").unwrap();
        let names: Vec<_> = listing.entries.iter().map(|e| &e.name[..]).collect();
        assert_eq!(names, [&b"a"[..], b"b", b"c", b"\xff\n"]);
        assert_eq!(listing.entries[0].stat.size, 5);
        assert_eq!(listing.entries[2].stat.kind, FileType::Symlink);
        assert_eq!(read_link(&handle, b"c").unwrap(), b"/etc/passwd");
        assert_eq!(open_directory(&handle, b"c").err(), Some(Errno::NOTDIR));
    }
}
