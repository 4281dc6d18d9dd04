//! Owner, mode, extended attributes and times of restored entries, and in which order they are set.
//! Does not know where an entry stands; it is given an open inode.

use std::collections::HashSet;
use std::fmt;
use std::io;

use rustix::io::Errno;
use rustix::process::geteuid;

use super::handle::{Handle, Kind};
use super::owners::Ids;
use crate::format::{Entry, Xattr};

const SETUID: u16 = 0o4000;
const SETGID: u16 = 0o2000;
/// Privileges of an executable file, which the kernel drops when the owner changes.
const CAPABILITY: &[u8] = b"security.capability";

/// What becomes of setuid bits, setgid bits and file capabilities. See [`restored_mode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SetuidPolicy {
    /// Only what the home's owner could have given to the file without help.
    #[default]
    OwnFiles,
    /// All of it: the repository is trusted like root. `--setuid always`.
    Always,
}

/// The metadata an entry gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryMeta {
    /// The owner here; `None` leaves the entry to whoever created it.
    pub owner: Option<Ids>,
    /// 12 permission bits, as [`restored_mode`] lets them through.
    pub mode: u16,
    /// Seconds of the modification time since 1970.
    pub mtime_s: i64,
    /// Nanoseconds of it, below 10^9.
    pub mtime_ns: u32,
    /// Extended attributes, ACLs among them.
    pub xattrs: Vec<Xattr>,
}

impl EntryMeta {
    /// What `entry` gets when it is restored for `owner` into a home that belongs to `home`.
    pub fn new(entry: &Entry, owner: Option<Ids>, home: Ids, policy: SetuidPolicy) -> Self {
        let mut xattrs = entry.attributes.xattrs.clone();
        if owner.is_none() || policy != SetuidPolicy::Always {
            xattrs.retain(|xattr| xattr.name != CAPABILITY);
        }
        Self {
            owner,
            mode: restored_mode(entry.mode, Kind::from(&entry.kind), owner, home, policy),
            mtime_s: entry.mtime_s,
            mtime_ns: entry.mtime_ns,
            xattrs,
        }
    }

    /// Where somebody stands in for the owner, a file must not lend out that one's rights.
    pub fn without_rights_if(mut self, is_substitute: bool) -> Self {
        if is_substitute {
            self.mode &= !(SETUID | SETGID);
            self.xattrs.retain(|xattr| xattr.name != CAPABILITY);
        }
        self
    }

    /// Whether an inode with the attributes `present` has those of the entry already. What this process
    /// may not see is not missed.
    pub fn has_xattrs(&self, present: &[Xattr]) -> bool {
        let is_visible = |xattr: &&Xattr| is_ours(&xattr.name) || geteuid().is_root();
        self.xattrs.iter().filter(is_visible).all(|xattr| present.contains(xattr))
            && present.iter().filter(|xattr| is_ours(&xattr.name)).all(|xattr| self.xattrs.contains(xattr))
    }
}

/// The permission bits an entry gets.
///
/// The rule: a file's setuid bit comes back only if the file's restored owner is the owner of the
/// home, its setgid bit only if its restored group is the home's group as well. Those bits the
/// owner could have set without help. Anything more could hand out the rights of somebody else,
/// by a repository that somebody tampered with or by numbers that mean other people here; it takes
/// [`SetuidPolicy::Always`], and so do file capabilities, which are root's rights whoever owns the
/// file. A file whose owner is not restored gets none of them under any policy. Directories keep
/// setgid (new files inherit the group; nobody's rights grow), and sticky always comes back.
pub fn restored_mode(mode: u16, kind: Kind, owner: Option<Ids>, home: Ids, policy: SetuidPolicy) -> u16 {
    let Some(owner) = owner else {
        return if kind == Kind::Directory { mode } else { mode & !(SETUID | SETGID) };
    };
    if kind == Kind::Directory || policy == SetuidPolicy::Always {
        return mode;
    }
    let lost = match (owner.uid == home.uid, owner.gid == home.gid) {
        (true, true) => 0,
        (true, false) => SETGID,
        (false, _) => SETUID | SETGID,
    };
    mode & !lost
}

/// Which part of the metadata could not be restored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MetadataPart {
    /// User and group. A file's setuid and setgid bits and its capabilities are then left out too.
    Owner,
    /// The permission bits.
    Mode,
    /// The extended attribute of this name.
    Xattr(Vec<u8>),
    /// One or more attributes that only root can set (`security.*`, `trusted.*`).
    PrivilegedXattrs,
    /// The list of attributes the entry already had.
    XattrList,
    /// The modification time.
    Times,
}

