//! A model of what a disk holds for certain, fed with the calls of a run: what was written or named, and what
//! of it was synced since.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::tracer::lines;
use crate::support::program::Program;

const CALLS: &str = "openat,write,pwrite64,fsync,rename,renameat2,mkdir,mkdirat,unlink,unlinkat,link,linkat";

/// Runs the program and fails unless, in its repository and for its keys:
/// - a file's bytes are synced before it gets the name that refers to them,
/// - all there is, with the folders on the way, is synced before a commit or the descriptor gets its name,
/// - before an object is removed,
/// - and before anything is reported.
pub fn assert_durable(program: &Program, arguments: &[&str]) {
    assert_durable_after(program, arguments, &[]);
}

/// Likewise, where another program named these objects and was killed before it synced that.
pub fn assert_durable_after(program: &Program, arguments: &[&str], unsynced: &[PathBuf]) {
    let mut disk = Disk::new(program);
    disk.unsynced_names.extend(unsynced.iter().cloned());
    let mut halves: BTreeMap<String, String> = BTreeMap::new();
    let mut changes = 0;
    for line in lines(program, CALLS, arguments) {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
        let call = call.trim_start();
        // A call that another thread's interrupted in the listing counts when it is done.
        if let Some(head) = call.strip_suffix(" <unfinished ...>") {
            halves.insert(thread.into(), head.into());
            continue;
        }
        let call = match call.split_once(" resumed>") {
            Some((_, tail)) => halves.remove(thread).unwrap() + tail,
            None => call.into(),
        };
        changes += usize::from(disk.apply(&call));
    }
    assert!(changes > 0, "{arguments:?} named and removed nothing: was it traced?");
    disk.assert_synced("the end");
}

struct Disk {
    /// Below which everything counts.
    folder: PathBuf,
    /// Does not count: the index can be made again.
    ignored: Vec<PathBuf>,
    unsynced_bytes: BTreeSet<PathBuf>,
    unsynced_names: BTreeSet<PathBuf>,
}

impl Disk {
    fn new(program: &Program) -> Self {
        let ignored = vec![program.cache.clone(), program.homes.clone(), program.path("trace")];
        let (unsynced_bytes, unsynced_names) = (BTreeSet::new(), BTreeSet::new());
        Self { folder: program.path(""), ignored, unsynced_bytes, unsynced_names }
    }

    /// Notes a call, given as `name(arguments) = result`. Says whether an object got its name or lost it.
    fn apply(&mut self, call: &str) -> bool {
        let Some((name, rest)) = call.split_once('(') else { return false };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { return false };
        if result.starts_with('-') || result.starts_with('?') {
            return false;
        }
        let paths = paths(arguments);
        match name {
            "openat" if arguments.contains("O_CREAT") => self.note_name(&paths[0]),
            "mkdir" | "mkdirat" => self.note_name(&paths[0]),
            "write" if arguments.starts_with("1<") => self.assert_synced("a report"),
            "write" | "pwrite64" => self.note_bytes(&paths[0]),
            "fsync" => self.sync(&paths[0]),
            "rename" | "renameat2" => return self.rename(&paths[0], &paths[1]),
            "unlink" | "unlinkat" => return self.remove(&paths[0]),
            "link" | "linkat" => panic!("the model knows no links: {call}"),
            _ => {}
        }
        false
    }

    fn counts(&self, path: &Path) -> bool {
        path.starts_with(&self.folder) && !self.ignored.iter().any(|ignored| path.starts_with(ignored))
    }

    fn note_name(&mut self, path: &Path) {
        if self.counts(path) {
            self.unsynced_names.insert(path.into());
        }
    }

    fn note_bytes(&mut self, path: &Path) {
        if self.counts(path) {
            self.unsynced_bytes.insert(path.into());
        }
    }

    fn sync(&mut self, path: &Path) {
        self.unsynced_bytes.remove(path);
        self.unsynced_names.retain(|name| name.parent() != Some(path));
    }

    fn rename(&mut self, from: &Path, to: &Path) -> bool {
        if !self.counts(to) {
            return false;
        }
        assert!(!self.unsynced_bytes.contains(from), "{} got its name before its bytes", to.display());
        self.unsynced_names.remove(from);
        let is_commit = to.components().any(|part| part.as_os_str() == "snapshots");
        if is_commit || to.ends_with("format") {
            self.assert_synced(&format!("{} got its name", to.display()));
        }
        self.unsynced_names.insert(to.into());
        true
    }

    /// A name that is gone may come back after a power cut, so a removal counts like a new name.
    fn remove(&mut self, path: &Path) -> bool {
        let is_temporary = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b".tmp-"));
        let is_object = self.counts(path) && !is_temporary;
        if is_object {
            self.assert_synced(&format!("{} was removed", path.display()));
        }
        self.unsynced_bytes.remove(path);
        self.note_name(path);
        is_object
    }

    fn assert_synced(&self, when: &str) {
        let (bytes, names) = (&self.unsynced_bytes, &self.unsynced_names);
        assert!(bytes.is_empty() && names.is_empty(), "before {when}: bytes of {bytes:?}, names {names:?}");
    }
}

/// The paths in a call's arguments: each quoted name, below the folder before it if there is one, or else
/// what the first descriptor is of.
fn paths(arguments: &str) -> Vec<PathBuf> {
    let mut folder = PathBuf::new();
    let mut paths = Vec::new();
    for argument in arguments.split(", ") {
        let inside = |open: char, close: char| {
            let (_, rest) = argument.split_once(open)?;
            Some(rest.rsplit_once(close)?.0)
        };
        if argument.starts_with('"') {
            paths.push(folder.join(inside('"', '"').unwrap()));
        } else if let Some(path) = inside('<', '>') {
            folder = path.into();
        }
    }
    // The bytes of a write are cut to none, so that they are no name.
    paths.retain(|path| *path != folder.join(""));
    if paths.is_empty() {
        paths.push(folder);
    }
    paths
}
