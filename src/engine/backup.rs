//! Takes a snapshot of homes: one function, from finding the homes to the commit.

mod error;
mod file;
mod homes;
mod prior;
mod report;
mod scan;
pub(super) mod seen_listing;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

pub use error::BackupError;
pub use homes::HomeSelection;
pub use report::{BackupReport, HomeReport, Outcome};

use super::{Meter, Problem, ProblemKind};
use crate::codec::{Chunker, Hash, SnapshotId};
use crate::files::owner_cache::OwnerCache;
use crate::files::rules::{RuleOptions, Rules};
use crate::files::walk::{self, Stat};
use crate::format::{Attention, Attributes, Entry, EntryKind, HomeRecord, SnapshotRecord};
use crate::index::Seen;
use crate::keys::random_bytes;
use crate::repo::{Finished, RepoError, Repository, Snapshot, WriterOptions};
use homes::FoundHome;
use scan::{Home, Scan, lock};

/// What a backup is told.
#[derive(Debug, Clone)]
pub struct BackupOptions {
    /// Which homes.
    pub homes: HomeSelection,
    /// The logical machine the homes belong to; with the user's name it identifies a home.
    pub source: String,
    /// This host's name.
    pub host: String,
    /// Free words for the snapshot.
    pub tags: Vec<String>,
    /// What to leave out.
    pub rules: RuleOptions,
    /// zstd level.
    pub level: i32,
    /// Threads that walk and threads that compress.
    pub threads: usize,
    /// Write a snapshot even when nothing changed.
    pub always: bool,
    /// Do everything but write.
    pub dry_run: bool,
    /// Enter other file systems mounted in a home.
    pub cross_file_systems: bool,
    /// Read every file, whatever is known of it.
    pub verify_unchanged: bool,
    /// Let SQLite copy databases that are in use.
    pub sqlite_copies: bool,
    /// The program that makes those copies: this one, [`OWN_PROGRAM`](crate::files::live_sqlite::OWN_PROGRAM), unless the process is
    /// not homekeep.
    pub sqlite_program: PathBuf,
    /// Users of whom an admin says that their home did shrink or go.
    pub confirmed: Vec<Vec<u8>>,
    /// A home with less than this share of its files and of its bytes, in percent, has shrunk.
    pub shrink_percent: u64,
    /// This process reads files that their owners cannot, so a user's hard link is not trusted.
    pub is_privileged: bool,
    /// Paths never entered: a local repository.
    pub never: Vec<PathBuf>,
}

/// A home that had fewer files is not called shrunk: too little to tell.
const SHRINK_FILES: u64 = 8;

/// Takes one snapshot of all selected homes.
///
/// A home's failure is its own: it is noted, and the others go on. An error of the repository ends the
/// run; what was written until then is used by the next one. The snapshot exists once its commit is
/// in the store; then the garbage collection records are looked at again, so that no prune that ran
/// meanwhile can have taken what the snapshot needs (docs/design.md, "Writers").
pub fn backup(
    repository: &mut Repository,
    options: &BackupOptions,
    meter: &Meter,
) -> Result<BackupReport, BackupError> {
    match attempt(repository, options, meter) {
        // The index named a tree that the repository lacks: nothing it says of these homes counts.
        Err(BackupError::StaleIndex) => {
            Seen::remove(repository.cache())?;
            attempt(repository, options, meter)
        }
        Err(BackupError::Index(error) | BackupError::Repository(RepoError::Index(error)))
            if error.is_damage() =>
        {
            Seen::remove(repository.cache())?;
            repository.forget_index()?;
            attempt(repository, options, meter)
        }
        result => result,
    }
}

