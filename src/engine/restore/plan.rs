//! Decides what a restore does: walks the snapshot's tree beside what is in the target, makes
//! directories, and gathers everything else into portions. Writes no file itself.

mod entries;
mod metas;
mod removals;
mod subdirectories;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use metas::EntryMetas;
use zeroize::Zeroizing;

use super::open_places::OpenPlaces;
use super::report::{Action, Change, RestoreReport};
use super::root::Root;
use super::secrets::{Secrets, SecretsWanted};
use super::words::{chain, unless_full};
use super::{RestoreError, RestoreOptions, RestoreSource, problem};
use crate::codec::ChunkId;
use crate::engine::{Meter, ProblemKind};
use crate::files::owners::Owners;
use crate::files::place::{Found, Made, Place, PlaceError, Placement};
use crate::files::rules::{RuleOptions, Rules, Scope, Verdict};
use crate::format::{Entry, EntryKind, TreeObject};
use crate::index::Location;
use crate::repo::{Reader, RepoError};

/// What all parts of a restore share.
pub struct Context<'a> {
    pub options: &'a RestoreOptions,
    pub owners: &'a Owners,
    pub meter: &'a Meter,
    /// Threads that write the files of one tree.
    pub threads: usize,
    /// Patterns of what to restore; none means everything.
    pub includes: Option<Rules>,
    pub excludes: Rules,
}

/// Patterns of a restore: these and no others, neither defaults nor users' ignore files.
pub fn rules(patterns: &[String]) -> Result<Rules, RestoreError> {
    Ok(Rules::new(&RuleOptions {
        excludes: patterns.to_vec(),
        default_excludes: false,
        ignore_file_name: None,
        ..RuleOptions::default()
    })?)
}

/// Include patterns are read like excludes; what they would leave out is what is wanted.
pub fn includes(patterns: &[String]) -> Result<Option<Rules>, RestoreError> {
    if patterns.is_empty() { Ok(None) } else { rules(patterns).map(Some) }
}

/// A directory of the tree.
pub struct PlannedDirectory {
    /// The directory above it; none for the root.
    pub parent: Option<usize>,
    /// Its entry; only name and metadata matter after it was walked.
    pub entry: Entry,
    /// Whether it is wanted itself, and not only on the way to something.
    pub is_wanted: bool,
    /// Whether it stands in the target, or would in a run that is not dry.
    pub made: Option<Made>,
    scope: Scope,
    include: Option<Scope>,
}

/// Anything but a directory, to be written.
pub struct Job {
    /// The directory it goes into.
    pub directory: usize,
    /// The entry.
    pub entry: Entry,
    /// Its bytes, where the vault has them.
    pub secret: Option<Zeroizing<Vec<u8>>>,
    /// Whether something stands in its place.
    pub placement: Placement,
    /// Where its first bytes lie: jobs are done in this order.
    pub location: Option<Location>,
}

/// What the walk does next.
enum Step {
    /// Open a directory.
    Enter(usize),
    /// Go through a page of its listing; the place is there if the directory was there before.
    Page(usize, Option<Place>, ChunkId),
}

/// The walk through one tree.
pub struct Planner<'a> {
    pub source: &'a RestoreSource,
    pub context: &'a Context<'a>,
    pub root: Root,
    pub directories: Vec<PlannedDirectory>,
    pub jobs: Vec<Job>,
    /// Further names of files, to be linked when their files stand.
    pub links: Vec<Job>,
    pub metas: EntryMetas<'a>,
    groups: HashSet<[u8; 16]>,
    secrets: Secrets<'a>,
    places: OpenPlaces,
    stack: Vec<Step>,
    reader: Reader,
}

impl<'a> Planner<'a> {
    pub fn new(source: &'a RestoreSource, context: &'a Context<'a>, root: Root, reader: Reader) -> Self {
        let options = context.options;
        let top = Path::new(OsStr::from_bytes(&source.path)).parent().unwrap_or(Path::new(""));
        let scopes = |rules: &Rules| {
            let path =
                if source.entry.is_directory() { Path::new(OsStr::from_bytes(&source.path)) } else { top };
            path.components().fold(rules.home(&source.home_path), |scope, c| scope.enter(c.as_os_str()))
        };
        let directory = PlannedDirectory {
            parent: None,
            entry: source.entry.clone(),
            is_wanted: context.includes.is_none() && root.is_owned,
            made: Some(if root.place.is_some() { Made::Existing } else { Made::Created }),
            scope: scopes(&context.excludes),
            include: context.includes.as_ref().map(scopes),
        };
        Self {
            source,
            context,
            root,
            directories: vec![directory],
            jobs: Vec::new(),
            links: Vec::new(),
            metas: EntryMetas::new(source, context),
            groups: HashSet::new(),
            secrets: Secrets::new(options.vault.as_deref(), &source.user),
            places: OpenPlaces::default(),
            stack: vec![Step::Enter(0)],
            reader,
        }
    }

