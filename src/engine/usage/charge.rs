//! Charges the stored bytes of homes to their files and folders, as `du` counts hard links: what stands in several
//! places is charged to the first of them, so that the parts add up to the whole. Goes through the newest
//! state of each home.

use std::collections::VecDeque;

use super::report::DamageCount;
use super::stock::Stock;
use super::{Meter, UsageError};
use crate::codec::ChunkId;
use crate::engine::HomePath;
use crate::format::{Content, Entry, EntryKind, Extent, TreeObject};
use crate::repo::{Reader, RepoError};

/// Sums over a folder, or what one file comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Charged {
    /// Regular files.
    pub files: u64,
    /// Bytes of file content.
    pub bytes: u64,
    /// Bytes in the store that were not charged before.
    pub stored: u64,
}

impl Charged {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.stored += other.stored;
    }
}

/// What a walk comes upon.
pub enum Event<'e> {
    /// An entry that is no directory.
    Entry(&'e Entry),
    /// The end of a directory, with the sums of all that is in it.
    Left,
}

/// What was charged so far. Its marks say of which chunks.
pub struct Charger {
    stock: Stock,
    is_named: Vec<bool>,
    reader: Reader,
    /// What could not be found or read; it is not charged, nor what it leads to.
    pub damage: DamageCount,
}

/// A directory that is gone through.
struct Open {
    entries: VecDeque<Entry>,
    pages: VecDeque<ChunkId>,
    sum: Charged,
}

impl Charger {
    /// Nothing is charged yet.
    pub fn new(stock: Stock, is_named: Vec<bool>, reader: Reader) -> Self {
        Self { stock, is_named, reader, damage: DamageCount::default() }
    }

    /// Nothing is charged any more.
    pub fn forget(&mut self) {
        self.stock.clear_marks();
    }

    /// Goes through a directory, names in order, and shows `visit` what each entry comes to, with its path below `start`.
    pub fn walk(
        &mut self,
        start: &HomePath,
        tree: &ChunkId,
        meter: &Meter,
        visit: &mut dyn FnMut(&HomePath, Event<'_>, Charged),
    ) -> Result<(), UsageError> {
        let mut path = start.clone();
        let mut open = vec![self.open(tree)?];
        while let Some(last) = open.last_mut() {
            if let Some(entry) = last.entries.pop_front() {
                path.push(&entry.name);
                if let EntryKind::Directory(tree) = &entry.kind {
                    open.push(self.open(tree)?);
                    continue;
                }
                let charged = self.file(&entry)?;
                last.sum.add(charged);
                visit(&path, Event::Entry(&entry), charged);
                path.pop();
            } else if let Some(page) = last.pages.pop_front() {
                let next = self.open(&page)?;
                last.sum.add(next.sum);
                last.entries = next.entries;
            } else {
                let Open { sum, .. } = open.pop().expect("there is a last one");
                if meter.is_interrupted() {
                    return Err(UsageError::Interrupted);
                }
                Meter::add(&meter.directories, 1);
                visit(&path, Event::Left, sum);
                if let Some(above) = open.last_mut() {
                    above.sum.add(sum);
                    path.pop();
                }
            }
        }
        Ok(())
    }

    /// What one entry comes to that is no directory.
    pub fn file(&mut self, entry: &Entry) -> Result<Charged, UsageError> {
        let EntryKind::File(content) = &entry.kind else { return Ok(Charged::default()) };
        let stored = self.content(content)?;
        Ok(Charged { files: 1, bytes: content.size(), stored })
    }

    fn open(&mut self, tree: &ChunkId) -> Result<Open, UsageError> {
        let sum = Charged { stored: self.take(tree).unwrap_or(0), ..Charged::default() };
        let mut open = Open { entries: VecDeque::new(), pages: VecDeque::new(), sum };
        match self.reader.tree(tree) {
            Ok(TreeObject::Page(page)) => open.entries = page.entries.into(),
            Ok(TreeObject::Index(index)) => open.pages = index.pages.into_iter().map(|(id, _)| id).collect(),
            Err(error) => self.miss(error)?,
        }
        Ok(open)
    }

    fn content(&mut self, content: &Content) -> Result<u64, UsageError> {
        let mut stored = 0;
        for extent in &content.extents {
            let Extent::Data { id, .. } = extent else { continue };
            // A list that was charged before was so with all that it names.
            let Some(charged) = self.take(id) else { continue };
            stored += charged;
            if content.depth > 0 {
                match self.reader.list(id) {
                    Ok(list) => stored += self.content(&list)?,
                    Err(error) => self.miss(error)?,
                }
            }
        }
        Ok(stored)
    }

    fn miss(&mut self, error: RepoError) -> Result<(), UsageError> {
        if !error.is_damage() {
            return Err(error.into());
        }
        // What is nowhere was counted when it was to be charged.
        self.damage.unreadable += u64::from(!matches!(error, RepoError::MissingChunk(_)));
        Ok(())
    }

    /// Stored bytes of a chunk; none if it was charged before.
    fn take(&mut self, id: &ChunkId) -> Option<u64> {
        let Some(number) = self.stock.number(id) else {
            self.damage.lost += 1;
            return Some(0);
        };
        if self.stock.marks()[number] == 1 {
            return None;
        }
        self.stock.set_mark(number, 1);
        Some(self.stock.counted(number, &self.is_named).map(|place| u64::from(place.bytes)).sum())
    }
}
