//! Finds the homes of a run. Knows directories and users, not what is in a home.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use rustix::fs::FileType;

use super::BackupError;
use crate::files::place::STAGING;
use crate::files::walk::{self, ListBuffer, Stat};

/// Which homes a run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HomeSelection {
    /// Every directory in this one is a user's home.
    Under(PathBuf),
    /// Each of these is a home, called by its last component.
    Paths(Vec<PathBuf>),
}

/// A home to be saved.
#[derive(Debug)]
pub struct FoundHome {
    /// The user: the directory's name.
    pub user: Vec<u8>,
    /// Where it is.
    pub path: PathBuf,
    /// The open directory, or why it could not be opened.
    pub root: Result<(OwnedFd, Stat), io::Error>,
}

impl fmt::Display for HomeSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Under(folder) => write!(f, "{}", folder.display()),
            Self::Paths(paths) => {
                let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
                f.write_str(&paths.join(", "))
            }
        }
    }
}

/// Finds and opens the homes, by user: all, or those of `users`, each of whom must have one. A home
/// that cannot be opened is still found.
pub fn find(selection: &HomeSelection, users: &[Vec<u8>]) -> Result<Vec<FoundHome>, BackupError> {
    let mut found = match selection {
        HomeSelection::Under(folder) => under(folder)?,
        HomeSelection::Paths(paths) => named(paths)?,
    };
    if let Some(user) = users.iter().find(|user| found.iter().all(|home| home.user != **user)) {
        return Err(BackupError::NoSuchUser(user.clone()));
    }
    found.retain(|home| users.is_empty() || users.contains(&home.user));
    Ok(found)
}

fn under(folder: &Path) -> Result<Vec<FoundHome>, BackupError> {
    let unreadable =
        |error: rustix::io::Errno| BackupError::Homes { path: folder.into(), source: error.into() };
    let handle = walk::open_path(folder).map_err(unreadable)?;
    let folder_stat = walk::stat(&handle).map_err(unreadable)?;
    // Where others may create links, a link could lead anywhere.
    let trusts_links = folder_stat.mode & 0o022 == 0;
    let is_home = |name: &[u8]| name != b"lost+found" && name != STAGING;
    let listing = walk::list(&handle, &mut ListBuffer::default(), is_home).map_err(unreadable)?;
    let mut homes = Vec::new();
    for entry in listing.entries {
        let path = folder.join(std::ffi::OsStr::from_bytes(&entry.name));
        let opened = match entry.stat.kind {
            FileType::Directory => walk::open_directory(&handle, &entry.name),
            FileType::Symlink if trusts_links && path.is_dir() => walk::open_path(&path),
            _ => continue,
        };
        homes.push(FoundHome { user: entry.name.into_vec(), path, root: with_stat(opened) });
    }
    Ok(homes)
}

/// A path that leads nowhere is a home that could not be opened: the others are saved all the same.
fn named(paths: &[PathBuf]) -> Result<Vec<FoundHome>, BackupError> {
    let mut homes = BTreeMap::new();
    for path in paths {
        let (absolute, root) = match path.canonicalize() {
            Ok(absolute) => {
                let root = with_stat(walk::open_path(&absolute));
                (absolute, root)
            }
            Err(error) => (std::path::absolute(path).unwrap_or_else(|_| path.clone()), Err(error)),
        };
        let name = absolute.file_name().ok_or_else(|| BackupError::NoUser(path.clone()))?;
        let user = name.to_os_string().into_vec();
        if homes.insert(user.clone(), FoundHome { user, path: absolute, root }).is_some() {
            return Err(BackupError::SameUser(path.clone()));
        }
    }
    let mut homes: Vec<_> = homes.into_values().collect();
    if homes.iter().all(|home| home.root.is_err())
        && let Some(FoundHome { path, root: Err(source), .. }) = homes.pop()
    {
        return Err(BackupError::Homes { path, source });
    }
    Ok(homes)
}

fn with_stat(opened: Result<OwnedFd, rustix::io::Errno>) -> Result<(OwnedFd, Stat), io::Error> {
    let handle = opened?;
    let stat = walk::stat(&handle)?;
    Ok((handle, stat))
}

/// Paths below `home` where something is mounted, relative to it. A mount is recognised without
/// looking at it: looking at a hung network or FUSE mount may never return.
pub fn mounts_below(home: &Path) -> Vec<Vec<u8>> {
    let Ok(table) = std::fs::read("/proc/self/mountinfo") else { return Vec::new() };
    let home = home.canonicalize().unwrap_or_else(|_| home.into());
    let mut below = Vec::new();
    for line in table.split(|b| *b == b'\n') {
        let Some(field) = line.split(|b| *b == b' ').nth(4) else { continue };
        let point = unescape(field);
        if let Ok(relative) = Path::new(std::ffi::OsStr::from_bytes(&point)).strip_prefix(&home)
            && !relative.as_os_str().is_empty()
        {
            below.push(relative.as_os_str().as_bytes().to_vec());
        }
    }
    below.sort();
    below
}

/// The mount table writes blanks and backslashes as octal numbers.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let octal = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let code = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|d| u8::from_str_radix(d, 8).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_tables_escapes_are_undone() {
        assert_eq!(unescape(b"/home/a\\040b\\134c\\"), b"/home/a b\\c\\");
    }

    #[test]
    fn directories_are_homes_and_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for user in ["bob", "ann", "lost+found", ".homekeep-staged"] {
            std::fs::create_dir(folder.path().join(user)).unwrap();
        }
        std::fs::write(folder.path().join("file"), "").unwrap();
        let homes = find(&HomeSelection::Under(folder.path().into()), &[]).unwrap();
        let users: Vec<_> = homes.iter().map(|h| &h.user[..]).collect();
        assert_eq!(users, [&b"ann"[..], b"bob"]);
    }

    #[test]
    fn only_the_homes_of_named_users_are_found_and_each_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        for user in ["bob", "ann"] {
            std::fs::create_dir(folder.path().join(user)).unwrap();
        }
        let selection = HomeSelection::Under(folder.path().into());
        let homes = find(&selection, &[b"bob".to_vec()]).unwrap();
        assert_eq!(homes.iter().map(|h| &h.user[..]).collect::<Vec<_>>(), [b"bob"]);
        let missing = find(&selection, &[b"bob".to_vec(), b"eve".to_vec()]);
        assert!(matches!(missing, Err(BackupError::NoSuchUser(user)) if user == b"eve"));
    }

    #[test]
    fn a_path_that_leads_nowhere_costs_no_other_home() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["ann", "bob"].map(|user| folder.path().join(user));
        std::fs::create_dir(&paths[1]).unwrap();
        let homes = find(&HomeSelection::Paths(paths.to_vec()), &[]).unwrap();
        assert_eq!([homes[0].root.is_err(), homes[1].root.is_ok()], [true, true]);
        let missing = HomeSelection::Paths(vec![paths[0].clone()]);
        assert!(matches!(find(&missing, &[]), Err(BackupError::Homes { .. })));
    }

    #[test]
    fn two_homes_of_one_name_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["x/ann", "y/ann"].map(|p| folder.path().join(p));
        for path in &paths {
            std::fs::create_dir_all(path).unwrap();
        }
        assert!(matches!(find(&HomeSelection::Paths(paths.to_vec()), &[]), Err(BackupError::SameUser(_))));
    }
}
