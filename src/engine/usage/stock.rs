//! All chunks that the store holds, where, and how many stored bytes each takes there; with a number for each,
//! which says who holds it. Knows no snapshot and no user.
//!
//! What is kept of the last time is taken over, with what lies in segments that are new since. Where that will not do, the
//! index is gone through. Memory is 24 bytes for each chunk of the repository.

mod additions;
mod scan;

use std::collections::{HashMap, HashSet};

use super::UsageError;
use super::groups::Groups;
use super::scene::Scene;
use crate::codec::{ChunkId, TAG_LEN};
use crate::index::{
    ChunkKey, Division, HeldPlace, HeldSegment, Holdings, HoldingsHead, IndexError, PartsChange,
};
use crate::repo::Repository;

/// Where a chunk lies, and what it takes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    segment: u32,
    /// Its share of the block's stored bytes.
    pub bytes: u32,
}

impl Place {
    const TREE: u32 = 1 << 31;
    /// Of a chunk's first place: there are others. Not kept.
    const SEVERAL: u32 = 1 << 30;

    /// The place of the segment in [`Stock::segments`].
    pub fn segment(self) -> usize {
        (self.segment & !(Self::TREE | Self::SEVERAL)) as usize
    }

    /// Whether it lies among trees.
    pub fn is_tree(self) -> bool {
        self.segment & Self::TREE != 0
    }
}

/// Everything that lies in the segments of a listing, but for damaged blocks.
pub struct Stock {
    keys: Vec<ChunkKey>,
    first: Vec<Place>,
    /// Of chunks that lie in several places, the others.
    others: HashMap<u32, Vec<Place>>,
    marks: Vec<u32>,
    /// The segments that were listed and are known.
    pub segments: Vec<HeldSegment>,
    /// Whether no block was left out as damaged.
    pub is_exact: bool,
    kept: Option<Kept>,
}

/// How a stock that was kept differs from what is kept.
struct Kept {
    division: Division,
    changed: Vec<bool>,
}

/// A block as it is stored, and unpacked.
#[derive(Clone, Copy)]
struct Block {
    body: u32,
    raw: u32,
    is_tree: bool,
}

impl Block {
    fn of(stored_len: u32, raw_len: u32, is_tree: bool) -> Self {
        Self { body: stored_len.saturating_sub(TAG_LEN as u32), raw: raw_len, is_tree }
    }

    /// The place of a chunk in this block.
    fn place(self, segment: usize, start: u32, length: u32) -> Place {
        let tree = if self.is_tree { Place::TREE } else { 0 };
        Place { segment: segment as u32 | tree, bytes: self.share(start, length) }
    }

    /// The share of `length` bytes from `start` on in the stored ones. Shares of neighbours add up without a rest.
    fn share(self, start: u32, length: u32) -> u32 {
        let until = |end: u64| u64::from(self.body) * end / u64::from(self.raw.max(1));
        let start = u64::from(start);
        (until(start + u64::from(length)) - until(start)) as u32
    }
}

impl Stock {
    fn new(segments: Vec<HeldSegment>, kept: Option<Kept>, is_exact: bool) -> Self {
        let (keys, first, others, marks) = (Vec::new(), Vec::new(), HashMap::new(), Vec::new());
        Self { keys, first, others, marks, segments, is_exact, kept }
    }

    /// As it was kept, with the numbers of that time, and with what is new; or with the number 0 for each chunk.
    pub fn find(
        repository: &Repository,
        holdings: &Holdings,
        head: &HoldingsHead,
        scene: &Scene,
    ) -> Result<Self, UsageError> {
        match additions::find(repository, head, scene)? {
            Some(additions) => Ok(Self::resume(holdings, head, additions)?),
            None => Ok(scan::scan(repository.catalog(), &scene.segments())?),
        }
    }

    /// Likewise, for who counts something else: all numbers are 0, and it is not to be kept.
    pub fn unmarked(repository: &Repository, scene: &Scene) -> Result<Self, UsageError> {
        let find = || {
            let holdings = Holdings::open(repository.cache())?;
            Self::find(repository, &holdings, &holdings.load()?, scene)
        };
        let mut stock = match find() {
            // Whoever asks for the account makes it anew.
            Err(UsageError::Index(error)) if error.is_damage() => {
                scan::scan(repository.catalog(), &scene.segments())?
            }
            stock => stock?,
        };
        stock.clear_marks();
        Ok(stock)
    }

