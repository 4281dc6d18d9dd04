//! Does what the plan says: writes a portion's files with several threads, then links, and last the
//! metadata of directories.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::open_places::OpenPlaces;
use super::plan::{Context, Job, PlannedDirectory, Planner, path};
use super::report::{Change, RestoreReport};
use super::root::Root;
use super::staging::{self, StagedFiles};
use super::words::{chain, unless_full};
use super::{RestoreError, RestoreSource, RestoreTarget, problem};
use crate::engine::{Meter, Problem, ProblemKind};
use crate::files::metadata::{EntryMeta, MetadataProblem};
use crate::files::place::{Device, FileId, Made, Original, Place, PlaceError, Placement};
use crate::format::{EntryKind, Extent};
use crate::repo::{Reader, Readers, RepoError};

/// Jobs planned before they are done: enough for neighbours to meet, few enough to hold.
const PORTION: usize = 200_000;
/// Jobs a thread takes at once; neighbours share blocks.
const BATCH: usize = 64;
/// Bytes of files a thread takes at once.
const BATCH_BYTES: u64 = 8 << 20;

/// Restores one tree.
pub struct Restorer<'a> {
    readers: &'a Readers,
    planner: Planner<'a>,
    /// Where an earlier run put the same tree, for a user who had no account yet.
    staged: Option<Root>,
    /// First names of files with several, by link group.
    first_names: HashMap<[u8; 16], FirstName>,
}

/// Where the first name of a file stands.
#[derive(Clone)]
struct FirstName {
    directory: usize,
    name: Vec<u8>,
    id: FileId,
}

impl<'a> Restorer<'a> {
    pub fn new(
        readers: &'a Readers,
        source: &'a RestoreSource,
        context: &'a Context<'a>,
        root: Root,
    ) -> Result<Self, RestoreError> {
        let staged = staging::find(source, context.options);
        Ok(Self { staged, ..Self::unstaged(readers, source, context, root)? })
    }

    /// The same, all of it from the repository.
    pub fn unstaged(
        readers: &'a Readers,
        source: &'a RestoreSource,
        context: &'a Context<'a>,
        root: Root,
    ) -> Result<Self, RestoreError> {
        let planner = Planner::new(source, context, root, readers.reader()?);
        Ok(Self { readers, planner, staged: None, first_names: HashMap::new() })
    }

    /// The directory that has the tree's contents.
    pub fn root(&self) -> &Root {
        &self.planner.root
    }

    /// Plans and applies until everything is done.
    pub fn run(
        &mut self,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        report.trees += 1;
        loop {
            let is_more = self.planner.advance(PORTION, visit, report)?;
            self.write_jobs(report)?;
            if !is_more {
                break;
            }
        }
        if self.planner.context.options.dry_run {
            return Ok(());
        }
        self.make_links(report)?;
        self.finish_directories(report)?;
        report.owner_notes.append(&mut self.planner.metas.notes);
        Ok(())
    }

    /// Writes the planned files, in the order in which their bytes lie.
    fn write_jobs(&mut self, report: &mut RestoreReport) -> Result<(), RestoreError> {
        let mut jobs = std::mem::take(&mut self.planner.jobs);
        jobs.sort_by_key(|job| job.location.map(|l| (l.segment, l.block, l.start)));
        let metas: Vec<EntryMeta> = jobs.iter().map(|job| self.planner.metas.of(&job.entry)).collect();
        let batches = Batches { jobs: &jobs, next: AtomicUsize::new(0) };
        let threads = self.planner.context.threads;
        let writers: Vec<_> = (0..threads)
            .map(|_| Ok(Writer::new(&self.planner, self.staged.as_ref(), self.readers.reader()?, &metas)))
            .collect::<Result<_, RepoError>>()?;
        let done = std::thread::scope(|scope| {
            let threads: Vec<_> =
                writers.into_iter().map(|writer| scope.spawn(|| writer.run(&batches))).collect();
            threads.into_iter().map(|t| t.join().unwrap_or(Err(RestoreError::Panicked))).collect::<Vec<_>>()
        });
        for result in done {
            let written = result?;
            report.problems.extend(written.problems);
            self.first_names.extend(written.first_names);
        }
        Ok(())
    }

    /// Makes the further names of files. Where a link cannot be made, the file is written once more.
    fn make_links(&mut self, report: &mut RestoreReport) -> Result<(), RestoreError> {
        let links = std::mem::take(&mut self.planner.links);
        let mut copies = Vec::new();
        for job in links {
            let first =
                job.entry.attributes.link_group.and_then(|group| self.first_names.get(&group).cloned());
            let Some(first) = first else {
                copies.push(job);
                continue;
            };
            let linked = self.link(&job, &first);
            match linked {
                Ok(()) => Meter::add(&self.planner.context.meter.files, 1),
                Err(PlaceError::LinkRefused { .. } | PlaceError::Swapped { .. }) => copies.push(job),
                Err(error) => {
                    let path = self.planner.path(Some(job.directory), &job.entry.name);
                    let kind =
                        ProblemKind::Unrestored(unless_full(error, &self.planner.context.options.target)?);
                    report.problems.push(problem(self.planner.source, &path, kind));
                }
            }
        }
        self.planner.jobs = copies;
        self.write_jobs(report)
    }

