//! One document's file: reading it, publishing it durably, and removing what interrupted puts left.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};

/// A temporary file's name is this and random digits. No user's file begins so.
const TEMPORARY_START: &str = ".tmp-";
/// No put takes longer.
const STALE_AFTER: Duration = Duration::from_secs(3600);

/// Puts `bytes` in place of whatever stands under the name; returns the file.
///
/// Each step begins when the one before is done, so that an interruption at any instant leaves the old file or the new
/// one: the bytes are on disk before the name refers to them, and the name is on disk before this returns.
pub fn publish(folder: &OwnedFd, name: &str, bytes: &[u8]) -> io::Result<File> {
    let random = random()?;
    let temporary = format!("{TEMPORARY_START}{random:032x}");
    let written = write(folder, &temporary, bytes, random).and_then(|file| {
        rustix::fs::renameat(folder, &temporary, folder, name)?;
        rustix::fs::fsync(folder)?;
        Ok(file)
    });
    if written.is_err() {
        // The error to report is the first one; what cannot be removed now is stale later.
        let _ = rustix::fs::unlinkat(folder, &temporary, AtFlags::empty());
    }
    written
}

/// A new file whose bytes are on disk.
fn write(folder: &OwnedFd, name: &str, bytes: &[u8], random: u128) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(bytes)?;
    date(&file, random)?;
    // Once: after a failure the kernel counts the lost pages as clean, and a second try would succeed.
    rustix::fs::fsync(&file)?;
    Ok(file)
}

/// Two puts within one tick of the kernel's clock may get the same inode number one after the other. What is below a
/// millisecond in the time is drawn, so that they still differ.
fn date(file: &File, random: u128) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let drawn = (random % 1_000_000) as i64;
    let last_modification = Timespec {
        tv_sec: now.as_secs().cast_signed(),
        tv_nsec: i64::from(now.subsec_millis()) * 1_000_000 + drawn,
    };
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    Ok(rustix::fs::futimens(file, &Timestamps { last_access, last_modification })?)
}

/// Opens a regular file to read. Follows no link, and does not wait for a pipe's other end.
pub fn open_regular(folder: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(folder, name, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"));
    }
    Ok(file)
}

/// All of a file, which is no longer than `max_len`.
pub fn read_all(file: &File, max_len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(max_len as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max_len {
        let text = format!("it is longer than {max_len} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(bytes)
}

/// Removes what interrupted puts left behind.
pub fn sweep(folder: &OwnedFd, now: SystemTime) -> io::Result<()> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let limit = now.saturating_sub(STALE_AFTER).as_secs();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if !name.starts_with(TEMPORARY_START) {
            continue;
        }
        let stat = unless_absent(rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW))?;
        if stat.is_some_and(|stat| u64::try_from(stat.st_ctime).is_ok_and(|written| written < limit)) {
            unless_absent(rustix::fs::unlinkat(folder, name, AtFlags::empty()))?;
        }
    }
    Ok(())
}

/// Nothing, when what was asked for does not exist.
pub fn unless_absent<T, E: Into<io::Error>>(result: Result<T, E>) -> io::Result<Option<T>> {
    match result.map_err(E::into) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u128::from_ne_bytes(bytes))
}