    /// Walks on until `portion` jobs are gathered; false when the walk is over.
    pub fn advance(
        &mut self,
        portion: usize,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<bool, RestoreError> {
        while let Some(step) = self.stack.pop() {
            if self.context.meter.is_interrupted() {
                return Err(RestoreError::Interrupted);
            }
            let (index, done) = match step {
                Step::Enter(index) => (index, self.enter(index, visit, report)),
                Step::Page(index, place, page) => (index, self.page(index, &place, &page, visit, report)),
            };
            if let Err(error) = done {
                self.directory_failed(index, error, report)?;
            }
            if self.jobs.len() >= portion {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A directory whose listing is damaged, or that somebody exchanged meanwhile, costs what is in it and
    /// nothing else; any other error ends the restore.
    fn directory_failed(
        &self,
        index: usize,
        error: RestoreError,
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        let why = match error {
            RestoreError::Target { source, .. } => unless_full(source, &self.context.options.target)?,
            RestoreError::Repository(error) if error.is_damage() => chain(&error),
            error => return Err(error),
        };
        report.problems.push(self.problem(index, b"", ProblemKind::Unrestored(why)));
        Ok(())
    }

    /// Opens a directory and queues the pages of its listing.
    fn enter(
        &mut self,
        index: usize,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        let EntryKind::Directory(tree) = self.directories[index].entry.kind else {
            let (place, entry) = (self.root.place.clone(), self.source.entry.clone());
            return self.other(index, &place, entry, visit, report);
        };
        let place = match self.directories[index].made {
            Some(Made::Existing) => Some(self.open(index)?),
            _ => None,
        };
        if let Some(place) = &place {
            self.remove_parts(place);
        }
        if self.context.options.delete
            && let Some(place) = &place
        {
            self.delete_others(index, &tree, place, visit, report)?;
        }
        let pages = match self.reader.tree(&tree)? {
            TreeObject::Page(_) => vec![tree],
            TreeObject::Index(pages) => pages.pages.into_iter().map(|(page, _)| page).collect(),
        };
        self.stack.extend(pages.into_iter().rev().map(|page| Step::Page(index, place.clone(), page)));
        Ok(())
    }

    /// Goes through one page of a directory's listing.
    fn page(
        &mut self,
        index: usize,
        place: &Option<Place>,
        page: &ChunkId,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        let TreeObject::Page(page) = self.reader.tree(page)? else {
            return Err(RepoError::MalformedTree(*page).into());
        };
        for entry in page.entries {
            match entry.is_directory() {
                true => self.subdirectory(index, place, entry, visit, report)?,
                false => self.other(index, place, entry, visit, report)?,
            }
        }
        Ok(())
    }

    /// Whether an entry is wanted: by itself, or because a directory above it is.
    fn is_wanted(&self, parent: usize, entry: &Entry) -> Option<bool> {
        let name = OsStr::from_bytes(&entry.name);
        let parent = &self.directories[parent];
        if parent.scope.decide(name, entry.is_directory()) != Verdict::Keep {
            return None;
        }
        let is_of_kind = match self.context.options.secrets {
            SecretsWanted::With => true,
            SecretsWanted::Without => entry.attributes.vault.is_none(),
            // Directories are made on the way.
            SecretsWanted::Only => entry.attributes.vault.is_some(),
        };
        let matches = |scope: &Scope| scope.decide(name, entry.is_directory()) != Verdict::Keep;
        Some(is_of_kind && (parent.is_included() || parent.include.as_ref().is_none_or(matches)))
    }

    fn look(&self, parent: usize, place: &Place, name: &[u8], report: &mut RestoreReport) -> Option<Found> {
        place.stat(name).unwrap_or_else(|error| {
            report.problems.push(self.problem(parent, name, ProblemKind::Unrestored(chain(&error))));
            None
        })
    }

    /// Opens a planned directory; no link is followed on the way.
    pub fn open(&mut self, index: usize) -> Result<Place, RestoreError> {
        self.places.open(&self.directories, &self.root, index)
    }

    /// Tells what is done with an entry, and counts it.
    fn tell(
        &self,
        action: Action,
        parent: Option<usize>,
        entry: &Entry,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) {
        let path = self.path(parent, &entry.name);
        let is_directory = entry.is_directory();
        let change =
            Change { user: &self.source.user, path: &path, action, is_directory, size: entry.size() };
        visit(&change);
        report.count(&change);
    }

    /// The path below what is restored.
    pub fn path(&self, parent: Option<usize>, name: &[u8]) -> Vec<u8> {
        path(&self.directories, parent, name)
    }

    fn problem(&self, parent: usize, name: &[u8], kind: ProblemKind) -> crate::engine::Problem {
        problem(self.source, &self.path(Some(parent), name), kind)
    }

    fn failed(
        &self,
        parent: usize,
        name: &[u8],
        error: PlaceError,
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        report.problems.push(self.problem(
            parent,
            name,
            ProblemKind::Unrestored(unless_full(error, &self.context.options.target)?),
        ));
        Ok(())
    }
}

impl PlannedDirectory {
    /// Whether everything in it is wanted.
    fn is_included(&self) -> bool {
        self.include.is_none()
    }
}

/// The path of `name` in a planned directory.
pub fn path(directories: &[PlannedDirectory], parent: Option<usize>, name: &[u8]) -> Vec<u8> {
    let mut parts = vec![name];
    let mut at = parent;
    while let Some(index) = at {
        at = directories[index].parent;
        if at.is_some() {
            parts.push(&directories[index].entry.name);
        }
    }
    parts.reverse();
    let mut path = parts.join(&b'/');
    if name.is_empty() {
        path.pop();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a backup leaves out by itself is not in the snapshot, or is there because somebody asked for it.
    #[test]
    fn a_restore_leaves_out_what_it_was_told_and_nothing_else() {
        let rules = rules(&["*.tmp".to_string()]).unwrap();
        let left_out = |rules: &Rules, name: &str| {
            rules.home(Path::new("/home/ann")).decide(OsStr::new(name), true) != Verdict::Keep
        };
        assert!(left_out(&rules, "a.tmp"));
        assert!(rules.ignore_file_names().is_empty());
        assert!(left_out(&Rules::new(&RuleOptions::default()).unwrap(), ".cache"));
        assert!(!left_out(&rules, ".cache"));
    }
}
