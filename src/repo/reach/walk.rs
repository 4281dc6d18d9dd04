//! Walks everything that some trees lead to, each object once, in the order the blocks lie in. Knows marks and
//! references, not which snapshot they belong to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::broken::{Edge, Node};
use super::queue::Queue;
use super::references::{Reference, Role, references};
use super::table::{ChunkTable, Marks, mark};
use crate::codec::ChunkId;
use crate::format::BlockKind;
use crate::index::Location;
use crate::repo::reader::{BlockCache, BlockKey, slice};
use crate::repo::{Reader, Readers, RepoError};

/// Unpacked blocks kept for all threads.
const CACHE_LEN: usize = 32 << 20;
/// What was found in other blocks is handed on when it is so much.
const HAND_ON: usize = 256;
/// No more errors are kept; further ones still make their snapshots incomplete.
const MAX_DAMAGE: usize = 1 << 16;

/// Whether a walk remembers who names whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edges {
    /// No: nothing may be missing.
    Forget,
    /// Yes: something is missing, and who leads there is the question.
    Keep,
}

/// A walk over the chunks of a table.
pub struct Walk<'w> {
    readers: &'w Readers,
    table: &'w ChunkTable,
    edges: Edges,
    marks: Marks,
    queue: Queue<Task>,
    blocks: Mutex<BlockCache>,
    outcome: Mutex<Outcome>,
}

/// What a walk came to know.
#[derive(Default)]
pub struct Outcome {
    /// What is missing or damaged, with why.
    pub damage: HashMap<ChunkId, RepoError>,
    /// Objects that name something missing, or are themselves damaged.
    pub broken: Vec<Node>,
    /// Who names whom, if that was asked for.
    pub edges: Vec<Edge>,
}

impl Outcome {
    fn add_damage(&mut self, id: ChunkId, error: RepoError) {
        if self.damage.len() < MAX_DAMAGE {
            self.damage.entry(id).or_insert(error);
        }
    }

    fn merge(&mut self, other: Self) {
        self.broken.extend(other.broken);
        self.edges.extend(other.edges);
        for (id, error) in other.damage {
            self.add_damage(id, error);
        }
    }
}

/// An object to be walked.
struct Task {
    id: ChunkId,
    number: u32,
    role: Role,
    location: Location,
}

impl Task {
    fn node(&self) -> Node {
        Node { number: self.number, role: self.role.mark() }
    }
}

impl<'w> Walk<'w> {
    /// A walk that has not begun.
    pub fn new(readers: &'w Readers, table: &'w ChunkTable, edges: Edges) -> Self {
        Self {
            readers,
            table,
            edges,
            marks: Marks::new(table.len()),
            queue: Queue::new(),
            blocks: Mutex::new(BlockCache::new(CACHE_LEN)),
            outcome: Mutex::default(),
        }
    }

    /// Walks all that these directories lead to.
    pub fn run(self, trees: &[ChunkId], threads: usize) -> Result<(Marks, Outcome), RepoError> {
        let mut first = Worker::new(&self)?;
        for tree in trees {
            first.reference(None, Reference::Tree(*tree, Role::Directory))?;
        }
        first.hand_on();
        drop(first);
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    if let Err(error) = Worker::new(&self).and_then(|mut worker| worker.work()) {
                        self.queue.stop(error);
                    }
                });
            }
        });
        match self.queue.into_error() {
            Some(error) => Err(error),
            None => Ok((self.marks, self.outcome.into_inner().unwrap_or_else(PoisonError::into_inner))),
        }
    }
}

/// One thread of a walk.
struct Worker<'w> {
    walk: &'w Walk<'w>,
    reader: Reader,
    /// The block this thread is at.
    block: Option<BlockKey>,
    /// To be walked in that block.
    own: Vec<Task>,
    /// Found in other blocks.
    found: Vec<(BlockKey, Task)>,
    outcome: Outcome,
}

impl<'w> Worker<'w> {
    fn new(walk: &'w Walk<'w>) -> Result<Self, RepoError> {
        let (own, found, outcome) = (Vec::new(), Vec::new(), Outcome::default());
        Ok(Self { walk, reader: walk.readers.reader()?, block: None, own, found, outcome })
    }

