//! One thread of a walk: visits directories, takes over what did not change, reads what did.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::directory::{Child, Directory, Outcome, Visit};
use super::{Home, Queue, RACY_S, Recent, Scan, lock};
use crate::codec::ChunkId;
use crate::engine::backup::BackupError;
use crate::engine::backup::file::{FileSaver, SaveError};
use crate::engine::backup::prior::Prior;
use crate::engine::backup::seen_listing::{SeenListingWriter, Signature, digest};
use crate::engine::{Meter, ProblemKind};
use crate::files::live_sqlite;
use crate::files::read::{OpenError, OpenFile, xattrs_at, xattrs_of};
use crate::files::rules::{MAX_IGNORE_BYTES, PatternFile, Scope, Verdict};
use crate::files::walk::{self, ListBuffer, Listed, Stat};
use crate::format::{Attributes, Content, Entry, EntryKind, Owner, PageBuilder, flags};
use crate::index::{HomeKey, Seen, SeenDirectory, SeenRow};
use crate::repo::{Reader, RepoError, Repository, WriteSession, Writer};

/// A file that changes while it is read is read so often before it is saved as it is.
const ATTEMPTS: usize = 3;
/// Bytes of rows for the local index that a thread gathers.
const ROWS_LEN: usize = 256 << 10;
/// Read of a file that may mark its directory.
const MARKER_LEN: usize = 4 << 10;

/// One thread's tools.
pub struct Walker<'a> {
    scan: &'a Scan<'a>,
    session: WriteSession,
    reader: Reader,
    seen: Seen,
    saver: FileSaver<'a>,
    list_buffer: ListBuffer,
    rows: Vec<SeenRow>,
    rows_home: Option<HomeKey>,
    rows_len: usize,
    recent: Recent,
}

/// A regular file that was saved, or why it was not.
struct SavedContent {
    content: Content,
    flags: u64,
    stat: Stat,
    xattrs: Vec<crate::format::Xattr>,
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
            reader: repository.reader()?,
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
            && !self.scan.options.verify_unchanged;
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

