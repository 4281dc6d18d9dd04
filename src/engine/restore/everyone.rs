//! Brings everyone back: each home by itself, whatever becomes of the others. Users who have no account on this
//! machine are made, waited for, staged, or left and told; nobody's files go to a stranger.

mod missing;
mod report;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use report::{EveryoneReport, Happening, HomeOutcome, HomeReport};

use super::whose::{Absent, Standing, standing};
use super::{
    Change, Overwrite, RestoreError, RestoreOptions, RestoreReport, RestoreSource, RestoreTarget,
    SecretsWanted, apply, at_once, context, for_each, restore_one, staging, words,
};
use crate::engine::Meter;
use crate::files::accounts::Account;
use crate::files::owners::Owners;
use crate::index::Seen;
use crate::repo::{Readers, Repository};

/// What is done about users who have no account here.
#[derive(Debug, Clone, Copy, Default)]
pub struct MissingUsers {
    /// Make the accounts.
    pub create: bool,
    /// Look for them again until so much time has gone by since the restore began.
    pub wait: Option<Duration>,
    /// Put their homes where only root may enter, for a later run to move them into place.
    pub stage: bool,
}

/// Restores each of these homes, one a user. What is wrong with one ends no other: it is in that one's report.
pub fn restore_everyone(
    repository: &Repository,
    sources: &[RestoreSource],
    options: &RestoreOptions,
    missing: MissingUsers,
    meter: &Meter,
    tell: &mut (dyn Tell + Send),
) -> Result<EveryoneReport, RestoreError> {
    let started = Instant::now();
    // A pattern that is none is said before anything is done.
    context(options, &Owners::new(), meter, sources.len())?;
    let readers = repository.readers();
    // Held open, so that the threads find it made and in use.
    let _seen = if options.dry_run { None } else { Some(Seen::open(readers.cache())?) };
    let staged_options = RestoreOptions {
        secrets: SecretsWanted::Without,
        owners: false,
        overwrite: Overwrite::IfChanged,
        delete: true,
        ..options.clone()
    };
    let run = Run {
        readers: &readers,
        sources,
        options,
        staged_options: &staged_options,
        meter,
        tell: Mutex::new(tell),
        homes: Mutex::new(sources.iter().map(|_| HomeReport::default()).collect()),
    };
    run.everything(missing, started)?;
    let homes = run.homes.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(EveryoneReport { homes, is_interrupted: meter.is_interrupted() })
}

/// Whoever is told what happens.
pub trait Tell {
    /// An entry, before it is changed.
    fn change(&mut self, change: &Change<'_>);
    /// Something that concerns whole homes.
    fn happening(&mut self, happening: &Happening<'_>);
}

/// Homes, by position, whose accounts are not there.
type AbsentHomes = Vec<(usize, Absent)>;

struct Run<'r> {
    readers: &'r Readers,
    sources: &'r [RestoreSource],
    options: &'r RestoreOptions,
    /// Files of a staged home belong to nobody yet, and the vault keeps its secrets until they do.
    staged_options: &'r RestoreOptions,
    meter: &'r Meter,
    tell: Mutex<&'r mut (dyn Tell + Send)>,
    /// In the order of the sources.
    homes: Mutex<Vec<HomeReport>>,
}

impl Run<'_> {
    fn everything(&self, missing: MissingUsers, started: Instant) -> Result<(), RestoreError> {
        let (mut ready, mut absent) = self.sort_out()?;
        if missing.create {
            ready.extend(self.create(&mut absent));
            ready.sort_unstable();
        }
        self.restore(&ready)?;
        if missing.stage && !self.options.dry_run && self.options.secrets != SecretsWanted::Only {
            self.stage(&absent)?;
        }
        if let Some(limit) = missing.wait.filter(|_| !self.options.dry_run) {
            self.wait(absent, started, limit)?;
        }
        if !self.options.dry_run {
            staging::tidy(self.sources, self.options);
        }
        Ok(())
    }

