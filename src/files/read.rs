//! Reads files that others may change, swap or remove at any moment.
//!
//! A file is opened relative to its directory, never through a link, and without waiting: a pipe or
//! a device that took the file's place is recognised on the open handle before a byte is read.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use super::walk::{self, Stat};
use crate::format::Xattr;

/// Values of one entry's attributes together have no more bytes, so that an entry fits in a page.
const MAX_XATTRS_LEN: usize = 1 << 20;

/// A regular file, open for reading.
pub struct OpenFile {
    file: OwnedFd,
    /// What the handle refers to.
    pub stat: Stat,
}

/// Why a file was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// It is gone.
    Vanished,
    /// Something that is no regular file has taken its place.
    Replaced,
    /// The system says no.
    Failed(Errno),
}

/// A run of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// Bytes that were written.
    Data {
        /// Where they begin.
        start: u64,
        /// Where they end.
        end: u64,
    },
    /// Bytes that were not.
    Hole {
        /// How many.
        length: u64,
    },
}

impl OpenFile {
    /// Opens a regular file in a directory.
    pub fn open(parent: impl AsFd, name: &[u8]) -> Result<Self, OpenError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let parent = parent.as_fd();
        let open = |flags| rustix::fs::openat(parent, name, flags, Mode::empty());
        // Reading must not look like use; only owners and root may ask for that.
        let file = match open(flags | OFlags::NOATIME) {
            Err(Errno::PERM) => open(flags),
            opened => opened,
        };
        let file = file.map_err(|error| match error {
            Errno::NOENT => OpenError::Vanished,
            Errno::LOOP | Errno::NXIO | Errno::NODEV => OpenError::Replaced,
            error => OpenError::Failed(error),
        })?;
        let stat = walk::stat(&file).map_err(OpenError::Failed)?;
        if stat.kind.is_file() { Ok(Self { file, stat }) } else { Err(OpenError::Replaced) }
    }

    /// A file that has no name any more, such as a private copy.
    pub fn from_handle(file: OwnedFd) -> Result<Self, Errno> {
        let stat = walk::stat(&file)?;
        Ok(Self { file, stat })
    }

    /// What the handle shows now.
    pub fn stat_again(&self) -> Result<Stat, Errno> {
        walk::stat(&self.file)
    }

    /// Reads until `buffer` is full or the file ends; returns how much.
    pub fn read_at(&self, buffer: &mut [u8], start: u64) -> Result<usize, Errno> {
        let mut filled = 0;
        while filled < buffer.len() {
            match rustix::io::pread(&self.file, &mut buffer[filled..], start + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Whether parts of the file were never written.
    pub fn is_sparse(&self) -> bool {
        self.stat.blocks.saturating_mul(512) < self.stat.size
    }

    /// The region that begins at `start`; none at the end. File systems that know no holes show one region.
    pub fn region(&self, start: u64) -> Result<Option<Region>, Errno> {
        let size = self.stat.size;
        if start >= size {
            return Ok(None);
        }
        let data = match rustix::fs::seek(&self.file, SeekFrom::Data(start)) {
            Ok(data) => data.min(size),
            Err(Errno::NXIO) => size,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some(Region::Data { start, end: size })),
            Err(error) => return Err(error),
        };
        if data > start {
            return Ok(Some(Region::Hole { length: data - start }));
        }
        let end = rustix::fs::seek(&self.file, SeekFrom::Hole(start))?;
        Ok(Some(Region::Data { start, end: end.min(size) }))
    }

    /// The file's extended attributes.
    pub fn xattrs(&self) -> Result<Vec<Xattr>, Errno> {
        xattrs_of(&self.file)
    }
}

/// Extended attributes of an open file or directory, by name.
pub fn xattrs_of(file: impl AsFd) -> Result<Vec<Xattr>, Errno> {
    let file = file.as_fd();
    collect(
        |buffer| rustix::fs::flistxattr(file, buffer),
        |name, buffer| rustix::fs::fgetxattr(file, name, buffer),
    )
}

/// Extended attributes of a name in a directory that must not be opened: links, pipes, and files of
/// which only these are wanted. Goes through the kernel's view of the open directory, so that only
/// the last component is looked up, and that is not followed.
pub fn xattrs_at(parent: impl AsFd, name: &[u8]) -> Result<Vec<Xattr>, Errno> {
    use std::os::fd::AsRawFd;
    let mut path = format!("/proc/self/fd/{}/", parent.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    let path = &path[..];
    collect(
        |buffer| rustix::fs::llistxattr(path, buffer),
        |name, buffer| rustix::fs::lgetxattr(path, name, buffer),
    )
}

/// Lists and reads attributes; one that vanishes in between is left out.
fn collect(
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&std::ffi::CStr, &mut [u8]) -> Result<usize, Errno>,
) -> Result<Vec<Xattr>, Errno> {
    let mut xattrs = Vec::new();
    let names = match grow(&list) {
        Err(Errno::OPNOTSUPP) => return Ok(xattrs),
        names => names?,
    };
    let mut length = 0;
    for name in names.split_inclusive(|b| *b == 0) {
        let Ok(name) = std::ffi::CStr::from_bytes_with_nul(name) else { continue };
        match grow(|buffer: &mut [u8]| get(name, buffer)) {
            Ok(value) => {
                length += value.len();
                if length > MAX_XATTRS_LEN {
                    return Err(Errno::TOOBIG);
                }
                xattrs.push(Xattr { name: name.to_bytes().to_vec(), value });
            }
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error),
        }
    }
    xattrs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(xattrs)
}

/// Calls with more room until what there is fits; most have nothing, and one small call tells.
fn grow(call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 256];
    match call(&mut small) {
        Ok(length) => return Ok(small[..length].to_vec()),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    let mut buffer = vec![0; 4 << 10];
    loop {
        match call(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 4, 0),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_pipes_in_a_files_place_are_recognised_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let handle = walk::open_path(folder.path()).unwrap();
        for name in ["link", "pipe"] {
            assert_eq!(OpenFile::open(&handle, name.as_bytes()).err(), Some(OpenError::Replaced));
        }
        assert_eq!(OpenFile::open(&handle, b"none").err(), Some(OpenError::Vanished));
    }

    #[test]
    fn regions_of_a_sparse_file_cover_it() {
        use std::os::unix::fs::FileExt;
        let folder = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(folder.path().join("f")).unwrap();
        file.set_len(10 << 20).unwrap();
        file.write_all_at(&[1; 4096], 4 << 20).unwrap();
        let open = OpenFile::open(walk::open_path(folder.path()).unwrap(), b"f").unwrap();
        let (mut at, mut holes) = (0, 0);
        while let Some(region) = open.region(at).unwrap() {
            at = match region {
                Region::Data { end, .. } => end,
                Region::Hole { length } => {
                    holes += length;
                    at + length
                }
            };
        }
        assert_eq!(at, 10 << 20);
        assert!(holes == 0 || open.is_sparse());
    }
}
