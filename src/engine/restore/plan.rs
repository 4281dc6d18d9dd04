//! Decides what a restore does: walks the snapshot's tree beside what is in the target, makes
//! directories, and gathers everything else into portions. Writes no file itself.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::decide::{Overwrite, decide};
use super::open_places::OpenPlaces;
use super::report::{Action, Change, RestoreReport};
use super::root::Root;
use super::secrets::{Secret, Secrets, SecretsWanted};
use super::whose::{home_ids, is_home_owner, is_substitute};
use super::words::{chain, unless_full};
use super::{RestoreError, RestoreOptions, RestoreSource, problem};
use crate::codec::ChunkId;
use crate::engine::{Meter, ProblemKind};
use crate::files::metadata::EntryMeta;
use crate::files::owners::{Ids, OwnerNote, Owners, resolve};
use crate::files::place::{Found, Kind, Made, Place, PlaceError, Placement, is_part_name};
use crate::files::read::xattrs_at;
use crate::files::rules::{RuleOptions, Rules, Scope, Verdict};
use crate::format::{Content, Entry, EntryKind, Extent, TreeObject, flags};
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

/// An owner with their numbers here, unless owners do not come back, and whether root stands in for them.
type KnownOwner = (Arc<crate::format::Owner>, Option<(Ids, bool)>);

/// The walk through one tree.
pub struct Planner<'a> {
    pub source: &'a RestoreSource,
    pub context: &'a Context<'a>,
    pub root: Root,
    pub directories: Vec<PlannedDirectory>,
    pub jobs: Vec<Job>,
    /// Further names of files, to be linked when their files stand.
    pub links: Vec<Job>,
    /// Owners that do not exist here.
    pub owner_notes: BTreeSet<String>,
    groups: HashSet<[u8; 16]>,
    owners: HashMap<usize, KnownOwner>,
    home: Ids,
    secrets: Secrets<'a>,
    places: OpenPlaces,
    stack: Vec<Step>,
    reader: Reader,
}

