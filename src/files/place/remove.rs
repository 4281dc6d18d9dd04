//! Removes a name and everything below it, as `--delete` wants, however deep it is and whatever
//! its owner does meanwhile. Does not decide what is to go.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{self, AtFlags, Mode, StatxFlags};
use rustix::io::Errno;

use super::error::printable;
use super::{Kind, OPEN_DIRECTORY, Place, PlaceError, check, list};

const REMOVE: &str = "remove";
/// Directories held open at the same time: enough that going up in an ordinary tree opens nothing.
const MAX_OPEN: usize = 16;

/// What a removal did.
#[derive(Debug, Default)]
pub struct Removal {
    /// How many names are gone.
    pub removed: u64,
    /// What stayed and why. Directories that stayed because of what is in them are not named.
    pub problems: Vec<PlaceError>,
}

impl Place {
    /// Removes what stands at `name`, with all that is below; nothing there is no error. No link is
    /// followed and no mount point is entered. What cannot be removed stays, with the
    /// directories that lead to it, and the rest goes.
    pub fn remove(&self, name: &[u8]) -> Result<Removal, PlaceError> {
        check(name)?;
        let errno = match fs::unlinkat(self, name, AtFlags::empty()) {
            Ok(()) => return Ok(Removal { removed: 1, problems: Vec::new() }),
            Err(Errno::NOENT) => return Ok(Removal::default()),
            Err(errno) => errno,
        };
        // Linux says EISDIR; POSIX, and with it some file systems, EPERM.
        if !matches!(errno, Errno::ISDIR | Errno::PERM) {
            return Err(PlaceError::new(REMOVE, name, errno));
        }
        let mut remover = Remover::new(self)?;
        match remover.enter(self.as_fd(), name) {
            Ok(top) => remover.levels.push(top),
            Err(PlaceError::NotADirectory { .. }) if errno == Errno::PERM => {
                return Err(PlaceError::new(REMOVE, name, errno));
            }
            Err(error) => return Err(error),
        }
        Ok(remover.run())
    }
}

/// Works through a tree level by level, on a list of its own instead of the stack.
struct Remover<'a> {
    base: &'a Place,
    mount: Mount,
    levels: Vec<Level>,
    report: Removal,
}

/// A directory that is being emptied; its files are gone, its subdirectories follow.
struct Level {
    name: Vec<u8>,
    /// Closed while the work is far below.
    directory: Option<Rc<OwnedFd>>,
    identity: Identity,
    subdirectories: Vec<Vec<u8>>,
    /// Something in it stays, so it stays as well.
    stays: bool,
}

/// Where an inode is mounted. Bind mounts differ in the mount only; kernels before 5.8 do not tell
/// that one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mount {
    device: (u32, u32),
    mount: u64,
}

/// One directory and no later one: inode numbers are given out again, births are not.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    mount: Mount,
    inode: u64,
    born: (i64, u32),
}

impl Identity {
    fn of(directory: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
        let stat = fs::statx(directory, "", AtFlags::EMPTY_PATH, wanted)?;
        let told = |flag: StatxFlags| stat.stx_mask & flag.bits() != 0;
        let device = (stat.stx_dev_major, stat.stx_dev_minor);
        let mount = if told(StatxFlags::MNT_ID) { stat.stx_mnt_id } else { 0 };
        let born = stat.stx_btime;
        let born = if told(StatxFlags::BTIME) { (born.tv_sec, born.tv_nsec) } else { (0, 0) };
        Ok(Self { mount: Mount { device, mount }, inode: stat.stx_ino, born })
    }
}

impl<'a> Remover<'a> {
    fn new(base: &'a Place) -> Result<Self, PlaceError> {
        let identity = Identity::of(base.as_fd()).map_err(|errno| PlaceError::new("look at", b".", errno))?;
        Ok(Self { base, mount: identity.mount, levels: Vec::new(), report: Removal::default() })
    }

