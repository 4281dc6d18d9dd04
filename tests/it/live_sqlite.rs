//! Copies of live databases, made by the real program: whole, of one moment, without root's rights,
//! and never kept waiting. Run as root, the homes are another user's.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use homekeep::files::live_sqlite::{
    Account, CopyLimits, LiveSqliteError, belongs_to_copy, copy, is_live_database,
};
use rusqlite::{Connection, ErrorCode};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{getegid, geteuid};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_homekeep");
/// Who owns the homes when the tests run as root.
const SOMEBODY: u32 = 65_533;
const LIMITS: CopyLimits = CopyLimits { timeout: Duration::from_secs(60), max_bytes: 1 << 30 };
/// For children that are to be killed. Far above it lies [`FOREVER`], where a test says "it hung".
const SHORT: CopyLimits = CopyLimits { timeout: Duration::from_millis(800), max_bytes: 1 << 30 };
const FOREVER: Duration = Duration::from_secs(40);

/// A home and a scratch directory.
struct Fixture {
    home: TempDir,
    scratch: TempDir,
    account: Account,
}

impl Fixture {
    fn new() -> Self {
        let root = geteuid().is_root();
        let account = match root {
            true => Account { uid: SOMEBODY, gid: SOMEBODY },
            false => Account { uid: geteuid().as_raw(), gid: getegid().as_raw() },
        };
        let fixture = Self { home: TempDir::new().unwrap(), scratch: TempDir::new().unwrap(), account };
        fixture.give(fixture.home.path());
        fixture
    }

    fn give(&self, path: &Path) {
        chown(path, Some(self.account.uid), Some(self.account.gid)).unwrap();
    }

    fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.home.path().join(name.as_ref())
    }

    /// A file of the home's owner.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        self.give(&path);
        path
    }

    /// A database of the home's owner in WAL mode, with no rows; SQLite gives the files that it makes
    /// beside a database to the database's owner.
    fn database(&self, name: &str) -> Connection {
        let connection = Connection::open(self.write(name, b"")).unwrap();
        connection.busy_timeout(LIMITS.timeout).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF").unwrap();
        create_tables(&connection);
        connection
    }

    fn copy_as(&self, account: Account, name: &str, limits: &CopyLimits) -> Result<File, LiveSqliteError> {
        let home = File::open(self.home.path()).unwrap();
        copy(Path::new(PROGRAM), home.as_fd(), name.as_ref(), account, limits, self.scratch.path())
    }

    fn copy(&self, name: &str, limits: &CopyLimits) -> Result<File, LiveSqliteError> {
        self.copy_as(self.account, name, limits)
    }

    /// The error, after a look at what was left behind.
    fn failure(&self, name: &str, limits: &CopyLimits) -> LiveSqliteError {
        let start = Instant::now();
        let error = self.copy(name, limits).unwrap_err();
        assert!(start.elapsed() < FOREVER, "took {:?}", start.elapsed());
        self.assert_scratch_is_empty();
        assert!(!self.holds_scratch_file(), "a descriptor was left open");
        error
    }

    /// The number of the process that copies for this fixture, once it is the owner's.
    fn wait_for_child(&self) -> u32 {
        let start = Instant::now();
        let order = self.scratch.path().as_os_str().as_bytes();
        let copies = |process: &u32| {
            let arguments = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            arguments.windows(order.len()).any(|part| part == order)
        };
        let is_owners = |process: &u32| {
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            status.contains(&format!("Uid:\t{}\t", self.account.uid))
        };
        while start.elapsed() < FOREVER {
            let names = fs::read_dir("/proc")
                .unwrap()
                .filter_map(|entry| entry.unwrap().file_name().into_string().ok());
            let mut processes = names.filter_map(|name| name.parse().ok());
            if let Some(child) = processes.find(|process| copies(process) && is_owners(process)) {
                return child;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("no child to be seen");
    }

    /// Whether a command of the home's owner succeeds.
    fn as_owner(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(program);
        command.args(arguments).uid(self.account.uid).gid(self.account.gid);
        command.output().unwrap().status.success()
    }

    fn assert_scratch_is_empty(&self) {
        assert_eq!(fs::read_dir(self.scratch.path()).unwrap().count(), 0);
    }

    fn holds_scratch_file(&self) -> bool {
        let descriptors = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
        descriptors
            .filter_map(|fd| fs::read_link(fd.path()).ok())
            .any(|to| to.starts_with(self.scratch.path()))
    }
}

/// What a restore gives: the copy alone in a directory.
struct Restored {
    _directory: TempDir,
    path: PathBuf,
}

impl Restored {
    fn new(mut copy: File) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("x");
        io::copy(&mut copy, &mut File::create(&path).unwrap()).unwrap();
        Self { _directory: directory, path }
    }

    /// Opens it; gives the number of rows after having proved that they are of one moment.
    fn verified_rows(&self) -> i64 {
        let database = Connection::open(&self.path).unwrap();
        let sound: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        let recorded: (i64, i64) = database
            .query_row("SELECT rows, checksum FROM total", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        let counted = database
            .query_row("SELECT count(*), coalesce(sum(value), 0) FROM entry", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(recorded, counted);
        recorded.0
    }
}

fn create_tables(connection: &Connection) {
    connection
        .execute_batch(
            "CREATE TABLE entry (value INTEGER, filler BLOB);
             CREATE TABLE total (rows INTEGER, checksum INTEGER);
             INSERT INTO total VALUES (0, 0)",
        )
        .unwrap();
}

/// One transaction: a row, and the totals over all rows.
fn insert(connection: &Connection, value: i64) {
    connection
        .execute_batch(&format!(
            "BEGIN IMMEDIATE;
             INSERT INTO entry VALUES ({value}, randomblob(3000));
             UPDATE total SET rows = rows + 1, checksum = checksum + {value};
             COMMIT"
        ))
        .unwrap();
}

fn sqlite_code(error: &LiveSqliteError) -> Option<ErrorCode> {
    match error {
        LiveSqliteError::Sqlite(error) => Some(error.code),
        _ => None,
    }
}

/// Says so when a test needs root, and has it not.
fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("skipped: only root can become another user");
    }
    root
}

