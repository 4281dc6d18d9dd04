//! Brings homes, directories or files of a snapshot back: plan, then apply.
//!
//! The plan is made directory by directory, in portions, so that memory stays bounded: directories
//! are made at once, files are gathered and sorted by where their bytes lie, so that each block is
//! read and opened once. Then the portion's files are written by several threads. Hard links follow,
//! and last, deepest first, the directories get their owner, mode and times.
//!
//! Nothing is deleted unless asked, nothing newer than the snapshot is overwritten unless asked, and
//! what is done is told to a visitor before it is done, so that a dry run prints exactly the plan.

mod apply;
mod decide;
mod error;
mod open_places;
mod plan;
mod prime;
mod report;
mod root;
mod secrets;
mod verify;
mod words;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use decide::Overwrite;
pub use error::RestoreError;
pub use report::{Action, Change, RestoreReport};
pub use secrets::SecretsWanted;

use super::{Meter, Problem, ProblemKind};
use crate::codec::Hash;
use crate::files::metadata::SetuidPolicy;
use crate::files::owners::{LookupFailure, OwnerMap, OwnerMatch, Owners};
use crate::files::place::{IfMissing, Place};
use crate::format::Entry;
use crate::index::Seen;
use crate::repo::{Readers, Repository};
use crate::vault::Vault;

/// One tree to bring back.
#[derive(Debug, Clone)]
pub struct RestoreSource {
    /// The user whose home it is or is part of.
    pub user: Vec<u8>,
    /// Where it is in the home; empty for the whole home.
    pub path: Vec<u8>,
    /// The home's directory, a directory in it, or a single entry.
    pub entry: Entry,
    /// The home's own directory.
    pub home: Entry,
    /// Where the home was.
    pub home_path: PathBuf,
    /// The commit that has it.
    pub commit: Hash,
    /// When the snapshot was taken, milliseconds since 1970.
    pub time_ms: i64,
}

/// Where trees come back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTarget {
    /// Each home below this directory, under its user's name.
    PerUser(PathBuf),
    /// The contents of the one tree directly into this directory.
    Contents(PathBuf),
    /// Where they were.
    InPlace,
}

impl fmt::Display for RestoreTarget {
    /// The place, as a person would name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerUser(path) | Self::Contents(path) => write!(f, "{}", path.display()),
            Self::InPlace => f.write_str("the file system of the homes"),
        }
    }
}

/// How to restore.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// Where to.
    pub target: RestoreTarget,
    /// What to do with files that are there.
    pub overwrite: Overwrite,
    /// Remove what the snapshot does not have.
    pub delete: bool,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// Read everything back afterwards and compare.
    pub verify: bool,
    /// Only what matches one of these, in the syntax of excludes; everything if empty.
    pub includes: Vec<String>,
    /// Nothing that matches these.
    pub excludes: Vec<String>,
    /// Other owners than the recorded ones.
    pub owner_map: OwnerMap,
    /// Whether names or numbers decide who owns what.
    pub owner_match: OwnerMatch,
    /// Whether owners come back at all; without root they cannot.
    pub owners: bool,
    /// What becomes of setuid bits.
    pub setuid: SetuidPolicy,
    /// Bring back device files.
    pub devices: bool,
    /// Where the content of secret files is.
    pub vault: Option<Arc<Vault>>,
    /// Whether secrets come back, and whether anything else does.
    pub secrets: SecretsWanted,
    /// The logical machine, for the local index.
    pub source: String,
    /// Threads that write.
    pub threads: usize,
}

/// Restores trees, several at once. A file's failure is noted and the rest goes on; an error of the
/// repository or of the target itself ends the run, and running it again goes on where it ended.
pub fn restore(
    repository: &Repository,
    sources: &[RestoreSource],
    options: &RestoreOptions,
    meter: &Meter,
    visit: &mut (dyn FnMut(&Change<'_>) + Send),
) -> Result<RestoreReport, RestoreError> {
    let owners = Owners::new();
    // Planning, finishing and telling the index are one thread's work for each tree, so several trees are
    // done at once; what a dry run tells is read from top to bottom.
    let at_once = if options.dry_run { 1 } else { options.threads.clamp(1, sources.len().max(1)) };
    let context = plan::Context {
        threads: (options.threads / at_once).max(1),
        options,
        owners: &owners,
        meter,
        includes: plan::includes(&options.includes)?,
        excludes: plan::rules(&options.excludes)?,
    };
    let readers = repository.readers();
    // Held open, so that the threads find it made and in use.
    let _seen = if options.dry_run { None } else { Some(Seen::open(readers.cache())?) };
    let next = AtomicUsize::new(0);
    let shared = Mutex::new((RestoreReport::default(), visit));
    let work = || {
        while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
            let done = match restore_one(&readers, source, &context, &shared) {
                // One home's place that cannot be used costs no other home.
                Err(error @ (RestoreError::Target { .. } | RestoreError::NoPlace(_)))
                    if sources.len() > 1 =>
                {
                    let kind = ProblemKind::Unrestored(words::chain(&error));
                    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    shared.0.problems.push(problem(source, b"", kind));
                    Ok(())
                }
                done => done,
            };
            if done.is_err() || meter.is_interrupted() {
                next.store(sources.len(), Ordering::Relaxed);
            }
            done?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap_or(Err(RestoreError::Panicked)));
        results.fold(Ok(()), Result::and)
    })?;
    if meter.is_interrupted() {
        return Err(RestoreError::Interrupted);
    }
    let (mut report, _) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.problems.sort_by(|a, b| (&a.user, &a.path).cmp(&(&b.user, &b.path)));
    report.problems.extend(owners.failures().iter().map(lookup_problem));
    Ok(report)
}

/// What the threads of a restore share: the report so far, and whom to tell of each change.
type Shared<'v> = Mutex<(RestoreReport, &'v mut (dyn FnMut(&Change<'_>) + Send))>;

fn restore_one(
    readers: &Readers,
    source: &RestoreSource,
    context: &plan::Context<'_>,
    shared: &Shared<'_>,
) -> Result<(), RestoreError> {
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let mut report = RestoreReport::default();
    let root = root::Root::open(source, context)?;
    let mut restorer = apply::Restorer::new(readers, source, context, root)?;
    let result = restorer.run(&mut |change| lock().1(change), &mut report);
    if result.is_ok() && !context.options.dry_run {
        if context.options.verify {
            verify::verify(readers, source, restorer.root(), context, &mut report)?;
        }
        prime::prime(readers, source, restorer.root(), context)?;
    }
    lock().0.add(report);
    result
}

/// Opens a directory that the administrator named.
fn open_target(path: &std::path::Path) -> Result<Place, RestoreError> {
    Place::open_target(path, IfMissing::Create)
        .map_err(|source| RestoreError::Target { path: path.into(), source })
}

/// "No such account" and "could not ask" must stay different things: after the second, owners may be wrong.
fn lookup_problem(failure: &LookupFailure) -> Problem {
    Problem { user: Vec::new(), path: Vec::new(), kind: ProblemKind::AccountLookup(words::chain(failure)) }
}

/// A problem with an entry of this tree. A single entry's own name is the end of the source's path.
fn problem(source: &RestoreSource, path: &[u8], kind: ProblemKind) -> Problem {
    let mut full = source.path.clone();
    if !source.entry.is_directory() {
        return Problem { user: source.user.clone(), path: full, kind };
    }
    if !full.is_empty() && !path.is_empty() {
        full.push(b'/');
    }
    full.extend_from_slice(path);
    Problem { user: source.user.clone(), path: full, kind }
}
