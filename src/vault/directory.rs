//! A provider in a folder: a file per user, durable when its put returns. Knows how a POSIX file system keeps its
//! promises, and not what the documents hold.

mod file;
#[cfg(test)]
mod tests;
mod trust;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Stat, flock};
use rustix::io::Errno;

use self::file::{open_regular, publish, read_all, sweep, unless_absent};
use super::names::{self, Decoded};
use super::provider::{Guard, Listing, Provider, ProviderError, Stamp, Written};

/// What a file's name ends in.
const SUFFIX: &str = ".json";
/// What file systems take as one name, less the suffix.
const MAX_NAME_LEN: usize = 255 - SUFFIX.len();
/// How long another program's change is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(60);
const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// More than this is no document of secrets.
const MAX_LEN: usize = 16 << 20;

/// Documents as files in a folder that only its owner can enter.
#[derive(Debug)]
pub struct DirectoryProvider {
    path: PathBuf,
    /// Whether this process has removed what interrupted puts left behind.
    is_swept: AtomicBool,
}

impl DirectoryProvider {
    /// The folder need not exist yet. That others than its owner could write to it, or exchange it on the way to it, shows
    /// with the first call.
    pub fn new(path: &Path) -> Result<Self, ProviderError> {
        let path = std::path::absolute(path)
            .map_err(|_| ProviderError::Configuration("the vault's directory has no name".into()))?;
        Ok(Self { path, is_swept: AtomicBool::new(false) })
    }

    /// The folder, if it exists, looked at anew: it may have been exchanged since the last call.
    fn folder(&self) -> Result<Option<OwnedFd>, ProviderError> {
        trust::check_way(&self.path).map_err(|error| self.untrusted(error))?;
        let opened = unless_absent(trust::open_folder(&self.path)).map_err(|e| self.failed("open it", e))?;
        let Some(folder) = opened else { return Ok(None) };
        trust::check_folder(&folder).map_err(|error| self.untrusted(error))?;
        Ok(Some(folder))
    }

    fn folder_to_write(&self) -> Result<OwnedFd, ProviderError> {
        if let Some(folder) = self.folder()? {
            return Ok(folder);
        }
        trust::make_folders(&self.path).map_err(|error| self.failed("create it", error))?;
        self.folder()?.ok_or_else(|| self.failed("open it", io::ErrorKind::NotFound.into()))
    }

    /// Whose the file is; none if it is no document.
    fn user_of(&self, folder: &OwnedFd, file_name: &str) -> Result<Option<String>, ProviderError> {
        let Some(encoded) = file_name.strip_suffix(SUFFIX) else { return Ok(None) };
        match names::decode(encoded, MAX_NAME_LEN) {
            Some(Decoded::User(user)) => Ok(Some(user)),
            Some(Decoded::Hashed) => {
                let document = self.read(folder, file_name)?;
                Ok(document.and_then(|document| names::named_in(&document, encoded, MAX_NAME_LEN)))
            }
            None => Ok(None),
        }
    }

    fn read(&self, folder: &OwnedFd, file_name: &str) -> Result<Option<Vec<u8>>, ProviderError> {
        let read = || match unless_absent(open_regular(folder, file_name))? {
            Some(file) => Ok(Some(read_all(&file, MAX_LEN)?)),
            None => Ok(None),
        };
        read().map_err(|error| self.failed(&format!("read {file_name}"), error))
    }

    fn untrusted(&self, error: trust::Untrusted) -> ProviderError {
        match error {
            trust::Untrusted::Io(error) => self.failed("look at it", error),
            other => {
                ProviderError::Configuration(format!("{} cannot keep secrets: {other}", self.location()))
            }
        }
    }

    fn failed(&self, action: &str, error: io::Error) -> ProviderError {
        let location = self.location();
        let reason = format!("cannot {action}: {error}");
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ProviderError::Full { location, reason: format!("{reason}. Free some space and run again") }
            }
            io::ErrorKind::PermissionDenied => ProviderError::Denied { location, reason },
            io::ErrorKind::ReadOnlyFilesystem => ProviderError::ReadOnly { location, reason },
            io::ErrorKind::InvalidData => ProviderError::Protocol { location, reason },
            _ => ProviderError::Unavailable { location, reason },
        }
    }
}

