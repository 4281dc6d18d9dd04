//! One thread of a walk: visits directories, and hands each up when it is done.

use std::ffi::OsStr;
use std::mem;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::directory::{Child, Directory, Outcome, Visit};
use super::{Queue, Recent, Scan, lock};
use crate::engine::backup::BackupError;
use crate::engine::backup::file::FileSaver;
use crate::engine::backup::seen_listing::digest;
use crate::engine::{Meter, ProblemKind};
use crate::files::place::is_part_name;
use crate::files::read::{OpenFile, xattrs_of};
use crate::files::rules::{MAX_IGNORE_BYTES, PatternFile, Scope, Verdict};
use crate::files::walk::{self, ListBuffer, Listed};
use crate::format::EntryKind;
use crate::index::{HomeKey, Seen, SeenRow};
use crate::repo::{Reader, Repository, WriteSession, Writer};

/// Bytes of rows for the local index that a thread gathers.
const ROWS_LEN: usize = 256 << 10;
/// Read of a file that may mark its directory.
const MARKER_LEN: usize = 4 << 10;

/// One thread's tools.
pub struct Walker<'a> {
    pub(super) scan: &'a Scan<'a>,
    pub(super) session: WriteSession,
    pub(super) reader: Reader,
    pub(super) seen: Seen,
    pub(super) saver: FileSaver<'a>,
    pub(super) list_buffer: ListBuffer,
    pub(super) rows: Vec<SeenRow>,
    pub(super) rows_home: Option<HomeKey>,
    pub(super) rows_len: usize,
    pub(super) recent: Recent,
}

impl<'a> Walker<'a> {
    pub fn new(
        scan: &'a Scan<'a>,
        repository: &Repository,
        seen: &Seen,
        writer: &Writer,
    ) -> Result<Self, BackupError> {
        Ok(Self {
            scan,
            session: writer.session()?,
            reader: repository.reader()?.passing(),
            seen: seen.reader()?,
            saver: FileSaver::new(scan.chunker, scan.meter),
            list_buffer: ListBuffer::default(),
            rows: Vec::new(),
            rows_home: None,
            rows_len: 0,
            recent: Recent::default(),
        })
    }

    /// Works until the queue is empty.
    pub fn run(mut self, queue: &Queue) -> Result<(), BackupError> {
        while let Some((directory, _at_work)) = queue.next() {
            let result = match self.scan.meter.is_interrupted() {
                true => Err(BackupError::Interrupted),
                false => self.visit(&directory, queue),
            };
            if let Err(error) = result {
                queue.stop();
                return Err(error);
            }
        }
        self.flush_rows()?;
        Ok(self.session.flush()?)
    }

    /// Gathers rows, so that threads seldom wait for the database.
    fn keep_row(&mut self, home: HomeKey, row: SeenRow) -> Result<(), BackupError> {
        if self.rows_home != Some(home) || self.rows_len >= ROWS_LEN {
            self.flush_rows()?;
            self.rows_home = Some(home);
        }
        self.rows_len += row.entries.len();
        self.rows.push(row);
        Ok(())
    }

    fn flush_rows(&mut self) -> Result<(), BackupError> {
        if let Some(home) = self.rows_home {
            lock(self.scan.rows).put(home, &self.rows)?;
        }
        self.rows.clear();
        self.rows_len = 0;
        Ok(())
    }

    /// The first visit: what is there, did it change, which subdirectories are to come.
    fn visit(&mut self, directory: &Arc<Directory>, queue: &Queue) -> Result<(), BackupError> {
        Meter::add(&self.scan.meter.directories, 1);
        match self.look(directory) {
            Ok((visit, children, handle)) => {
                directory.pending.store(children.len(), Ordering::Release);
                let is_leaf = children.is_empty();
                *lock(&directory.visit) = visit;
                directory.keep(Arc::clone(&handle));
                if is_leaf {
                    drop(handle);
                    return self.complete(directory);
                }
                queue.push_all(children.into_iter().rev());
                Ok(())
            }
            Err(LookError::Unreadable(error)) => {
                if error == Errno::NOENT {
                    Meter::add(&directory.home.totals.vanished, 1);
                } else {
                    directory
                        .home
                        .problem(directory.path_of(b""), ProblemKind::Unreadable(error.to_string()));
                }
                self.hand_up(directory, None)
            }
            Err(LookError::Fatal(error)) => Err(error),
        }
    }