#[test]
fn every_copy_taken_during_writes_is_of_one_moment() {
    let fixture = Fixture::new();
    let writer = fixture.database("x");
    // Frequent checkpoints move pages under the reader.
    writer.execute_batch("PRAGMA wal_autocheckpoint = 20").unwrap();
    for value in 0..500 {
        insert(&writer, value);
    }
    let done = &AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(move || {
            for value in (500..).take_while(|_| !done.load(Ordering::Relaxed)) {
                insert(&writer, value);
            }
        });
        let copies: Vec<_> = (0..20).map(|_| fixture.copy("x", &LIMITS)).collect();
        done.store(true, Ordering::Relaxed);
        let rows: Vec<_> =
            copies.into_iter().map(|copy| Restored::new(copy.unwrap()).verified_rows()).collect();
        assert!(rows[0] >= 500 && rows.is_sorted(), "{rows:?}");
        assert!(rows[19] > rows[0], "nothing was written meanwhile: {rows:?}");
    });
    fixture.assert_scratch_is_empty();
}

#[test]
fn a_copy_has_the_rows_that_the_bytes_of_the_file_miss() {
    let fixture = Fixture::new();
    let writer = fixture.database("x");
    writer.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 0").unwrap();
    for value in 0..50 {
        insert(&writer, value);
    }
    let bytes = Restored::new(File::open(fixture.path("x")).unwrap());
    assert_eq!(bytes.verified_rows(), 0);
    assert_eq!(Restored::new(fixture.copy("x", &LIMITS).unwrap()).verified_rows(), 50);
}

#[test]
fn a_copy_restored_without_the_log_opens_with_all_committed_rows() {
    let fixture = Fixture::new();
    let writer = fixture.database("x");
    insert(&writer, 1);
    let mut saved: Vec<(OsString, File)> = Vec::new();
    let names: Vec<_> =
        fs::read_dir(fixture.home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let is_live = |name: &OsStr| is_live_database(name, |other| names.iter().any(|name| name == other));
    for name in &names {
        if is_live(name) {
            saved.push((name.clone(), fixture.copy(name.to_str().unwrap(), &LIMITS).unwrap()));
        } else if !belongs_to_copy(name, is_live) {
            saved.push((name.clone(), File::open(fixture.path(name)).unwrap()));
        }
    }
    assert_eq!(names.len(), 3, "the log and its index lie there");
    let [(name, copy)] = <[_; 1]>::try_from(saved).unwrap();
    assert_eq!(name, "x");
    let restored = Restored::new(copy);
    assert_eq!(restored.verified_rows(), 1);
    insert(&Connection::open(&restored.path).unwrap(), 2);
    assert_eq!(restored.verified_rows(), 2);
}

#[test]
fn a_copy_is_nameless_and_private_and_starts_at_its_beginning() {
    let fixture = Fixture::new();
    let _writer = fixture.database("x");
    let mut copy = fixture.copy("x", &LIMITS).unwrap();
    let metadata = copy.metadata().unwrap();
    assert_eq!((metadata.nlink(), metadata.mode() & 0o7777), (0, 0o600));
    assert_eq!(metadata.uid(), geteuid().as_raw());
    let mut start = [0; 16];
    copy.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"SQLite format 3\0");
}

