//! Consistent copies of SQLite databases that are in use: which files are such, and how a copy is
//! made without root's rights; it does not know what becomes of the copy.
//!
//! A database in WAL mode is several files that only SQLite can read as one, so SQLite makes the
//! copy, through its online backup interface. But SQLite opens by path, parses what it finds and
//! creates `x-shm` beside the database: nothing that root may do in a directory that a user controls.
//! So it runs in a child, which is this program again ([`SUBCOMMAND`]):
//!
//! - The child starts through `exec`, with an empty environment and no descriptors but the directory,
//!   so nothing of this process is in its memory when it turns into the owner.
//! - While it still is root it opens the copy, a file of ours in a directory of ours, and removes the
//!   name. Only then does it become the owner, and only then does it look at the database. The owner
//!   thus has no path to the copy, and cannot get at it through the child: a process that changed its
//!   user without `exec` can be traced, and opened under `/proc`, by root alone. Had it been started
//!   as the owner, it could be taken over before its first instruction.
//! - The owner can still stop it, kill it, or stall it with locks and pipes. Then the time limit ends
//!   it, and the answer is an error. The child reports through its exit status alone: there is no pipe
//!   on which this process could be kept waiting.
//! - The copy is bytes of that user and no more: bounded in size, otherwise unchecked. Where SQLite
//!   found the database's pages damaged or strange, so are the copy's.
//!
//! SQLite cannot open a database whose path is longer than 512 bytes, nor one in a directory that
//! the owner cannot reach or, where no `x-shm` exists, write to: these end in an error as well.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::ffi;
use rustix::process::{Pid, Signal, geteuid, kill_process_group};

mod child;

pub use child::child_main;
use child::{DATABASE_VARIABLE, Failure};

/// The hidden first argument with which this program runs [`child_main`].
pub const SUBCOMMAND: &str = "internal-sqlite-copy";

/// The first bytes of every SQLite database.
pub const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The running program, even when its file was replaced or removed meanwhile.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// What SQLite appends to a database's name for the files that are part of it.
const COMPANION_SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A killed child is gone at once, unless a file system keeps it; then nobody waits longer than this.
const REAP_PATIENCE: Duration = Duration::from_secs(2);

/// The user as whom a database is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// The file's owner.
    pub uid: u32,
    /// The primary group of that user. Not the file's group: users can own files of groups that they
    /// are not in.
    pub gid: u32,
}

