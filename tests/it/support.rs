//! What the tests stand on: a repository with homes beside it, shorthands for backup and restore, and
//! a comparison of trees by rsync, which has no part in either.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use homekeep::codec::ChunkerParameters;
use homekeep::engine::Meter;
use homekeep::engine::backup::{
    BackupError, BackupOptions, BackupReport, HomeReport, HomeSelection, Outcome, backup,
};
use homekeep::engine::restore::{
    Action, Overwrite, RestoreError, RestoreOptions, RestoreReport, RestoreSource, RestoreTarget, restore,
};
use homekeep::files::metadata::SetuidPolicy;
use homekeep::files::owners::{OwnerMap, OwnerMatch};
use homekeep::files::rules::RuleOptions;
use homekeep::format::{Attention, Entry, EntryKind, HomeRecord, ObjectName};
use homekeep::keys::{Cost, Secret};
use homekeep::repo::{CreateOptions, RepoError, Repository, Snapshot};
use homekeep::store::{MemoryStore, Store};
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};
use rustix::process::geteuid;
use tempfile::TempDir;
use zeroize::Zeroizing;

/// Small chunks, so that small files have many of them.
pub const CHUNKER: ChunkerParameters = ChunkerParameters { min: 1 << 10, average: 4 << 10, max: 16 << 10 };
/// Bytes of the smallest block that a repository may have.
const BLOCK_LEN: u32 = 64 << 10;
/// The program of this package, which knows how to copy live databases.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_homekeep");
/// A time long before every test, in seconds since 1970.
pub const LONG_AGO: i64 = 1_600_000_000;
/// Who owns hostile homes; without a name on any machine.
pub const SOMEBODY: u32 = 65_533;

/// A repository, its cache, and a folder of homes. Everything is gone when it is dropped.
pub struct Site {
    folder: TempDir,
    store: Arc<dyn Store>,
}

