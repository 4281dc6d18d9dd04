//! What came of each home when everyone is restored, and what is told meanwhile.

use std::path::PathBuf;
use std::time::Duration;

use super::super::RestoreReport;
use crate::engine::Problem;
use crate::files::owners::Ids;

/// What a restore of everyone came to.
#[derive(Debug)]
pub struct EveryoneReport {
    /// Each home, in the order of the sources.
    pub homes: Vec<HomeReport>,
    /// Whether somebody asked to stop before all was done.
    pub is_interrupted: bool,
}

/// What came of one home.
#[derive(Debug, Default)]
pub struct HomeReport {
    /// How it ended.
    pub outcome: HomeOutcome,
    /// The account that it belongs to here; none where a number is all that counts.
    pub account: Option<String>,
    /// Whether the account was made, or in a dry run would be.
    pub is_created: bool,
    /// What was done in it.
    pub report: RestoreReport,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HomeOutcome {
    /// It was not its turn before somebody asked to stop, or it was not finished.
    #[default]
    Unfinished,
    /// It is back.
    Restored,
    /// It is back, but for what the problems name.
    Incomplete,
    /// It is not, and this is why.
    Failed(String),
    /// Its user has no account here, and nothing was done. If an account was to be made, why it was not.
    NoAccount(Option<String>),
    /// Its user has no account here, and it waits in this folder.
    Staged(PathBuf),
}

/// What is told meanwhile.
#[derive(Debug, Clone, Copy)]
pub enum Happening<'a> {
    /// An account was made, with these numbers; in a dry run, it would be.
    Created {
        /// Its name.
        name: &'a str,
        /// Its numbers.
        ids: Option<Ids>,
    },
    /// These accounts are waited for.
    Waiting {
        /// Their names.
        names: &'a [&'a str],
        /// How long at most.
        left: Duration,
    },
}

impl EveryoneReport {
    /// Everything that went wrong with single entries.
    pub fn problems(&self) -> Vec<Problem> {
        self.homes.iter().flat_map(|home| home.report.problems.iter().cloned()).collect()
    }

    /// How many homes ended so.
    pub fn count(&self, is_so: impl Fn(&HomeOutcome) -> bool) -> usize {
        self.homes.iter().filter(|home| is_so(&home.outcome)).count()
    }
}

impl HomeReport {
    pub(super) fn is_without_account(&mut self, name: &str, why: Option<String>) {
        self.account = Some(name.to_owned());
        self.outcome = HomeOutcome::NoAccount(why);
    }

    pub(super) fn is_ready(&mut self, name: &str, is_created: bool) {
        self.account = Some(name.to_owned());
        self.is_created = is_created;
        self.outcome = HomeOutcome::Unfinished;
    }
}