    /// Whose accounts are there, and whose are not.
    fn sort_out(&self) -> Result<(Vec<usize>, AbsentHomes), RestoreError> {
        let mut reader = self.readers.reader()?;
        let (mut ready, mut absent) = (Vec::new(), Vec::new());
        for (index, source) in self.sources.iter().enumerate() {
            match standing(source, self.options, &mut reader) {
                Ok(Standing::ByNumber) => ready.push(index),
                Ok(Standing::Here(name, account)) => {
                    self.note_account(index, &name, &account);
                    ready.push(index);
                }
                Ok(Standing::Missing(who)) => {
                    self.set(index, |home| home.is_without_account(&who.name, None));
                    absent.push((index, who));
                }
                Ok(Standing::Stranger(number, holder)) => self.fail(
                    index,
                    format!(
                        "the snapshot has no name for its owner, the number {number}, which belongs to {holder:?} \
                         here; --owner-map {number}=NAME says whose it is"
                    ),
                ),
                Ok(Standing::Unknown(failure)) => self.fail(index, words::chain(&failure)),
                Err(error) => self.fail(index, words::chain(&error)),
            }
        }
        Ok((ready, absent))
    }

    /// Remembers whose it is, and says so if they will look for it somewhere else.
    fn note_account(&self, index: usize, name: &str, account: &Account) {
        let source = &self.sources[index];
        let place = self.place(source);
        self.set(index, |home| {
            home.account = Some(name.to_owned());
            if *self.target() == RestoreTarget::InPlace
                && name.as_bytes() == source.user
                && account.home != place
            {
                home.report.owner_notes.insert(format!(
                    "the home of {name:?} is {} by the accounts of this machine, and comes back to {}",
                    account.home.display(),
                    place.display()
                ));
            }
        });
    }

    /// Restores homes into their places.
    fn restore(&self, indices: &[usize]) -> Result<(), RestoreError> {
        let owners = Owners::new();
        let context = context(self.options, &owners, self.meter, indices.len())?;
        self.each(indices, |index| {
            let source = &self.sources[index];
            let mut visit = |change: &Change<'_>| self.told(|tell| tell.change(change));
            let (report, done) = restore_one(self.readers, source, &context, &mut visit);
            if done.is_ok() && report.is_complete() && !self.options.dry_run {
                staging::remove(source, self.options);
            }
            self.finished(index, report, done, |report| match report.is_complete() {
                true => HomeOutcome::Restored,
                false => HomeOutcome::Incomplete,
            })
        })?;
        // One account that cannot be asked may concern any of them.
        let failures = owners.failures();
        if let Some(home) = indices.first() {
            self.set(*home, |home| {
                home.report.problems.extend(failures.iter().map(super::lookup_problem));
            });
        }
        Ok(())
    }

    /// Puts homes where only root may enter.
    fn stage(&self, absent: &[(usize, Absent)]) -> Result<(), RestoreError> {
        let owners = Owners::new();
        let context = context(self.staged_options, &owners, self.meter, absent.len())?;
        let indices: Vec<usize> = absent.iter().map(|(index, _)| *index).collect();
        self.each(&indices, |index| {
            let source = &self.sources[index];
            let mut visit = |change: &Change<'_>| self.told(|tell| tell.change(change));
            let mut report = RestoreReport::default();
            let mut place = PathBuf::new();
            let mut work = || -> Result<(), RestoreError> {
                let (root, path) = staging::make(source, self.options)?;
                place = path;
                apply::Restorer::unstaged(self.readers, source, &context, root)?.run(&mut visit, &mut report)
            };
            let done = work();
            self.finished(index, report, done, |report| match report.is_complete() {
                true => HomeOutcome::Staged(place),
                false => HomeOutcome::Incomplete,
            })
        })
    }

    /// Several at once.
    fn each(
        &self,
        indices: &[usize],
        work: impl Fn(usize) -> Result<(), RestoreError> + Sync,
    ) -> Result<(), RestoreError> {
        match for_each(indices, at_once(self.options, indices.len()), self.meter, |index| work(*index)) {
            // What was done stands in the report.
            Err(RestoreError::Interrupted) => Ok(()),
            done => done,
        }
    }