impl Site {
    /// A repository in memory.
    pub fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new()))
    }

    /// A repository in `store`, which has none yet.
    pub fn on(store: Arc<dyn Store>) -> Self {
        let site = Self::beside(store);
        let options = CreateOptions { chunker: CHUNKER, block_len: BLOCK_LEN, cost: Cost::FLOOR };
        Repository::create(Arc::clone(&site.store), &secret(), &site.cache(), &options).unwrap();
        site
    }

    /// The repository that `store` has already; homes and cache are new, as on another machine.
    pub fn beside(store: Arc<dyn Store>) -> Self {
        Self::at(tempfile::tempdir().unwrap(), store)
    }

    /// Likewise, in memory where the system has a place for that: for tests with hundreds of sites.
    pub fn in_memory(store: Arc<dyn Store>) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::at(folder.unwrap(), store)
    }

    fn at(folder: TempDir, store: Arc<dyn Store>) -> Self {
        let site = Self { folder, store };
        fs::create_dir(site.homes()).unwrap();
        site
    }

    /// The same machine, to which the store answers in another way.
    pub fn reopened(self, store: Arc<dyn Store>) -> Self {
        Self { store, ..self }
    }

    /// A path in the folder that goes with this value.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn homes(&self) -> PathBuf {
        self.path("homes")
    }

    /// The home of a user, which is made if there is none.
    pub fn home(&self, user: &str) -> PathBuf {
        let home = self.homes().join(user);
        fs::create_dir_all(&home).unwrap();
        home
    }

    pub fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// The one folder in the cache, which belongs to the repository.
    pub fn index(&self, file: &str) -> PathBuf {
        let folder = fs::read_dir(self.cache()).unwrap().next().unwrap().unwrap();
        folder.path().join(file)
    }

    /// As on a machine that never saw the repository.
    pub fn forget_cache(&self) {
        fs::remove_dir_all(self.cache()).unwrap();
    }

    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    pub fn open(&self) -> Result<Repository, RepoError> {
        Repository::open(Arc::clone(&self.store), &secret(), &self.cache())
    }

    /// The repository, with an index that knows all of it.
    pub fn repository(&self) -> Repository {
        let mut repository = self.open().unwrap();
        repository.sync(&mut |_, _| {}).unwrap();
        repository
    }

    pub fn backup_options(&self) -> BackupOptions {
        BackupOptions {
            homes: HomeSelection::Under(self.homes()),
            source: "test".into(),
            host: "here".into(),
            tags: Vec::new(),
            rules: RuleOptions { default_excludes: false, ..RuleOptions::default() },
            level: 1,
            threads: 2,
            always: false,
            dry_run: false,
            cross_file_systems: false,
            verify_unchanged: false,
            sqlite_copies: true,
            sqlite_program: PROGRAM.into(),
            confirmed: Vec::new(),
            shrink_percent: 50,
            is_privileged: geteuid().is_root(),
            never: Vec::new(),
        }
    }

    pub fn try_backup(&self, options: &BackupOptions) -> Result<BackupReport, BackupError> {
        let mut repository = self.open()?;
        backup(&mut repository, options, &Meter::default())
    }

    /// A backup of all homes in which nothing goes wrong.
    pub fn backup(&self) -> BackupReport {
        let report = self.backup_with(|_| {});
        assert!(report.is_complete(), "{:?} {:?}", report.problems, report.damaged);
        report
    }

    /// A backup with other options than the usual, in which single files may go wrong.
    pub fn backup_with(&self, change: impl FnOnce(&mut BackupOptions)) -> BackupReport {
        let mut options = self.backup_options();
        change(&mut options);
        self.try_backup(&options).unwrap()
    }

    /// The home of a user as the newest snapshot that really holds it says.
    pub fn source(&self, user: &str) -> RestoreSource {
        let snapshots = self.repository().snapshots().unwrap();
        let states = snapshots.iter().rev().filter_map(|snapshot| source_of(snapshot, user));
        let (_, source) = states
            .into_iter()
            .find(|(home, _)| home.attention == Attention::Normal)
            .unwrap_or_else(|| panic!("no snapshot holds the home of {user}"));
        source
    }

    /// A directory or file in that home.
    pub fn source_below(&self, user: &str, path: &str) -> RestoreSource {
        let source = self.source(user);
        let entry = self.entry_in(&source, path);
        RestoreSource { entry, path: path.into(), ..source }
    }

    /// What the newest snapshot says of a path in a home.
    pub fn entry(&self, user: &str, path: &str) -> Entry {
        self.entry_in(&self.source(user), path)
    }

    fn entry_in(&self, source: &RestoreSource, path: &str) -> Entry {
        self.find(source, path).unwrap_or_else(|| panic!("{path} is not in the snapshot"))
    }

    /// What the snapshot says of a path in a home, if it has it.
    pub fn find(&self, source: &RestoreSource, path: &str) -> Option<Entry> {
        let mut reader = self.repository().reader().unwrap();
        let mut entry = source.entry.clone();
        for name in path.split('/') {
            let EntryKind::Directory(tree) = entry.kind else { return None };
            let listing = reader.listing(&tree).unwrap();
            entry = listing.into_iter().find(|entry| entry.name == name.as_bytes())?;
        }
        Some(entry)
    }

    /// Whether the newest snapshot has a path in a home.
    pub fn has(&self, user: &str, path: &str) -> bool {
        self.find(&self.source(user), path).is_some()
    }

    /// Restores whole homes below a new folder, with nothing going wrong; returns the folder.
    pub fn restore(&self, users: &[&str]) -> PathBuf {
        let target = (0..).map(|n| self.path(format!("restored-{n}"))).find(|path| !path.exists()).unwrap();
        let sources: Vec<_> = users.iter().map(|user| self.source(user)).collect();
        let restored = self.restore_to(&sources, RestoreTarget::PerUser(target.clone()), |_| {});
        assert!(restored.report.is_complete(), "{:?}", restored.report.problems);
        target
    }

    pub fn restore_to(
        &self,
        sources: &[RestoreSource],
        target: RestoreTarget,
        change: impl FnOnce(&mut RestoreOptions),
    ) -> Restored {
        self.try_restore(sources, target, change).unwrap()
    }

    pub fn try_restore(
        &self,
        sources: &[RestoreSource],
        target: RestoreTarget,
        change: impl FnOnce(&mut RestoreOptions),
    ) -> Result<Restored, RestoreError> {
        let mut options = restore_options(target);
        change(&mut options);
        let mut changes = Vec::new();
        let mut note = |change: &homekeep::engine::restore::Change<'_>| {
            changes.push((String::from_utf8_lossy(change.path).into_owned(), change.action));
        };
        let report = restore(&self.repository(), sources, &options, &Meter::default(), &mut note)?;
        changes.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Restored { report, changes })
    }
}

