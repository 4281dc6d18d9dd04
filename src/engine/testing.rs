//! Support for tests of the verbs: a repository in memory, homes made from a description, snapshots
//! at chosen times. Knows no verb but backup.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tempfile::TempDir;

use super::backup::{BackupOptions, BackupReport, HomeSelection, Outcome, backup};
use super::select::{Filter, HomeState, states};
use super::{HomePath, Meter};
use crate::codec::{ChunkId, ChunkerParameters, SnapshotId};
use crate::files::rules::RuleOptions;
use crate::format::{ObjectName, SnapshotRecord};
use crate::keys::{Cost, Secret};
use crate::repo::{CreateOptions, Reader, Repository, Snapshot, WriteTarget, WriterOptions};
use crate::store::{MemoryStore, Store};

/// The source that a bench's snapshots belong to.
pub const SOURCE: &str = "cluster";

/// A repository with the homes it is fed from.
pub struct Bench {
    /// Where the repository's objects are.
    pub store: MemoryStore,
    /// The repository.
    pub repository: Repository,
    /// What [`Bench::backup`] is told; tests change what they are about.
    pub options: BackupOptions,
    homes: TempDir,
    _cache: TempDir,
    times: HashMap<SnapshotId, Timestamp>,
}

impl Bench {
    /// An empty repository, and no homes.
    pub fn new() -> Self {
        let (homes, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = MemoryStore::new();
        // Small chunks: files of some hundred KiB are large ones, with lists of lists of chunks.
        let chunker = ChunkerParameters { min: 1 << 10, average: 4 << 10, max: 16 << 10 };
        let options = CreateOptions { chunker, block_len: 64 << 10, cost: Cost::FLOOR };
        let secret = Secret::KeyFile([7; 32].into());
        let repository =
            Repository::create(Arc::new(store.clone()), &secret, cache.path(), &options).unwrap();
        let options = backup_options(homes.path());
        Self { store, repository, options, homes, _cache: cache, times: HashMap::new() }
    }

    /// The folder of the homes.
    pub fn homes(&self) -> &Path {
        self.homes.path()
    }

    /// A user's home, made when it is not there.
    pub fn home(&self, user: &str) -> Home {
        let path = self.homes.path().join(user);
        fs::create_dir_all(&path).unwrap();
        Home { path }
    }

    /// Takes a snapshot of all homes that is dated `time` in what [`Bench::snapshots`] returns.
    pub fn backup(&mut self, time: &str) -> SnapshotId {
        match self.run_backup().outcome {
            Outcome::Saved { id, .. } => {
                self.times.insert(id, time.parse().unwrap());
                id
            }
            other => panic!("no snapshot: {other:?}"),
        }
    }

    /// Runs a backup, whatever comes of it.
    pub fn run_backup(&mut self) -> BackupReport {
        backup(&mut self.repository, &self.options, &Meter::default()).unwrap()
    }

    /// All snapshots, by the dates they were given.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let mut snapshots = self.repository.snapshots().unwrap();
        for snapshot in &mut snapshots {
            if let Some(time) = self.times.get(&snapshot.record.id) {
                snapshot.record.time_ms = time.as_millisecond();
            }
        }
        snapshots.sort_by_key(|snapshot| snapshot.record.time_ms);
        snapshots
    }

    /// A reader of the repository.
    pub fn reader(&self) -> Reader {
        self.repository.reader().unwrap()
    }

    /// Stores trees that no backup would have made, and returns their ids. There must be a snapshot.
    pub fn store_trees<const N: usize>(&mut self, trees: [Vec<u8>; N]) -> [ChunkId; N] {
        let writer = self
            .repository
            .writer(&WriterOptions { level: 1, threads: 1, target: WriteTarget::Store })
            .unwrap();
        let mut session = writer.session().unwrap();
        let ids = trees.map(|bytes| session.tree(&bytes).unwrap().id);
        session.flush().unwrap();
        let newest = self.repository.snapshots().unwrap().pop().unwrap().record;
        let supersession = newest.supersession + 1;
        let record = SnapshotRecord { supersession, ..newest };
        self.repository.commit(writer.finish().unwrap(), record).unwrap();
        ids
    }

