//! The patterns of one source, compiled so that names are looked up rather than tried. Knows no other source.
//!
//! A run in which nothing changed asks this for every entry of every home. Patterns without `/` are a
//! hash lookup, or two comparisons of bytes. Patterns with `/` advance component by component as the
//! walk enters directories, so that no path is ever built and an entry is compared only with those
//! patterns that its directory has already matched up to their last component.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::glob::NameGlob;
use super::pattern::{Case, Component, Pattern, Shape};
use super::{Origin, Reason, Rule, RuleError, Verdict};

/// Who wrote a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Run,
    IgnoreFile,
    GitIgnore,
    Default,
}

/// Patterns in the order in which they were written: the last that matches decides.
#[derive(Debug)]
pub(super) struct PatternList {
    pub(super) level: Level,
    case: Case,
    rules: Vec<Compiled>,
    /// Name → rules, ascending.
    literals: HashMap<Box<[u8]>, Vec<usize>>,
    /// With their rules, ascending.
    globs: Vec<(NameGlob, usize)>,
    paths: Vec<(Box<[Component]>, usize)>,
}

#[derive(Debug)]
struct Compiled {
    rule: Arc<Rule>,
    negated: bool,
    directories_only: bool,
    anchored: bool,
}

/// How far a list's patterns with `/` have matched the way to a directory.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// What to compare with a directory that is entered.
    positions: Vec<Position>,
    /// Indexes of the patterns of which only the last component is open.
    closing: Vec<usize>,
}

/// The component of a pattern with `/` that is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    path: usize,
    component: usize,
}

impl Position {
    fn next(self) -> Self {
        Self { component: self.component + 1, ..self }
    }
}

impl PatternList {
    pub(super) fn new(level: Level, case: Case) -> Self {
        Self { level, case, rules: vec![], literals: HashMap::new(), globs: vec![], paths: vec![] }
    }

    /// Adds a pattern, which decides over those before it.
    pub(super) fn push(
        &mut self,
        text: &[u8],
        origin: Origin,
        purpose: Option<&'static str>,
    ) -> Result<(), RuleError> {
        let written = String::from_utf8_lossy(text).into_owned();
        let Pattern { negated, directories_only, anchored, shapes } = match Pattern::parse(text, self.case) {
            Ok(pattern) => pattern,
            Err(source) => return Err(RuleError::Pattern { pattern: written, origin, source }),
        };
        let index = self.rules.len();
        for shape in shapes {
            match shape {
                Shape::Name(NameGlob::Literal(name)) => self.literals.entry(name).or_default().push(index),
                Shape::Name(glob) => self.globs.push((glob, index)),
                Shape::Path(components) => self.paths.push((components, index)),
            }
        }
        let rule = Arc::new(Rule { origin, pattern: written, purpose });
        self.rules.push(Compiled { rule, negated, directories_only, anchored });
        Ok(())
    }

    /// To git, `*` does not mean its own folder, where unpushed commits are.
    pub(super) fn is_about(&self, name: &[u8]) -> bool {
        self.level != Level::GitIgnore || name != b".git"
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The progress in the directory that the list belongs to.
    pub(super) fn start(&self) -> Progress {
        self.progress((0..self.paths.len()).map(|path| Position { path, component: 0 }).collect())
    }

    /// The progress in a home, for a list whose anchored patterns may also begin at the root.
    pub(super) fn start_in(&self, home_path: &Path) -> Progress {
        let mut positions = self.start().positions;
        let at_root = self.start_at_root();
        let in_home = components(home_path).fold(at_root, |progress, name| self.enter(&progress, name));
        positions.extend(in_home.positions);
        self.progress(positions)
    }

    /// The progress in a directory below.
    pub(super) fn enter(&self, progress: &Progress, name: &[u8]) -> Progress {
        if progress.positions.is_empty() {
            return Progress::default();
        }
        let name = self.case.fold(name);
        let advance = |position: &Position| match self.component(*position)? {
            Component::AnyDepth => Some(*position),
            Component::Name(glob) => glob.matches(&name).then(|| position.next()),
        };
        self.progress(progress.positions.iter().filter_map(advance).collect())
    }

    /// The decision for an entry of a directory, if any pattern matches.
    pub(super) fn decide(&self, name: &[u8], is_directory: bool, progress: &Progress) -> Option<Verdict> {
        let name = self.case.fold(name);
        let applies = |rule: &usize| is_directory || !self.rules[*rule].directories_only;
        let literal = self.literals.get(&*name).and_then(|rules| rules.iter().rev().copied().find(applies));
        let glob = self.globs.iter().rev().find(|(glob, rule)| glob.matches(&name) && applies(rule));
        let path = self.closing_rule(&name, is_directory, progress);
        let last = literal.max(glob.map(|(_, rule)| *rule)).max(path)?;
        Some(self.verdict(last))
    }

    /// The decision for a home itself. Not for a directory above it: `/data` more likely means `~/data`
    /// than every home in `/data`.
    pub(super) fn decide_home(&self, home_path: &Path) -> Option<Verdict> {
        let parent = home_path.parent()?;
        let above =
            components(parent).fold(self.start_at_root(), |progress, name| self.enter(&progress, name));
        let name = self.case.fold(home_path.file_name()?.as_bytes());
        self.closing_rule(&name, true, &above).map(|rule| self.verdict(rule))
    }

    fn verdict(&self, rule: usize) -> Verdict {
        let Compiled { rule, negated, .. } = &self.rules[rule];
        if *negated { Verdict::Keep } else { Verdict::Exclude(Reason::Rule(rule.clone())) }
    }

    /// The last pattern with `/` that the name completes.
    fn closing_rule(&self, name: &[u8], is_directory: bool, progress: &Progress) -> Option<usize> {
        let closes = |path: &&(Box<[Component]>, usize)| {
            let (components, rule) = path;
            (is_directory || !self.rules[*rule].directories_only)
                && matches!(components.last(), Some(Component::Name(glob)) if glob.matches(name))
        };
        progress.closing.iter().map(|path| &self.paths[*path]).filter(closes).map(|(_, rule)| *rule).max()
    }

    /// The progress in the root directory, of patterns that begin with `/` and a name: `/*` means what is in a home.
    fn start_at_root(&self) -> Progress {
        let is_absolute = |(components, rule): &(Box<[Component]>, usize)| {
            self.rules[*rule].anchored
                && matches!(components.first(), Some(Component::Name(NameGlob::Literal(_))))
        };
        let paths = (0..self.paths.len()).filter(|path| is_absolute(&self.paths[*path]));
        self.progress(paths.map(|path| Position { path, component: 0 }).collect())
    }

    fn component(&self, position: Position) -> Option<&Component> {
        self.paths[position.path].0.get(position.component)
    }

    /// `**` may also match nothing: what follows it is open as well. Completed patterns drop out.
    fn progress(&self, mut positions: Vec<Position>) -> Progress {
        let is_star = |position: &&Position| self.component(**position) == Some(&Component::AnyDepth);
        let behind_stars: Vec<_> = positions.iter().filter(is_star).map(|position| position.next()).collect();
        positions.extend(behind_stars);
        positions.retain(|position| self.component(*position).is_some());
        positions.sort_unstable();
        positions.dedup();
        let closes = |position: &&Position| self.component(position.next()).is_none();
        let closing = positions.iter().filter(closes).map(|position| position.path).collect();
        Progress { positions, closing }
    }
}

fn components(path: &Path) -> impl Iterator<Item = &[u8]> {
    path.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}
