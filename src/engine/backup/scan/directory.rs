//! One directory of a walk: where it hangs, its open handle, and what is known of it so far.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::{Home, Recent, lock};
use crate::codec::ChunkId;
use crate::files::rules::{Rules, Scope, SecretRules, SecretScope};
use crate::files::walk::{self, Listed, Stat};
use crate::format::Xattr;
use crate::index::SeenDirectory;

/// Handles kept open by directories that wait for their subdirectories. Beyond it, a handle is
/// closed and opened again from the nearest ancestor that has one.
const HANDLES: usize = 400;
static OPEN_HANDLES: AtomicUsize = AtomicUsize::new(0);

/// A directory on the way through the walk.
pub struct Directory {
    /// The home it is in.
    pub home: Arc<Home>,
    /// Its parent, and its place among the parent's subdirectories.
    pub parent: Option<(Arc<Directory>, usize)>,
    /// Its name in the parent; empty for a home's own directory.
    pub name: Box<[u8]>,
    /// What the parent's listing showed.
    pub stat: Stat,
    /// The rules in it, without its own ignore file.
    pub scope: Scope,
    /// What is a secret in it.
    pub secret_scope: SecretScope,
    /// Its tree in the last snapshot, when there is nothing better.
    pub previous: Option<ChunkId>,
    /// Its handle while it is kept open.
    handle: Mutex<Option<Arc<OwnedFd>>>,
    /// Subdirectories that are not done.
    pub pending: AtomicUsize,
    /// What the first visit found.
    pub visit: Mutex<Visit>,
}

/// What the first visit found, for the second.
#[derive(Default)]
pub struct Visit {
    /// Entries to save, in order of names; dropped when nothing changed among them.
    pub entries: Vec<Listed>,
    /// What was seen last time.
    pub seen: Option<SeenDirectory>,
    /// Of the entries.
    pub digest: [u8; 16],
    /// Nothing changed directly in the directory.
    pub is_same: bool,
    /// Something here must be looked at again next time.
    pub is_incomplete: bool,
    /// Subdirectories, in order of names.
    pub children: Vec<Child>,
    /// The directory's own attributes.
    pub xattrs: Vec<Xattr>,
}

/// A subdirectory and what came of it; nothing when it could not be read.
pub struct Child {
    /// Its name.
    pub name: Box<[u8]>,
    /// Set when it is done.
    pub outcome: Option<Outcome>,
}

/// What a directory came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its tree.
    pub tree: ChunkId,
    /// Its tree is the one that was seen last time.
    pub is_same: bool,
    /// Its own stat, from its handle.
    pub stat: Stat,
    /// Its own attributes.
    pub xattrs: Vec<Xattr>,
}

impl Directory {
    /// A home's own directory.
    pub fn root(home: Arc<Home>, handle: OwnedFd, rules: &Rules, secrets: &SecretRules) -> Arc<Self> {
        let (stat, scope, previous) = (home.stat, rules.home(&home.path), home.previous);
        let secret_scope = secrets.home(&home.path);
        OPEN_HANDLES.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            home,
            parent: None,
            name: Box::default(),
            stat,
            scope,
            secret_scope,
            previous,
            handle: Mutex::new(Some(Arc::new(handle))),
            pending: AtomicUsize::new(0),
            visit: Mutex::default(),
        })
    }

    /// The subdirectory in place `index`.
    pub fn child(
        self: &Arc<Self>,
        listed: &Listed,
        index: usize,
        scope: &Scope,
        previous: Option<ChunkId>,
    ) -> Arc<Self> {
        Arc::new(Self {
            home: Arc::clone(&self.home),
            parent: Some((Arc::clone(self), index)),
            name: listed.name.clone(),
            stat: listed.stat,
            scope: scope.enter(OsStr::from_bytes(&listed.name)),
            secret_scope: self.secret_scope.enter(OsStr::from_bytes(&listed.name)),
            previous,
            handle: Mutex::new(None),
            pending: AtomicUsize::new(0),
            visit: Mutex::default(),
        })
    }

    /// The directory's handle. What is opened must be what the listing showed.
    pub fn open(self: &Arc<Self>, recent: &mut Recent) -> Result<Arc<OwnedFd>, Errno> {
        let mut closed = Vec::new();
        let mut at = Arc::clone(self);
        let mut handle = loop {
            if let Some(handle) = &*lock(&at.handle) {
                break Arc::clone(handle);
            }
            if let Some(handle) = recent.handle(&at) {
                break handle;
            }
            // A home's own handle is never closed before the home is done.
            let (parent, _) = at.parent.as_ref().ok_or(Errno::BADF)?;
            let parent = Arc::clone(parent);
            closed.push(at);
            at = parent;
        };
        for directory in closed.into_iter().rev() {
            let opened = walk::open_directory(&*handle, &directory.name)?;
            if !walk::stat(&opened)?.is_same_inode(&directory.stat) {
                return Err(Errno::STALE);
            }
            handle = Arc::new(opened);
            recent.keep(directory, Arc::clone(&handle));
        }
        Ok(handle)
    }

    /// Keeps the handle open for the subdirectories and the second visit, if not too many are.
    pub fn keep(&self, handle: Arc<OwnedFd>) {
        if OPEN_HANDLES.load(Ordering::Relaxed) < HANDLES {
            let mut slot = lock(&self.handle);
            if slot.is_none() {
                *slot = Some(handle);
                OPEN_HANDLES.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Lets go of the handle.
    pub fn close(&self) {
        if lock(&self.handle).take().is_some() {
            OPEN_HANDLES.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The path below the home, with `name` at its end.
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut parts = vec![name];
        let mut at = self;
        while let Some((parent, _)) = &at.parent {
            parts.push(&at.name);
            at = parent;
        }
        parts.reverse();
        let joined = parts.join(&b'/');
        match joined.strip_suffix(b"/") {
            Some(path) if name.is_empty() => path.to_vec(),
            _ => joined,
        }
    }
}

impl Drop for Directory {
    /// An interrupted walk drops directories that were never visited.
    fn drop(&mut self) {
        self.close();
        // Chains of parents can be very long; dropping them must not recurse.
        let mut next = self.parent.take();
        while let Some((parent, _)) = next {
            next = Arc::into_inner(parent).and_then(|mut parent| parent.parent.take());
        }
    }
}