#[test]
fn copying_leaves_the_database_and_its_log_as_they_were() {
    let fixture = Fixture::new();
    let writer = fixture.database("x");
    insert(&writer, 1);
    let bytes = || ["x", "x-wal"].map(|name| fs::read(fixture.path(name)).unwrap());
    let before = bytes();
    fixture.copy("x", &LIMITS).unwrap();
    assert!(before == bytes());
}

#[test]
fn what_sqlite_creates_beside_a_database_is_its_owners() {
    if !is_root() {
        return;
    }
    let crashed = Fixture::new();
    let running = Fixture::new();
    let writer = running.database("x");
    insert(&writer, 1);
    for name in ["x", "x-wal"] {
        crashed.write(name, &fs::read(running.path(name)).unwrap());
    }
    assert_eq!(Restored::new(crashed.copy("x", &LIMITS).unwrap()).verified_rows(), 1);
    let created = fs::metadata(crashed.path("x-shm")).unwrap();
    assert_eq!((created.uid(), created.gid()), (SOMEBODY, SOMEBODY));
}

#[test]
fn names_that_mean_something_else_to_sqlite_are_names() {
    for name in [":memory:", "file:x?mode=memory", "-x", "ä b"] {
        let fixture = Fixture::new();
        let writer = fixture.database(&format!("./{name}"));
        insert(&writer, 1);
        assert_eq!(Restored::new(fixture.copy(name, &LIMITS).unwrap()).verified_rows(), 1, "{name}");
    }
}

#[test]
fn a_link_to_a_database_of_root_gives_nothing() {
    let fixture = Fixture::new();
    let secret = TempDir::new().unwrap();
    let path = secret.path().join("x");
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    create_tables(&writer);
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    symlink(&path, fixture.path("x")).unwrap();
    assert!(matches!(fixture.failure("x", &LIMITS), LiveSqliteError::NotRegular));
}

#[test]
fn a_linked_log_is_not_followed() {
    let fixture = Fixture::new();
    let writer = fixture.database("x");
    insert(&writer, 1);
    let elsewhere = TempDir::new().unwrap();
    fixture.give(elsewhere.path());
    let target = elsewhere.path().join("created-through-the-link");
    let other = Fixture::new();
    other.write("x", &fs::read(fixture.path("x")).unwrap());
    symlink(&target, other.path("x-wal")).unwrap();
    symlink(&target, other.path("x-shm")).unwrap();
    let _any_outcome = other.copy("x", &SHORT);
    assert!(!target.exists());
    other.assert_scratch_is_empty();
}

#[test]
fn a_database_that_only_root_can_read_gives_nothing() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new();
    let writer = fixture.database("x");
    insert(&writer, 1);
    chown(fixture.path("x"), Some(0), Some(0)).unwrap();
    fs::set_permissions(fixture.path("x"), PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(sqlite_code(&fixture.failure("x", &LIMITS)), Some(ErrorCode::CannotOpen));
}

#[test]
fn nobody_reads_a_database_in_somebody_elses_directory() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new();
    let _writer = fixture.database("x");
    fs::set_permissions(fixture.home.path(), PermissionsExt::from_mode(0o777)).unwrap();
    for uid in [0, SOMEBODY - 1] {
        let error = fixture.copy_as(Account { uid, gid: uid }, "x", &LIMITS).unwrap_err();
        assert!(matches!(error, LiveSqliteError::ForeignPath), "{error}");
    }
    fixture.assert_scratch_is_empty();
}

