//! Whether a folder may keep secrets: nobody but its owner and root can write into it, or exchange it for another by
//! what lies on the way to it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::process::{getegid, geteuid};

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// The folder is not ours.
    #[error("it belongs to the user with the number {0}, who could read and exchange all of them")]
    Foreign(u32),
    /// Others can write into the folder.
    #[error("others than its owner can write to it (mode {0:04o}); chmod 0700 makes it private")]
    Shared(u32),
    /// Somebody could put another folder in its place.
    #[error(
        "{path}, on the way to it, belongs to the user with the number {owner}, who could put another in its place"
    )]
    ForeignWay {
        /// What lies on the way.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Somebody could put another folder in its place.
    #[error(
        "{path}, on the way to it, can be written to by others (mode {mode:04o}), who could put another in its place"
    )]
    SharedWay {
        /// What lies on the way.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It cannot be looked at.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Opens the folder by its path, which [`check_way`] found to be in nobody's hands.
pub fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Whether the folder is ours alone.
pub fn check_folder(folder: &OwnedFd) -> Result<(), Untrusted> {
    let stat = rustix::fs::fstat(folder).map_err(io::Error::from)?;
    if stat.st_uid != geteuid().as_raw() {
        return Err(Untrusted::Foreign(stat.st_uid));
    }
    // Write access by an access control list shows as the group's.
    if stat.st_mode & 0o022 != 0 {
        return Err(Untrusted::Shared(stat.st_mode & 0o7777));
    }
    Ok(())
}

/// Walks to the folder as the kernel would, and looks at every folder on the way. What does not exist yet is no
/// objection: it will be made in a folder that was found good.
pub fn check_way(path: &Path) -> Result<(), Untrusted> {
    let mut pending = names(path);
    let mut here = PathBuf::from("/");
    let mut links = 0;
    check_on_way(&here, &fs::symlink_metadata(&here)?)?;
    while let Some(name) = pending.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        let metadata = match fs::symlink_metadata(&next) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if metadata.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::from(rustix::io::Errno::LOOP).into());
            }
            let target = fs::read_link(&next)?;
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            names(&target).into_iter().rev().for_each(|name| pending.push_front(name));
            continue;
        }
        // The folder itself, the last on the way, is looked at by its handle.
        if !pending.is_empty() {
            check_on_way(&next, &metadata)?;
        }
        here = next;
    }
    Ok(())
}

fn names(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    parts.map(|part| part.as_os_str().to_owned()).collect()
}

fn check_on_way(path: &Path, metadata: &Metadata) -> Result<(), Untrusted> {
    let (own, owner, mode) = (geteuid(), metadata.uid(), metadata.mode() & 0o7777);
    if owner != 0 && owner != own.as_raw() {
        return Err(Untrusted::ForeignWay { path: path.to_owned(), owner });
    }
    // In a sticky folder, nobody can exchange what belongs to others.
    let is_sticky = mode & 0o1000 != 0;
    let is_own_group = metadata.gid() == 0
        || (!own.is_root() && metadata.gid() == getegid().as_raw() && owner == own.as_raw());
    let by_group = mode & 0o020 != 0 && !is_own_group;
    if !is_sticky && (mode & 0o002 != 0 || by_group) {
        return Err(Untrusted::SharedWay { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Makes a folder for the owner's eyes only, and those above it that are missing; every new entry is synced.
pub fn make_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().ok_or(io::ErrorKind::NotFound)?;
    make_folders(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(_) if path.is_dir() => {}
        created => created?,
    }
    File::open(parent)?.sync_all()
}