    fn run(mut self) -> Removal {
        while let Some(level) = self.levels.last_mut() {
            let next = match level.subdirectories.pop() {
                Some(name) => self.descend(&name),
                None => self.ascend(),
            };
            if let Err(error) = next {
                // The way back is lost: somebody moved the tree.
                self.report.problems.push(error);
                break;
            }
        }
        self.report
    }

    fn descend(&mut self, name: &[u8]) -> Result<(), PlaceError> {
        let parent = self.levels.last().and_then(|level| level.directory.clone());
        let parent = parent.expect("the innermost directory is open: entered or reopened last");
        match self.enter(parent.as_fd(), name) {
            Ok(level) => self.levels.push(level),
            Err(error) => self.keep(error),
        }
        if let Some(far) = self.levels.len().checked_sub(MAX_OPEN + 1) {
            self.levels[far].directory = None;
        }
        Ok(())
    }

    /// Removes the innermost directory, which has nothing left to go into.
    fn ascend(&mut self) -> Result<(), PlaceError> {
        let Some(done) = self.levels.pop() else { return Ok(()) };
        let reopened = self.levels.last_mut().map(|level| reopen(level, &done)).transpose()?;
        let parent = reopened.as_ref().map_or(self.base.as_fd(), |directory| directory.as_fd());
        if !done.stays {
            match fs::unlinkat(parent, &done.name, AtFlags::REMOVEDIR) {
                Ok(()) => self.report.removed += 1,
                Err(Errno::NOENT) => {}
                Err(errno) => self.keep(PlaceError::new(REMOVE, &done.name, errno)),
            }
        } else if let Some(level) = self.levels.last_mut() {
            level.stays = true;
        }
        Ok(())
    }

    /// Opens the directory `name`, removes its files and notes its subdirectories.
    fn enter(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<Level, PlaceError> {
        let fail = |errno| PlaceError::new("open the directory", name, errno);
        let directory = fs::openat(parent, name, OPEN_DIRECTORY, Mode::empty()).map_err(fail)?;
        let identity = Identity::of(directory.as_fd()).map_err(fail)?;
        if identity.mount != self.mount {
            return Err(PlaceError::MountPoint { name: printable(name) });
        }
        let mut level = Level {
            name: name.to_vec(),
            directory: None,
            identity,
            subdirectories: Vec::new(),
            stays: false,
        };
        for entry in list(directory.as_fd()).map_err(fail)? {
            if entry.kind == Kind::Directory {
                level.subdirectories.push(entry.name);
                continue;
            }
            match fs::unlinkat(&directory, &entry.name, AtFlags::empty()) {
                Ok(()) => self.report.removed += 1,
                Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => level.subdirectories.push(entry.name),
                Err(errno) => {
                    level.stays = true;
                    self.report.problems.push(PlaceError::new(REMOVE, &entry.name, errno));
                }
            }
        }
        level.directory = Some(Rc::new(directory));
        Ok(level)
    }

    /// Something in the innermost directory stays.
    fn keep(&mut self, error: PlaceError) {
        if let Some(level) = self.levels.last_mut() {
            level.stays = true;
        }
        self.report.problems.push(error);
    }
}

/// The directory above `below`, opened again if it was closed.
///
/// `..` leads to wherever `below` was moved meanwhile. So what is opened has to be the directory
/// that was emptied on the way down, or the removal ends there.
fn reopen(level: &mut Level, below: &Level) -> Result<Rc<OwnedFd>, PlaceError> {
    if let Some(open) = &level.directory {
        return Ok(open.clone());
    }
    let fail = |errno| PlaceError::new("open the directory", &level.name, errno);
    let below = below.directory.as_ref().expect("the innermost directory is open");
    let above = fs::openat(below, "..", OPEN_DIRECTORY, Mode::empty()).map_err(fail)?;
    if Identity::of(above.as_fd()).map_err(fail)? != level.identity {
        return Err(PlaceError::swapped(&level.name));
    }
    Ok(level.directory.insert(Rc::new(above)).clone())
}
