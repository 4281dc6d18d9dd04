//! Which entries of a home a snapshot leaves out. Pure: knows names and the bytes of ignore files, opens nothing.
//!
//! Patterns are written as in a `.gitignore`: without `/` they match a name at any depth; with `/`
//! they are relative to the home (to its own directory, for an ignore file); `dir/` matches
//! directories only; `!` keeps what an earlier pattern of the same list leaves out; in a list the
//! last match decides. Nothing below a directory that is left out is looked at.
//! A pattern of the run that begins with `/` and a name is tried against the home's absolute path as
//! well, so that `/home/*/scratch` and `/scratch` mean the same in `/home/ann`.
//!
//! Where lists disagree, the first of these that has a match decides:
//! 1. the run: `--iexclude`, then `--exclude`, then `--exclude-file`. What an operator says holds,
//!    whatever a file in a home says;
//! 2. the ignore files, the deepest first, and `.homekeepignore` before `.gitignore`;
//! 3. the defaults, which anyone may overrule.

mod defaults;
mod glob;
mod list;
mod marker;
mod options;
mod pattern;
mod pattern_file;
mod scope;
mod secrets;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use defaults::{DefaultRule, default_rules};
pub use glob::PatternError;
pub use marker::Marker;
pub use options::RuleOptions;
pub use pattern_file::{MAX_IGNORE_BYTES, PatternFile};
pub use scope::Scope;
pub use secrets::{
    LOOK_LEN, MAX_LOOKED_INTO, Secrecy, SecretOptions, SecretRules, SecretScope, default_secret_rules,
    looks_secret,
};

use list::{Level, PatternList};
use pattern::Case;

/// What to leave out, compiled. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rules {
    /// In the order in which they decide.
    run: Arc<[Arc<PatternList>]>,
    defaults: Option<Arc<PatternList>>,
    ignore_file_names: Arc<[OsString]>,
    markers: Arc<[Arc<Marker>]>,
    larger_than: Option<u64>,
}

impl Rules {
    /// Reads the patterns of a run. One that cannot be used fails it: the run would store what it was told not to.
    pub fn new(options: &RuleOptions) -> Result<Self, RuleError> {
        Ok(Self {
            run: run_lists(options)?.into(),
            defaults: options.default_excludes.then(default_list).transpose()?,
            ignore_file_names: ignore_file_names(options)?.into(),
            markers: markers(options)?.into(),
            larger_than: options.exclude_larger_than,
        })
    }

    /// Where a walk begins. `home_path` is absolute; its own ignore files are yet to be added.
    pub fn home(&self, home_path: &Path) -> Scope {
        let run = self.run.iter().map(|list| (list.clone(), list.start_in(home_path)));
        let defaults = self.defaults.iter().map(|list| (list.clone(), list.start()));
        Scope::new(run.chain(defaults).collect())
    }

    /// Whether a home is saved at all: a pattern of the run may be its absolute path.
    pub fn decide_home(&self, home_path: &Path) -> Verdict {
        let verdict = self.run.iter().find_map(|list| list.decide_home(home_path));
        verdict.unwrap_or(Verdict::Keep)
    }

    /// Whether a file of `size` bytes exceeds `--exclude-larger-than`; the reason is [`Reason::LargerThan`].
    pub fn too_large(&self, size: u64) -> bool {
        self.larger_than.is_some_and(|limit| size > limit)
    }

    /// The limit of [`Rules::too_large`], in bytes.
    pub fn larger_than(&self) -> Option<u64> {
        self.larger_than
    }

    /// Files whose bytes belong into [`Scope::with_ignore_files`], in the order in which to give them.
    pub fn ignore_file_names(&self) -> &[OsString] {
        &self.ignore_file_names
    }

    /// Names whose presence empties a directory. For each that is there and [`Marker::is_proven_by`]
    /// its first bytes, go on with [`Scope::marked`].
    pub fn markers(&self) -> &[Arc<Marker>] {
        &self.markers
    }
}

/// What happens to an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is saved.
    Keep,
    /// It is left out, and everything below it.
    Exclude(Reason),
}

/// Why an entry is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A pattern matched.
    Rule(Arc<Rule>),
    /// Its directory holds this file.
    Marker(Arc<Marker>),
    /// It exceeds the limit, in bytes.
    LargerThan(u64),
}