    fn work(&mut self) -> Result<(), RepoError> {
        while let Some((block, tasks)) = self.walk.queue.take() {
            (self.block, self.own) = (Some(block), tasks);
            let bytes = self.read(block)?;
            while !self.own.is_empty() {
                while let Some(task) = self.own.pop() {
                    self.object(&task, bytes.as_deref().map(Vec::as_slice))?;
                }
                self.hand_on();
                self.own = self.walk.queue.more(block);
            }
        }
        Ok(())
    }

    /// A block's bytes; none if they cannot be had, in which case each object may lie elsewhere too.
    fn read(&mut self, key: BlockKey) -> Result<Option<Arc<Vec<u8>>>, RepoError> {
        let cached = lock(&self.walk.blocks).get(key);
        if cached.is_some() {
            return Ok(cached);
        }
        match self.reader.read_block(key.0, key.1) {
            Ok(bytes) => {
                let bytes = Arc::new(bytes);
                lock(&self.walk.blocks).insert(key, Arc::clone(&bytes));
                Ok(Some(bytes))
            }
            Err(RepoError::Index(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Walks one object. `block` are the bytes of the block it lies in.
    fn object(&mut self, task: &Task, block: Option<&[u8]>) -> Result<(), RepoError> {
        let here = block.and_then(|block| slice(block, &task.location));
        if let Some(bytes) = here
            && self.reader.id_of(BlockKind::Tree, bytes) == task.id
        {
            return self.names(task, bytes);
        }
        match self.reader.find(BlockKind::Tree, &task.id) {
            Ok(found) => self.names(task, found.bytes()),
            Err(error) => self.damaged(task, error),
        }
    }

    /// Follows everything that an object with these bytes names.
    fn names(&mut self, task: &Task, bytes: &[u8]) -> Result<(), RepoError> {
        let mut result = Ok(());
        let decoded = references(&task.id, task.role, bytes, &mut |reference| {
            if result.is_ok() {
                result = self.reference(Some(task.node()), reference);
            }
        });
        result?;
        decoded.or_else(|error| self.damaged(task, error))
    }

    fn damaged(&mut self, task: &Task, error: RepoError) -> Result<(), RepoError> {
        if !error.is_damage() {
            return Err(error);
        }
        self.outcome.broken.push(task.node());
        self.outcome.add_damage(task.id, error);
        Ok(())
    }

    /// Marks what is named, and takes it on if it is a tree object that is new. `by` names it; nobody
    /// does if it is where the walk begins.
    fn reference(&mut self, by: Option<Node>, reference: Reference) -> Result<(), RepoError> {
        let (Reference::Data(id) | Reference::Tree(id, _)) = reference;
        let Some(number) = self.walk.table.number(&id) else {
            self.missing(by, id);
            return Ok(());
        };
        let Reference::Tree(_, role) = reference else {
            self.walk.marks.set(number, mark::DATA);
            return Ok(());
        };
        let named = Node { number, role: role.mark() };
        if let (Edges::Keep, Some(by)) = (self.walk.edges, by) {
            self.outcome.edges.push(Edge { named, by });
        }
        if !self.walk.marks.set(number, named.role) {
            return Ok(());
        }
        match self.reader.catalog().locate(&id)? {
            Some(location) => {
                self.take_on((location.segment, location.block), Task { id, number, role, location });
            }
            // Dropped from the index since the table was read.
            None => {
                self.outcome.broken.push(named);
                self.missing(by, id);
            }
        }
        Ok(())
    }

    fn take_on(&mut self, block: BlockKey, task: Task) {
        if self.block == Some(block) {
            return self.own.push(task);
        }
        self.found.push((block, task));
        if self.found.len() >= HAND_ON {
            self.hand_on();
        }
    }

    fn missing(&mut self, by: Option<Node>, id: ChunkId) {
        self.outcome.broken.extend(by.filter(|by| self.outcome.broken.last() != Some(by)));
        self.outcome.add_damage(id, RepoError::MissingChunk(id));
    }

    fn hand_on(&mut self) {
        if !self.found.is_empty() {
            self.walk.queue.add(self.found.drain(..));
        }
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        // Others would wait for what this thread can no longer find.
        if std::thread::panicking() {
            self.walk.queue.stop(RepoError::Stopped);
        }
        lock(&self.walk.outcome).merge(std::mem::take(&mut self.outcome));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
