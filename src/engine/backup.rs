//! Takes a snapshot of homes: one function, from finding the homes to the commit.

mod error;
mod file;
mod history;
mod homes;
mod prior;
mod records;
mod report;
mod scan;
pub(super) mod seen_listing;
mod texts;
mod vaulting;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

pub use error::BackupError;
pub use homes::HomeSelection;
pub use report::{BackupReport, HomeReport, Outcome};
pub use vaulting::VaultReport;

use super::restore::marker::Marker;
use super::{Meter, Problem, ProblemKind};
use crate::codec::{Chunker, Hash, SnapshotId};
use crate::files::owner_cache::OwnerCache;
use crate::files::rules::{RuleOptions, Rules, SecretOptions, SecretRules};
use crate::files::walk::Stat;
use crate::format::EntryKind;
use crate::index::{HomeKey, Seen, SeenHome, SeenWriter, Summary};
use crate::repo::{Committed, RepoError, Repository, WriteTarget, WriterOptions};
use crate::vault::Vault;
use history::{Asked, History};
use homes::FoundHome;
use records::{home_records, new_id, snapshot_record};
use scan::{Home, Scan, lock};
use vaulting::{VaultMemory, VaultRun};

/// What a backup is told.
#[derive(Debug, Clone)]
pub struct BackupOptions {
    /// Which homes.
    pub homes: HomeSelection,
    /// Of these, only the homes of these users; all when empty. Who else is missing is then not asked.
    pub users: Vec<Vec<u8>>,
    /// The logical machine the homes belong to; with the user's name it identifies a home.
    pub source: String,
    /// This host's name.
    pub host: String,
    /// Free words for the snapshot.
    pub tags: Vec<String>,
    /// What to leave out.
    pub rules: RuleOptions,
    /// What is a secret, and kept apart in the vault.
    pub secrets: SecretOptions,
    /// Where secrets go. Without one they are stored as ordinary data, and the report names them.
    pub vault: Option<Arc<Vault>>,
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
    /// Files and directories that are never saved: a local repository, its key file.
    pub never: Vec<PathBuf>,
}

/// Supersessions from one attempt to the next: others may republish what an abandoned attempt committed, counting on from
/// there, and must not get past the attempt that counts.
const ATTEMPT_SHIFT: u32 = 16;
/// How often a run begins anew because prunes condemn what it relies on.
const ATTEMPTS: u32 = 16;
/// A home that had fewer files is not called shrunk: too little to tell.
const SHRINK_FILES: u64 = 8;

/// Takes one snapshot of all selected homes.
///
/// A home's failure is its own: it is noted, and the others go on. An error of the repository ends the
/// run; what was written until then is used by the next one. The snapshot exists once its commit is
/// in the store; then the garbage collection records are looked at again, so that no prune that ran
/// meanwhile can have taken what the snapshot needs (docs/safety.md). If one may have, the run begins anew.
pub fn backup(
    repository: &mut Repository,
    options: &BackupOptions,
    meter: &Meter,
) -> Result<BackupReport, BackupError> {
    texts::check(options)?;
    let (mut again, mut has_mended) = (None, false);
    for _ in 0..ATTEMPTS {
        match attempt(repository, options, meter, again) {
            Ok(Attempt::Unsafe(next)) => again = Some(next),
            Ok(Attempt::Done(report)) => return Ok(*report),
            // A prune on this machine took out of the index what the run was about to rely on.
            Err(BackupError::Repository(RepoError::IndexChanged)) => {}
            // The index named a tree that the repository lacks: nothing it says of these homes counts.
            Err(BackupError::StaleIndex) if !has_mended => {
                Seen::remove(repository.cache())?;
                has_mended = true;
            }
            Err(BackupError::Index(error) | BackupError::Repository(RepoError::Index(error)))
                if error.is_damage() && !has_mended =>
            {
                Seen::remove(repository.cache())?;
                repository.forget_index()?;
                has_mended = true;
            }
            Err(error) => return Err(error),
        }
    }
    Err(BackupError::Outrun(ATTEMPTS))
}