impl<'a> Planner<'a> {
    pub fn new(source: &'a RestoreSource, context: &'a Context<'a>, root: Root, reader: Reader) -> Self {
        let options = context.options;
        let home = home_ids(source, options, context.owners);
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
            owner_notes: BTreeSet::new(),
            groups: HashSet::new(),
            owners: HashMap::new(),
            home,
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

    fn subdirectory(
        &mut self,
        parent: usize,
        place: &Option<Place>,
        entry: Entry,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        let Some(is_wanted) = self.is_wanted(parent, &entry) else { return Ok(()) };
        let existing = match place {
            Some(place) => self.look(parent, place, &entry.name, report),
            None => None,
        };
        let mut made = None;
        if let Some(found) = &existing {
            made = match found.kind == Kind::Directory {
                true => Some(Made::Existing),
                false if self.may_clear() => None,
                false => {
                    let kind =
                        ProblemKind::Unrestored("something that is no directory stands in its place".into());
                    report.problems.push(self.problem(parent, &entry.name, kind));
                    return Ok(());
                }
            };
        }
        let name = OsStr::from_bytes(&entry.name);
        let above = &self.directories[parent];
        let directory = PlannedDirectory {
            parent: Some(parent),
            is_wanted,
            made,
            scope: above.scope.enter(name),
            // What is wanted brings everything below it.
            include: if is_wanted { None } else { above.include.as_ref().map(|scope| scope.enter(name)) },
            entry,
        };
        let index = self.directories.len();
        self.directories.push(directory);
        if is_wanted && made.is_none() {
            self.make(index, visit, report)?;
        }
        // A directory that could not be made has been reported.
        if !is_wanted || self.directories[index].made.is_some() {
            self.stack.push(Step::Enter(index));
        }
        Ok(())
    }

    /// Whether what is in the way may be removed.
    fn may_clear(&self) -> bool {
        self.context.options.delete || self.context.options.overwrite == Overwrite::Always
    }

    /// Makes a directory, and those above it that were not needed until now.
    fn make(
        &mut self,
        index: usize,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<bool, RestoreError> {
        let mut missing = Vec::new();
        let mut at = Some(index);
        while let Some(directory) = at.filter(|at| self.directories[*at].made.is_none()) {
            missing.push(directory);
            at = self.directories[directory].parent;
        }
        for index in missing.into_iter().rev() {
            // The target itself is there, or was made when it was opened; only a dry run meets one that is not.
            let Some(parent) = self.directories[index].parent else { continue };
            self.tell(Action::Create, Some(parent), &self.directories[index].entry, visit, report);
            if self.context.options.dry_run {
                self.directories[index].made = Some(Made::Created);
                continue;
            }
            let name = self.directories[index].entry.name.clone();
            let place = self.open(parent)?;
            if self.may_clear() && place.open_directory(&name).is_err() {
                self.clear(parent, &place, &name, report);
            }
            match place.make_directory(&name) {
                Ok((_, made)) => self.directories[index].made = Some(made),
                Err(error) => {
                    self.failed(parent, &name, error, report)?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn clear(&self, parent: usize, place: &Place, name: &[u8], report: &mut RestoreReport) {
        match place.remove(name) {
            Ok(removal) => {
                for error in removal.problems {
                    report.problems.push(self.problem(parent, name, ProblemKind::Unrestored(chain(&error))));
                }
            }
            Err(error) => {
                report.problems.push(self.problem(parent, name, ProblemKind::Unrestored(chain(&error))));
            }
        }
    }

    /// Decides what happens to anything but a directory.
    fn other(
        &mut self,
        parent: usize,
        place: &Option<Place>,
        mut entry: Entry,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        if self.is_wanted(parent, &entry) != Some(true) {
            return Ok(());
        }
        if matches!(entry.kind, EntryKind::CharDevice(_) | EntryKind::BlockDevice(_))
            && !self.context.options.devices
        {
            let kind = ProblemKind::Unrestored("device files come back only with --devices".into());
            report.problems.push(self.problem(parent, &entry.name, kind));
            return Ok(());
        }
        // Its content was never read: what stands in its place must not be replaced by nothing.
        if entry.attributes.flags & flags::FOREIGN_LINK != 0 {
            report.problems.push(self.problem(parent, &entry.name, ProblemKind::ForeignLink));
            return Ok(());
        }
        let Ok(secret) = self.secret(parent, &mut entry, report) else { return Ok(()) };
        let found = place.as_ref().and_then(|place| self.look(parent, place, &entry.name, report));
        let meta = self.meta(&entry);
        let same_metadata = |found: &Found| {
            let same_owner = found.mode == meta.mode
                && meta.owner.is_none_or(|ids| (ids.uid, ids.gid) == (found.uid, found.gid));
            matches!(entry.kind, EntryKind::Symlink(_))
                || same_owner && place.as_ref().is_some_and(|place| has_xattrs(place, &entry.name, &meta))
        };
        let options = self.context.options;
        let mut action =
            decide(&entry, found.as_ref(), options.overwrite, self.source.time_ms, same_metadata);
        if action == Action::InTheWay && self.may_clear() {
            if let (Some(place), false) = (&place, options.dry_run) {
                self.clear(parent, place, &entry.name, report);
            }
            action = Action::Replace;
        }
        self.tell(action, Some(parent), &entry, visit, report);
        match action {
            Action::InTheWay => {
                let kind =
                    ProblemKind::Unrestored("a directory stands in its place; --delete removes it".into());
                report.problems.push(self.problem(parent, &entry.name, kind));
                Ok(())
            }
            Action::Create | Action::Replace => {
                let placement = if found.is_some() { Placement::Replace } else { Placement::New };
                self.queue(parent, entry, secret, placement, visit, report)
            }
            Action::Unchanged | Action::Keep | Action::KeepNewer => {
                Meter::add(&self.context.meter.files, 1);
                Meter::add(&self.context.meter.bytes, entry.size());
                Ok(())
            }
            Action::Delete => Ok(()),
        }
    }

    /// The bytes of a file that is in the vault. The entry gets their size, and a mode that lets nobody else read them,
    /// whatever it was. That there are none is a problem.
    fn secret(
        &mut self,
        parent: usize,
        entry: &mut Entry,
        report: &mut RestoreReport,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ()> {
        let Some(item) = &entry.attributes.vault else { return Ok(None) };
        match self.secrets.get(item) {
            Ok(Secret { value, note }) => {
                let note = note.map(ProblemKind::OtherVersion);
                report.problems.extend(note.map(|kind| self.problem(parent, &entry.name, kind)));
                let length = value.len() as u64;
                let hole = (length > 0).then_some(Extent::Hole { length });
                entry.kind = EntryKind::File(Content { depth: 0, extents: hole.into_iter().collect() });
                entry.mode &= !0o077;
                Ok(Some(value))
            }
            Err(why) => {
                report.problems.push(self.problem(parent, &entry.name, ProblemKind::Unrestored(why)));
                Err(())
            }
        }
    }

    fn queue(
        &mut self,
        parent: usize,
        entry: Entry,
        secret: Option<Zeroizing<Vec<u8>>>,
        placement: Placement,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        if self.directories[parent].made.is_none() && !self.make(parent, visit, report)? {
            return Ok(());
        }
        if self.context.options.dry_run {
            return Ok(());
        }
        let is_further_name = entry.attributes.link_group.is_some_and(|group| !self.groups.insert(group));
        let location = match &entry.kind {
            EntryKind::File(content) if !is_further_name => match content.extents.iter().find_map(data_id) {
                Some(id) => self.reader.catalog().locate(&id)?,
                None => None,
            },
            _ => None,
        };
        let job = Job { directory: parent, entry, secret, placement, location };
        if is_further_name {
            self.links.push(job)
        } else {
            self.jobs.push(job)
        }
        Ok(())
    }

    /// Removes what a killed restore left under temporary names.
    fn remove_parts(&self, place: &Place) {
        if self.context.options.dry_run {
            return;
        }
        let parts = place.list().unwrap_or_default().into_iter();
        for part in parts.filter(|found| found.kind == Kind::File && is_part_name(&found.name)) {
            // One that cannot be removed stays; it is in nobody's way.
            let _ = place.remove(&part.name);
        }
    }

    /// Removes what stands in a directory and is not in the snapshot.
    fn delete_others(
        &mut self,
        index: usize,
        tree: &ChunkId,
        place: &Place,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        if !self.directories[index].is_included() {
            return Ok(());
        }
        let names: HashSet<Vec<u8>> =
            self.reader.listing(tree)?.into_iter().map(|entry| entry.name).collect();
        let listed = match place.list() {
            Ok(listed) => listed,
            Err(error) => return self.failed(index, b"", error, report),
        };
        for found in listed {
            let is_directory = found.kind == Kind::Directory;
            let verdict = self.directories[index].scope.decide(OsStr::from_bytes(&found.name), is_directory);
            if names.contains(&found.name) || verdict != Verdict::Keep {
                continue;
            }
            let path = self.path(Some(index), &found.name);
            let change = Change {
                user: &self.source.user,
                path: &path,
                action: Action::Delete,
                is_directory,
                size: 0,
            };
            visit(&change);
            report.count(&change);
            if !self.context.options.dry_run {
                self.clear(index, place, &found.name, report);
            }
        }
        Ok(())
    }

    fn look(&self, parent: usize, place: &Place, name: &[u8], report: &mut RestoreReport) -> Option<Found> {
        place.stat(name).unwrap_or_else(|error| {
            report.problems.push(self.problem(parent, name, ProblemKind::Unrestored(chain(&error))));
            None
        })
    }

    /// The metadata an entry gets here.
    pub fn meta(&mut self, entry: &Entry) -> EntryMeta {
        let options = self.context.options;
        let key = Arc::as_ptr(&entry.owner) as usize;
        let known =
            self.owners.get(&key).filter(|(owner, _)| Arc::ptr_eq(owner, &entry.owner)).map(|(_, ids)| *ids);
        let ids = known.unwrap_or_else(|| {
            let ids = options.owners.then(|| {
                let resolved =
                    resolve(&entry.owner, &options.owner_map, self.context.owners, options.owner_match);
                let is_home = is_home_owner(&entry.owner, self.source);
                let is_told = |note: &&OwnerNote| !is_home || !note.is_of_a_number();
                self.owner_notes.extend(resolved.notes.iter().filter(is_told).map(ToString::to_string));
                match is_home {
                    true => (self.home, is_substitute(self.home, &entry.owner)),
                    false => (resolved.ids, resolved.is_substitute),
                }
            });
            if self.owners.len() > 4096 {
                self.owners.clear();
            }
            // Holding the owner keeps its address from being given to another.
            self.owners.insert(key, (Arc::clone(&entry.owner), ids));
            ids
        });
        let (owner, is_root_instead) = (ids.map(|(ids, _)| ids), ids.is_some_and(|(_, is)| is));
        EntryMeta::new(entry, owner, self.home, options.setuid).without_rights_if(is_root_instead)
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

/// Whether what stands at `name` has the attributes it is to get.
fn has_xattrs(place: &Place, name: &[u8], meta: &EntryMeta) -> bool {
    xattrs_at(place, name).is_ok_and(|present| meta.has_xattrs(&present))
}

fn data_id(extent: &Extent) -> Option<ChunkId> {
    match extent {
        Extent::Data { id, .. } => Some(*id),
        Extent::Hole { .. } => None,
    }
}
