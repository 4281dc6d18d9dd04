//! What is in an entry that is new or has changed: a link's target, a file's bytes, a live database's copy.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::directory::Directory;
use super::walker::{Walker, read_start};
use super::{RACY_S, lock};
use crate::engine::backup::BackupError;
use crate::engine::backup::file::SaveError;
use crate::engine::backup::seen_listing::Signature;
use crate::engine::{Meter, ProblemKind};
use crate::files::live_sqlite;
use crate::files::read::{OpenError, OpenFile, xattrs_at};
use crate::files::rules::Secrecy;
use crate::files::walk::{self, Listed, Stat};
use crate::format::{Attributes, Content, Entry, EntryKind, flags};

/// A file that changes while it is read is read so often before it is saved as it is.
pub(super) const ATTEMPTS: usize = 3;

/// A regular file that was saved, or why it was not.
struct SavedContent {
    content: Content,
    flags: u64,
    stat: Stat,
    xattrs: Vec<crate::format::Xattr>,
}

/// What came of reading a file.
enum FileRead {
    /// Its content is stored.
    Saved(SavedContent),
    /// It is a secret, and nothing of it was stored.
    Secret,
    /// It is gone, or cannot be read.
    Nothing,
}

impl Walker<'_> {
    /// Looks into an entry; none when there is nothing to save, which is a problem or has vanished.
    pub(super) fn new_entry(
        &mut self,
        directory: &Directory,
        handle: &OwnedFd,
        listed: &Listed,
        names: &dyn Fn(&OsStr) -> bool,
        secrecy: Secrecy,
    ) -> Result<Option<(Signature, Entry)>, BackupError> {
        let Listed { name, stat } = listed;
        let kind = match stat.kind {
            FileType::RegularFile => return self.new_file(directory, handle, listed, names, secrecy),
            FileType::Symlink => match walk::read_link(handle, name) {
                Ok(target) => EntryKind::Symlink(target),
                Err(error) => return Ok(self.unreadable(directory, name, error)),
            },
            FileType::Fifo => EntryKind::Fifo,
            FileType::CharacterDevice => EntryKind::CharDevice(stat.special),
            _ => EntryKind::BlockDevice(stat.special),
        };
        let xattrs = match xattrs_at(handle, name) {
            Ok(xattrs) => xattrs,
            Err(error) => return Ok(self.unreadable(directory, name, error)),
        };
        let attributes = Attributes { xattrs, link_group: self.link_group(stat), ..Attributes::default() };
        Ok(Some((self.signature(stat), self.entry(name, stat, kind, attributes))))
    }

    pub(super) fn unreadable<T>(&self, directory: &Directory, name: &[u8], error: Errno) -> Option<T> {
        if error == Errno::NOENT {
            Meter::add(&directory.home.totals.vanished, 1);
        } else {
            directory.home.problem(directory.path_of(name), ProblemKind::Unreadable(error.to_string()));
        }
        None
    }

    pub(super) fn new_file(
        &mut self,
        directory: &Directory,
        handle: &OwnedFd,
        listed: &Listed,
        names: &dyn Fn(&OsStr) -> bool,
        secrecy: Secrecy,
    ) -> Result<Option<(Signature, Entry)>, BackupError> {
        let Listed { name, stat } = listed;
        let home = &directory.home;
        if self.is_foreign_link(directory, stat) {
            home.problem(directory.path_of(name), ProblemKind::ForeignLink);
            let attributes = Attributes { flags: flags::FOREIGN_LINK, ..Attributes::default() };
            let entry = self.entry(name, stat, EntryKind::File(Content::default()), attributes);
            return Ok(Some((Signature::NONE, entry)));
        }
        let link = (stat.device, stat.inode, stat.ctime_ns());
        if secrecy == Secrecy::Secret {
            return self.secret_file(directory, handle, listed, true);
        }
        let linked = if stat.links > 1 { lock(&home.linked).get(&link).cloned() } else { None };
        let is_turned_off = secrecy == Secrecy::TurnedOff;
        let read = match linked {
            Some(content) => match xattrs_at(handle, name) {
                Ok(xattrs) => FileRead::Saved(SavedContent { content, flags: 0, stat: *stat, xattrs }),
                Err(error) => return Ok(self.unreadable(directory, name, error)),
            },
            None if self.is_live_database(listed, names) => {
                self.copy_database(directory, handle, listed, is_turned_off)?
            }
            None => self.read_file(directory, handle, name, is_turned_off)?,
        };
        let saved = match read {
            FileRead::Saved(saved) => saved,
            FileRead::Secret => return self.secret_file(directory, handle, listed, false),
            FileRead::Nothing => return Ok(None),
        };
        if saved.stat.links > 1 && saved.flags == 0 {
            let link = (saved.stat.device, saved.stat.inode, saved.stat.ctime_ns());
            lock(&home.linked).entry(link).or_insert_with(|| saved.content.clone());
        }
        let signature = if saved.flags == 0 { self.signature(&saved.stat) } else { Signature::NONE };
        let link_group = self.link_group(&saved.stat);
        let attributes =
            Attributes { xattrs: saved.xattrs, link_group, flags: saved.flags, ..Attributes::default() };
        Ok(Some((signature, self.entry(name, &saved.stat, EntryKind::File(saved.content), attributes))))
    }

    /// Root reads everything, so a user could have any file saved, and handed back, by linking it into
    /// the home. A name that is not the only one, of a file that is not the user's, is not read.
    pub(super) fn is_foreign_link(&self, directory: &Directory, stat: &Stat) -> bool {
        self.scan.options.is_privileged && stat.links > 1 && stat.uid != directory.home.stat.uid
    }

    fn not_read(&self, directory: &Directory, name: &[u8], error: Errno) -> FileRead {
        let nothing: Option<()> = self.unreadable(directory, name, error);
        debug_assert!(nothing.is_none());
        FileRead::Nothing
    }

    /// Reads a file, again if it changes meanwhile.
    fn read_file(
        &mut self,
        directory: &Directory,
        handle: &OwnedFd,
        name: &[u8],
        is_turned_off: bool,
    ) -> Result<FileRead, BackupError> {
        let totals = &directory.home.totals;
        for attempt in 1..=ATTEMPTS {
            let file = match OpenFile::open(handle, name) {
                Ok(file) => file,
                Err(OpenError::Vanished) => return Ok(self.not_read(directory, name, Errno::NOENT)),
                // What took its place is seen by the next run.
                Err(OpenError::Replaced) => return Ok(self.not_read(directory, name, Errno::NOENT)),
                Err(OpenError::Failed(error)) => return Ok(self.not_read(directory, name, error)),
            };
            // The name may by now lead to another inode than the listing showed.
            if self.is_foreign_link(directory, &file.stat) {
                return Ok(self.not_read(directory, name, Errno::NOENT));
            }
            if attempt == 1 && self.is_secret_inside(directory, &file, name, is_turned_off) {
                return Ok(FileRead::Secret);
            }
            let read = self.saver.save(&file, &mut self.session);
            let (saved, now, xattrs) = match (read, file.stat_again(), file.xattrs()) {
                (Ok(saved), Ok(now), Ok(xattrs)) => (saved, now, xattrs),
                (Err(SaveError::Repository(error)), ..) => return Err(error.into()),
                (Err(SaveError::Interrupted), ..) => return Err(BackupError::Interrupted),
                (Err(SaveError::Read(error)), ..) | (_, Err(error), _) | (_, _, Err(error)) => {
                    return Ok(self.not_read(directory, name, error));
                }
            };
            Meter::add(&totals.bytes_new, saved.bytes_new);
            let is_whole = now.is_unchanged(&file.stat) && saved.content.size() == now.size;
            if is_whole || attempt == ATTEMPTS {
                Meter::add(&totals.files_read, 1);
                if !is_whole {
                    directory.home.problem(directory.path_of(name), ProblemKind::Changed);
                }
                let flags = if is_whole { 0 } else { flags::CHANGED };
                return Ok(FileRead::Saved(SavedContent {
                    content: saved.content,
                    flags,
                    stat: now,
                    xattrs,
                }));
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Lets SQLite copy a live database; where it cannot, the plain bytes are saved and marked.
    fn copy_database(
        &mut self,
        directory: &Directory,
        handle: &OwnedFd,
        listed: &Listed,
        is_turned_off: bool,
    ) -> Result<FileRead, BackupError> {
        let Listed { name, stat } = listed;
        let account = self.scan.owners.account(stat.uid, stat.gid);
        let is_database =
            read_start(handle, name, live_sqlite::MAGIC.len()).as_deref() == Some(&live_sqlite::MAGIC[..]);
        if !is_database {
            return self.read_file(directory, handle, name, is_turned_off);
        }
        let began = Instant::now();
        let copy = match directory.home.copy_limits() {
            Some(limits) => {
                let (name, program) = (OsStr::from_bytes(name), &self.scan.options.sqlite_program);
                live_sqlite::copy(program, handle.as_fd(), name, account, &limits, &self.scan.scratch)
                    .map_err(|e| e.to_string())
            }
            None => Err("the home's databases took too long".into()),
        };
        directory.home.spend_on_copies(began.elapsed());
        let copy = copy.and_then(|file| OpenFile::from_handle(file.into()).map_err(|e| e.to_string()));
        let why = match copy {
            Ok(file) => match self.saver.save(&file, &mut self.session) {
                Ok(saved) => {
                    Meter::add(&directory.home.totals.bytes_new, saved.bytes_new);
                    Meter::add(&directory.home.totals.files_read, 1);
                    let xattrs = xattrs_at(handle, name).unwrap_or_default();
                    let flags = flags::SQLITE_COPY;
                    return Ok(FileRead::Saved(SavedContent {
                        content: saved.content,
                        flags,
                        stat: *stat,
                        xattrs,
                    }));
                }
                Err(SaveError::Repository(error)) => return Err(error.into()),
                Err(SaveError::Interrupted) => return Err(BackupError::Interrupted),
                Err(SaveError::Read(error)) => error.to_string(),
            },
            Err(why) => why,
        };
        directory.home.problem(directory.path_of(name), ProblemKind::LiveDatabase(why));
        Ok(match self.read_file(directory, handle, name, is_turned_off)? {
            FileRead::Saved(saved) => {
                FileRead::Saved(SavedContent { flags: saved.flags | flags::SQLITE_RAW, ..saved })
            }
            other => other,
        })
    }

    pub(super) fn link_group(&self, stat: &Stat) -> Option<[u8; 16]> {
        (stat.links > 1).then(|| self.reader.link_group(stat.device, stat.inode, stat.ctime_ns()))
    }

    /// A file that changed about now may change again within the same tick of the file system's
    /// clock: it is read again next time.
    pub(super) fn signature(&self, stat: &Stat) -> Signature {
        let now_s = jiff::Timestamp::now().as_second();
        let recent = self.scan.started_s - RACY_S..=now_s + RACY_S;
        if recent.contains(&stat.mtime.0) || recent.contains(&stat.ctime.0) {
            Signature::NONE
        } else {
            Signature::of(stat)
        }
    }
}