fn attempt(
    repository: &mut Repository,
    options: &BackupOptions,
    meter: &Meter,
    again: Option<Again>,
) -> Result<Attempt, BackupError> {
    let (started, began) = (Timestamp::now(), since_boot());
    let rules = Rules::new(&options.rules)?;
    let secrets = match options.vault {
        Some(_) => SecretRules::new(&options.secrets)?,
        None => SecretRules::none(),
    };
    let found = homes::find(&options.homes, &options.users)?;
    let synced = repository.sync(&mut |_, _| {})?;
    repository.require_known_gc()?;
    let seen = Seen::open(repository.cache())?;
    let history = read_history(repository, &seen, &found, options, started)?;
    let gc_seen = repository.gc().names().map(ToString::to_string).collect();
    let rows = Mutex::new(seen.writer()?);

    let vault = VaultRun::begin(options);
    let known = Known {
        rules: &rules,
        secrets: &secrets,
        history: &history,
        seen: &seen,
        cache: repository.cache(),
        vault: vault.as_ref(),
    };
    let (homes, unopened) = open_homes(found, options, &known, &rows)?;
    expect(meter, &homes, &history);
    let target = if options.dry_run { WriteTarget::Nowhere } else { WriteTarget::Store };
    let writer =
        repository.writer(&WriterOptions { level: options.level, threads: options.threads, target })?;
    let chunker = Chunker::new(repository.descriptor().chunker, repository.keys().gear_table());
    let owners = OwnerCache::default();
    let scan = Scan {
        options,
        rules: &rules,
        secrets: &secrets,
        vault: vault.as_ref(),
        owners: &owners,
        chunker: &chunker,
        meter,
        own: &own_inodes(repository, options),
        started_s: started.as_second(),
        scratch: scratch(repository)?,
        rows: &rows,
        damaged: Mutex::default(),
    };
    let (walked, roots): (Vec<_>, Vec<_>) =
        homes.into_iter().map(|(home, root)| (Arc::clone(&home), (home, root))).unzip();
    let scanned = std::thread::scope(|threads| {
        vault.as_ref().into_iter().for_each(|vault| vault.start(threads));
        let scanned = scan.run(roots, repository, &seen, &writer);
        vault.as_ref().into_iter().for_each(VaultRun::close);
        scanned
    });
    let finished = match (scanned, writer.finish()) {
        (Ok(()), finished) => finished?,
        // A walker that found the pipeline closed knows less than the pipeline does.
        (Err(BackupError::Repository(_)), Err(cause)) => return Err(cause.into()),
        (Err(error), _) => return Err(error),
    };

    let mut damaged_now = std::mem::take(&mut *lock(&scan.damaged));
    drop(scan);
    // Before the records: what the vault did not take is a problem of its home.
    let (vaulted, memory) = vault.map(|vault| vault.finish(&walked)).unwrap_or_default();
    let records = home_records(&walked, &unopened, options, &history, &owners);
    if records.is_empty() {
        return Err(BackupError::NoHomes(options.homes.to_string()));
    }
    let mut damaged = synced.damaged;
    let incomplete = history.incomplete(walked.iter().map(|home| &home.user[..]));
    damaged.extend(incomplete.into_iter().cloned().map(RepoError::Incomplete));
    damaged.append(&mut damaged_now);
    let mut report = BackupReport::new(&walked, unopened, &records, started, damaged);
    report.vault = vaulted;
    if options.dry_run {
        report.outcome = Outcome::DryRun { bytes_new: report.bytes_new() };
        report.finished = Timestamp::now();
        return Ok(Attempt::Done(Box::new(report)));
    }
    let has_new_tags = |newest: &Summary| !options.tags.is_empty() && newest.tags != options.tags;
    let is_news = options.always
        || again.is_some()
        || history.newest().is_none()
        || history.newest().is_some_and(has_new_tags)
        || records.iter().any(|r| history.is_news(r));
    if is_news {
        if is_too_late(repository.store().list_delay(), since_boot().saturating_sub(began)) {
            let id = again.map_or_else(|| new_id(started), |again| again.id);
            return Ok(Attempt::Unsafe(Again { id, attempt: again.map_or(1, |again| again.attempt + 1) }));
        }
        let record = snapshot_record(options, started, records, &walked, &history, gc_seen, again);
        let committed = repository.commit(finished, record)?;
        // What a prune condemned before this look must not be relied on; what it condemns later, it spares,
        // since it lists the commits once more before it deletes anything.
        let Committed { id, bytes_stored, objects, .. } = committed;
        match repository.look(&committed.hash, &committed.deps) {
            Ok(()) => {}
            Err(RepoError::Condemned(_)) => {
                let attempt = again.map_or(1, |again| again.attempt + 1);
                return Ok(Attempt::Unsafe(Again { id, attempt }));
            }
            Err(error) => return Err(error.into()),
        }
        report.outcome = Outcome::Saved { id, bytes_stored, objects };
        remember(rows, &walked, &memory, &secrets.fingerprint(), |_| Some(committed.hash))?;
        // The snapshot stands; an image that could not be published is published by a later run.
        report.index_problem = repository.publish_index_if_due().err();
    } else {
        report.outcome = Outcome::Unchanged { id: history.newest().map(|s| s.id) };
        remember(rows, &walked, &memory, &secrets.fingerprint(), |user| {
            history.latest(user).map(|s| s.hash)
        })?;
    }
    report.finished = Timestamp::now();
    Ok(Attempt::Done(Box::new(report)))
}

