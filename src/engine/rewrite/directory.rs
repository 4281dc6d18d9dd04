//! One directory while it is made anew: where it hangs, and what its subdirectories have come to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{Home, TreePair, lock};
use crate::codec::ChunkId;

/// A directory.
pub struct Directory {
    /// The home it is in.
    pub home: Arc<Home>,
    /// The directory it is in, and its place among the subdirectories there; none for a home's own.
    parent: Option<(Arc<Directory>, usize)>,
    name: Box<[u8]>,
    /// In the source.
    pub tree: ChunkId,
    /// What is known already.
    pub base: Option<TreePair>,
    /// Subdirectories that are not done.
    pending: AtomicUsize,
    children: Mutex<Vec<Child>>,
}

/// A subdirectory and what it became: nothing yet, or nothing at all when it is lost.
pub struct Child {
    pub name: Box<[u8]>,
    pub tree: Option<ChunkId>,
}

impl Directory {
    /// A home's own.
    pub fn root(home: &Arc<Home>) -> Arc<Self> {
        Self::new(home, None, Box::default(), home.given.tree, home.given.base)
    }

    /// The subdirectory in place `index`.
    pub fn child(
        self: &Arc<Self>,
        index: usize,
        name: Box<[u8]>,
        tree: ChunkId,
        base: Option<TreePair>,
    ) -> Arc<Self> {
        Self::new(&self.home, Some((Arc::clone(self), index)), name, tree, base)
    }

    fn new(
        home: &Arc<Home>,
        parent: Option<(Arc<Self>, usize)>,
        name: Box<[u8]>,
        tree: ChunkId,
        base: Option<TreePair>,
    ) -> Arc<Self> {
        let (home, pending, children) = (Arc::clone(home), AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { home, parent, name, tree, base, pending, children })
    }

    /// Notes the subdirectories, of which `pending` are to come.
    pub fn expect(&self, children: Vec<Child>, pending: usize) {
        self.pending.store(pending, Ordering::Release);
        *lock(&self.children) = children;
    }

    /// The subdirectories, which are done.
    pub fn take_children(&self) -> Vec<Child> {
        std::mem::take(&mut *lock(&self.children))
    }

    /// Hands up what the directory became; returns the one above when it has nothing left to wait for.
    pub fn deliver(&self, tree: Option<ChunkId>) -> Option<Arc<Self>> {
        let Some((parent, index)) = &self.parent else {
            *lock(&self.home.tree) = tree;
            return None;
        };
        lock(&parent.children)[*index].tree = tree;
        (parent.pending.fetch_sub(1, Ordering::AcqRel) == 1).then(|| Arc::clone(parent))
    }

    /// The path below the home, with `name` at its end unless that is empty.
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut parts = vec![name];
        let mut at = self;
        while let Some((parent, _)) = &at.parent {
            parts.push(&at.name);
            at = parent;
        }
        parts.retain(|part| !part.is_empty());
        parts.reverse();
        parts.join(&b'/')
    }
}

impl Drop for Directory {
    /// Chains of parents can be very long; dropping them must not recurse.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some((parent, _)) = next {
            next = Arc::into_inner(parent).and_then(|mut parent| parent.parent.take());
        }
    }
}