impl Provider for DirectoryProvider {
    fn list(&self) -> Result<Listing, ProviderError> {
        let mut listing = Listing::new();
        let Some(folder) = self.folder()? else { return Ok(listing) };
        let failed = |error: rustix::io::Errno| self.failed("list it", error.into());
        for entry in Dir::read_from(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(file_name) = entry.file_name().to_str() else { continue };
            if !file_name.ends_with(SUFFIX) {
                continue;
            }
            let stat = rustix::fs::statat(&folder, file_name, AtFlags::SYMLINK_NOFOLLOW);
            let stat = unless_absent(stat).map_err(|error| self.failed("list it", error))?;
            let Some(stat) = stat.filter(|stat| FileType::from_raw_mode(stat.st_mode).is_file()) else {
                continue;
            };
            if let Some(user) = self.user_of(&folder, file_name)? {
                listing.insert(user, stamp(&stat));
            }
        }
        Ok(listing)
    }

    fn get(&self, user: &str) -> Result<Option<Vec<u8>>, ProviderError> {
        match self.folder()? {
            Some(folder) => self.read(&folder, &file_name(user)),
            None => Ok(None),
        }
    }

    /// The folder is locked, for all users: what a change takes is short. Some network file systems cannot lock a folder.
    fn lock(&self, _user: &str) -> Result<Option<Guard>, ProviderError> {
        let folder = self.folder_to_write()?;
        let began = Instant::now();
        loop {
            match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Box::new(folder))),
                Err(Errno::WOULDBLOCK) if began.elapsed() < LOCK_WAIT => thread::sleep(LOCK_PAUSE),
                Err(Errno::WOULDBLOCK) => {
                    let busy = io::Error::other("another homekeep has been changing it for a minute");
                    return Err(self.failed("lock it", busy));
                }
                Err(_) => return Ok(None),
            }
        }
    }

    fn put(&self, user: &str, document: &[u8]) -> Result<Written, ProviderError> {
        let location = self.location();
        if document.len() > MAX_LEN {
            let (user, bytes) = (user.to_owned(), document.len());
            return Err(ProviderError::TooLarge { user, bytes, limit: MAX_LEN, location });
        }
        names::check_document(user, document, MAX_NAME_LEN, &location)?;
        let folder = self.folder_to_write()?;
        let file_name = file_name(user);
        let put = || {
            if !self.is_swept.swap(true, Ordering::Relaxed) {
                sweep(&folder, SystemTime::now())?;
            }
            let file: File = publish(&folder, &file_name, document)?;
            Ok(Written::As(stamp(&rustix::fs::fstat(&file)?)))
        };
        put().map_err(|error| self.failed(&format!("write {file_name}"), error))
    }

    fn delete(&self, user: &str) -> Result<(), ProviderError> {
        let Some(folder) = self.folder()? else { return Ok(()) };
        let file_name = file_name(user);
        let delete = || {
            unless_absent(rustix::fs::unlinkat(&folder, &file_name, AtFlags::empty()))?;
            // Also when it was absent: whoever removed it may have died before this step.
            Ok(rustix::fs::fsync(&folder)?)
        };
        delete().map_err(|error| self.failed(&format!("delete {file_name}"), error))
    }

    fn max_len(&self) -> usize {
        MAX_LEN
    }

    fn location(&self) -> String {
        format!("the directory {}", self.path.display())
    }
}

fn file_name(user: &str) -> String {
    names::encode(user, MAX_NAME_LEN) + SUFFIX
}

/// Every put makes a new inode with a time of its own (see [`publish`]); whoever writes into the file by other means
/// changes the rest.
fn stamp(stat: &Stat) -> Stamp {
    let Stat { st_ino, st_size, st_mtime, st_mtime_nsec, st_ctime, st_ctime_nsec, .. } = *stat;
    Stamp {
        tag: format!("{st_ino:x}-{st_size:x}-{st_mtime:x}.{st_mtime_nsec:x}-{st_ctime:x}.{st_ctime_nsec:x}"),
        time_ms: Some(st_mtime.saturating_mul(1000).saturating_add(st_mtime_nsec as i64 / 1_000_000)),
    }
}
