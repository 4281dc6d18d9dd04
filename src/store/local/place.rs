//! Publishing one object in its folder. Knows the steps that make it durable, and how to tell
//! what stands under the name already.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::folders::{open_at, unless_absent};
use crate::format::ObjectName;
use crate::store::{check_length, is_whole};

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A temporary file's name is this, random digits and [`TEMPORARY_END`].
const TEMPORARY_START: &str = ".tmp-";
/// The underscore is in no [`ObjectName`]: a temporary file cannot be taken for an object.
const TEMPORARY_END: &str = "_";

/// Where an object is to be put.
pub struct Place<'a> {
    /// The folder.
    pub folder: OwnedFd,
    /// The file's name in it.
    pub file_name: &'a str,
    /// The object.
    pub name: &'a ObjectName,
}

/// What a put finds under its name.
pub enum Standing {
    /// The same bytes.
    Same(File),
    /// Bytes that were never put there as a whole.
    Torn,
    /// Another object.
    Other,
}

/// What a put may replace.
#[derive(Debug, Clone, Copy)]
pub enum Over {
    /// Nothing: it fails with [`io::ErrorKind::AlreadyExists`].
    Nothing,
    /// Whatever is there.
    Anything,
}

impl Place<'_> {
    /// Whether nothing, not even a foreign thing, stands under the name.
    pub fn is_free(&self) -> io::Result<bool> {
        let stat = rustix::fs::statat(&self.folder, self.file_name, AtFlags::SYMLINK_NOFOLLOW);
        Ok(unless_absent(stat)?.is_none())
    }

    /// Looks at what stands under the name, which is about to get `bytes`.
    pub fn standing(&self, bytes: &[u8]) -> io::Result<Standing> {
        let (file, length) = open_file(&self.folder, self.file_name)?;
        if check_length(length).is_err() {
            return Ok(if self.name.promised_hash().is_some() { Standing::Torn } else { Standing::Other });
        }
        let existing = read_range(&file, 0, length as usize)?;
        Ok(match existing == bytes {
            true => Standing::Same(file),
            false if is_whole(self.name, &existing) => Standing::Other,
            false => Standing::Torn,
        })
    }

    /// Does the last steps for a file that stands here; its writer may have died before them.
    pub fn make_durable(&self, file: &File) -> rustix::io::Result<()> {
        rustix::fs::fsync(file)?;
        rustix::fs::fsync(&self.folder)
    }

    /// Puts `bytes` under the name.
    ///
    /// Each step begins when the one before is done, so that an interruption at any instant leaves
    /// nothing under the name or all of it: the bytes are on disk before the name refers to them,
    /// and the name is on disk before the put returns.
    pub fn publish(&self, bytes: &[u8], over: Over) -> io::Result<()> {
        let temporary = temporary_name()?;
        let published = write_file(&self.folder, &temporary, bytes)
            .and_then(|()| self.take_name(&temporary, over))
            .and_then(|()| Ok(rustix::fs::fsync(&self.folder)?));
        if published.is_err() {
            // The error to report is the first one; what cannot be removed now is stale later.
            let _ = rustix::fs::unlinkat(&self.folder, &temporary, AtFlags::empty());
        }
        published
    }

    fn take_name(&self, temporary: &str, over: Over) -> io::Result<()> {
        let (folder, file_name) = (&self.folder, self.file_name);
        let flags = match over {
            Over::Nothing => RenameFlags::NOREPLACE,
            Over::Anything => RenameFlags::empty(),
        };
        match rustix::fs::renameat_with(folder, temporary, folder, file_name, flags) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if !flags.is_empty() => {
                Ok(self.take_free_name(temporary)?)
            }
            renamed => Ok(renamed?),
        }
    }

    /// For file systems whose rename cannot refuse to replace, such as NFS. A name that promises
    /// a hash is taken by everyone with the same bytes; for another, a hard link does not replace.
    pub(super) fn take_free_name(&self, temporary: &str) -> rustix::io::Result<()> {
        let (folder, file_name) = (&self.folder, self.file_name);
        if self.name.promised_hash().is_some() {
            return rustix::fs::renameat(folder, temporary, folder, file_name);
        }
        rustix::fs::linkat(folder, temporary, folder, file_name, AtFlags::empty())?;
        rustix::fs::unlinkat(folder, temporary, AtFlags::empty())
    }
}

/// Opens a regular file to read; also says how long it is. Does not wait for a FIFO's other end.
pub fn open_file(folder: &OwnedFd, name: &str) -> io::Result<(File, u64)> {
    let file = File::from(open_at(folder, name, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"));
    }
    Ok((file, metadata.len()))
}

/// Exactly `length` bytes, which the caller has bounded.
pub fn read_range(file: &File, start: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

/// Writes a new file whose bytes are on disk when this returns.
fn write_file(folder: &OwnedFd, name: &str, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut file = File::from(open_at(folder, name, flags, FILE_MODE)?);
    file.write_all(bytes)?;
    // Once: after a failure the kernel counts the lost pages as clean, and a second try would succeed.
    rustix::fs::fsync(&file)?;
    close(file)
}

/// Closes a file and says whether that went well. Dropping it would discard the error, on some
/// network file systems the last sign that the bytes were not kept.
fn close(file: File) -> io::Result<()> {
    // SAFETY: the descriptor was the file's own, which gives it up here; it is not used again.
    Ok(unsafe { rustix::io::try_close(file.into_raw_fd()) }?)
}

/// A name that no file has yet.
pub fn temporary_name() -> io::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let digits = u128::from_ne_bytes(random);
    Ok(format!("{TEMPORARY_START}{digits:032x}{TEMPORARY_END}"))
}

/// Whether a file is one that [`Place::publish`] writes and renames.
pub fn is_temporary(file_name: &str) -> bool {
    file_name.starts_with(TEMPORARY_START) && file_name.ends_with(TEMPORARY_END)
}
