//! The child that makes one copy: it gives up root's rights before it looks at what a user controls,
//! and ends with a [`Failure`]'s code. It does not know who asks and why.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};
use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, Uid, fstat, openat};
use rustix::io::Errno;
use rustix::process::{self, DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::{Account, CopyLimits, MAGIC};

/// The environment variable with the database's name.
pub(super) const DATABASE_VARIABLE: &str = "HOMEKEEP_DATABASE";

/// Address space: SQLite's caches are small whatever the database's size.
const MAX_MEMORY_BYTES: u64 = 512 << 20;
/// The standard ones, the copy, the database with its companions, and some to spare.
const MAX_DESCRIPTORS: u64 = 32;
/// What SQLite writes into `x-shm` must fit even where copies are to be tiny.
const MIN_FILE_BYTES: u64 = 1 << 20;
/// SQLite cannot open what lies deeper.
const MAX_DEPTH: usize = 256;
/// Pages copied in one step; the time limit is looked at between steps.
const STEP_PAGES: i32 = 512;
/// Between two steps, a database without a write-ahead log is left to its user.
const STEP_PAUSE: Duration = Duration::from_millis(5);
/// rusqlite does not take longer times than some days.
const LONGEST_BUSY_TIMEOUT: Duration = Duration::from_secs(3600);
/// Where the two bytes begin that tell a WAL database from others, and what they are.
const FORMAT_VERSIONS_AT: usize = 18;
const WAL_VERSIONS: [u8; 2] = [2, 2];
const HEADER_LEN: usize = FORMAT_VERSIONS_AT + WAL_VERSIONS.len();

/// Makes one copy as the arguments say (they come from [`arguments`]): the whole life of the child.
///
/// The directory with the database is standard input.
pub fn child_main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let order = Order::parse(arguments, env::var_os(DATABASE_VARIABLE)).ok_or(Failure::Setup);
    match order.and_then(|order| make_copy(&order)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(failure.code()),
    }
}

/// What [`child_main`] is called with.
pub(super) fn arguments(copy: &Path, account: Account, limits: &CopyLimits) -> [OsString; 5] {
    // The child gives up a little earlier than it is killed: so it can say what it waited for.
    let patience = limits.timeout - limits.timeout / 8;
    let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
    let numbers = [account.uid.into(), account.gid.into(), patience_ms, limits.max_bytes];
    let [uid, gid, patience_ms, max_bytes] = numbers.map(|number| number.to_string().into());
    [copy.into(), uid, gid, patience_ms, max_bytes]
}

/// Why the child made no copy; its exit code tells the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The orders are wrong, or the system refused something before the database was touched.
    Setup,
    /// Somebody else than the owner and root could exchange the directory.
    ForeignPath,
    /// The name is no regular file's.
    NotRegular,
    /// There are more bytes than may be copied.
    TooLarge,
    /// The time is over.
    Patience,
    /// SQLite's primary result code.
    Sqlite(u8),
}

impl Failure {
    const OTHERS: [Self; 5] =
        [Self::Setup, Self::ForeignPath, Self::NotRegular, Self::TooLarge, Self::Patience];
    /// SQLite's primary codes of failures end far below this, and a panic's code is above.
    const FIRST_OTHER: u8 = 64;

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Sqlite(code) => code,
            Self::Setup => Self::FIRST_OTHER,
            Self::ForeignPath => Self::FIRST_OTHER + 1,
            Self::NotRegular => Self::FIRST_OTHER + 2,
            Self::TooLarge => Self::FIRST_OTHER + 3,
            Self::Patience => Self::FIRST_OTHER + 4,
        }
    }

    pub(super) fn from_code(code: i32) -> Option<Self> {
        match u8::try_from(code).ok()? {
            0 => None,
            code if code < Self::FIRST_OTHER => Some(Self::Sqlite(code)),
            code => Self::OTHERS.into_iter().find(|other| other.code() == code),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Setup
    }
}

impl From<Errno> for Failure {
    fn from(_: Errno) -> Self {
        Self::Setup
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map_or(ffi::SQLITE_ERROR, |error| error.extended_code & 0xff);
        sqlite_failure(code)
    }
}

fn sqlite_failure(code: i32) -> Failure {
    u8::try_from(code).map_or(Failure::Setup, Failure::Sqlite)
}

/// What to do.
#[derive(Debug)]
struct Order {
    name: OsString,
    copy: PathBuf,
    account: Account,
    patience: Duration,
    max_bytes: u64,
}