    /// Writes down what came of one home. Only being told to stop ends the others.
    fn finished(
        &self,
        index: usize,
        report: RestoreReport,
        done: Result<(), RestoreError>,
        outcome: impl FnOnce(&RestoreReport) -> HomeOutcome,
    ) -> Result<(), RestoreError> {
        let outcome = match &done {
            Ok(()) => outcome(&report),
            Err(RestoreError::Interrupted) => HomeOutcome::Unfinished,
            Err(error) => HomeOutcome::Failed(words::chain(error)),
        };
        self.set(index, |home| {
            // What was staged before is no part of what came back.
            if let HomeOutcome::Staged(_) = home.outcome {
                let owner_notes = std::mem::take(&mut home.report.owner_notes);
                home.report = RestoreReport { owner_notes, ..RestoreReport::default() };
            }
            home.report.add(report);
            home.outcome = outcome;
        });
        match done {
            Err(RestoreError::Interrupted) => Err(RestoreError::Interrupted),
            _ => Ok(()),
        }
    }

    /// Looks for accounts until all are there or time is up. Those who came are restored meanwhile.
    fn wait(&self, mut absent: AbsentHomes, started: Instant, limit: Duration) -> Result<(), RestoreError> {
        let mut seen_before = HashSet::new();
        let mut is_told = false;
        while !absent.is_empty() && !self.meter.is_interrupted() {
            let came = missing::those_who_came(&absent, &mut seen_before);
            for (index, name, account) in &came {
                self.note_account(*index, name, account);
            }
            let came: Vec<usize> = came.into_iter().map(|(index, ..)| index).collect();
            absent.retain(|(index, _)| !came.contains(index));
            self.restore(&came)?;
            let left = limit.saturating_sub(started.elapsed());
            if absent.is_empty() || (left.is_zero() && seen_before.is_empty()) {
                break;
            }
            if !is_told {
                let names: Vec<&str> = absent.iter().map(|(_, who)| who.name.as_str()).collect();
                self.told(|tell| tell.happening(&Happening::Waiting { names: &names, left }));
                is_told = true;
            }
            missing::pause(self.meter);
        }
        Ok(())
    }

    /// Makes accounts; those whose number is still free come first, before others take it.
    fn create(&self, absent: &mut AbsentHomes) -> Vec<usize> {
        let places: Vec<PathBuf> =
            absent.iter().map(|(index, _)| self.place(&self.sources[*index])).collect();
        let (mut made, mut names) = (HashSet::new(), HashSet::new());
        for (number, created) in missing::create(absent, &places, self.options.dry_run, self.meter) {
            let (index, who) = &absent[number];
            match created {
                Ok(account) => {
                    made.insert(*index);
                    // Two homes may be one account's.
                    let is_first = names.insert(who.name.clone());
                    self.set(*index, |home| home.is_ready(&who.name, is_first));
                    if !is_first {
                        continue;
                    }
                    let ids = account.map(|account| account.ids);
                    self.told(|tell| tell.happening(&Happening::Created { name: &who.name, ids }));
                }
                Err(error) => {
                    let why = words::chain(&error);
                    self.set(*index, |home| home.is_without_account(&who.name, Some(why)));
                }
            }
        }
        absent.retain(|(index, _)| !made.contains(index));
        made.into_iter().collect()
    }

    /// Where a home comes back to.
    fn place(&self, source: &RestoreSource) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        match self.target() {
            RestoreTarget::PerUser(path) => {
                let path = path.join(std::ffi::OsStr::from_bytes(&source.user));
                std::path::absolute(&path).unwrap_or(path)
            }
            RestoreTarget::Contents(path) => path.clone(),
            RestoreTarget::InPlace => Path::to_path_buf(&source.home_path),
        }
    }

    fn target(&self) -> &RestoreTarget {
        &self.options.target
    }

    fn fail(&self, index: usize, why: String) {
        self.set(index, |home| home.outcome = HomeOutcome::Failed(why));
    }

    fn set(&self, index: usize, change: impl FnOnce(&mut HomeReport)) {
        change(&mut self.homes.lock().unwrap_or_else(PoisonError::into_inner)[index]);
    }

    fn told(&self, say: impl FnOnce(&mut dyn Tell)) {
        say(&mut **self.tell.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
