//! Passes numbers down from the roots of trees to everything that they lead to: what a number means, and what
//! becomes of two that meet, is the caller's. Knows trees, not users or snapshots.
//!
//! What was written last is visited first. Children are written before what names them, so nearly everything is
//! visited when all numbers that come to it are known: once, however many roots lead there.

use std::collections::{BTreeMap, HashSet};

use super::UsageError;
use super::report::DamageCount;
use super::stock::Stock;
use crate::codec::ChunkId;
use crate::engine::Meter;
use crate::format::{Content, Entry, EntryKind, Extent, Page, TreeObject};
use crate::index::{ChunkKey, Location};
use crate::repo::{Reader, RepoError};

/// What could not be found or read on the way.
#[derive(Debug, Default)]
pub struct Damage {
    /// Chunks that are nowhere.
    pub lost: HashSet<ChunkKey>,
    /// Trees and lists that are there and cannot be read.
    pub unreadable: HashSet<ChunkKey>,
}

impl Damage {
    /// Whether all was found.
    pub fn is_none(&self) -> bool {
        self.lost.is_empty() && self.unreadable.is_empty()
    }

    /// How much it is.
    pub fn count(&self) -> DamageCount {
        DamageCount { lost: self.lost.len() as u64, unreadable: self.unreadable.len() as u64, history: 0 }
    }
}

/// What a tree object is to be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Directory,
    List,
}

struct Task {
    id: ChunkId,
    number: usize,
    role: Role,
    mark: u32,
}

/// A walk that has not ended.
pub struct Walk<'w> {
    reader: &'w mut Reader,
    stock: &'w mut Stock,
    /// What becomes of the number that is there when another comes. It must not matter in which order they come.
    join: &'w mut dyn FnMut(u32, u32) -> u32,
    pending: BTreeMap<(i64, u32, u32), Task>,
    damage: Damage,
    see: Option<&'w mut dyn FnMut(&Entry)>,
}

impl<'w> Walk<'w> {
    /// A walk that has not begun.
    pub fn new(
        reader: &'w mut Reader,
        stock: &'w mut Stock,
        join: &'w mut dyn FnMut(u32, u32) -> u32,
    ) -> Self {
        Self { reader, stock, join, pending: BTreeMap::new(), damage: Damage::default(), see: None }
    }

    /// Shows `see` every entry that is met, at least once.
    pub fn see_entries(&mut self, see: &'w mut dyn FnMut(&Entry)) {
        self.see = Some(see);
    }

    /// Passes the numbers of these trees to all that they lead to. Where a number changes nothing, what is below has
    /// it already.
    pub fn run(
        mut self,
        roots: impl Iterator<Item = (ChunkId, u32)>,
        meter: &Meter,
    ) -> Result<Damage, UsageError> {
        for (tree, mark) in roots {
            self.tree(&tree, Role::Directory, mark)?;
        }
        while let Some((_, task)) = self.pending.pop_last() {
            if meter.is_interrupted() {
                return Err(UsageError::Interrupted);
            }
            Meter::add(&meter.directories, 1);
            self.visit(&task)?;
        }
        Ok(self.damage)
    }

    fn visit(&mut self, task: &Task) -> Result<(), UsageError> {
        let before = self.stock.marks[task.number];
        let mark = (self.join)(before, task.mark);
        if mark == before {
            return Ok(());
        }
        self.stock.marks[task.number] = mark;
        match self.read(task) {
            Ok(Object::Page(page)) => self.page(page, task.mark),
            Ok(Object::Pages(pages)) => {
                pages.iter().try_for_each(|page| self.tree(page, Role::Directory, task.mark))
            }
            Ok(Object::List(list)) => self.content(&list, task.mark),
            Err(error) if error.is_damage() => {
                self.damage.unreadable.insert(ChunkKey::of(&task.id));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn read(&mut self, task: &Task) -> Result<Object, RepoError> {
        Ok(match task.role {
            Role::Directory => match self.reader.tree(&task.id)? {
                TreeObject::Page(page) => Object::Page(page),
                TreeObject::Index(index) => {
                    Object::Pages(index.pages.into_iter().map(|(id, _)| id).collect())
                }
            },
            Role::List => Object::List(self.reader.list(&task.id)?),
        })
    }

    fn page(&mut self, page: Page, mark: u32) -> Result<(), UsageError> {
        for entry in page.entries {
            if let Some(see) = &mut self.see {
                see(&entry);
            }
            match entry.kind {
                EntryKind::Directory(tree) => self.tree(&tree, Role::Directory, mark)?,
                EntryKind::File(content) => self.content(&content, mark)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn content(&mut self, content: &Content, mark: u32) -> Result<(), UsageError> {
        for extent in &content.extents {
            match extent {
                Extent::Data { id, .. } if content.depth == 0 => self.data(id, mark),
                Extent::Data { id, .. } => self.tree(id, Role::List, mark)?,
                Extent::Hole { .. } => {}
            }
        }
        Ok(())
    }

    fn data(&mut self, id: &ChunkId, mark: u32) {
        match self.stock.number(id) {
            Some(number) => {
                self.stock.marks[number] = (self.join)(self.stock.marks[number], mark);
            }
            None => drop(self.damage.lost.insert(ChunkKey::of(id))),
        }
    }

    fn tree(&mut self, id: &ChunkId, role: Role, mark: u32) -> Result<(), UsageError> {
        let Some(number) = self.stock.number(id) else {
            self.damage.lost.insert(ChunkKey::of(id));
            return Ok(());
        };
        let here = self.stock.marks[number];
        if (self.join)(here, mark) == here {
            return Ok(());
        }
        let Some(Location { segment, block, start, .. }) = self.reader.catalog().locate(id)? else {
            self.damage.lost.insert(ChunkKey::of(id));
            return Ok(());
        };
        match self.pending.entry((segment.0, block, start)) {
            std::collections::btree_map::Entry::Occupied(mut task) => {
                let task = task.get_mut();
                task.mark = (self.join)(task.mark, mark);
            }
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(Task { id: *id, number, role, mark });
            }
        }
        Ok(())
    }
}

enum Object {
    Page(Page),
    Pages(Vec<ChunkId>),
    List(Content),
}