impl Order {
    fn parse(mut arguments: impl Iterator<Item = OsString>, name: Option<OsString>) -> Option<Self> {
        let copy = arguments.next()?.into();
        let uid = parse_id(&arguments.next()?)?;
        let gid = parse_id(&arguments.next()?)?;
        let patience = Duration::from_millis(parse_number(&arguments.next()?)?);
        let max_bytes = parse_number(&arguments.next()?)?;
        let order = Self { name: name?, copy, account: Account { uid, gid }, patience, max_bytes };
        arguments.next().is_none().then_some(order)
    }
}

fn parse_number(text: &OsStr) -> Option<u64> {
    text.to_str()?.parse().ok()
}

/// The highest number is nobody's: the system takes it for "stay who you are", which is root.
fn parse_id(text: &OsStr) -> Option<u32> {
    parse_number(text)?.try_into().ok().filter(|&id| id != u32::MAX)
}

/// The steps, in an order that matters: see the parent module.
fn make_copy(order: &Order) -> Result<(), Failure> {
    let deadline = Instant::now() + order.patience;
    confine(order)?;
    let mut copy = open_copy(&order.copy).map_err(|_| Failure::Setup)?;
    fs::remove_file(&order.copy)?;
    process::fchdir(io::stdin())?;
    become_owner(order.account)?;
    let source = Source::open(&order.name, order.patience)?;
    source.transfer(&mut copy, deadline, order.max_bytes)
}

/// Limits that a process taken over through a flaw in SQLite cannot lift.
fn confine(order: &Order) -> Result<(), Failure> {
    // Without a terminal there is none to type commands into.
    process::setsid()?;
    set_no_new_privs(true)?;
    limit(Resource::Cpu, order.patience.as_secs().saturating_add(2))?;
    limit(Resource::As, MAX_MEMORY_BYTES)?;
    limit(Resource::Fsize, order.max_bytes.max(MIN_FILE_BYTES))?;
    limit(Resource::Nofile, MAX_DESCRIPTORS)?;
    limit(Resource::Nproc, 0)?;
    limit(Resource::Core, 0)
}

fn limit(resource: Resource, most: u64) -> Result<(), Failure> {
    let allowed = process::getrlimit(resource).maximum;
    let most = Some(allowed.map_or(most, |allowed| allowed.min(most)));
    Ok(process::setrlimit(resource, Rlimit { current: most, maximum: most })?)
}

/// Opens the file that the parent created. It needs neither a journal nor to survive a crash; with a
/// journal, SQLite would have to find its path again.
fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(path, flags)?;
    copy.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF",
    )?;
    Ok(copy)
}

/// Gives up root's rights for good. They are this thread's alone to give up, for there is no other.
fn become_owner(account: Account) -> Result<(), Failure> {
    if process::geteuid().is_root() {
        if !is_path_of(account.uid)? {
            return Err(Failure::ForeignPath);
        }
        let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
        set_thread_groups(&[gid])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
    }
    // Where fs.suid_dumpable is 1, the change of user did not do this.
    process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Not earlier: the change of user would have undone it.
    Ok(process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Whether nobody but root and this user can put another directory where the current one is. SQLite
/// opens by the whole path: with somebody else's directory there, it would read what that person
/// chose with this user's rights.
fn is_path_of(uid: u32) -> Result<bool, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut directory = openat(CWD, ".", flags, Mode::empty())?;
    let mut seen = fstat(&directory)?;
    for _ in 0..MAX_DEPTH {
        if !is_controlled_by(uid, seen.st_uid, seen.st_mode) {
            return Ok(false);
        }
        directory = openat(&directory, "..", flags, Mode::empty())?;
        let above = fstat(&directory)?;
        if (above.st_dev, above.st_ino) == (seen.st_dev, seen.st_ino) {
            return Ok(true);
        }
        seen = above;
    }
    Ok(false)
}

/// An owner may let others write; that is not for us to forbid, unless the owner is root.
fn is_controlled_by(uid: u32, directory_uid: u32, mode: u32) -> bool {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let is_shared = mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0;
    let is_owned = directory_uid == uid || directory_uid == 0;
    is_owned && !(uid == 0 && is_shared)
}

/// The database, opened for reading.
struct Source {
    connection: Connection,
    is_wal: bool,
    page_bytes: u64,
}

impl Source {
    fn open(name: &OsStr, patience: Duration) -> Result<Self, Failure> {
        let is_wal = is_wal_database(name)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        // SQLite would take some names for URIs, and one for "in memory".
        let connection = Connection::open_with_flags(Path::new(".").join(name), flags)?;
        connection.busy_timeout(patience.min(LONGEST_BUSY_TIMEOUT))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.execute_batch("PRAGMA query_only = ON")?;
        let page_bytes = pin(&connection, is_wal)?;
        Ok(Self { connection, is_wal, page_bytes })
    }

    /// Copies all pages. With a write-ahead log they are of one moment, however much is written
    /// meanwhile; without, every write by others starts the copy again, until the time is over.
    fn transfer(&self, copy: &mut Connection, deadline: Instant, max_bytes: u64) -> Result<(), Failure> {
        let backup = Backup::new(&self.connection, copy)?;
        loop {
            match backup.step(STEP_PAGES)? {
                StepResult::Done => return Ok(()),
                StepResult::More if self.is_wal => {}
                _ => thread::sleep(STEP_PAUSE),
            }
            let pages = u64::try_from(backup.progress().pagecount).unwrap_or(0);
            if pages.saturating_mul(self.page_bytes) > max_bytes {
                return Err(Failure::TooLarge);
            }
            if Instant::now() >= deadline {
                return Err(Failure::Patience);
            }
        }
    }
}

/// Looks at the header. Done before SQLite opens the file: closing any descriptor of it would drop
/// the locks that SQLite holds.
fn is_wal_database(name: &OsStr) -> Result<bool, Failure> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match openat(CWD, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(Failure::NotRegular),
        Err(_) => return Err(sqlite_failure(ffi::SQLITE_CANTOPEN)),
    };
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(Failure::NotRegular);
    }
    let mut header = [0; HEADER_LEN];
    match file.read_exact_at(&mut header, 0) {
        Ok(()) if header.starts_with(MAGIC) => Ok(header[FORMAT_VERSIONS_AT..] == WAL_VERSIONS),
        _ => Err(sqlite_failure(ffi::SQLITE_NOTADB)),
    }
}