    fn link(&mut self, job: &Job, first: &FirstName) -> Result<(), PlaceError> {
        let mut open = |directory| match self.planner.open(directory) {
            Ok(place) => Ok(place),
            Err(RestoreError::Target { source, .. }) => Err(source),
            Err(_) => Err(PlaceError::NotADirectory { name: String::new() }),
        };
        let (from, to) = (open(first.directory)?, open(job.directory)?);
        let original = Original { place: &from, name: &first.name, id: first.id };
        to.hard_link(original, &job.entry.name, job.placement)
    }

    /// Gives directories their metadata, deepest first: what is made in them would change their time.
    fn finish_directories(&mut self, report: &mut RestoreReport) -> Result<(), RestoreError> {
        for index in (0..self.planner.directories.len()).rev() {
            let directory = &self.planner.directories[index];
            // One that was there before and is only on the way to something stays as it is.
            let is_ours = match directory.made {
                Some(Made::Created) => true,
                Some(Made::Existing) => directory.is_wanted,
                None => false,
            };
            if !is_ours || !directory.entry.is_directory() {
                continue;
            }
            let entry = directory.entry.clone();
            let meta = self.planner.metas.of(&entry);
            match self.planner.open(index) {
                Ok(place) => {
                    for error in place.finish_directory(&meta) {
                        let path = self.planner.path(Some(index), b"");
                        report.problems.push(problem(self.planner.source, &path, attribute(&error)));
                    }
                }
                Err(error) => {
                    let path = self.planner.path(Some(index), b"");
                    let kind = ProblemKind::Unrestored(chain(&error));
                    report.problems.push(problem(self.planner.source, &path, kind));
                }
            }
        }
        Ok(())
    }
}

fn attribute(error: &MetadataProblem) -> ProblemKind {
    ProblemKind::Attribute(chain(error))
}

/// Hands out neighbouring jobs.
struct Batches<'j> {
    jobs: &'j [Job],
    next: AtomicUsize,
}

impl<'j> Batches<'j> {
    /// The next jobs with the index of the first; none when all are taken.
    fn take(&self) -> Option<(usize, &'j [Job])> {
        let mut start = self.next.load(Ordering::Relaxed);
        loop {
            let end = start + batch_len(&self.jobs[start.min(self.jobs.len())..]);
            if end == start {
                return None;
            }
            match self.next.compare_exchange_weak(start, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some((start, &self.jobs[start..end])),
                Err(moved) => start = moved,
            }
        }
    }
}

/// A batch ends after so many jobs or bytes, but not within a block: no block is opened twice.
fn batch_len(jobs: &[Job]) -> usize {
    let (mut length, mut bytes) = (0, 0);
    let block = |job: &Job| job.location.map(|l| (l.segment, l.block));
    while let Some(job) = jobs.get(length) {
        let is_full = length >= BATCH || bytes >= BATCH_BYTES;
        let continues = length > 0 && block(job).is_some() && block(job) == block(&jobs[length - 1]);
        if is_full && !continues {
            break;
        }
        bytes += job.entry.size();
        length += 1;
    }
    length
}

/// What one thread did.
#[derive(Default)]
struct Written {
    problems: Vec<Problem>,
    first_names: Vec<([u8; 16], FirstName)>,
}

/// One writing thread.
struct Writer<'p> {
    directories: &'p [PlannedDirectory],
    root: &'p Root,
    source: &'p RestoreSource,
    target: &'p RestoreTarget,
    meter: &'p Meter,
    metas: &'p [EntryMeta],
    reader: Reader,
    places: OpenPlaces,
    staged: Option<StagedFiles<'p>>,
    written: Written,
}

/// Why one entry was not written.
enum JobError {
    Place(PlaceError),
    Restore(RestoreError),
    Data(RepoError),
}

impl From<PlaceError> for JobError {
    fn from(error: PlaceError) -> Self {
        Self::Place(error)
    }
}

impl From<RepoError> for JobError {
    fn from(error: RepoError) -> Self {
        Self::Data(error)
    }
}

