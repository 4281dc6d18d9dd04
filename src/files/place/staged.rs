//! Something new that is not finished: under its final name or a temporary one, and taken away
//! again unless it is published. Does not know what kind of thing it is.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags};
use rustix::io::Errno;

use super::{FileId, Place, PlaceError, Placement, check};

/// How temporary names begin and end. Between stand 16 hexadecimal digits.
const PART: (&[u8], &[u8]) = (b".homekeep-", b".part");
const PART_DIGITS: usize = 16;
/// Random names collide only if somebody makes them collide.
const ATTEMPTS: usize = 16;

/// Whether `name` is one of the temporary names of a restore: what an interrupted one left behind.
pub fn is_part_name(name: &[u8]) -> bool {
    let digits = name.strip_prefix(PART.0).and_then(|rest| rest.strip_suffix(PART.1));
    let is_hex = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    digits.is_some_and(|digits| digits.len() == PART_DIGITS && digits.iter().all(is_hex))
}

fn part_name() -> Result<Vec<u8>, Errno> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))?;
    Ok(format!(".homekeep-{:016x}.part", u64::from_ne_bytes(random)).into_bytes())
}

pub(super) struct Staged {
    place: Place,
    handle: OwnedFd,
    name: Vec<u8>,
    /// Where it stands now, if not under its name.
    part: Option<Vec<u8>>,
    action: &'static str,
    published: bool,
}

impl Staged {
    /// `create` makes the thing under the name it is given, which must be free, and opens it.
    pub fn create(
        place: &Place,
        name: &[u8],
        placement: Placement,
        action: &'static str,
        create: impl Fn(&[u8]) -> rustix::io::Result<OwnedFd>,
    ) -> Result<Self, PlaceError> {
        check(name)?;
        let (handle, part) = match placement {
            Placement::New => create(name).map(|handle| (handle, None)),
            Placement::Replace => create_part(create),
        }
        .map_err(|errno| PlaceError::new(action, name, errno))?;
        Ok(Self { place: place.clone(), handle, name: name.to_vec(), part, action, published: false })
    }

    pub fn name(&self) -> &[u8] {
        &self.name
    }

    pub fn id(&self) -> Result<FileId, PlaceError> {
        let stat = fs::fstat(&self.handle).map_err(|errno| PlaceError::new("look at", &self.name, errno))?;
        Ok(FileId::of(&stat))
    }

    /// Puts it under its name. A name made directly is as good as published already; a temporary
    /// one takes the place of what stands there, and then it is looked at: whoever may change
    /// the directory could have moved something else to the temporary name.
    pub fn publish(mut self) -> Result<(), PlaceError> {
        if let Some(part) = self.part.take() {
            if let Err(errno) = fs::renameat(&self.place, &part, &self.place, &self.name) {
                self.part = Some(part);
                return Err(PlaceError::new(self.action, &self.name, errno));
            }
            if self.place.stat(&self.name)?.map(|found| found.id) != Some(self.id()?) {
                return Err(PlaceError::swapped(&self.name));
            }
        }
        self.published = true;
        Ok(())
    }
}

fn create_part(
    create: impl Fn(&[u8]) -> rustix::io::Result<OwnedFd>,
) -> rustix::io::Result<(OwnedFd, Option<Vec<u8>>)> {
    for _ in 0..ATTEMPTS {
        let part = part_name()?;
        match create(&part) {
            Err(Errno::EXIST) => {}
            created => return created.map(|handle| (handle, Some(part))),
        }
    }
    Err(Errno::EXIST)
}

impl AsFd for Staged {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl Drop for Staged {
    /// Only if the same inode still stands there: somebody may have put something else there.
    /// Between the look and the removal he still could, in a directory that is his to spoil.
    fn drop(&mut self) {
        if self.published {
            return;
        }
        let at = self.part.as_deref().unwrap_or(&self.name);
        let stands = fs::statat(&self.place, at, AtFlags::SYMLINK_NOFOLLOW).map(|stat| FileId::of(&stat));
        if let (Ok(stands), Ok(ours)) = (stands, self.id())
            && stands == ours
        {
            let _ = fs::unlinkat(&self.place, at, AtFlags::empty());
        }
    }
}