impl fmt::Display for MetadataPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner => f.write_str("owner"),
            Self::Mode => f.write_str("permissions"),
            Self::Xattr(name) => write!(f, "attribute {:?}", String::from_utf8_lossy(name)),
            Self::PrivilegedXattrs => f.write_str("attributes that only root can set"),
            Self::XattrList => f.write_str("list of attributes"),
            Self::Times => f.write_str("modification time"),
        }
    }
}

/// The entry is there, but a part of its metadata is not.
#[derive(Debug, thiserror::Error)]
#[error("cannot restore the {part}")]
pub struct MetadataProblem {
    /// Which part.
    pub part: MetadataPart,
    /// Why.
    #[source]
    pub error: io::Error,
}

/// Gives an inode its metadata; what fails is returned and the rest is done all the same.
///
/// The order is what the kernel's side effects leave: attributes first, while the inode still
/// belongs to this process; then the owner, which clears setuid bits and capabilities; then the
/// mode and the capabilities; times last, so that a file with the right time is a whole file.
/// An ACL before the mode is safe both ways: the mode's group bits are the ACL's mask, so setting
/// them again changes nothing, and nobody is let in between who is not let in at the end.
pub(super) fn apply(meta: &EntryMeta, to: Handle<'_>) -> Vec<MetadataProblem> {
    let mut problems = Problems::default();
    remove_other_xattrs(meta, to, &mut problems);
    for xattr in meta.xattrs.iter().filter(|xattr| xattr.name != CAPABILITY) {
        problems.note_xattr(&xattr.name, to.set_xattr(&xattr.name, &xattr.value));
    }
    let owned = restore_owner(meta.owner, to, &mut problems);
    if to.kind != Kind::Symlink {
        let lost = if owned || to.kind == Kind::Directory { 0 } else { SETUID | SETGID };
        problems.note(MetadataPart::Mode, to.set_mode(meta.mode & !lost));
    }
    for xattr in meta.xattrs.iter().filter(|xattr| owned && xattr.name == CAPABILITY) {
        problems.note_xattr(&xattr.name, to.set_xattr(&xattr.name, &xattr.value));
    }
    problems.note(MetadataPart::Times, to.set_mtime(meta.mtime_s, meta.mtime_ns));
    problems.0
}

/// Removes what the inode has and the entry has not: ACLs inherited from the directory, which
/// would let others in, and whatever a directory had that was there before.
fn remove_other_xattrs(meta: &EntryMeta, to: Handle<'_>, problems: &mut Problems) {
    let present = match to.xattr_names() {
        Ok(present) => present,
        // The file system has no attributes; setting one will say so.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return,
        Err(error) => return problems.note(MetadataPart::XattrList, Err(error)),
    };
    if present.is_empty() {
        return;
    }
    let wanted: HashSet<&[u8]> = meta.xattrs.iter().map(|xattr| xattr.name.as_slice()).collect();
    for name in present.split(|byte| *byte == 0).filter(|name| is_ours(name) && !wanted.contains(name)) {
        match to.remove_xattr(name) {
            // Gone already: the owner may be at work in the same directory.
            Ok(()) | Err(Errno::NODATA) => {}
            error => problems.note_xattr(name, error),
        }
    }
}

/// Attributes that belong to the entry. The rest (labels of security modules, notes of layered and
/// distributed file systems) belongs to this machine.
fn is_ours(name: &[u8]) -> bool {
    name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_")
}

/// Whether the inode has the wanted owner now.
///
/// Someone who is not root cannot give files away. That his files stay his is no problem worth a
/// line for each of them, but the group may still be one of his.
fn restore_owner(owner: Option<Ids>, to: Handle<'_>, problems: &mut Problems) -> bool {
    let Some(Ids { uid, gid }) = owner else { return false };
    let error = match to.set_owner(Some(uid), Some(gid)) {
        Ok(()) => return true,
        Err(error) => error,
    };
    let mine = || rustix::fs::fstat(to.fd).is_ok_and(|stat| stat.st_uid == geteuid().as_raw());
    if error == Errno::PERM && !geteuid().is_root() && mine() {
        // Best effort by what was said above; there is nobody to tell.
        let _ = to.set_owner(None, Some(gid));
    } else {
        problems.note(MetadataPart::Owner, Err(error));
    }
    false
}

#[derive(Default)]
struct Problems(Vec<MetadataProblem>);

impl Problems {
    fn note(&mut self, part: MetadataPart, result: rustix::io::Result<()>) {
        if let Err(error) = result {
            self.0.push(MetadataProblem { part, error: error.into() });
        }
    }