impl<'p> Writer<'p> {
    fn new(
        planner: &'p Planner<'_>,
        staged: Option<&'p Root>,
        reader: Reader,
        metas: &'p [EntryMeta],
    ) -> Self {
        Self {
            directories: &planner.directories,
            root: &planner.root,
            source: planner.source,
            target: &planner.context.options.target,
            meter: planner.context.meter,
            metas,
            reader,
            places: OpenPlaces::default(),
            staged: staged.map(StagedFiles::new),
            written: Written::default(),
        }
    }

    fn run(mut self, batches: &Batches<'_>) -> Result<Written, RestoreError> {
        while let Some((start, jobs)) = batches.take() {
            for (index, job) in jobs.iter().enumerate() {
                if self.meter.is_interrupted() {
                    return Err(RestoreError::Interrupted);
                }
                self.job(job, start + index)?;
            }
        }
        Ok(self.written)
    }

    fn job(&mut self, job: &Job, index: usize) -> Result<(), RestoreError> {
        let why = match self.write(job, &self.metas[index].clone()) {
            Ok(problems) => {
                Meter::add(&self.meter.files, 1);
                for error in problems {
                    self.problem(job, attribute(&error));
                }
                return Ok(());
            }
            Err(JobError::Place(error)) => unless_full(error, self.target)?,
            Err(JobError::Restore(RestoreError::Target { source, .. })) => unless_full(source, self.target)?,
            Err(JobError::Restore(error)) => return Err(error),
            // Damage costs the files it is in, and no others.
            Err(JobError::Data(error)) => chain(&error),
        };
        self.problem(job, ProblemKind::Unrestored(why));
        Ok(())
    }

    fn problem(&mut self, job: &Job, kind: ProblemKind) {
        let path = path(self.directories, Some(job.directory), &job.entry.name);
        self.written.problems.push(problem(self.source, &path, kind));
    }

    fn write(&mut self, job: &Job, meta: &EntryMeta) -> Result<Vec<MetadataProblem>, JobError> {
        let place =
            self.places.open(self.directories, self.root, job.directory).map_err(JobError::Restore)?;
        let (name, placement) = (&job.entry.name[..], job.placement);
        let node = match &job.entry.kind {
            EntryKind::File(_) => return self.file(job, &place, meta),
            EntryKind::Directory(_) => return Ok(Vec::new()),
            EntryKind::Symlink(target) => place.symlink(name, target, placement, meta)?,
            EntryKind::Fifo => place.fifo(name, placement, meta)?,
            EntryKind::CharDevice(number) => {
                place.device(name, Device::Character(*number), placement, meta)?
            }
            EntryKind::BlockDevice(number) => place.device(name, Device::Block(*number), placement, meta)?,
        };
        self.note_first_name(job, node.id);
        Ok(node.problems)
    }

    /// Remembers where a file with several names stands, so that the others can be linked to it.
    fn note_first_name(&mut self, job: &Job, id: FileId) {
        if let Some(group) = job.entry.attributes.link_group {
            let first = FirstName { directory: job.directory, name: job.entry.name.clone(), id };
            self.written.first_names.push((group, first));
        }
    }

    /// Writes a file. Every chunk is verified before its bytes are written.
    fn file(&mut self, job: &Job, place: &Place, meta: &EntryMeta) -> Result<Vec<MetadataProblem>, JobError> {
        let EntryKind::File(content) = &job.entry.kind else { return Ok(Vec::new()) };
        if job.secret.is_none()
            && let Some(staged) = &mut self.staged
            && let Some(node) = staged.adopt(self.directories, job, place, meta)?
        {
            Meter::add(&self.meter.bytes, content.size());
            self.note_first_name(job, node.id);
            return Ok(node.problems);
        }
        // A run that is killed leaves a temporary name, never half a file under its own: the next run
        // could take that for newer work.
        let file = place.create_file(&job.entry.name, Placement::Replace)?;
        if let Some(secret) = &job.secret {
            file.write_at(secret, 0)?;
            Meter::add(&self.meter.bytes, secret.len() as u64);
            return Ok(file.finish(meta)?);
        }
        let (mut at, mut ends_in_hole) = (0, false);
        let meter = self.meter;
        self.reader.extents(content, &mut |reader, extent| {
            ends_in_hole = matches!(extent, Extent::Hole { .. });
            if let Extent::Data { id, length } = extent {
                reader.with_data(&id, length, |bytes| file.write_at(bytes, at))??;
                Meter::add(&meter.bytes_moved, length);
                Meter::add(&meter.bytes, length);
            }
            at += extent.length();
            Ok::<_, JobError>(())
        })?;
        if ends_in_hole {
            file.set_len(at)?;
        }
        let id = if job.entry.attributes.link_group.is_some() { Some(file.id()?) } else { None };
        let problems = file.finish(meta)?;
        if let Some(id) = id {
            self.note_first_name(job, id);
        }
        Ok(problems)
    }
}