    /// Puts other bytes in the place of each object that `spoil` changes.
    pub fn damage(&self, mut spoil: impl FnMut(&ObjectName, &mut Vec<u8>)) {
        for listed in self.store.list("").unwrap() {
            let before = self.store.get(&listed.name).unwrap();
            let mut after = before.clone();
            spoil(&listed.name, &mut after);
            if after != before {
                self.store.delete(&listed.name).unwrap();
                self.store.put(&listed.name, &after).unwrap();
            }
        }
    }
}

/// Every state of a user's home, newest first.
pub fn states_of<'s>(snapshots: &'s [Snapshot], user: &str) -> Vec<HomeState<'s>> {
    let filter = Filter { users: vec![user.into()], ..Filter::default() };
    states(snapshots, &filter, Timestamp::MAX)
}

/// A path that a test knows to be good.
pub fn path(text: impl AsRef<[u8]>) -> HomePath {
    HomePath::parse(text.as_ref()).unwrap()
}

fn backup_options(homes: &Path) -> BackupOptions {
    BackupOptions {
        sqlite_program: crate::files::live_sqlite::OWN_PROGRAM.into(),
        users: Vec::new(),
        homes: HomeSelection::Under(homes.into()),
        source: SOURCE.into(),
        host: "node".into(),
        tags: Vec::new(),
        rules: RuleOptions::default(),
        secrets: crate::files::rules::SecretOptions::default(),
        vault: None,
        level: 1,
        threads: 2,
        always: true,
        dry_run: false,
        cross_file_systems: false,
        verify_unchanged: false,
        sqlite_copies: false,
        confirmed: Vec::new(),
        shrink_percent: 50,
        is_privileged: false,
        never: Vec::new(),
    }
}

/// A home on disk. What is written into it replaces what was there; directories on the way are made.
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// Where something in it is.
    pub fn at(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.path.join(OsStr::from_bytes(name.as_ref()))
    }

    /// A file with these bytes.
    pub fn file(&self, name: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.fresh(name);
        fs::write(path, bytes).unwrap();
        self
    }

    /// An empty directory.
    pub fn directory(&self, name: impl AsRef<[u8]>) -> &Self {
        fs::create_dir_all(self.at(name)).unwrap();
        self
    }

    /// A symbolic link.
    pub fn symlink(&self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> &Self {
        let path = self.fresh(name);
        symlink(OsStr::from_bytes(target.as_ref()), path).unwrap();
        self
    }

    /// Another name of a file that is there.
    pub fn hard_link(&self, name: impl AsRef<[u8]>, existing: impl AsRef<[u8]>) -> &Self {
        let path = self.fresh(name);
        fs::hard_link(self.at(existing), path).unwrap();
        self
    }

    /// A named pipe.
    pub fn fifo(&self, name: impl AsRef<[u8]>) -> &Self {
        let path = self.fresh(name);
        let mode = rustix::fs::Mode::from_raw_mode(0o640);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        self
    }

    /// Sets the permission bits.
    pub fn mode(&self, name: impl AsRef<[u8]>, mode: u32) -> &Self {
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Sets the modification time of a file.
    pub fn mtime(&self, name: impl AsRef<[u8]>, seconds: i64, nanoseconds: i64) -> &Self {
        let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(rustix::fs::CWD, self.at(name), &times, flags).unwrap();
        self
    }

    /// Removes a file, or a directory with all that is in it.
    pub fn remove(&self, name: impl AsRef<[u8]>) -> &Self {
        let path = self.at(name);
        match path.symlink_metadata().unwrap().is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
        self
    }

    fn fresh(&self, name: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).unwrap();
        }
        path
    }
}