/// What a restore came to.
pub struct Restored {
    pub report: RestoreReport,
    /// What was told, by path.
    pub changes: Vec<(String, Action)>,
}

impl Restored {
    /// What was told of one path.
    pub fn action(&self, path: &str) -> Option<Action> {
        self.changes.iter().find(|(changed, _)| changed == path).map(|(_, action)| *action)
    }
}

/// The secret of every repository here.
pub fn secret() -> Secret {
    Secret::KeyFile(Zeroizing::new([7; 32]))
}

fn restore_options(target: RestoreTarget) -> RestoreOptions {
    RestoreOptions {
        target,
        overwrite: Overwrite::default(),
        delete: false,
        dry_run: false,
        verify: false,
        includes: Vec::new(),
        excludes: Vec::new(),
        owner_map: OwnerMap::default(),
        owner_match: OwnerMatch::default(),
        owners: geteuid().is_root(),
        setuid: SetuidPolicy::default(),
        devices: false,
        source: "test".into(),
        threads: 2,
    }
}

/// A snapshot's record of a home, and the home as something to restore.
pub fn source_of<'s>(snapshot: &'s Snapshot, user: &str) -> Option<(&'s HomeRecord, RestoreSource)> {
    let home = snapshot.record.homes.iter().find(|home| home.user == user.as_bytes())?;
    let root = home.root.clone()?;
    let source = RestoreSource {
        user: user.into(),
        path: Vec::new(),
        entry: root.clone(),
        home: root,
        home_path: OsStr::from_bytes(&home.path).into(),
        commit: snapshot.hash,
        time_ms: snapshot.record.time_ms,
    };
    Some((home, source))
}

/// One home's part of a report.
pub fn report_of<'r>(report: &'r BackupReport, user: &str) -> &'r HomeReport {
    report.homes.iter().find(|home| home.record.user == user.as_bytes()).unwrap()
}

/// Files that the run read, in all homes.
pub fn files_read(report: &BackupReport) -> u64 {
    report.homes.iter().map(|home| home.files_read).sum()
}

/// Bytes of the objects that a run put into the store.
pub fn bytes_stored(report: &BackupReport) -> u64 {
    match report.outcome {
        Outcome::Saved { bytes_stored, .. } => bytes_stored,
        other => panic!("nothing was saved: {other:?}"),
    }
}

/// Fails unless rsync finds nothing to do between the two trees, in either direction: some things,
/// such as names that are linked and should not be, it only sees in one. Contents are compared byte
/// by byte, times to the nanosecond.
pub fn assert_same(left: &Path, right: &Path) {
    for (from, to) in [(left, right), (right, left)] {
        let differences = rsync_differences(from, to);
        assert!(differences.is_empty(), "{} → {}:\n{differences}", from.display(), to.display());
    }
}

/// What rsync would do to make `to` like `from`.
pub fn rsync_differences(from: &Path, to: &Path) -> String {
    let mut rsync = Command::new("rsync");
    rsync.args(["-aHAXn", "--checksum", "--modify-window=-1", "--numeric-ids", "--delete"]);
    rsync.arg("--itemize-changes").arg(from.join("")).arg(to.join(""));
    run(rsync, "rsync")
}

/// A copy of a tree, made by rsync.
pub fn copy_tree(from: &Path, to: &Path) {
    let mut rsync = Command::new("rsync");
    rsync.args(["-aHAXS", "--numeric-ids", "--modify-window=-1"]).arg(from.join("")).arg(to);
    run(rsync, "rsync");
}