#[test]
fn a_child_stalled_by_a_pipe_is_killed() {
    let fixture = Fixture::new();
    let writer = fixture.database("x");
    insert(&writer, 1);
    drop(writer);
    // Only readable, it is opened for reading alone, which waits for a writer.
    mknodat(CWD, fixture.path("x-wal"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    fixture.give(&fixture.path("x-wal"));
    assert!(matches!(fixture.failure("x", &SHORT), LiveSqliteError::TimedOut { .. }));
}

#[test]
fn an_owner_can_kill_the_child_but_not_reach_into_it() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new();
    drop(fixture.database("x"));
    mknodat(CWD, fixture.path("x-wal"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    fixture.give(&fixture.path("x-wal"));
    thread::scope(|scope| {
        let copying = scope.spawn(|| fixture.copy("x", &LIMITS));
        let child = fixture.wait_for_child();
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap();
        let ids = format!("{SOMEBODY}\t{SOMEBODY}\t{SOMEBODY}\t{SOMEBODY}");
        for line in [format!("Uid:\t{ids}"), format!("Gid:\t{ids}"), format!("Groups:\t{SOMEBODY} ")] {
            assert!(status.lines().any(|actual| actual == line), "{line} in {status}");
        }
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
        let owner_reads = |program, name| fixture.as_owner(program, &[&format!("/proc/{child}/{name}")]);
        assert!(owner_reads("/bin/cat", "status"));
        assert!(!owner_reads("/bin/cat", "environ"));
        assert!(!owner_reads("/bin/ls", "fd/"));
        assert!(!owner_reads("/bin/ls", "cwd/"));
        assert!(fixture.as_owner("/bin/sh", &["-c", &format!("kill -9 {child}")]));
        let error = copying.join().unwrap().unwrap_err();
        assert!(matches!(error, LiveSqliteError::Ended(_)), "{error}");
    });
    fixture.assert_scratch_is_empty();
}

#[test]
fn a_child_that_never_ends_is_killed() {
    let fixture = Fixture::new();
    let home = File::open(fixture.home.path()).unwrap();
    let run = |program| {
        copy(Path::new(program), home.as_fd(), "x".as_ref(), fixture.account, &SHORT, fixture.scratch.path())
            .unwrap_err()
    };
    let start = Instant::now();
    assert!(matches!(run("/usr/bin/yes"), LiveSqliteError::TimedOut { .. }));
    assert!(start.elapsed() < FOREVER);
    assert!(matches!(run("/bin/true"), LiveSqliteError::NoCopy));
    assert!(matches!(run("/no/such/program"), LiveSqliteError::Process(_)));
    fixture.assert_scratch_is_empty();
}

#[test]
fn a_database_that_stays_locked_is_given_up() {
    let fixture = Fixture::new();
    let writer = fixture.database("x");
    insert(&writer, 1);
    writer.execute_batch("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE").unwrap();
    let error = fixture.failure("x", &SHORT);
    assert!(
        sqlite_code(&error) == Some(ErrorCode::DatabaseBusy)
            || matches!(error, LiveSqliteError::TimedOut { .. }),
        "{error:?}"
    );
}

#[test]
fn a_database_without_a_log_is_copied_too() {
    let fixture = Fixture::new();
    let writer = fixture.database("x");
    insert(&writer, 1);
    writer.execute_batch("PRAGMA journal_mode = DELETE").unwrap();
    assert_eq!(Restored::new(fixture.copy("x", &LIMITS).unwrap()).verified_rows(), 1);
}

#[test]
fn a_database_larger_than_allowed_is_not_copied() {
    let fixture = Fixture::new();
    let writer = fixture.database("x");
    for value in 0..1000 {
        insert(&writer, value);
    }
    for max_bytes in [0, 1000, 2 << 20] {
        let error = fixture.failure("x", &CopyLimits { max_bytes, ..LIMITS });
        assert!(
            matches!(error, LiveSqliteError::TooLarge { max_bytes: limit } if limit == max_bytes),
            "{error:?}"
        );
    }
}

#[test]
fn what_is_no_database_is_an_error() {
    let fixture = Fixture::new();
    let mut garbage = b"SQLite format 3\0".to_vec();
    garbage.resize(8192, 0xa5);
    for bytes in
        [&b""[..], b"SQLite", b"SQLite format 3\0", b"plain text of more than twenty bytes", &garbage]
    {
        fixture.write("x", bytes);
        assert_eq!(sqlite_code(&fixture.failure("x", &LIMITS)), Some(ErrorCode::NotADatabase));
    }
    assert_eq!(sqlite_code(&fixture.failure("missing", &LIMITS)), Some(ErrorCode::CannotOpen));
    mknodat(CWD, fixture.path("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fixture.give(&fixture.path("pipe"));
    fs::create_dir(fixture.path("directory")).unwrap();
    fixture.give(&fixture.path("directory"));
    for name in ["pipe", "directory"] {
        assert!(matches!(fixture.failure(name, &LIMITS), LiveSqliteError::NotRegular), "{name}");
    }
}

#[test]
fn a_truncated_database_is_an_error() {
    let fixture = Fixture::new();
    let writer = fixture.database("x");
    for value in 0..100 {
        insert(&writer, value);
    }
    drop(writer);
    let file = File::options().write(true).open(fixture.path("x")).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    assert_eq!(sqlite_code(&fixture.failure("x", &LIMITS)), Some(ErrorCode::DatabaseCorrupt));
}

#[test]
fn a_schema_that_sqlite_cannot_parse_is_copied_all_the_same() {
    let fixture = Fixture::new();
    let writer = fixture.database("x");
    writer
        .execute_batch(
            "PRAGMA writable_schema = ON;
             INSERT INTO sqlite_schema VALUES ('table', 't', 't', 2, 'CREATE TABLE t of another time');",
        )
        .unwrap();
    assert!(fixture.copy("x", &LIMITS).unwrap().metadata().unwrap().len() > 0);
}

#[test]
fn a_scratch_directory_that_others_can_write_to_is_refused() {
    let fixture = Fixture::new();
    let _writer = fixture.database("x");
    fs::set_permissions(fixture.scratch.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    assert!(matches!(fixture.failure("x", &LIMITS), LiveSqliteError::ScratchShared { .. }));
}