    fn note_xattr(&mut self, name: &[u8], result: rustix::io::Result<()>) {
        let privileged = name.starts_with(b"security.") || name.starts_with(b"trusted.");
        if result != Err(Errno::PERM) || !privileged || geteuid().is_root() {
            return self.note(MetadataPart::Xattr(name.to_vec()), result);
        }
        if !self.0.iter().any(|problem| problem.part == MetadataPart::PrivilegedXattrs) {
            self.note(MetadataPart::PrivilegedXattrs, result);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const HOME: Ids = Ids { uid: 1000, gid: 100 };

    #[test]
    fn setuid_comes_back_only_where_it_gives_nobody_elses_rights() {
        let stranger = Ids { uid: 0, ..HOME };
        let other_group = Ids { gid: 42, ..HOME };
        let always = SetuidPolicy::Always;
        let own = SetuidPolicy::OwnFiles;
        for (kind, owner, policy, expected) in [
            (Kind::File, Some(HOME), own, 0o7755),
            (Kind::File, Some(other_group), own, 0o5755),
            (Kind::File, Some(stranger), own, 0o1755),
            (Kind::File, None, own, 0o1755),
            (Kind::File, Some(stranger), always, 0o7755),
            (Kind::File, None, always, 0o1755),
            (Kind::Fifo, Some(stranger), own, 0o1755),
            (Kind::Directory, Some(stranger), own, 0o7755),
            (Kind::Directory, None, own, 0o7755),
        ] {
            let mode = restored_mode(0o7755, kind, owner, HOME, policy);
            assert_eq!(mode, expected, "{kind:?} {owner:?} {policy:?}");
        }
    }

    fn meta(owner: Option<Ids>, names: &[&str]) -> EntryMeta {
        let xattr = |name: &&str| Xattr { name: name.as_bytes().to_vec(), value: b"value".to_vec() };
        EntryMeta { owner, mode: 0o4750, mtime_s: -1, mtime_ns: 1, xattrs: names.iter().map(xattr).collect() }
    }

    #[test]
    fn a_file_whose_owner_is_not_restored_is_not_setuid() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let to = Handle { fd: file.as_fd(), kind: Kind::File };
        assert!(apply(&meta(None, &[]), to).is_empty());
        assert_eq!(file.as_file().metadata().unwrap().mode() & 0o7777, 0o750);
        // The number that means "leave it" to the kernel.
        let problems = apply(&meta(Some(Ids { uid: u32::MAX, gid: 0 }), &[]), to);
        assert!(matches!(&problems[..], [MetadataProblem { part: MetadataPart::Owner, .. }]), "{problems:?}");
        assert_eq!(file.as_file().metadata().unwrap().mode() & 0o7777, 0o750);
        assert_eq!(file.as_file().metadata().unwrap().mtime(), -1);
    }

    #[test]
    fn what_fails_is_named_and_the_rest_is_done() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let to = Handle { fd: file.as_fd(), kind: Kind::File };
        let problems = apply(&meta(None, &["no.such.space", "user.good"]), to);
        let parts: Vec<_> = problems.iter().map(|problem| problem.part.clone()).collect();
        assert_eq!(parts, [MetadataPart::Xattr(b"no.such.space".to_vec())]);
        assert_eq!(to.xattr_names().unwrap(), b"user.good\0");
        assert_eq!(file.as_file().metadata().unwrap().mtime_nsec(), 1);
    }

    #[test]
    fn capabilities_survive_the_change_of_owner_if_the_repository_is_trusted() {
        if !geteuid().is_root() {
            return eprintln!("skipped: needs root");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let to = Handle { fd: file.as_fd(), kind: Kind::File };
        // VFS_CAP_REVISION_2, effective; cap_net_raw.
        let value = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec();
        let entry = Entry {
            name: b"ping".to_vec(),
            kind: crate::format::EntryKind::File(Default::default()),
            mode: 0o755,
            owner: Default::default(),
            mtime_s: 0,
            mtime_ns: 0,
            attributes: crate::format::Attributes {
                xattrs: vec![Xattr { name: CAPABILITY.to_vec(), value }],
                ..Default::default()
            },
        };
        let names = |policy| {
            assert!(apply(&EntryMeta::new(&entry, Some(HOME), HOME, policy), to).is_empty());
            to.xattr_names().unwrap()
        };
        assert_eq!(names(SetuidPolicy::OwnFiles), b"");
        assert_eq!(names(SetuidPolicy::Always), b"security.capability\0");
    }
}