/// What a tree is to a reader: each path with a file's bytes, or what stands for another kind.
pub type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// Everything below a directory, for comparisons too many for rsync.
pub fn contents(top: &Path) -> Contents {
    let (mut found, mut directories) = (Contents::new(), vec![top.to_path_buf()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let value = if metadata.is_dir() {
                directories.push(path.clone());
                b"directory".to_vec()
            } else if metadata.is_symlink() {
                fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
            } else {
                fs::read(&path).unwrap()
            };
            found.insert(path.strip_prefix(top).unwrap().into(), value);
        }
    }
    found
}

/// Runs a program of a package that the tests need; returns what it printed.
pub fn run(mut command: Command, package: &str) -> String {
    let output = match command.output() {
        Err(error) => panic!("{:?}: {error}; install the package {package}", command.get_program()),
        Ok(output) => output,
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Sets an access control list, as `setfacl` takes it.
pub fn set_acl(path: &Path, arguments: &[&str]) {
    let mut command = Command::new("setfacl");
    command.args(arguments).arg(path);
    run(command, "acl");
}

/// Sets an extended attribute.
pub fn set_xattr(path: &Path, name: &str, value: &str) {
    let mut command = Command::new("setfattr");
    command.args(["-h", "-n", name, "-v", value]).arg(path);
    run(command, "attr");
}

/// Sets the modification time, of a link its own.
pub fn set_mtime(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Makes a named pipe or a socket.
pub fn make_node(path: &Path, kind: FileType) {
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o640), 0).unwrap();
}

/// Writes a file whose modification time is long past, as of nearly all files.
pub fn write_old(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::write(path, bytes).unwrap();
    set_mtime(path, LONG_AGO, 123_456_789);
}

/// A little of everything that a home can have and every tool brings back.
pub fn plant(home: &Path) {
    for directory in ["empty", "work/deep/er", "shared"] {
        fs::create_dir_all(home.join(directory)).unwrap();
    }
    write_old(&home.join("nothing"), "");
    write_old(&home.join("notes"), "the quick brown fox\n".repeat(400));
    write_old(&home.join("work/data"), noise(1, 150_000));
    write_old(&home.join("work/deep/er/script"), "#!/bin/sh\n");
    fs::set_permissions(home.join("work/deep/er/script"), PermissionsExt::from_mode(0o750)).unwrap();
    fs::hard_link(home.join("work/data"), home.join("shared/data")).unwrap();
    symlink("notes", home.join("link")).unwrap();
    symlink("nowhere/at all", home.join("work/dangling")).unwrap();
    make_node(&home.join("pipe"), FileType::Fifo);
    set_xattr(&home.join("notes"), "user.note", "kept");
    set_acl(&home.join("shared"), &["-m", "u:12345:rx", "-d", "-m", "g:12345:rwx"]);
    write_sparse(&home.join("work/holes"));
    for path in ["pipe", "link", "work/dangling", "work/deep/er", "work/deep", "work", "empty", "shared", ""]
    {
        set_mtime(&home.join(path), LONG_AGO, 1);
    }
}

/// Holes at the beginning, in the middle and at the end of 8 MB.
pub fn write_sparse(path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(8 << 20).unwrap();
    for start in [1 << 20, 5 << 20] {
        file.write_all_at(&noise(start, 100_000), start).unwrap();
    }
    set_mtime(path, LONG_AGO, 5);
}

/// Bytes that do not compress and repeat nowhere, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Waits until nothing that happened up to now counts as recent any more.
pub fn let_times_settle() {
    let second = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let settled = second(SystemTime::now()) + 3;
    while second(SystemTime::now()) < settled {
        thread::sleep(Duration::from_millis(50));
    }
}

/// Says so when a test needs root, and has it not.
pub fn is_root() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        eprintln!("skipped: this takes root");
    }
    is_root
}

/// Names of all objects below a prefix.
pub fn names(store: &dyn Store, prefix: &str) -> Vec<ObjectName> {
    store.list(prefix).unwrap().into_iter().map(|listed| listed.name).collect()
}