    #[allow(clippy::type_complexity)]
    fn look(
        &mut self,
        directory: &Arc<Directory>,
    ) -> Result<(Visit, Vec<Arc<Directory>>, Arc<OwnedFd>), LookError> {
        let home = &directory.home;
        let handle = directory.open(&mut self.recent).map_err(LookError::Unreadable)?;
        let xattrs = xattrs_of(&*handle).map_err(LookError::Unreadable)?;
        let mounts = &home.mounts;
        let mut mounted = Vec::new();
        let listing = walk::list(&*handle, &mut self.list_buffer, |name| {
            let is_mount = !mounts.is_empty() && mounts.binary_search(&directory.path_of(name)).is_ok();
            if is_mount && !self.scan.options.cross_file_systems {
                mounted.push(directory.path_of(name));
            }
            !is_mount || self.scan.options.cross_file_systems
        })
        .map_err(LookError::Unreadable)?;
        let mut visit = Visit { xattrs, is_incomplete: !listing.failed.is_empty(), ..Visit::default() };
        for path in mounted {
            home.problem(path, ProblemKind::OtherFileSystem);
        }
        Meter::add(&home.totals.vanished, listing.vanished);
        for (name, error) in listing.failed {
            home.problem(directory.path_of(&name), ProblemKind::Unreadable(error.to_string()));
        }
        let scope = self.scope_in(directory, &handle, &listing.entries);
        visit.entries = self.wanted(directory, &scope, listing.entries);
        visit.digest = digest(&visit.entries);
        if let Some(key) = home.seen {
            visit.seen =
                self.seen.directory(key, directory.stat.device, directory.stat.inode).map_err(fatal)?;
        }
        visit.is_same = visit.seen.as_ref().is_some_and(|seen| seen.digest == visit.digest)
            && !visit.is_incomplete
            && !self.scan.options.verify_unchanged
            && !home.has_other_rules
            && !self.must_read_secrets(directory);
        let children = self.children(directory, &mut visit, &scope)?;
        if visit.is_same && children.is_empty() {
            visit.entries = Vec::new();
        }
        Ok((visit, children, handle))
    }

    /// The rules in a directory: its own ignore files, and a marker that empties it.
    fn scope_in(&mut self, directory: &Directory, handle: &OwnedFd, entries: &[Listed]) -> Scope {
        let has = |name: &OsStr| find(entries, name.as_bytes());
        let mut scope = directory.scope.clone();
        let mut files = Vec::new();
        for name in self.scan.rules.ignore_file_names() {
            if let Some(listed) = has(name).filter(|l| l.stat.kind.is_file())
                && let Some(bytes) = read_start(handle, &listed.name, MAX_IGNORE_BYTES + 1)
            {
                let path = directory.path_of(&listed.name);
                files.push(PatternFile { path: std::ffi::OsString::from_vec(path).into(), bytes });
            }
        }
        if !files.is_empty() {
            let (with_files, warnings) = scope.with_ignore_files(&files);
            scope = with_files;
            for warning in warnings {
                directory.home.problem(directory.path_of(b""), ProblemKind::IgnoreFile(warning.to_string()));
            }
        }
        for marker in self.scan.rules.markers() {
            if let Some(listed) = has(&marker.name).filter(|l| l.stat.kind.is_file())
                && let Some(start) = read_start(handle, &listed.name, MARKER_LEN)
                && marker.is_proven_by(&start)
            {
                return scope.marked(marker);
            }
        }
        scope
    }

    /// Leaves out what rules exclude, what cannot be saved, and what a restore that was killed left behind: half a file, or
    /// a secret outside of its place.
    fn wanted(&self, directory: &Directory, scope: &Scope, mut entries: Vec<Listed>) -> Vec<Listed> {
        let totals = &directory.home.totals;
        entries.retain(|Listed { name, stat }| {
            let is_directory = stat.kind.is_dir();
            if stat.kind == FileType::Socket || stat.kind == FileType::Unknown {
                Meter::add(&totals.sockets, 1);
                return false;
            }
            let is_kept = scope.decide(OsStr::from_bytes(name), is_directory) == Verdict::Keep
                && !(stat.kind.is_file() && (self.scan.rules.too_large(stat.size) || is_part_name(name)))
                && !self.scan.own.contains(&(stat.device, stat.inode));
            if !is_kept {
                Meter::add(&totals.excluded, 1);
            }
            is_kept
        });
        entries
    }

    /// Subdirectories to visit. Other file systems are not entered.
    fn children(
        &mut self,
        directory: &Arc<Directory>,
        visit: &mut Visit,
        scope: &Scope,
    ) -> Result<Vec<Arc<Directory>>, LookError> {
        let subdirectories: Vec<&Listed> = visit.entries.iter().filter(|e| e.stat.kind.is_dir()).collect();
        let mut previous = match (&visit.seen, directory.previous) {
            (None, Some(tree)) if !subdirectories.is_empty() => Some(self.prior_tree(tree).map_err(fatal)?),
            _ => None,
        };
        let mut children = Vec::with_capacity(subdirectories.len());
        for listed in subdirectories {
            if listed.stat.device != directory.home.stat.device && !self.scan.options.cross_file_systems {
                directory.home.problem(directory.path_of(&listed.name), ProblemKind::OtherFileSystem);
                continue;
            }
            let tree = match &mut previous {
                Some(prior) => match self.take(prior, &listed.name).map_err(fatal)?.map(|(_, e)| e.kind) {
                    Some(EntryKind::Directory(tree)) => Some(tree),
                    _ => None,
                },
                None => None,
            };
            children.push(directory.child(listed, visit.children.len(), scope, tree));
            visit.children.push(Child { name: listed.name.clone(), outcome: None });
        }
        Ok(children)
    }

