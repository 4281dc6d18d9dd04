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
pub mod everyone;
pub(super) mod marker;
mod open_places;
mod plan;
mod prime;
mod report;
mod root;
mod secrets;
mod staging;
mod verify;
mod whose;
mod words;

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use marker::Marker;

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
    let context = context(options, &owners, meter, sources.len())?;
    let readers = repository.readers();
    // Held open, so that the threads find it made and in use.
    let _seen = if options.dry_run { None } else { Some(Seen::open(readers.cache())?) };
    let shared = Mutex::new((RestoreReport::default(), visit));
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    for_each(sources, at_once(options, sources.len()), meter, |source| {
        let (report, done) = restore_one(&readers, source, &context, &mut |change| lock().1(change));
        lock().0.add(report);
        match done {
            // One home's place that cannot be used costs no other home.
            Err(error @ (RestoreError::Target { .. } | RestoreError::NoPlace(_))) if sources.len() > 1 => {
                let kind = ProblemKind::Unrestored(words::chain(&error));
                lock().0.problems.push(problem(source, b"", kind));
                Ok(())
            }
            done => done,
        }
    })?;
    if meter.is_interrupted() {
        return Err(RestoreError::Interrupted);
    }
    let (mut report, _) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.problems.sort_by(|a, b| (&a.user, &a.path).cmp(&(&b.user, &b.path)));
    report.problems.extend(owners.failures().iter().map(lookup_problem));
    Ok(report)
}

/// Planning, finishing and telling the index are one thread's work for each tree, so several trees are
/// done at once; what a dry run tells is read from top to bottom.
fn at_once(options: &RestoreOptions, trees: usize) -> usize {
    if options.dry_run { 1 } else { options.threads.clamp(1, trees.max(1)) }
}

/// What the parts of a restore of so many trees share.
fn context<'a>(
    options: &'a RestoreOptions,
    owners: &'a Owners,
    meter: &'a Meter,
    trees: usize,
) -> Result<plan::Context<'a>, RestoreError> {
    Ok(plan::Context {
        threads: (options.threads / at_once(options, trees)).max(1),
        options,
        owners,
        meter,
        includes: plan::includes(&options.includes)?,
        excludes: plan::rules(&options.excludes)?,
    })
}

/// Does something for each item, several at once; the first error ends it.
fn for_each<T: Sync>(
    items: &[T],
    at_once: usize,
    meter: &Meter,
    work: impl Fn(&T) -> Result<(), RestoreError> + Sync,
) -> Result<(), RestoreError> {
    let next = AtomicUsize::new(0);
    let thread = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            let done = work(item);
            if done.is_err() || meter.is_interrupted() {
                next.store(items.len(), Ordering::Relaxed);
            }
            done?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(thread)).collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap_or(Err(RestoreError::Panicked)));
        results.fold(Ok(()), Result::and)
    })
}

/// Restores one tree. What was done is reported also when an error ended it.
fn restore_one(
    readers: &Readers,
    source: &RestoreSource,
    context: &plan::Context<'_>,
    visit: &mut dyn FnMut(&Change<'_>),
) -> (RestoreReport, Result<(), RestoreError>) {
    let mut report = RestoreReport::default();
    let done = restore_tree(readers, source, context, visit, &mut report);
    (report, done)
}

fn restore_tree(
    readers: &Readers,
    source: &RestoreSource,
    context: &plan::Context<'_>,
    visit: &mut dyn FnMut(&Change<'_>),
    report: &mut RestoreReport,
) -> Result<(), RestoreError> {
    let marker = marked(readers, source, context)?;
    let root = root::Root::open(source, context)?;
    let mut restorer = apply::Restorer::new(readers, source, context, root)?;
    restorer.run(visit, report)?;
    // Without its secrets, a home is not what it was.
    if let Some(marker) = marker.filter(|_| !report.is_vault_out_of_reach && !context.meter.is_interrupted())
    {
        marker.clear();
    }
    if !context.options.dry_run {
        if context.options.verify {
            verify::verify(readers, source, restorer.root(), context, report)?;
        }
        prime::prime(readers, source, restorer.root(), context)?;
    }
    Ok(())
}

/// Marks a home that is about to come back as a whole, until it is back: a backup must not take half of it for its state.
fn marked(
    readers: &Readers,
    source: &RestoreSource,
    context: &plan::Context<'_>,
) -> Result<Option<Marker>, RestoreError> {
    let options = context.options;
    let is_whole = source.path.is_empty()
        && source.entry.is_directory()
        && context.includes.is_none()
        && options.excludes.is_empty()
        && options.secrets == SecretsWanted::With;
    if !is_whole || options.dry_run {
        return Ok(None);
    }
    let home = match &options.target {
        RestoreTarget::InPlace => source.home_path.clone(),
        RestoreTarget::PerUser(path) => path.join(OsStr::from_bytes(&source.user)),
        RestoreTarget::Contents(path) => path.clone(),
    };
    let marker = Marker::of(readers.cache(), &home);
    marker.set(&home).map_err(|source| RestoreError::Marker { path: readers.cache().into(), source })?;
    Ok(Some(marker))
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
