//! The folders of a local store: opening, making and walking them. Knows object names only as
//! paths that a walk may follow.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::format::ObjectName;

const FOLDER_MODE: Mode = Mode::RWXU;
/// What `statfs` calls file systems whose listings may lag behind what other machines wrote: FUSE, NFS, CIFS,
/// SMB, SMB2, Ceph, AFS, 9p, Lustre and GPFS.
const SHARED_FILE_SYSTEMS: [u64; 10] = [
    0x6573_5546,
    0x6969,
    0xff53_4d42,
    0x517b,
    0xfe53_4d42,
    0x00c3_6400,
    0x5346_414f,
    0x0102_1997,
    0x0bd0_0bd0,
    0x4750_4653,
];
/// How long they may lag.
const SHARED_LIST_DELAY: Duration = Duration::from_secs(24 * 3600);

/// A folder and those below it. Everything is reached from one handle, a component at a time, and
/// no symbolic link is followed: whoever can write to the store cannot lead its user elsewhere.
#[derive(Debug)]
pub struct Folders {
    root: OwnedFd,
    /// Folders whose entry in their parent is known to be on disk.
    durable: Mutex<HashSet<String>>,
}

/// A regular file met on a walk.
pub struct Found<'a> {
    /// The folder it is in.
    pub folder: &'a OwnedFd,
    /// Its name there.
    pub file_name: &'a str,
    /// Its path from the root.
    pub path: String,
    /// What the file system says of it.
    pub stat: Stat,
}

/// Why a walk ended early.
#[derive(Debug)]
pub struct WalkError {
    /// The folder that could not be read, empty for the root.
    pub folder: String,
    /// Why.
    pub source: io::Error,
}

impl Folders {
    /// Opens the root.
    pub fn open_root(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
        Ok(Self { root, durable: Mutex::default() })
    }

    /// How old a listing may be: on a disk not at all, on a file system that others write to as well, at
    /// most what such file systems keep in memory, taken generously.
    pub fn list_delay(&self) -> io::Result<Duration> {
        let kind = rustix::io::retry_on_intr(|| rustix::fs::fstatfs(&self.root))?.f_type;
        let is_shared = SHARED_FILE_SYSTEMS.contains(&(kind as u64 & 0xffff_ffff));
        Ok(if is_shared { SHARED_LIST_DELAY } else { Duration::ZERO })
    }

    /// Opens a folder below the root, or the root anew: an fsync that failed on one handle must
    /// not be repeated on it, so no handle outlives its call.
    pub fn open(&self, path: &str) -> io::Result<OwnedFd> {
        let root = open_folder_at(&self.root, ".")?;
        Ok(components(path).try_fold(root, |folder, component| open_folder_at(&folder, component))?)
    }

    /// Opens a folder to write in; makes it when it is missing.
    pub fn make(&self, path: &str) -> io::Result<OwnedFd> {
        match self.make_missing(path) {
            // Somebody removed a folder known to exist.
            Err(Errno::NOENT) => {
                self.durable().clear();
                Ok(self.make_missing(path)?)
            }
            made => Ok(made?),
        }
    }

    /// A folder that exists may have been made by a process that died before it was durable, so
    /// the first visit always syncs its parent. Later visits only open it.
    fn make_missing(&self, path: &str) -> rustix::io::Result<OwnedFd> {
        let mut folder = open_folder_at(&self.root, ".")?;
        let mut so_far = String::new();
        for component in components(path) {
            so_far.push('/');
            so_far.push_str(component);
            if self.durable().contains(&so_far) {
                folder = open_folder_at(&folder, component)?;
                continue;
            }
            match rustix::fs::mkdirat(&folder, component, FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            let child = open_folder_at(&folder, component)?;
            rustix::fs::fsync(&folder)?;
            self.durable().insert(so_far.clone());
            folder = child;
        }
        Ok(folder)
    }

    fn durable(&self) -> MutexGuard<'_, HashSet<String>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows `visit` every regular file in `top` and the folders below it. What vanishes meanwhile
    /// is left out; any other error ends the walk, for a listing with holes would look like loss.
    pub fn walk(
        &self,
        top: &str,
        mut visit: impl FnMut(Found<'_>) -> io::Result<()>,
    ) -> Result<(), WalkError> {
        let mut pending = vec![top.to_owned()];
        while let Some(folder) = pending.pop() {
            self.visit_folder(&folder, &mut pending, &mut visit)
                .map_err(|source| WalkError { folder, source })?;
        }
        Ok(())
    }

    fn visit_folder(
        &self,
        path: &str,
        pending: &mut Vec<String>,
        visit: &mut impl FnMut(Found<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(folder) = self.open_listed(path)? else { return Ok(()) };
        let Some(entries) = unless_absent(Dir::read_from(&folder))? else { return Ok(()) };
        for entry in entries {
            let entry = entry?;
            // Neither an object's name nor a temporary file's is anything but ASCII.
            let Ok(file_name) = entry.file_name().to_str() else { continue };
            if matches!(file_name, "." | "..") {
                continue;
            }
            let stat = rustix::fs::statat(&folder, file_name, AtFlags::SYMLINK_NOFOLLOW);
            let Some(stat) = unless_absent(stat)? else { continue };
            let child = if path.is_empty() { file_name.to_owned() } else { format!("{path}/{file_name}") };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => visit(Found { folder: &folder, file_name, path: child, stat })?,
                // A foreign folder's name cannot begin an object's; this also bounds the depth.
                FileType::Directory if child.parse::<ObjectName>().is_ok() => pending.push(child),
                _ => {}
            }
        }
        Ok(())
    }

    /// A folder that is gone holds nothing; a root that is gone is no empty store.
    fn open_listed(&self, path: &str) -> io::Result<Option<OwnedFd>> {
        if rustix::fs::fstat(&self.root)?.st_nlink == 0 {
            return Err(Errno::NOENT.into());
        }
        unless_absent(self.open(path))
    }
}

/// Makes a folder and those above it; every new entry is synced.
pub fn make_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folders(parent)?;
    match fs::DirBuilder::new().mode(FOLDER_MODE.as_raw_mode()).create(path) {
        Err(_) if path.is_dir() => {}
        created => created?,
    }
    File::open(parent)?.sync_all()
}

/// Nothing, when what was asked for does not exist.
pub fn unless_absent<T, E: Into<io::Error>>(result: Result<T, E>) -> io::Result<Option<T>> {
    match result.map_err(E::into) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|component| !component.is_empty())
}

/// Opens what is in a folder, but not through a symbolic link.
pub fn open_at(folder: impl AsFd, name: &str, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::io::retry_on_intr(|| rustix::fs::openat(&folder, name, flags, mode))
}

fn open_folder_at(folder: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    open_at(folder, name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
}