fn attempt(
    repository: &mut Repository,
    options: &BackupOptions,
    meter: &Meter,
) -> Result<BackupReport, BackupError> {
    let started = Timestamp::now();
    let rules = Rules::new(&options.rules)?;
    let found = homes::find(&options.homes)?;
    let synced = repository.sync(&mut |_, _| {})?;
    let gc_seen = refuse_unknown_maintenance(repository)?;
    let history = History::new(repository.snapshots()?, &options.source);
    let mut seen = Seen::open(repository.cache())?;

    let (homes, unopened) = open_homes(found, options, &rules, &history, &seen)?;
    let writer = repository.writer(&WriterOptions { level: options.level, threads: options.threads })?;
    let chunker = Chunker::new(repository.descriptor().chunker, repository.keys().gear_table());
    let owners = OwnerCache::default();
    let scan = Scan {
        options,
        rules: &rules,
        owners: &owners,
        chunker: &chunker,
        meter,
        own: &own_directories(repository, options),
        started_s: started.as_second(),
        scratch: scratch(repository)?,
        damaged: Mutex::default(),
    };
    let (walked, roots): (Vec<_>, Vec<_>) =
        homes.into_iter().map(|(home, root)| (Arc::clone(&home), (home, root))).unzip();
    let scanned = scan.run(roots, repository, &seen, &writer);
    let finished = match (scanned, writer.finish()) {
        (Ok(()), finished) => finished?,
        // A walker that found the pipeline closed knows less than the pipeline does.
        (Err(BackupError::Repository(_)), Err(cause)) => return Err(cause.into()),
        (Err(error), _) => return Err(error),
    };

    let records = home_records(&walked, &unopened, options, &history, &owners);
    let mut damaged = synced.damaged;
    damaged.append(&mut lock(&scan.damaged));
    let mut report = BackupReport::new(&walked, unopened, &records, started, damaged);
    if options.dry_run {
        report.outcome = Outcome::DryRun { bytes_new: report.bytes_new() };
        return Ok(report);
    }
    let is_news = options.always || history.newest().is_none() || records.iter().any(|r| history.is_news(r));
    if is_news {
        let record = snapshot_record(options, started, records, &walked, &history, gc_seen);
        let base = commit(repository, finished, record, &mut report)?;
        remember(&mut seen, &walked, &options.source, |_| Some(base))?;
    } else {
        report.outcome = Outcome::Unchanged { id: history.newest().map(|s| s.record.id) };
        remember(&mut seen, &walked, &options.source, |user| history.latest(user).map(|s| s.hash))?;
    }
    report.finished = Timestamp::now();
    Ok(report)
}

/// Writes the snapshot, looks at the garbage collection records again, and only then calls it safe.
fn commit(
    repository: &mut Repository,
    finished: Finished,
    record: SnapshotRecord,
    report: &mut BackupReport,
) -> Result<Hash, BackupError> {
    let id = record.id;
    let committed = repository.commit(finished, record)?;
    refuse_unknown_maintenance(repository)?;
    report.outcome = Outcome::Saved { id, bytes_stored: committed.bytes_stored, objects: committed.objects };
    Ok(committed.hash)
}

/// No program of this version collects garbage, so any record of it is of a newer one.
fn refuse_unknown_maintenance(repository: &Repository) -> Result<Vec<String>, BackupError> {
    match repository.gc_records()?.into_iter().next() {
        Some(record) => Err(RepoError::Maintained(record).into()),
        None => Ok(Vec::new()),
    }
}

/// Where private copies are made: in the cache, which belongs to whoever runs this.
fn scratch(repository: &Repository) -> Result<PathBuf, BackupError> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = repository.cache().join("scratch");
    match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(BackupError::Homes { path: folder, source })
        }
        _ => Ok(folder),
    }
}

/// The repository and its cache must not be saved into itself.
fn own_directories(repository: &Repository, options: &BackupOptions) -> HashSet<(u64, u64)> {
    let cache = repository.cache().to_path_buf();
    let paths = options.never.iter().chain([&cache]);
    paths
        .filter_map(|path| walk::stat(walk::open_path(path).ok()?).ok())
        .map(|stat| (stat.device, stat.inode))
        .collect()
}

type OpenHomes = Vec<(Arc<Home>, std::os::fd::OwnedFd)>;

/// Finds out what is known of each home. Those that cannot be opened are returned apart.
fn open_homes(
    found: Vec<FoundHome>,
    options: &BackupOptions,
    rules: &Rules,
    history: &History,
    seen: &Seen,
) -> Result<(OpenHomes, Vec<(FoundHome, Problem)>), BackupError> {
    let (mut homes, mut unopened) = (Vec::new(), Vec::new());
    for mut home in found {
        if rules.decide_home(&home.path) != crate::files::rules::Verdict::Keep {
            continue;
        }
        match std::mem::replace(&mut home.root, Err(std::io::ErrorKind::Other.into())) {
            Ok((root, stat)) => homes.push((Arc::new(known_home(home, stat, options, history, seen)?), root)),
            Err(error) => {
                let kind = ProblemKind::Unreadable(error.to_string());
                let problem = Problem { user: home.user.clone(), path: Vec::new(), kind };
                unopened.push((home, problem));
            }
        }
    }
    Ok((homes, unopened))
}