/// Begins to read, which tells whether this is a database, and gives its page size. A transaction
/// kept open over all steps makes them see one moment. With a write-ahead log this keeps no writer
/// waiting; without one it would.
fn pin(connection: &Connection, is_wal: bool) -> Result<u64, Failure> {
    if is_wal {
        connection.execute_batch("BEGIN")?;
    }
    // These need the header only: tables that SQLite cannot make sense of are copied all the same.
    connection.query_row("PRAGMA user_version", [], |_| Ok(()))?;
    let page_bytes = connection.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0))?;
    Ok(page_bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "x";

    fn parse(arguments: &[&str]) -> Option<Order> {
        Order::parse(arguments.iter().map(OsString::from), Some(NAME.into()))
    }

    #[test]
    fn an_order_survives_the_way_through_the_arguments() {
        let account = Account { uid: 1000, gid: 100 };
        let limits = CopyLimits { timeout: Duration::from_secs(8), max_bytes: 1 << 40 };
        let order =
            Order::parse(arguments(Path::new("/scratch/c"), account, &limits).into_iter(), Some(NAME.into()))
                .unwrap();
        assert_eq!(order.copy, Path::new("/scratch/c"));
        assert_eq!(order.account, account);
        assert_eq!(order.patience, Duration::from_secs(7));
        assert_eq!(order.max_bytes, 1 << 40);
    }

    #[test]
    fn no_order_can_mean_staying_root_by_accident() {
        assert!(parse(&["/c", "1000", "100", "1", "1"]).is_some());
        for id in ["4294967295", "-1", "4294968296", ""] {
            assert!(parse(&["/c", id, "100", "1", "1"]).is_none(), "user {id}");
            assert!(parse(&["/c", "1000", id, "1", "1"]).is_none(), "group {id}");
        }
    }

    #[test]
    fn incomplete_and_overlong_orders_are_refused() {
        assert!(parse(&["/c", "1000", "100", "1"]).is_none());
        assert!(parse(&["/c", "1000", "100", "1", "1", "1"]).is_none());
        assert!(Order::parse(["/c", "1", "1", "1", "1"].map(OsString::from).into_iter(), None).is_none());
    }

    #[test]
    fn codes_are_failures_and_back() {
        for failure in Failure::OTHERS.into_iter().chain([Failure::Sqlite(5)]) {
            assert_eq!(Failure::from_code(failure.code().into()), Some(failure));
        }
        for code in [0, 101, 255, -1, 256] {
            assert_eq!(Failure::from_code(code), None);
        }
    }

    #[test]
    fn a_directory_is_the_users_or_roots() {
        assert!(is_controlled_by(1000, 1000, 0o700));
        assert!(is_controlled_by(1000, 1000, 0o775));
        assert!(is_controlled_by(1000, 0, 0o1777));
        assert!(!is_controlled_by(1000, 1001, 0o755));
        assert!(!is_controlled_by(0, 1000, 0o755));
        assert!(!is_controlled_by(0, 0, 0o775));
        assert!(is_controlled_by(0, 0, 0o1777));
    }
}