/// What one copy may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyLimits {
    /// The child is killed after this time.
    pub timeout: Duration,
    /// A larger database is not copied.
    pub max_bytes: u64,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum LiveSqliteError {
    /// The file for the copy could not be created.
    #[error("cannot use the scratch directory {}", path.display())]
    Scratch {
        /// The scratch directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others could exchange files in the scratch directory.
    #[error("the scratch directory {} must be writable by its owner alone and belong to the user that homekeep runs as", path.display())]
    ScratchShared {
        /// The scratch directory.
        path: PathBuf,
    },
    /// The child could not be started or waited for.
    #[error("cannot run the SQLite helper process")]
    Process(#[source] io::Error),
    /// The child could not limit itself, become the owner, or enter the directory.
    #[error("the SQLite helper process could not be set up as the database's owner")]
    Setup,
    /// Somebody else than the owner and root could lead the owner's process to other files.
    #[error("the database lies in a directory that somebody else than its owner can exchange")]
    ForeignPath,
    /// A directory, pipe, link or device has the name now.
    #[error("the database is not a regular file any more")]
    NotRegular,
    /// The database is larger than [`CopyLimits::max_bytes`].
    #[error("the database is larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// The time limit passed.
    #[error("SQLite did not finish within {} seconds", after.as_secs_f32())]
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// SQLite gave up: the database is locked, damaged, or not readable by its owner.
    #[error("SQLite cannot copy the database")]
    Sqlite(#[source] ffi::Error),
    /// The child ended in another way, for instance by a signal from the database's owner.
    #[error("the SQLite helper process ended unexpectedly: {0}")]
    Ended(ExitStatus),
    /// The finished copy could not be read.
    #[error("cannot read the copy that SQLite made")]
    Unreadable(#[source] io::Error),
    /// The child claims success, but what it left is not a database.
    #[error("the SQLite helper process left no database")]
    NoCopy,
}

/// Copies the database `name` in `dir` as `account`, who is this process's user unless that is root.
///
/// Gives the copy, from its start, without a name in any directory. `scratch_dir` must belong to this
/// process's user and be writable by nobody else. Many databases can each take the whole time limit:
/// the caller bounds their sum. `program` is one that knows [`SUBCOMMAND`]: [`OWN_PROGRAM`], unless this
/// process is not homekeep.
pub fn copy(
    program: &Path,
    dir: BorrowedFd<'_>,
    name: &OsStr,
    account: Account,
    limits: &CopyLimits,
    scratch_dir: &Path,
) -> Result<File, LiveSqliteError> {
    let scratch_failed = |source| LiveSqliteError::Scratch { path: scratch_dir.to_owned(), source };
    if !is_ours_alone(scratch_dir).map_err(scratch_failed)? {
        return Err(LiveSqliteError::ScratchShared { path: scratch_dir.to_owned() });
    }
    let (copy, place) = create_copy(scratch_dir).map_err(scratch_failed)?;
    let mut command = Command::new(program);
    command.arg(SUBCOMMAND).args(child::arguments(&place.0, account, limits));
    // Every user can read a process's arguments; its environment, only root and the process's user.
    command.env_clear().env(DATABASE_VARIABLE, name);
    command.stdin(dir.try_clone_to_owned().map_err(LiveSqliteError::Process)?);
    let child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(LiveSqliteError::Process)?;
    judge(finish(child, limits.timeout)?, limits)?;
    verify(&copy, limits)?;
    Ok(copy)
}

/// Whether a file of this name is a live database by the names beside it. That its bytes begin with
/// [`MAGIC`] is for the caller to see.
pub fn is_live_database(name: &OsStr, has: impl Fn(&OsStr) -> bool) -> bool {
    let mut wal = OsString::from(name);
    wal.push("-wal");
    has(&wal)
}

/// Whether a file is part of a database of which `was_copied` tells that SQLite made a copy.
///
/// Such a file must not be saved beside the copy: the copy has its content already, and after restore
/// SQLite would apply the log of another moment to it and so destroy it.
pub fn belongs_to_copy(name: &OsStr, was_copied: impl Fn(&OsStr) -> bool) -> bool {
    let of_database = |suffix: &&str| name.as_bytes().strip_suffix(suffix.as_bytes());
    COMPANION_SUFFIXES.iter().filter_map(of_database).any(|database| was_copied(OsStr::from_bytes(database)))
}

/// A name in the scratch directory, removed when dropped. The child removes it first, before there is
/// anything in the file; so even a crash leaves no more than an empty file.
struct ScratchName(PathBuf);

impl Drop for ScratchName {
    fn drop(&mut self) {
        let _usually_gone = fs::remove_file(&self.0);
    }
}

fn is_ours_alone(directory: &Path) -> io::Result<bool> {
    let metadata = fs::metadata(directory)?;
    Ok(metadata.is_dir() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o022 == 0)
}

fn create_copy(scratch_dir: &Path) -> io::Result<(File, ScratchName)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let directory = std::path::absolute(scratch_dir)?;
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("sqlite-copy-{}-{number}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((file, ScratchName(path))),
            // Left by a crash, of a process that had our number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits for the child's end and brings it about when the time is over.
fn finish(mut child: Child, timeout: Duration) -> Result<ExitStatus, LiveSqliteError> {
    match wait(&mut child, timeout) {
        Ok(Some(status)) => return Ok(status),
        Ok(None) => stop(child),
        Err(error) => {
            stop(child);
            return Err(LiveSqliteError::Process(error));
        }
    }
    Err(LiveSqliteError::TimedOut { after: timeout })
}

/// The child's status, or nothing if it still runs after `patience`.
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    const LONGEST_PAUSE: Duration = Duration::from_millis(20);
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let Some(left) = patience.checked_sub(start.elapsed()) else { return Ok(None) };
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Kills the child and all that it may have started. A child that hangs inside of a file system (one
/// that its owner serves, say) dies when that answers: a thread waits for it then, we do not.
fn stop(mut child: Child) {
    let _no_group_yet = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let _dead_already = child.kill();
    if let Ok(None) = wait(&mut child, REAP_PATIENCE) {
        let _stays_a_zombie = thread::Builder::new().spawn(move || child.wait());
    }
}

fn judge(status: ExitStatus, limits: &CopyLimits) -> Result<(), LiveSqliteError> {
    if status.success() {
        return Ok(());
    }
    let too_large = LiveSqliteError::TooLarge { max_bytes: limits.max_bytes };
    if status.signal() == Some(Signal::XFSZ.as_raw()) {
        return Err(too_large);
    }
    Err(match status.code().and_then(Failure::from_code) {
        Some(Failure::Setup) => LiveSqliteError::Setup,
        Some(Failure::ForeignPath) => LiveSqliteError::ForeignPath,
        Some(Failure::NotRegular) => LiveSqliteError::NotRegular,
        Some(Failure::TooLarge) => too_large,
        Some(Failure::Patience) => LiveSqliteError::TimedOut { after: limits.timeout },
        Some(Failure::Sqlite(code)) => LiveSqliteError::Sqlite(ffi::Error::new(code.into())),
        None => LiveSqliteError::Ended(status),
    })
}

/// The child's word is no proof: looks at the copy itself.
fn verify(copy: &File, limits: &CopyLimits) -> Result<(), LiveSqliteError> {
    let length = copy.metadata().map_err(LiveSqliteError::Unreadable)?.len();
    if length > limits.max_bytes {
        return Err(LiveSqliteError::TooLarge { max_bytes: limits.max_bytes });
    }
    let mut start = [0; MAGIC.len()];
    match copy.read_exact_at(&mut start, 0) {
        Ok(()) if start == *MAGIC => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(LiveSqliteError::Unreadable(error)),
        _ => Err(LiveSqliteError::NoCopy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(names: &'static [&str]) -> impl Fn(&OsStr) -> bool {
        |name| names.iter().any(|known| name == *known)
    }

    #[test]
    fn a_database_is_live_when_its_log_lies_beside_it() {
        let names = among(&["places.sqlite", "places.sqlite-wal", "idle.sqlite"]);
        assert!(is_live_database(OsStr::new("places.sqlite"), &names));
        assert!(!is_live_database(OsStr::new("places.sqlite-wal"), &names));
        assert!(!is_live_database(OsStr::new("idle.sqlite"), &names));
    }

    #[test]
    fn only_the_companions_of_a_copied_database_belong_to_its_copy() {
        let copied = among(&["x", "x-wal"]);
        for part in ["x-wal", "x-shm", "x-journal", "x-wal-wal"] {
            assert!(belongs_to_copy(OsStr::new(part), &copied), "{part}");
        }
        for other in ["x", "y-wal", "x-walnut", "-wal", "x-shm-shm", ""] {
            assert!(!belongs_to_copy(OsStr::new(other), &copied), "{other}");
        }
    }

    #[test]
    fn names_need_not_be_text() {
        let name = OsStr::from_bytes(b"\xff");
        assert!(is_live_database(name, |wal| wal.as_bytes() == b"\xff-wal"));
        assert!(belongs_to_copy(OsStr::from_bytes(b"\xff-shm"), |database| database == name));
    }

    #[test]
    fn every_end_of_the_child_has_its_error() {
        let limits = CopyLimits { timeout: Duration::from_secs(1), max_bytes: 1 };
        let exit = |code: i32| judge(ExitStatus::from_raw(code << 8), &limits);
        let failed = |failure: Failure| exit(failure.code().into());
        assert!(exit(0).is_ok());
        assert!(matches!(failed(Failure::Setup), Err(LiveSqliteError::Setup)));
        assert!(matches!(failed(Failure::ForeignPath), Err(LiveSqliteError::ForeignPath)));
        assert!(matches!(failed(Failure::NotRegular), Err(LiveSqliteError::NotRegular)));
        assert!(matches!(failed(Failure::TooLarge), Err(LiveSqliteError::TooLarge { .. })));
        assert!(matches!(failed(Failure::Patience), Err(LiveSqliteError::TimedOut { .. })));
        assert!(matches!(exit(5), Err(LiveSqliteError::Sqlite(_))));
        assert!(matches!(exit(101), Err(LiveSqliteError::Ended(_))), "a panic");
        let signal = |number: Signal| judge(ExitStatus::from_raw(number.as_raw()), &limits);
        assert!(matches!(signal(Signal::KILL), Err(LiveSqliteError::Ended(_))));
        assert!(matches!(signal(Signal::XFSZ), Err(LiveSqliteError::TooLarge { .. })));
    }
}