    /// Leaves out what rules exclude and what cannot be saved.
    fn wanted(&self, directory: &Directory, scope: &Scope, mut entries: Vec<Listed>) -> Vec<Listed> {
        let totals = &directory.home.totals;
        entries.retain(|Listed { name, stat }| {
            let is_directory = stat.kind.is_dir();
            if stat.kind == FileType::Socket || stat.kind == FileType::Unknown {
                Meter::add(&totals.sockets, 1);
                return false;
            }
            let is_kept = scope.decide(OsStr::from_bytes(name), is_directory) == Verdict::Keep
                && !(stat.kind.is_file() && self.scan.rules.too_large(stat.size))
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

    /// Saves a directory's entries: those that did not change are taken over, the others looked into.
    fn save_entries(
        &mut self,
        directory: &Directory,
        handle: &OwnedFd,
        visit: &mut Visit,
    ) -> Result<SeenRow, BackupError> {
        let mut prior = self.prior(directory, visit)?;
        let entries = mem::take(&mut visit.entries);
        let names = |name: &OsStr| find(&entries, name.as_bytes()).is_some();
        let mut listing = ListingSaver::new(entries.len(), visit.digest);
        let mut copied = HashSet::new();
        let mut children = mem::take(&mut visit.children).into_iter().peekable();
        for listed in &entries {
            let known = self.take(&mut prior, &listed.name)?;
            if listed.stat.kind.is_dir() {
                while children.next_if(|c| c.name < listed.name).is_some() {}
                let child = children.next_if(|c| c.name == listed.name);
                match self.subdirectory(listed, child)? {
                    Some(entry) => listing.push(Signature::of(&listed.stat), entry, &mut self.session)?,
                    None => visit.is_incomplete = true,
                }
                continue;
            }
            // A database's name sorts before those of its companions.
            if self.belongs_to_database(listed, &copied) {
                continue;
            }
            if let Some((signature, entry)) = self.known_entry(&directory.home, listed, known, handle, &names)
            {
                listing.push(signature, entry, &mut self.session)?;
                continue;
            }
            match self.new_entry(directory, handle, listed, &names)? {
                Some((signature, entry)) => {
                    if entry.attributes.flags & flags::SQLITE_COPY != 0 {
                        copied.insert(entry.name.clone());
                    }
                    listing.push(signature, entry, &mut self.session)?;
                }
                None => visit.is_incomplete = true,
            }
        }
        listing.finish(directory, &mut self.session)
    }

    fn prior(&mut self, directory: &Directory, visit: &Visit) -> Result<Prior, BackupError> {
        match (&visit.seen, directory.home.seen, directory.previous) {
            (Some(_), Some(key), _) => {
                let bytes = self.seen.entries(key, directory.stat.device, directory.stat.inode)?;
                Ok(Prior::seen(bytes.unwrap_or_default()))
            }
            (_, _, Some(tree)) => Ok(self.prior_tree(tree)?),
            _ => Ok(Prior::none()),
        }
    }

    /// What a snapshot's tree has. One that is damaged is known no more: its files are read again.
    fn prior_tree(&mut self, tree: ChunkId) -> Result<Prior, RepoError> {
        match Prior::tree(&mut self.reader, tree) {
            Err(error) if error.is_damage() => {
                lock(&self.scan.damaged).push(error);
                Ok(Prior::none())
            }
            prior => prior,
        }
    }

    fn take(
        &mut self,
        prior: &mut Prior,
        name: &[u8],
    ) -> Result<Option<(Option<Signature>, Entry)>, RepoError> {
        match prior.take(name, &mut self.reader) {
            Err(error) if error.is_damage() => {
                lock(&self.scan.damaged).push(error);
                *prior = Prior::none();
                Ok(None)
            }
            taken => taken,
        }
    }

    /// The entry of a subdirectory; none when it could not be read. One on another file system is kept empty.
    fn subdirectory(&mut self, listed: &Listed, child: Option<Child>) -> Result<Option<Entry>, BackupError> {
        let outcome = match child {
            Some(Child { outcome: None, .. }) => return Ok(None),
            Some(Child { outcome: Some(outcome), .. }) => {
                // A tree that was taken over is only believed in when the repository has it.
                if outcome.is_same && self.session.reuse(&outcome.tree)?.is_none() {
                    return Err(BackupError::StaleIndex);
                }
                outcome
            }
            None => {
                let tree = PageBuilder::new(0)
                    .finish(&mut |bytes: Vec<u8>| self.session.tree(&bytes).map(|s| s.id))?;
                Outcome { tree, is_same: false, stat: listed.stat, xattrs: Vec::new() }
            }
        };
        Ok(Some(self.directory_entry(&listed.name, outcome)))
    }

    fn directory_entry(&self, name: &[u8], outcome: Outcome) -> Entry {
        let attributes = Attributes { xattrs: outcome.xattrs, ..Attributes::default() };
        self.entry(name, &outcome.stat, EntryKind::Directory(outcome.tree), attributes)
    }

    fn entry(&self, name: &[u8], stat: &Stat, kind: EntryKind, attributes: Attributes) -> Entry {
        let owner: Arc<Owner> = self.scan.owners.owner(stat.uid, stat.gid);
        Entry {
            name: name.to_vec(),
            kind,
            mode: stat.mode,
            owner,
            mtime_s: stat.mtime.0,
            mtime_ns: stat.mtime.1,
            attributes,
        }
    }

    /// A write-ahead log is part of the copy that SQLite makes; beside the copy it would damage it.
    fn belongs_to_database(&self, listed: &Listed, copied: &HashSet<Vec<u8>>) -> bool {
        self.scan.options.sqlite_copies
            && listed.stat.kind.is_file()
            && live_sqlite::belongs_to_copy(OsStr::from_bytes(&listed.name), |database| {
                copied.contains(database.as_bytes())
            })
    }

    /// What is known of an entry, if it still holds.
    fn known_entry(
        &self,
        home: &Home,
        listed: &Listed,
        known: Option<(Option<Signature>, Entry)>,
        handle: &OwnedFd,
        names: &dyn Fn(&OsStr) -> bool,
    ) -> Option<(Signature, Entry)> {
        let Listed { name, stat } = listed;
        let (signature, entry) = known?;
        let is_equal = kind_of(&entry.kind) == stat.kind
            && (entry.mtime_s, entry.mtime_ns) == stat.mtime
            && (!stat.kind.is_file() || entry.size() == stat.size);
        let is_live = self.is_live_database(listed, names);
        if !is_equal || is_live || self.scan.options.verify_unchanged {
            return None;
        }
        match signature {
            Some(signature) => (signature == Signature::of(stat)).then_some((signature, entry)),
            None if stat.kind.is_file()
                && entry.attributes.critical_flags() == 0
                && !home.is_recent_in_previous(stat.mtime.0) =>
            {
                let xattrs = xattrs_at(handle, name).ok()?;
                let attributes =
                    Attributes { xattrs, link_group: self.link_group(stat), ..Attributes::default() };
                let signature = self.signature(stat);
                Some((signature, self.entry(name, stat, entry.kind, attributes)))
            }
            None => None,
        }
    }

    fn is_live_database(&self, listed: &Listed, names: &dyn Fn(&OsStr) -> bool) -> bool {
        self.scan.options.sqlite_copies
            && listed.stat.kind.is_file()
            && live_sqlite::is_live_database(OsStr::from_bytes(&listed.name), names)
    }

    /// Looks into an entry; none when there is nothing to save, which is a problem or has vanished.
    fn new_entry(
        &mut self,
        directory: &Directory,
        handle: &OwnedFd,
        listed: &Listed,
        names: &dyn Fn(&OsStr) -> bool,
    ) -> Result<Option<(Signature, Entry)>, BackupError> {
        let Listed { name, stat } = listed;
        let kind = match stat.kind {
            FileType::RegularFile => return self.new_file(directory, handle, listed, names),
            FileType::Symlink => match walk::read_link(handle, name) {
                Ok(target) => EntryKind::Symlink(target),
                Err(error) => return Ok(self.unreadable(directory, name, error)),
            },
            FileType::Fifo => EntryKind::Fifo,
            FileType::CharacterDevice => EntryKind::CharDevice(stat.special),
            _ => EntryKind::BlockDevice(stat.special),
        };
        let xattrs = match xattrs_at(handle, name) {
            Ok(xattrs) => xattrs,
            Err(error) => return Ok(self.unreadable(directory, name, error)),
        };
        let attributes = Attributes { xattrs, link_group: self.link_group(stat), ..Attributes::default() };
        Ok(Some((self.signature(stat), self.entry(name, stat, kind, attributes))))
    }

    fn unreadable<T>(&self, directory: &Directory, name: &[u8], error: Errno) -> Option<T> {
        if error == Errno::NOENT {
            Meter::add(&directory.home.totals.vanished, 1);
        } else {
            directory.home.problem(directory.path_of(name), ProblemKind::Unreadable(error.to_string()));
        }
        None
    }

    fn new_file(
        &mut self,
        directory: &Directory,
        handle: &OwnedFd,
        listed: &Listed,
        names: &dyn Fn(&OsStr) -> bool,
    ) -> Result<Option<(Signature, Entry)>, BackupError> {
        let Listed { name, stat } = listed;
        let home = &directory.home;
        if self.is_foreign_link(directory, stat) {
            home.problem(directory.path_of(name), ProblemKind::ForeignLink);
            let attributes = Attributes { flags: flags::FOREIGN_LINK, ..Attributes::default() };
            let entry = self.entry(name, stat, EntryKind::File(Content::default()), attributes);
            return Ok(Some((Signature::NONE, entry)));
        }
        let link = (stat.device, stat.inode, stat.ctime_ns());
        let linked = if stat.links > 1 { lock(&home.linked).get(&link).cloned() } else { None };
        let saved = match linked {
            Some(content) => match xattrs_at(handle, name) {
                Ok(xattrs) => SavedContent { content, flags: 0, stat: *stat, xattrs },
                Err(error) => return Ok(self.unreadable(directory, name, error)),
            },
            None if self.is_live_database(listed, names) => {
                match self.copy_database(directory, handle, listed)? {
                    Some(saved) => saved,
                    None => return Ok(None),
                }
            }
            None => match self.read_file(directory, handle, name)? {
                Some(saved) => saved,
                None => return Ok(None),
            },
        };
        if saved.stat.links > 1 && saved.flags == 0 {
            let link = (saved.stat.device, saved.stat.inode, saved.stat.ctime_ns());
            lock(&home.linked).entry(link).or_insert_with(|| saved.content.clone());
        }
        let signature = if saved.flags == 0 { self.signature(&saved.stat) } else { Signature::NONE };
        let link_group = self.link_group(&saved.stat);
        let attributes =
            Attributes { xattrs: saved.xattrs, link_group, flags: saved.flags, ..Attributes::default() };
        Ok(Some((signature, self.entry(name, &saved.stat, EntryKind::File(saved.content), attributes))))
    }

    /// Root reads everything, so a user could have any file saved, and handed back, by linking it into
    /// the home. A name that is not the only one, of a file that is not the user's, is not read.
    fn is_foreign_link(&self, directory: &Directory, stat: &Stat) -> bool {
        self.scan.options.is_privileged && stat.links > 1 && stat.uid != directory.home.stat.uid
    }

    /// Reads a file, again if it changes meanwhile; none when there is none, or it cannot be read.
    fn read_file(
        &mut self,
        directory: &Directory,
        handle: &OwnedFd,
        name: &[u8],
    ) -> Result<Option<SavedContent>, BackupError> {
        let totals = &directory.home.totals;
        for attempt in 1..=ATTEMPTS {
            let file = match OpenFile::open(handle, name) {
                Ok(file) => file,
                Err(OpenError::Vanished) => return Ok(self.unreadable(directory, name, Errno::NOENT)),
                // What took its place is seen by the next run.
                Err(OpenError::Replaced) => return Ok(self.unreadable(directory, name, Errno::NOENT)),
                Err(OpenError::Failed(error)) => return Ok(self.unreadable(directory, name, error)),
            };
            // The name may by now lead to another inode than the listing showed.
            if self.is_foreign_link(directory, &file.stat) {
                return Ok(self.unreadable(directory, name, Errno::NOENT));
            }
            let read = self.saver.save(&file, &mut self.session);
            let (saved, now, xattrs) = match (read, file.stat_again(), file.xattrs()) {
                (Ok(saved), Ok(now), Ok(xattrs)) => (saved, now, xattrs),
                (Err(SaveError::Repository(error)), ..) => return Err(error.into()),
                (Err(SaveError::Interrupted), ..) => return Err(BackupError::Interrupted),
                (Err(SaveError::Read(error)), ..) | (_, Err(error), _) | (_, _, Err(error)) => {
                    return Ok(self.unreadable(directory, name, error));
                }
            };
            Meter::add(&totals.bytes_new, saved.bytes_new);
            let is_whole = now.is_unchanged(&file.stat) && saved.content.size() == now.size;
            if is_whole || attempt == ATTEMPTS {
                Meter::add(&totals.files_read, 1);
                if !is_whole {
                    directory.home.problem(directory.path_of(name), ProblemKind::Changed);
                }
                let flags = if is_whole { 0 } else { flags::CHANGED };
                return Ok(Some(SavedContent { content: saved.content, flags, stat: now, xattrs }));
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Lets SQLite copy a live database; where it cannot, the plain bytes are saved and marked.
    fn copy_database(
        &mut self,
        directory: &Directory,
        handle: &OwnedFd,
        listed: &Listed,
    ) -> Result<Option<SavedContent>, BackupError> {
        let Listed { name, stat } = listed;
        let account = self.scan.owners.account(stat.uid, stat.gid);
        let is_database =
            read_start(handle, name, live_sqlite::MAGIC.len()).as_deref() == Some(&live_sqlite::MAGIC[..]);
        if !is_database {
            return self.read_file(directory, handle, name);
        }
        let began = Instant::now();
        let copy = match directory.home.copy_limits() {
            Some(limits) => {
                let (name, program) = (OsStr::from_bytes(name), &self.scan.options.sqlite_program);
                live_sqlite::copy(program, handle.as_fd(), name, account, &limits, &self.scan.scratch)
                    .map_err(|e| e.to_string())
            }
            None => Err("the home's databases took too long".into()),
        };
        directory.home.spend_on_copies(began.elapsed());
        let copy = copy.and_then(|file| OpenFile::from_handle(file.into()).map_err(|e| e.to_string()));
        let why = match copy {
            Ok(file) => match self.saver.save(&file, &mut self.session) {
                Ok(saved) => {
                    Meter::add(&directory.home.totals.bytes_new, saved.bytes_new);
                    Meter::add(&directory.home.totals.files_read, 1);
                    let xattrs = xattrs_at(handle, name).unwrap_or_default();
                    let flags = flags::SQLITE_COPY;
                    return Ok(Some(SavedContent { content: saved.content, flags, stat: *stat, xattrs }));
                }
                Err(SaveError::Repository(error)) => return Err(error.into()),
                Err(SaveError::Interrupted) => return Err(BackupError::Interrupted),
                Err(SaveError::Read(error)) => error.to_string(),
            },
            Err(why) => why,
        };
        directory.home.problem(directory.path_of(name), ProblemKind::LiveDatabase(why));
        let saved = self.read_file(directory, handle, name)?;
        Ok(saved.map(|saved| SavedContent { flags: saved.flags | flags::SQLITE_RAW, ..saved }))
    }

    fn link_group(&self, stat: &Stat) -> Option<[u8; 16]> {
        (stat.links > 1).then(|| self.reader.link_group(stat.device, stat.inode, stat.ctime_ns()))
    }

    /// A file that changed about now may change again within the same tick of the file system's
    /// clock: it is read again next time.
    fn signature(&self, stat: &Stat) -> Signature {
        let now_s = jiff::Timestamp::now().as_second();
        let recent = self.scan.started_s - RACY_S..=now_s + RACY_S;
        if recent.contains(&stat.mtime.0) || recent.contains(&stat.ctime.0) {
            Signature::NONE
        } else {
            Signature::of(stat)
        }
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

/// Writes a directory's tree and its row in the local index, entry by entry.
struct ListingSaver {
    pages: PageBuilder,
    seen: SeenListingWriter,
    digest: [u8; 16],
    files: u64,
    bytes: u64,
}

impl ListingSaver {
    fn new(entries: usize, digest: [u8; 16]) -> Self {
        Self {
            pages: PageBuilder::new(entries),
            seen: SeenListingWriter::default(),
            digest,
            files: 0,
            bytes: 0,
        }
    }

    fn push(
        &mut self,
        signature: Signature,
        entry: Entry,
        session: &mut WriteSession,
    ) -> Result<(), RepoError> {
        if signature == Signature::NONE {
            self.digest = [0; 16];
        }
        if matches!(entry.kind, EntryKind::File(_)) {
            self.files += 1;
            self.bytes += entry.size();
        }
        self.seen.push(signature, entry.clone());
        self.pages.push(entry, &mut |bytes: Vec<u8>| session.tree(&bytes).map(|s| s.id))
    }

    fn finish(self, directory: &Directory, session: &mut WriteSession) -> Result<SeenRow, BackupError> {
        let tree = self.pages.finish(&mut |bytes: Vec<u8>| session.tree(&bytes).map(|s| s.id))?;
        let seen =
            SeenDirectory { digest: self.digest, tree, files: self.files, bytes: self.bytes, problems: 0 };
        let (device, inode) = (directory.stat.device, directory.stat.inode);
        Ok(SeenRow { device, inode, seen, entries: self.seen.finish() })
    }
}

/// The entry of this name, in entries sorted by name.
fn find<'e>(entries: &'e [Listed], name: &[u8]) -> Option<&'e Listed> {
    entries.binary_search_by(|e| (*e.name).cmp(name)).ok().map(|at| &entries[at])
}

/// The first bytes of a small file; none when it cannot be read.
fn read_start(handle: &OwnedFd, name: &[u8], length: usize) -> Option<Vec<u8>> {
    let file = OpenFile::open(handle, name).ok()?;
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, 0).ok()?;
    bytes.truncate(read);
    Some(bytes)
}

fn kind_of(kind: &EntryKind) -> FileType {
    match kind {
        EntryKind::File(_) => FileType::RegularFile,
        EntryKind::Directory(_) => FileType::Directory,
        EntryKind::Symlink(_) => FileType::Symlink,
        EntryKind::Fifo => FileType::Fifo,
        EntryKind::CharDevice(_) => FileType::CharacterDevice,
        EntryKind::BlockDevice(_) => FileType::BlockDevice,
    }
}