/// A pattern that was read, as a person knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Where it stands.
    pub origin: Origin,
    /// As it was written.
    pub pattern: String,
    /// What it is for, where homekeep brought it.
    pub purpose: Option<&'static str>,
}

/// Where a pattern stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In [`default_rules`].
    Default,
    /// After this flag, or in the configuration under the flag's name.
    Flag(&'static str),
    /// In this line, counted from 1, of this file.
    Line(PathBuf, usize),
}

/// Something a run was told to leave out, and cannot. For an ignore file in a home it is a warning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A pattern is no pattern.
    #[error("{pattern:?} ({origin}) is not a usable pattern")]
    Pattern {
        /// As it was written.
        pattern: String,
        /// Where it stands.
        origin: Origin,
        /// Why.
        source: PatternError,
    },
    /// What should be the name of a file is none.
    #[error("{text:?} ({origin}) is not a file name")]
    FileName {
        /// As it was written.
        text: String,
        /// Where it stands.
        origin: Origin,
    },
    /// A directory's ignore files, and those above it, are too long to be heeded.
    #[error(
        "{} was not heeded: with the ignore files above it, it is longer than {MAX_IGNORE_BYTES} bytes",
        .file.display()
    )]
    TooLong {
        /// The file.
        file: PathBuf,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag(flag) => f.write_str(flag),
            Self::Line(file, line) => write!(f, "{}:{line}", file.display()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => match rule.purpose {
                Some(purpose) => write!(f, "{} ({}: {purpose})", rule.pattern, rule.origin),
                None => write!(f, "{} ({})", rule.pattern, rule.origin),
            },
            Self::Marker(marker) => write!(f, "{} is beside it", marker.name.display()),
            Self::LargerThan(limit) => write!(f, "larger than {limit} bytes"),
        }
    }
}

/// A flag's patterns are taken as they are; `#` begins a comment only in a file.
fn run_lists(options: &RuleOptions) -> Result<Vec<Arc<PatternList>>, RuleError> {
    let mut exact = PatternList::new(Level::Run, Case::Sensitive);
    for file in &options.exclude_files {
        for (origin, line) in file.patterns() {
            exact.push(line, origin, None)?;
        }
    }
    for pattern in &options.excludes {
        exact.push(pattern.as_bytes(), Origin::Flag("--exclude"), None)?;
    }
    let mut folded = PatternList::new(Level::Run, Case::Ignored);
    for pattern in &options.iexcludes {
        folded.push(pattern.as_bytes(), Origin::Flag("--iexclude"), None)?;
    }
    Ok([folded, exact].into_iter().filter(|list| !list.is_empty()).map(Arc::new).collect())
}

fn default_list() -> Result<Arc<PatternList>, RuleError> {
    let mut list = PatternList::new(Level::Default, Case::Sensitive);
    for rule in default_rules() {
        list.push(rule.pattern.as_bytes(), Origin::Default, Some(rule.reason))?;
    }
    Ok(Arc::new(list))
}

/// The later of two files in a directory decides first, so ours comes last.
fn ignore_file_names(options: &RuleOptions) -> Result<Vec<OsString>, RuleError> {
    let git = options.git_ignore.then_some(pattern_file::GIT_IGNORE);
    let names = git.into_iter().chain(options.ignore_file_name.as_deref());
    names.map(|name| file_name(name, name, Origin::Flag("--ignore-file-name"))).collect()
}

fn markers(options: &RuleOptions) -> Result<Vec<Arc<Marker>>, RuleError> {
    let cache = options.exclude_caches.then(Marker::cache_directory);
    let named = options.exclude_if_present.iter().map(|text| {
        let (name, header) = text.split_once(':').unwrap_or((text, ""));
        let name = file_name(name, text, Origin::Flag("--exclude-if-present"))?;
        Ok(Marker { name, header: header.into() })
    });
    cache.into_iter().map(Ok).chain(named).map(|marker| marker.map(Arc::new)).collect()
}

fn file_name(name: &str, text: &str, origin: Origin) -> Result<OsString, RuleError> {
    if Path::new(name).file_name() == Some(OsStr::new(name)) {
        Ok(name.into())
    } else {
        Err(RuleError::FileName { text: text.into(), origin })
    }
}

#[cfg(test)]
mod equivalence;
#[cfg(test)]
mod tests;