/// Rows of the local index count only while the commit that has what they speak of exists.
fn known_home(
    found: FoundHome,
    stat: Stat,
    options: &BackupOptions,
    history: &History,
    seen: &Seen,
) -> Result<Home, BackupError> {
    let mut home = Home::new(found.user, found.path, stat);
    if !options.cross_file_systems {
        home.mounts = homes::mounts_below(&home.path);
    }
    if let Some((key, base)) = seen.home(&options.source, &home.user)?
        && history.has(&base)
    {
        home.seen = Some(key);
        home.base = Some(base);
    } else if let Some((snapshot, record)) = history.holding(&home.user) {
        home.base = Some(snapshot.hash);
        home.previous_s = (snapshot.record.time_ms / 1000, snapshot.record.finished_ms / 1000);
        home.previous = record.root.as_ref().and_then(|root| match root.kind {
            EntryKind::Directory(tree) => Some(tree),
            _ => None,
        });
    }
    Ok(home)
}

/// One record for each home that was walked, could not be opened, or is missing.
fn home_records(
    walked: &[Arc<Home>],
    unopened: &[(FoundHome, Problem)],
    options: &BackupOptions,
    history: &History,
    owners: &OwnerCache,
) -> Vec<HomeRecord> {
    let mut records: Vec<_> =
        walked.iter().map(|home| walked_record(home, options, history, owners)).collect();
    let present: HashSet<Vec<u8>> = records.iter().map(|r| r.user.clone()).collect();
    for (home, _) in unopened {
        records.push(absent_record(home.user.clone(), path_bytes(&home.path), Attention::Missing, 1));
    }
    if let HomeSelection::Under(folder) = &options.homes {
        let unopened: HashSet<&[u8]> = unopened.iter().map(|(home, _)| &home.user[..]).collect();
        for (user, path) in history.users_under(folder) {
            if !present.contains(&user) && !unopened.contains(&user[..]) {
                let is_confirmed = options.confirmed.contains(&user);
                let attention = if is_confirmed { Attention::Removed } else { Attention::Missing };
                records.push(absent_record(user, path, attention, 0));
            }
        }
    }
    records.sort_by(|a, b| a.user.cmp(&b.user));
    records
}

fn path_bytes(path: &std::path::Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}

fn absent_record(user: Vec<u8>, path: Vec<u8>, attention: Attention, problems: u64) -> HomeRecord {
    HomeRecord {
        user,
        path,
        root: None,
        files: 0,
        directories: 0,
        bytes: 0,
        bytes_new: 0,
        problems,
        attention,
    }
}

fn walked_record(home: &Home, options: &BackupOptions, history: &History, owners: &OwnerCache) -> HomeRecord {
    let problems = lock(&home.problems).iter().filter(|p| p.kind.is_loss()).count() as u64;
    let path = path_bytes(&home.path);
    let outcome = lock(&home.outcome).clone();
    let Some(outcome) = outcome else {
        return absent_record(home.user.clone(), path, Attention::Missing, problems);
    };
    let read = |total| Meter::read(total);
    let totals = &home.totals;
    let (files, bytes) = (read(&totals.files), read(&totals.bytes));
    let root = Entry {
        name: home.user.clone(),
        kind: EntryKind::Directory(outcome.tree),
        mode: outcome.stat.mode,
        owner: owners.owner(outcome.stat.uid, outcome.stat.gid),
        mtime_s: outcome.stat.mtime.0,
        mtime_ns: outcome.stat.mtime.1,
        attributes: Attributes { xattrs: outcome.xattrs, ..Attributes::default() },
    };
    let has_shrunk = history.holding(&home.user).is_some_and(|(_, before)| {
        let less = |now: u64, before: u64| now * 100 < before * options.shrink_percent;
        before.files >= SHRINK_FILES && less(files, before.files) && less(bytes, before.bytes)
    });
    let is_shrunk = has_shrunk && !options.confirmed.contains(&home.user);
    HomeRecord {
        user: home.user.clone(),
        path,
        root: Some(root),
        files,
        directories: read(&totals.directories),
        bytes,
        bytes_new: read(&totals.bytes_new),
        problems,
        attention: if is_shrunk { Attention::Shrunk } else { Attention::Normal },
    }
}

