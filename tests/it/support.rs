//! What the tests stand on: a repository with homes beside it, shorthands for backup and restore, ways
//! to fill homes, and comparisons of trees.

pub mod allocation;
mod compare;
mod homes;
pub mod mount;
pub mod program;

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

pub use compare::{Contents, assert_same, contents, copy_tree, rsync_differences, run};
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
pub use homes::{LONG_AGO, make_node, noise, plant, set_acl, set_mtime, set_xattr, write_old, write_sparse};
use rustix::process::geteuid;
use tempfile::TempDir;
use zeroize::Zeroizing;

/// Small chunks, so that small files have many of them.
pub const CHUNKER: ChunkerParameters = ChunkerParameters { min: 1 << 10, average: 4 << 10, max: 16 << 10 };
/// Bytes of the smallest block that a repository may have.
const BLOCK_LEN: u32 = 64 << 10;
/// The program of this package, which knows how to copy live databases.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_homekeep");
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

    pub fn shared_store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
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
            users: Vec::new(),
            homes: HomeSelection::Under(self.homes()),
            source: "test".into(),
            host: "here".into(),
            tags: Vec::new(),
            rules: RuleOptions { default_excludes: false, ..RuleOptions::default() },
            secrets: homekeep::files::rules::SecretOptions::default(),
            vault: None,
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

pub fn restore_options(target: RestoreTarget) -> RestoreOptions {
    RestoreOptions {
        vault: None,
        secrets: homekeep::engine::restore::SecretsWanted::default(),
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

/// An error with its causes, as the program prints it.
pub fn chain(error: &dyn Error) -> String {
    let sources = std::iter::successors(Some(error), |error: &&dyn Error| (*error).source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Names of all objects below a prefix.
pub fn names(store: &dyn Store, prefix: &str) -> Vec<ObjectName> {
    store.list(prefix).unwrap().into_iter().map(|listed| listed.name).collect()
}