    /// What is kept and what is new, in order.
    fn resume(
        holdings: &Holdings,
        head: &HoldingsHead,
        additions: additions::Additions,
    ) -> Result<Self, IndexError> {
        let kept = Kept { division: head.division, changed: vec![false; head.division.parts()] };
        let mut stock = Self::new(additions.segments, Some(kept), true);
        let (segments, groups) = (stock.segments.len(), head.groups.len().max(1));
        let count = holdings.place_count()? + additions.places.len();
        stock.keys.reserve(count);
        stock.first.reserve(count);
        stock.marks.reserve(count);
        let (mut new, mut is_sound) = (additions.places.into_iter().peekable(), true);
        holdings.scan_places(|held| {
            while let Some((key, place)) = new.next_if(|(key, _)| *key < held.key) {
                stock.add(key, place);
            }
            let place = Place { segment: held.segment, bytes: held.bytes };
            is_sound &= place.segment() < segments
                && held.segment & Place::SEVERAL == 0
                && (held.group as usize) < groups
                && stock.keys.last().is_none_or(|last| *last <= held.key);
            stock.push(held.key, place, held.group);
        })?;
        new.for_each(|(key, place)| stock.add(key, place));
        match is_sound {
            true => Ok(stock),
            false => Err(IndexError::Damaged("the places of chunks")),
        }
    }

    /// A place that is not kept so far.
    fn add(&mut self, key: ChunkKey, place: Place) {
        self.push(key, place, Groups::NOBODY);
        self.note_change(self.keys.len() - 1);
    }

    fn push(&mut self, key: ChunkKey, place: Place, mark: u32) {
        if self.keys.last() == Some(&key) {
            let number = self.keys.len() - 1;
            self.first[number].segment |= Place::SEVERAL;
            return self.others.entry(number as u32).or_default().push(place);
        }
        self.keys.push(key);
        self.first.push(place);
        self.marks.push(mark);
    }

    fn note_change(&mut self, number: usize) {
        if let Some(kept) = &mut self.kept {
            kept.changed[kept.division.part(&self.keys[number])] = true;
        }
    }

    /// A chunk's number; none if it is lost.
    pub fn number(&self, id: &ChunkId) -> Option<usize> {
        self.keys.binary_search(&ChunkKey::of(id)).ok()
    }

    /// What each chunk is marked with, in order.
    pub fn marks(&self) -> &[u32] {
        &self.marks
    }

    /// Marks a chunk.
    pub fn set_mark(&mut self, number: usize, mark: u32) {
        if self.marks[number] != mark {
            self.marks[number] = mark;
            self.note_change(number);
        }
    }

    /// Takes all marks away, and what is known of those that are kept.
    pub fn clear_marks(&mut self) {
        self.kept = None;
        self.marks.fill(0);
    }

    /// Whether the marks are those that are kept.
    pub fn is_resumed(&self) -> bool {
        self.kept.is_some()
    }

    /// The beginnings of all ids, in order.
    pub fn keys(&self) -> &[ChunkKey] {
        &self.keys
    }

    /// Which parts differ from what is kept. All if it was not kept, or has outgrown the division.
    pub fn changed_parts(&self) -> PartsChange {
        let division = Division::of(self.keys.len());
        match &self.kept {
            Some(kept) if division.parts() <= 4 * kept.division.parts() => {
                let changed = kept.changed.iter().enumerate().filter(|(_, is_changed)| **is_changed);
                PartsChange::Some(changed.map(|(part, _)| part).collect())
            }
            _ => PartsChange::All(division),
        }
    }

    /// Shows the places in a part, with the marks that `mark` makes of theirs.
    pub fn part(
        &self,
        division: Division,
        part: usize,
        mark: impl Fn(u32) -> u32,
        visit: &mut dyn FnMut(HeldPlace),
    ) {
        let begin = self.keys.partition_point(|key| division.part(key) < part);
        let here = self.keys[begin..].iter().zip(begin..);
        for (key, number) in here.take_while(|(key, _)| division.part(key) == part) {
            for place in self.places(number) {
                let segment = place.segment & !Place::SEVERAL;
                visit(HeldPlace { key: *key, group: mark(self.marks[number]), segment, bytes: place.bytes });
            }
        }
    }

    /// Every place of a chunk.
    pub fn places(&self, number: usize) -> impl Iterator<Item = Place> {
        let first = self.first[number];
        let others = match first.segment & Place::SEVERAL {
            0 => None,
            _ => self.others.get(&(number as u32)),
        };
        std::iter::once(first).chain(others.into_iter().flatten().copied())
    }

