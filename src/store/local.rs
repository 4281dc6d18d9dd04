//! A store in a folder: a file an object, durable when its put returns. Knows how a POSIX file
//! system keeps its promises, and not what the objects hold.

mod folders;
mod place;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use self::folders::{Folders, WalkError, unless_absent};
use self::place::{Over, Place, Standing, open_file, read_range};
use super::{Listed, Store, StoreError, Tail, check_length};
use crate::format::ObjectName;

/// What an error about the root names.
const THE_STORE: &str = "the store";

/// Objects as files below a folder, on a file system with rename and fsync.
#[derive(Debug)]
pub struct LocalStore {
    folders: Folders,
    location: String,
    list_delay: Duration,
}

/// A file in a store's folder that is no object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray {
    /// Where it is in the folder.
    pub path: String,
    /// Its length in bytes.
    pub length: u64,
    /// Whether a put that did not end left it behind, or one that goes on has made it.
    pub is_temporary: bool,
}

impl LocalStore {
    /// Makes the folder, with those above it that are missing, for the owner's eyes only, and
    /// opens it. One that exists is taken as it is.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let location = path.display().to_string();
        folders::make_folders(path).map_err(|source| error("create", THE_STORE, &location, source))?;
        Self::open(path)
    }

    /// Opens a folder that exists.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let location = path.display().to_string();
        let folders =
            Folders::open_root(path).map_err(|source| error("open", THE_STORE, &location, source))?;
        let list_delay =
            folders.list_delay().map_err(|source| error("look at", THE_STORE, &location, source))?;
        Ok(Self { folders, location, list_delay })
    }

    /// Files in the folder that are no objects: what interrupted puts left behind, and what is not ours.
    pub fn strays(&self) -> Result<Vec<Stray>, StoreError> {
        let mut strays = Vec::new();
        let walked = self.folders.walk("", |found| {
            if found.path.parse::<ObjectName>().is_err() {
                let is_temporary = place::is_temporary(found.file_name);
                let length = found.stat.st_size.cast_unsigned();
                strays.push(Stray { path: found.path, length, is_temporary });
            }
            Ok(())
        });
        walked.map_err(|error| self.walk_error("list", error))?;
        strays.sort();
        Ok(strays)
    }

    fn walk_error(&self, action: &'static str, error: WalkError) -> StoreError {
        let name = if error.folder.is_empty() { THE_STORE } else { &error.folder };
        self.error(action, name, error.source)
    }

    fn error(&self, action: &'static str, name: &str, source: io::Error) -> StoreError {
        error(action, name, &self.location, source)
    }
}

impl Store for LocalStore {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        let failed = |source| self.error("write", name.as_str(), source);
        check_length(bytes.len() as u64).map_err(failed)?;
        let (folder, file_name) = split(name);
        let folder = self.folders.make(folder).map_err(failed)?;
        let place = Place { folder, file_name, name };
        if place.is_free().map_err(failed)? {
            match place.publish(bytes, Over::Nothing) {
                // Another writer was faster; what it wrote decides.
                Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {}
                published => return published.map_err(failed),
            }
        }
        match place.standing(bytes).map_err(failed)? {
            Standing::Same(file) if place.make_durable(&file).is_ok() => Ok(()),
            Standing::Other => Err(StoreError::Conflict { name: name.clone() }),
            // An fsync that failed may succeed when repeated, with the bytes lost: write them anew.
            Standing::Same(_) | Standing::Torn => place.publish(bytes, Over::Anything).map_err(failed),
        }
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, StoreError> {
        let (file, length) = self.open_object(name)?;
        check_length(length)
            .and_then(|()| read_range(&file, 0, length as usize))
            .map_err(|source| self.error("read", name.as_str(), source))
    }

    fn get_range(&self, name: &ObjectName, start: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let (file, object_len) = self.open_object(name)?;
        let wanted = start.saturating_add(length as u64);
        if wanted > object_len {
            return Err(StoreError::Short { name: name.clone(), length: object_len, wanted });
        }
        read_range(&file, start, length).map_err(|source| self.error("read", name.as_str(), source))
    }