fn snapshot_record(
    options: &BackupOptions,
    started: Timestamp,
    homes: Vec<HomeRecord>,
    walked: &[Arc<Home>],
    history: &History,
    gc_seen: Vec<String>,
) -> SnapshotRecord {
    let parents: HashSet<Hash> = walked.iter().filter_map(|home| home.base).collect();
    let mut deps: HashSet<[u8; 8]> = parents.iter().map(Hash::short).collect();
    for snapshot in history.snapshots.iter().filter(|s| parents.contains(&s.hash)) {
        deps.extend(&snapshot.record.deps);
    }
    let mut parents: Vec<_> = parents.into_iter().collect();
    parents.sort();
    SnapshotRecord {
        id: SnapshotId(random_bytes().unwrap_or_else(|_| fallback_id(started))),
        supersession: 0,
        time_ms: started.as_millisecond(),
        finished_ms: Timestamp::now().as_millisecond(),
        source: options.source.clone(),
        host: options.host.clone(),
        program: concat!("homekeep ", env!("CARGO_PKG_VERSION")).into(),
        tags: options.tags.clone(),
        homes,
        parents,
        gc_seen,
        deps: deps.into_iter().collect(),
    }
}

/// An id need not be secret, only its own.
fn fallback_id(started: Timestamp) -> [u8; 16] {
    let mut id = [0; 16];
    let hash = Hash::of(format!("{} {}", started, std::process::id()).as_bytes());
    id.copy_from_slice(&hash.as_bytes()[..16]);
    id
}

/// Writes what was seen into the local index, now that the snapshot `base` has all of it.
fn remember(
    seen: &mut Seen,
    walked: &[Arc<Home>],
    source: &str,
    base: impl Fn(&[u8]) -> Option<Hash>,
) -> Result<(), BackupError> {
    for home in walked {
        if let Some(base) = base(&home.user) {
            let (rows, unchanged) = (std::mem::take(&mut *lock(&home.rows)), lock(&home.unchanged));
            if !rows.is_empty() || home.base != Some(base) {
                seen.update_home(source, &home.user, &base, &rows, &unchanged)?;
            }
        }
    }
    Ok(())
}

/// The snapshots of one source, and what they say of each home.
struct History {
    snapshots: Vec<Snapshot>,
    all: HashSet<Hash>,
}

impl History {
    fn new(snapshots: Vec<Snapshot>, source: &str) -> Self {
        let all = snapshots.iter().map(|s| s.hash).collect();
        let snapshots = snapshots.into_iter().filter(|s| s.record.source == source).collect();
        Self { snapshots, all }
    }

    fn newest(&self) -> Option<&Snapshot> {
        self.snapshots.last()
    }

    fn has(&self, commit: &Hash) -> bool {
        self.all.contains(commit)
    }

    /// What was said of a user, newest first.
    fn mentions<'h>(&'h self, user: &[u8]) -> impl Iterator<Item = (&'h Snapshot, &'h HomeRecord)> {
        let mention = move |s: &'h Snapshot| s.record.homes.iter().find(|h| h.user == user).map(|h| (s, h));
        self.snapshots.iter().rev().filter_map(mention)
    }

    /// The newest snapshot that says anything of a user.
    fn latest<'h>(&'h self, user: &[u8]) -> Option<&'h Snapshot> {
        self.mentions(user).next().map(|(snapshot, _)| snapshot)
    }

    /// The newest snapshot that really holds a user's home.
    fn holding<'h>(&'h self, user: &[u8]) -> Option<(&'h Snapshot, &'h HomeRecord)> {
        self.mentions(user).find(|(_, home)| home.attention == Attention::Normal)
    }

    /// Whether a record says something else than the newest one of its user.
    fn is_news(&self, record: &HomeRecord) -> bool {
        self.mentions(&record.user)
            .next()
            .is_none_or(|(_, last)| last.root != record.root || last.attention != record.attention)
    }

    /// Users whose home was directly in `folder` and is not known to be gone, with its path.
    fn users_under(&self, folder: &std::path::Path) -> Vec<(Vec<u8>, Vec<u8>)> {
        use std::os::unix::ffi::OsStrExt;
        let mut last: HashMap<&[u8], &HomeRecord> = HashMap::new();
        for home in self.snapshots.iter().flat_map(|s| &s.record.homes) {
            last.insert(&home.user, home);
        }
        last.into_values()
            .filter(|home| home.attention != Attention::Removed)
            .filter(|home| {
                std::path::Path::new(std::ffi::OsStr::from_bytes(&home.path)).parent() == Some(folder)
            })
            .map(|home| (home.user.clone(), home.path.clone()))
            .collect()
    }
}