/// What these homes held last time is the best guess of what is to come.
fn expect(meter: &Meter, homes: &OpenHomes, history: &History) {
    for (_, before) in homes.iter().filter_map(|(home, _)| history.holding(&home.user)) {
        Meter::add(&meter.files_expected, before.files);
        Meter::add(&meter.bytes_expected, before.bytes);
    }
}

/// How a run over the homes ended.
enum Attempt {
    /// As it should.
    Done(Box<BackupReport>),
    /// A prune that ran meanwhile condemned what the snapshot relies on. Its commit is there, and another one of
    /// the same snapshot has to take its place.
    Unsafe(Again),
}

/// Where listings can be old, a prune waits for so long before it deletes. What a run knows must be younger than
/// half of that when it commits, by a clock that also counts the time for which the machine was suspended.
fn is_too_late(list_delay: Duration, took: Duration) -> bool {
    !list_delay.is_zero() && took > list_delay / 2
}

fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Which attempt at which snapshot comes next.
#[derive(Debug, Clone, Copy)]
struct Again {
    id: SnapshotId,
    attempt: u32,
}

/// What earlier snapshots say of the homes that were found. Some of them may be built upon although some of their deps are
/// gone, or are on their way out: usually because a prune found that nothing needs these.
fn read_history(
    repository: &mut Repository,
    seen: &Seen,
    found: &[FoundHome],
    options: &BackupOptions,
    now: Timestamp,
) -> Result<History, BackupError> {
    let mut bases = HashSet::new();
    for home in found {
        bases.extend(seen.home(&options.source, &home.user)?.map(|home| home.base));
    }
    let users = found.iter().map(|home| &home.user[..]).collect();
    let asked = Asked { source: &options.source, users, bases, now };
    let segments = repository.reliable_segments()?;
    let mut history = History::read(repository, &asked, &segments)?;
    for snapshot in history.doubtful(&asked) {
        if let Some(deps) = repository.sound_deps(&snapshot)? {
            history.trust(snapshot.hash, deps);
        }
    }
    Ok(history)
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

/// The repository and its cache must not be saved into itself, nor its key beside what it protects.
fn own_inodes(repository: &Repository, options: &BackupOptions) -> HashSet<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let cache = repository.cache().to_path_buf();
    let paths = options.never.iter().chain([&cache]);
    paths.filter_map(|path| path.metadata().ok()).map(|own| (own.dev(), own.ino())).collect()
}

