//! What a search asks for. Knows one entry and the way to it at a time.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use jiff::Timestamp;

use crate::engine::{HomePath, Kind};
use crate::files::rules::{PatternError, RuleError, RuleOptions, Rules, Scope, Verdict};
use crate::format::Entry;

/// What to look for. An entry must meet everything that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FindOptions {
    /// Patterns as for `--exclude`: a name at any depth, or a path from the home if it has a `/`.
    /// Any of them may match; `!` takes back what an earlier one matched.
    pub patterns: Vec<String>,
    /// The same, with upper and lower case taken for each other.
    pub ipatterns: Vec<String>,
    /// Look below this directory only.
    pub below: HomePath,
    /// One of these kinds; any if there are none.
    pub kinds: Vec<Kind>,
    /// Files of more bytes.
    pub larger_than: Option<u64>,
    /// Files of fewer bytes.
    pub smaller_than: Option<u64>,
    /// Modified after this.
    pub newer_than: Option<Timestamp>,
    /// Modified before this.
    pub older_than: Option<Timestamp>,
}

/// A pattern cannot be searched for.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It is no pattern.
    #[error("{pattern:?} is not a usable pattern")]
    Pattern {
        /// As it was written.
        pattern: String,
        /// Why.
        source: PatternError,
    },
    /// It cannot be used for another reason.
    #[error(transparent)]
    Rule(RuleError),
}

impl From<RuleError> for QueryError {
    /// The flag that exclude rules name is not the one that was typed here.
    fn from(error: RuleError) -> Self {
        match error {
            RuleError::Pattern { pattern, source, .. } => Self::Pattern { pattern, source },
            other => Self::Rule(other),
        }
    }
}

/// What to look for, ready to be tried on entries.
#[derive(Debug, Clone)]
pub struct Query {
    rules: Rules,
    options: FindOptions,
}

impl Query {
    /// Reads the patterns.
    pub fn new(options: FindOptions) -> Result<Self, QueryError> {
        let rules = Rules::new(&RuleOptions {
            excludes: options.patterns.clone(),
            iexcludes: options.ipatterns.clone(),
            default_excludes: false,
            ignore_file_name: None,
            ..RuleOptions::default()
        })?;
        Ok(Self { rules, options })
    }

    /// Where the search begins in a home.
    pub fn below(&self) -> &HomePath {
        &self.options.below
    }

    /// The patterns as they stand where the search begins in the home that was at `home`.
    pub(super) fn scope(&self, home: &[u8]) -> Scope {
        let scope = self.rules.home(Path::new(OsStr::from_bytes(home)));
        self.options.below.components().fold(scope, |scope, name| scope.enter(OsStr::from_bytes(name)))
    }

    /// Whether an entry of the directory that `scope` belongs to is looked for.
    pub(super) fn matches(&self, scope: &Scope, entry: &Entry) -> bool {
        let has_no_pattern = self.options.patterns.is_empty() && self.options.ipatterns.is_empty();
        self.is_kind(entry)
            && self.is_size(entry)
            && self.is_time(entry)
            && (has_no_pattern
                || scope.decide(OsStr::from_bytes(&entry.name), entry.is_directory()) != Verdict::Keep)
    }

    fn is_kind(&self, entry: &Entry) -> bool {
        self.options.kinds.is_empty() || self.options.kinds.contains(&Kind::of(entry))
    }

    /// Only files have a size to compare.
    fn is_size(&self, entry: &Entry) -> bool {
        let FindOptions { larger_than, smaller_than, .. } = self.options;
        if larger_than.is_none() && smaller_than.is_none() {
            return true;
        }
        Kind::of(entry) == Kind::File
            && larger_than.is_none_or(|limit| entry.size() > limit)
            && smaller_than.is_none_or(|limit| entry.size() < limit)
    }

    fn is_time(&self, entry: &Entry) -> bool {
        let modified = (entry.mtime_s, i64::from(entry.mtime_ns));
        // Before 1970 a timestamp's fraction counts back from the second, an entry's always forward.
        let parts = |time: Timestamp| {
            let (seconds, nanos) = (time.as_second(), i64::from(time.subsec_nanosecond()));
            if nanos < 0 { (seconds - 1, nanos + 1_000_000_000) } else { (seconds, nanos) }
        };
        self.options.newer_than.is_none_or(|time| modified > parts(time))
            && self.options.older_than.is_none_or(|time| modified < parts(time))
    }
}