    /// The places of a chunk that count: those in segments that a snapshot names, or all if none is in one.
    pub fn counted(&self, number: usize, is_named: &[bool]) -> impl Iterator<Item = Place> {
        let is_anywhere_named = self.places(number).any(|place| is_named[place.segment()]);
        self.places(number).filter(move |place| !is_anywhere_named || is_named[place.segment()])
    }

    /// For each segment, whether one of these names it.
    pub fn named(&self, names: &HashSet<[u8; 8]>) -> Vec<bool> {
        self.segments.iter().map(|segment| names.contains(&segment.hash.short())).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::codec::Hash;
    use crate::engine::Meter;
    use crate::engine::testing::Bench;
    use crate::engine::usage::{UsageOptions, usage};

    fn find(bench: &Bench) -> (Stock, HoldingsHead, Scene) {
        let holdings = Holdings::open(bench.repository.cache()).unwrap();
        let (head, scene) = (holdings.load().unwrap(), Scene::look(&bench.repository).unwrap());
        (Stock::find(&bench.repository, &holdings, &head, &scene).unwrap(), head, scene)
    }

    /// A segment, whether it is among trees there, and what it takes.
    type Lies = (Hash, bool, u32);

    /// Each chunk with all places it lies in.
    fn contents(stock: &Stock) -> Vec<(ChunkKey, Vec<Lies>)> {
        let places = |number| {
            let place = |p: Place| (stock.segments[p.segment()].hash, p.is_tree(), p.bytes);
            let mut places: Vec<_> = stock.places(number).map(place).collect();
            places.sort_unstable();
            places
        };
        stock.keys().iter().enumerate().map(|(number, key)| (*key, places(number))).collect()
    }

    #[test]
    fn what_was_kept_with_what_is_new_is_what_the_index_has() {
        let mut bench = Bench::new();
        let options = UsageOptions { now: Timestamp::now(), since: None };
        for round in 0..4u8 {
            let home = bench.home("ann");
            for file in 0..3 * round + 3 {
                let content: Vec<u8> =
                    (0..400u32).flat_map(|n| (n * u32::from(file * round + 1)).to_le_bytes()).collect();
                home.file(format!("file{round}-{file}"), content);
            }
            bench.backup(&format!("2026-11-0{}T00:00:00Z", round + 1));
            let (stock, head, scene) = find(&bench);
            assert_eq!(stock.is_resumed(), round > 0);
            assert_eq!(head.segments.len(), usize::from(round));
            let scanned = scan::scan(bench.repository.catalog(), &scene.segments()).unwrap();
            assert_eq!(contents(&stock), contents(&scanned));
            let bodies = |stock: &Stock| stock.segments.iter().map(|s| s.body).collect::<Vec<_>>();
            assert_eq!(bodies(&stock), bodies(&scanned));
            usage(&bench.repository, &options, &Meter::default()).unwrap();
        }
        // What is kept of a segment that is gone would be too much: everything is looked at again.
        let rows: Vec<_> = bench.repository.catalog().segments().unwrap().iter().map(|s| s.row).collect();
        let mut writer =
            crate::index::CatalogWriter::new(crate::index::Catalog::open(bench.repository.cache()).unwrap());
        writer.remove_segments(&rows[..1]).unwrap();
        assert!(!find(&bench).0.is_resumed());
    }

    #[test]
    fn a_damaged_block_leaves_nothing_that_one_could_go_on_from() {
        let mut bench = Bench::new();
        bench.home("ann").file("file", "content");
        bench.backup("2026-11-01T00:00:00Z");
        let options = UsageOptions { now: Timestamp::now(), since: None };
        usage(&bench.repository, &options, &Meter::default()).unwrap();
        assert!(find(&bench).0.is_resumed());
        let row = bench.repository.catalog().segments().unwrap()[0].row;
        let mut writer =
            crate::index::CatalogWriter::new(crate::index::Catalog::open(bench.repository.cache()).unwrap());
        writer.set_distrusted(row, &[0]).unwrap();
        let (stock, ..) = find(&bench);
        assert!(!stock.is_resumed() && !stock.is_exact);
    }

    #[test]
    fn the_shares_of_a_block_add_up_to_it() {
        for (body, lengths) in
            [(10, vec![1, 1, 1]), (0, vec![5]), (999, vec![7, 100, 3, 1]), (7, vec![1; 20])]
        {
            let block = Block { body, raw: lengths.iter().sum(), is_tree: false };
            let mut start = 0;
            let shares: u32 = lengths
                .iter()
                .map(|length| {
                    start += length;
                    block.share(start - length, *length)
                })
                .sum();
            assert_eq!(shares, body);
        }
    }
}