/// What is known before homes are walked.
struct Known<'a> {
    rules: &'a Rules,
    secrets: &'a SecretRules,
    history: &'a History,
    seen: &'a Seen,
    cache: &'a Path,
    vault: Option<&'a VaultRun>,
}

type OpenHomes = Vec<(Arc<Home>, std::os::fd::OwnedFd)>;

/// Finds out what is known of each home. Those that cannot be opened are returned apart.
fn open_homes(
    found: Vec<FoundHome>,
    options: &BackupOptions,
    known: &Known<'_>,
    rows: &Mutex<SeenWriter>,
) -> Result<(OpenHomes, Vec<(FoundHome, Problem)>), BackupError> {
    let (mut homes, mut unopened) = (Vec::new(), Vec::new());
    for mut home in found {
        if known.rules.decide_home(&home.path) != crate::files::rules::Verdict::Keep {
            continue;
        }
        match std::mem::replace(&mut home.root, Err(std::io::ErrorKind::Other.into())) {
            Ok((root, stat)) => {
                let key = lock(rows).home(&options.source, &home.user)?;
                homes.push((Arc::new(known.home(home, stat, options, key)?), root));
            }
            Err(error) => {
                let kind = ProblemKind::Unreadable(error.to_string());
                let problem = Problem { user: home.user.clone(), path: Vec::new(), kind };
                unopened.push((home, problem));
            }
        }
    }
    Ok((homes, unopened))
}

/// Whether a restore of the home runs, or was interrupted. An admin's word ends that.
fn is_half_restored(cache: &Path, home: &Home, options: &BackupOptions) -> bool {
    let marker = Marker::of(cache, &home.path);
    if options.confirmed.contains(&home.user) && !options.dry_run {
        marker.clear();
    }
    marker.is_set()
}

impl Known<'_> {
    /// Rows of the local index count only while the commit that has what they speak of exists.
    fn home(
        &self,
        found: FoundHome,
        stat: Stat,
        options: &BackupOptions,
        rows: HomeKey,
    ) -> Result<Home, BackupError> {
        let mut home = Home::new(found.user, found.path, stat, rows);
        if !options.cross_file_systems {
            home.mounts = homes::mounts_below(&home.path);
        }
        if let Some(SeenHome { key, base, rules }) = self.seen.home(&options.source, &home.user)?
            && self.history.has(&base)
        {
            home.seen = Some(key);
            home.seen_base = Some(base);
            home.has_other_rules = rules != self.secrets.fingerprint();
        }
        if let Some(vault) = self.vault {
            home.secrets = Mutex::new(vault.remembered(&home.user, self.seen)?);
        }
        home.is_half_restored = is_half_restored(self.cache, &home, options);
        // Rows say nothing where a file system got another device number; the last tree still does.
        if let Some((snapshot, record)) = self.history.holding(&home.user)
            && self.history.has(&snapshot.hash)
        {
            home.previous_base = Some(snapshot.hash);
            home.previous_s = (snapshot.record.time_ms / 1000, snapshot.record.finished_ms / 1000);
            home.previous = record.root.as_ref().and_then(|root| match root.kind {
                EntryKind::Directory(tree) => Some(tree),
                _ => None,
            });
        }
        Ok(home)
    }
}

/// Keeps what was seen, now that the snapshot `base` has all of it.
fn remember(
    rows: Mutex<SeenWriter>,
    walked: &[Arc<Home>],
    memory: &VaultMemory,
    rules: &[u8; 16],
    base: impl Fn(&[u8]) -> Option<Hash>,
) -> Result<(), BackupError> {
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    memory.keep(&mut rows)?;
    for home in walked {
        if let Some(base) = base(&home.user)
            && (home.has_new_rows.load(Ordering::Relaxed)
                || home.has_other_rules
                || home.seen_base != Some(base))
        {
            rows.finish_home(home.rows, &base, rules, &lock(&home.visited))?;
        }
    }
    Ok(rows.commit()?)
}