    /// The second visit of a directory whose subdirectories are done, and of every parent for which
    /// this was the last one.
    fn complete(&mut self, directory: &Arc<Directory>) -> Result<(), BackupError> {
        let mut directory = Arc::clone(directory);
        loop {
            let outcome = self.finish(&directory)?;
            match self.deliver(&directory, outcome) {
                Some(parent) => directory = parent,
                None => return Ok(()),
            }
        }
    }

    /// Hands a failed directory's outcome up, and completes the parents that waited for it.
    fn hand_up(&mut self, directory: &Arc<Directory>, outcome: Option<Outcome>) -> Result<(), BackupError> {
        match self.deliver(directory, outcome) {
            Some(parent) => self.complete(&parent),
            None => Ok(()),
        }
    }

    /// Tells the parent; returns it when it has nothing left to wait for.
    fn deliver(&mut self, directory: &Arc<Directory>, outcome: Option<Outcome>) -> Option<Arc<Directory>> {
        directory.close();
        self.recent.close(directory);
        match &directory.parent {
            None => {
                *lock(&directory.home.outcome) = outcome;
                self.scan.vault.into_iter().for_each(|vault| vault.hand_over(&directory.home));
                None
            }
            Some((parent, index)) => {
                lock(&parent.visit).children[*index].outcome = outcome;
                (parent.pending.fetch_sub(1, Ordering::AcqRel) == 1).then(|| Arc::clone(parent))
            }
        }
    }

    fn finish(&mut self, directory: &Arc<Directory>) -> Result<Option<Outcome>, BackupError> {
        let mut visit = mem::take(&mut *lock(&directory.visit));
        let home = &directory.home;
        Meter::add(&home.totals.directories, 1);
        let place = (directory.stat.device, directory.stat.inode);
        let all_same =
            visit.is_same && visit.children.iter().all(|c| c.outcome.as_ref().is_some_and(|o| o.is_same));
        if let Some(seen) = visit.seen.take_if(|_| all_same) {
            self.count(directory, seen.files, seen.bytes);
            self.keep_secrets(directory);
            lock(&home.visited).push(place);
            let outcome =
                Outcome { tree: seen.tree, is_same: true, stat: directory.stat, xattrs: visit.xattrs };
            return Ok(Some(outcome));
        }
        let handle = match directory.open(&mut self.recent) {
            Ok(handle) => handle,
            Err(error) => {
                home.problem(directory.path_of(b""), ProblemKind::Unreadable(error.to_string()));
                return Ok(None);
            }
        };
        let stat = walk::stat(&*handle).unwrap_or(directory.stat);
        let previous_tree = visit.seen.as_ref().map(|s| s.tree);
        let mut row = self.save_entries(directory, &handle, &mut visit)?;
        if visit.is_incomplete {
            row.seen.digest = [0; 16];
        }
        self.count(directory, row.seen.files, row.seen.bytes);
        let tree = row.seen.tree;
        lock(&home.visited).push(place);
        home.has_new_rows.store(true, Ordering::Relaxed);
        self.keep_row(home.rows, row)?;
        Ok(Some(Outcome { tree, is_same: previous_tree == Some(tree), stat, xattrs: visit.xattrs }))
    }

    fn count(&self, directory: &Directory, files: u64, bytes: u64) {
        Meter::add(&self.scan.meter.files, files);
        Meter::add(&self.scan.meter.bytes, bytes);
        Meter::add(&directory.home.totals.files, files);
        Meter::add(&directory.home.totals.bytes, bytes);
    }
}

/// Why a directory was not looked at.
enum LookError {
    Unreadable(Errno),
    Fatal(BackupError),
}

fn fatal(error: impl Into<BackupError>) -> LookError {
    LookError::Fatal(error.into())
}

/// The first bytes of a small file; none when it cannot be read.
pub(super) fn read_start(handle: &OwnedFd, name: &[u8], length: usize) -> Option<Vec<u8>> {
    let file = OpenFile::open(handle, name).ok()?;
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, 0).ok()?;
    bytes.truncate(read);
    Some(bytes)
}

/// The entry of this name, in entries sorted by name.
pub(super) fn find<'e>(entries: &'e [Listed], name: &[u8]) -> Option<&'e Listed> {
    entries.binary_search_by(|e| (*e.name).cmp(name)).ok().map(|at| &entries[at])
}