    fn get_tail(&self, name: &ObjectName, length: usize) -> Result<Tail, StoreError> {
        let (file, object_len) = self.open_object(name)?;
        // No longer than `length`, so it fits.
        let length = object_len.min(length as u64) as usize;
        read_range(&file, object_len - length as u64, length)
            .map(|bytes| Tail { bytes, object_len })
            .map_err(|source| self.error("read", name.as_str(), source))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut listed = Vec::new();
        if !folder.is_empty() && folder.parse::<ObjectName>().is_err() {
            return Ok(listed);
        }
        let walked = self.folders.walk(folder, |found| {
            if let Ok(name) = found.path.parse::<ObjectName>()
                && name.as_str().starts_with(prefix)
            {
                let length = found.stat.st_size.cast_unsigned();
                listed.push(Listed { name, length, modified_ms: Some(modified_ms(&found.stat)) });
            }
            Ok(())
        });
        walked.map_err(|error| self.walk_error("list", error))?;
        // A file replaced while its folder is read may be met twice.
        listed.sort_unstable();
        listed.dedup_by(|a, b| a.name == b.name);
        Ok(listed)
    }

    /// A file is synced before it gets its name, so only the name can be missing on the disk.
    fn persist(&self, name: &ObjectName) -> Result<(), StoreError> {
        let (folder, _) = split(name);
        let persist = || {
            let Some(folder) = unless_absent(self.folders.open(folder))? else { return Ok(()) };
            match rustix::fs::fsync(&folder) {
                // On a file system that cannot, or must not, write, nothing is on its way.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::ROFS) => Ok(()),
                synced => Ok(synced?),
            }
        };
        persist().map_err(|source| self.error("sync", name.as_str(), source))
    }

    /// Durable like a put: whoever deletes a reference and then what it refers to relies on the order.
    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        let delete = || {
            let (folder, file_name) = split(name);
            let Some(folder) = unless_absent(self.folders.open(folder))? else { return Ok(()) };
            unless_absent(rustix::fs::unlinkat(&folder, file_name, AtFlags::empty()))?;
            // Also when it was absent: whoever removed it may have died before this step.
            Ok(rustix::fs::fsync(&folder)?)
        };
        delete().map_err(|source| self.error("delete", name.as_str(), source))
    }

    fn clean_up(&self, older_than: Duration) -> Result<usize, StoreError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let limit = now.saturating_sub(older_than).as_secs();
        let mut removed = 0;
        let walked = self.folders.walk("", |found| {
            let stale = u64::try_from(found.stat.st_mtime).is_ok_and(|written| written < limit);
            if stale && place::is_temporary(found.file_name) {
                let gone = rustix::fs::unlinkat(found.folder, found.file_name, AtFlags::empty());
                removed += usize::from(unless_absent(gone)?.is_some());
            }
            Ok(())
        });
        walked.map_err(|error| self.walk_error("remove temporary files of", error))?;
        Ok(removed)
    }

    fn list_delay(&self) -> Duration {
        self.list_delay
    }

    fn location(&self) -> String {
        self.location.clone()
    }
}

impl LocalStore {
    /// The object's file and its length.
    fn open_object(&self, name: &ObjectName) -> Result<(File, u64), StoreError> {
        let (folder, file_name) = split(name);
        let opened = self.folders.open(folder).and_then(|f| open_file(&f, file_name));
        opened.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound { name: name.clone() },
            _ => self.error("read", name.as_str(), source),
        })
    }
}

fn modified_ms(stat: &rustix::fs::Stat) -> i64 {
    stat.st_mtime.saturating_mul(1000).saturating_add(stat.st_mtime_nsec as i64 / 1_000_000)
}

/// The folder, empty for the root, and the file's name in it.
fn split(name: &ObjectName) -> (&str, &str) {
    name.as_str().rsplit_once('/').unwrap_or(("", name.as_str()))
}

fn error(action: &'static str, name: &str, location: &str, source: io::Error) -> StoreError {
    let (name, location) = (name.to_owned(), location.to_owned());
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { location },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::Denied { action, name, location }
        }
        _ => StoreError::Io { action, name, location, source },
    }
}
