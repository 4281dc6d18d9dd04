//! What has no content of its own: symbolic links, pipes, devices, further names of a file. Does
//! not know whether a device should be restored at all.

use std::os::fd::OwnedFd;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::staged::Staged;
use super::{AsFd, FileId, Found, Handle, Kind, Place, PlaceError, Placement, check};
use crate::files::metadata::{self, EntryMeta, MetadataProblem};

const LINK: &str = "create the hard link";
const OPEN_NODE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A device by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// Read and written byte by byte.
    Character(u64),
    /// Read and written block by block.
    Block(u64),
}

/// A link, pipe or device that stands under its name.
#[derive(Debug)]
pub struct PlacedNode {
    /// Which inode it is, to recognise it when it gets further names.
    pub id: FileId,
    /// What it lacks.
    pub problems: Vec<MetadataProblem>,
}

/// The name under which a file already stands that is to get another name.
#[derive(Debug, Clone, Copy)]
pub struct Original<'a> {
    /// The directory.
    pub place: &'a Place,
    /// The name in it.
    pub name: &'a [u8],
    /// The inode that this restore put there.
    pub id: FileId,
}

impl Place {
    /// Makes a symbolic link with the text `target`, whatever that leads to.
    pub fn symlink(
        &self,
        name: &[u8],
        target: &[u8],
        placement: Placement,
        meta: &EntryMeta,
    ) -> Result<PlacedNode, PlaceError> {
        let make = |at: &[u8]| fs::symlinkat(target, self, at);
        self.make_node(name, placement, Node { kind: Kind::Symlink, device: 0 }, meta, make)
    }

    /// Makes a named pipe.
    pub fn fifo(
        &self,
        name: &[u8],
        placement: Placement,
        meta: &EntryMeta,
    ) -> Result<PlacedNode, PlaceError> {
        let make = |at: &[u8]| fs::mknodat(self, at, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
        self.make_node(name, placement, Node { kind: Kind::Fifo, device: 0 }, meta, make)
    }

    /// Makes a device file. Whoever may open it has the device itself: a policy of the caller.
    pub fn device(
        &self,
        name: &[u8],
        device: Device,
        placement: Placement,
        meta: &EntryMeta,
    ) -> Result<PlacedNode, PlaceError> {
        let (file_type, kind, number) = match device {
            Device::Character(number) => (FileType::CharacterDevice, Kind::CharDevice, number),
            Device::Block(number) => (FileType::BlockDevice, Kind::BlockDevice, number),
        };
        let make = |at: &[u8]| fs::mknodat(self, at, file_type, Mode::RUSR | Mode::WUSR, number);
        self.make_node(name, placement, Node { kind, device: number }, meta, make)
    }

    /// Makes `name` another name of `original`. If another inode stands there by now, the link is
    /// taken back: [`PlaceError::Swapped`]. [`PlaceError::LinkRefused`] asks for a copy.
    pub fn hard_link(
        &self,
        original: Original<'_>,
        name: &[u8],
        placement: Placement,
    ) -> Result<(), PlaceError> {
        check(original.name)?;
        // Renaming one name of an inode over another one does nothing and leaves both.
        if placement == Placement::Replace && self.stat(name)?.is_some_and(|found| found.id == original.id) {
            return Ok(());
        }
        let create = |at: &[u8]| {
            fs::linkat(original.place, original.name, self, at, AtFlags::empty())?;
            self.open_made(at)
        };
        let staged = Staged::create(self, name, placement, LINK, create).map_err(refused_link)?;
        if staged.id()? != original.id {
            return Err(PlaceError::swapped(original.name));
        }
        staged.publish()
    }

    fn make_node(
        &self,
        name: &[u8],
        placement: Placement,
        node: Node,
        meta: &EntryMeta,
        make: impl Fn(&[u8]) -> rustix::io::Result<()>,
    ) -> Result<PlacedNode, PlaceError> {
        let create = |at: &[u8]| {
            make(at)?;
            self.open_made(at)
        };
        let staged = Staged::create(self, name, placement, node.action(), create)?;
        let stat = fs::fstat(&staged).map_err(|errno| PlaceError::new("look at", name, errno))?;
        if !node.is(&Found::from_stat(&stat)) {
            return Err(PlaceError::swapped(name));
        }
        let problems = metadata::apply(meta, Handle { fd: staged.as_fd(), kind: node.kind });
        let id = staged.id()?;
        staged.publish()?;
        Ok(PlacedNode { id, problems })
    }

    /// Opens what was just made, without the effects that opening a pipe or a device has. It has a
    /// name and no other trace yet, so that it goes if it cannot be opened.
    fn open_made(&self, at: &[u8]) -> rustix::io::Result<OwnedFd> {
        fs::openat(self, at, OPEN_NODE, Mode::empty()).inspect_err(|_| {
            let _ = fs::unlinkat(self, at, AtFlags::empty());
        })
    }
}

/// What was asked for.
#[derive(Clone, Copy)]
struct Node {
    kind: Kind,
    device: u64,
}

impl Node {
    fn action(self) -> &'static str {
        match self.kind {
            Kind::Symlink => "create the link",
            Kind::Fifo => "create the pipe",
            _ => "create the device",
        }
    }

    /// Nodes are made first and opened then. Between the two, whoever may change the directory can
    /// put another inode in the place, and it must not get the owner and mode meant for ours. A
    /// second name of something that lies outside has more than one link; something of the same
    /// kind with only this name lies in the target and nowhere else.
    fn is(self, found: &Found) -> bool {
        let same_device = match self.kind {
            Kind::CharDevice | Kind::BlockDevice => found.device_number == self.device,
            _ => true,
        };
        found.kind == self.kind && found.links <= 1 && same_device
    }
}

/// Too many links, another file system, none of its links allowed: the content can still be copied.
fn refused_link(error: PlaceError) -> PlaceError {
    match error {
        PlaceError::Io { name, source, .. } if is_refused_link(&source) => {
            PlaceError::LinkRefused { name, source }
        }
        other => other,
    }
}

fn is_refused_link(error: &std::io::Error) -> bool {
    let refusals = [Errno::MLINK, Errno::XDEV, Errno::PERM, Errno::OPNOTSUPP];
    refusals.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
