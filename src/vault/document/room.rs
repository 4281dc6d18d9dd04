//! Room in a document: what it takes is known item by item, so that ten thousand of them are placed without writing
//! the document out ten thousand times.

use std::collections::{BTreeMap, BTreeSet};

use super::{Document, Item, Stored};
use crate::vault::secret::Version;

/// A document that must not have more than so many bytes.
pub struct Room<'d> {
    document: &'d mut Document,
    max_len: usize,
    /// What each item takes.
    sizes: BTreeMap<String, usize>,
    /// What the document takes.
    len: usize,
    /// How many versions no source has now.
    earlier: usize,
}

/// What came of placing a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It is in the document.
    Here,
    /// It was not given, and the document lacks it.
    Missing,
    /// There is no room; the document is as it was. The item would take so many bytes.
    NoRoom(usize),
}

impl<'d> Room<'d> {
    /// Measures a document once.
    pub fn new(document: &'d mut Document, max_len: usize) -> Self {
        let sizes: BTreeMap<String, usize> =
            document.items.iter().map(|(name, item)| (name.clone(), item.json_len(name))).collect();
        let earlier = document.items.values().map(|item| item.earlier().len()).sum();
        let len = document.empty_json_len() + sizes.values().sum::<usize>();
        Self { document, max_len, sizes, len, earlier }
    }

    /// The document as it is now.
    pub fn document(&self) -> &Document {
        self.document
    }

    /// Bytes of the document. One more than it has with the comma that follows no last item.
    fn json_len(&self) -> usize {
        self.len - usize::from(!self.sizes.is_empty())
    }

    /// Notes that a source has this version of an item now; `stored` is what it is, if the document may lack it. Earlier versions
    /// of this and other items go where that makes room.
    pub fn set(&mut self, source: &str, item: &str, version: Version, stored: Option<Stored>) -> Placed {
        let before = self.document.items.get(item).cloned();
        let (size_before, len_before, earlier_before) =
            (self.sizes.get(item).copied(), self.len, self.earlier);
        if !self.document.set(source, item, version, stored) {
            return Placed::Missing;
        }
        let size = self.measure(item, before.as_ref());
        if self.fit() {
            return Placed::Here;
        }
        (self.len, self.earlier) = (len_before, earlier_before);
        match before.zip(size_before) {
            Some((before, size)) => {
                self.document.items.insert(item.into(), before);
                self.sizes.insert(item.into(), size);
            }
            None => {
                self.document.items.remove(item);
                self.sizes.remove(item);
            }
        }
        Placed::NoRoom(size)
    }

    /// Measures an item that changed; returns what it takes now.
    fn measure(&mut self, name: &str, before: Option<&Item>) -> usize {
        let item = &self.document.items[name];
        let size = item.json_len(name);
        self.len += size;
        self.len -= self.sizes.insert(name.into(), size).unwrap_or(0);
        self.earlier += item.earlier().len();
        self.earlier -= before.map_or(0, |before| before.earlier().len());
        size
    }

    /// Drops earlier versions until the document has at most its bytes: each time the oldest of the item that has most of
    /// them, so that what changes often costs its own history and no other's. False if that is not enough; then the document is as it was.
    pub fn fit(&mut self) -> bool {
        let mut dropped: Vec<(String, Item)> = Vec::new();
        while self.json_len() > self.max_len {
            let Some((name, oldest)) = self.next_to_drop() else {
                for (name, item) in dropped.into_iter().rev() {
                    self.put_back(name, item);
                }
                return false;
            };
            let item = self.document.items.get_mut(&name).expect("it was chosen among them");
            dropped.push((name.clone(), item.clone()));
            item.versions.remove(&oldest);
            self.earlier -= 1;
            self.len -= self.sizes.remove(&name).unwrap_or(0);
            if item.versions.is_empty() {
                self.document.items.remove(&name);
            } else {
                let size = item.json_len(&name);
                self.len += size;
                self.sizes.insert(name, size);
            }
        }
        true
    }

    fn put_back(&mut self, name: String, item: Item) {
        let size = item.json_len(&name);
        self.len += size;
        self.len -= self.sizes.insert(name.clone(), size).unwrap_or(0);
        self.earlier += 1;
        self.document.items.insert(name, item);
    }

    /// The item with most earlier versions, and the oldest of these.
    fn next_to_drop(&self) -> Option<(String, Version)> {
        if self.earlier == 0 {
            return None;
        }
        let items = self.document.items.iter().map(|(name, item)| (item.earlier(), name));
        let (versions, name) = items.max_by_key(|(versions, _)| versions.len())?;
        Some((name.clone(), *versions.first()?))
    }

    /// What the items take, those that found no room included; largest first.
    pub fn largest(&self, without_room: &BTreeMap<String, usize>) -> Vec<(String, usize)> {
        let names: BTreeSet<&String> = self.sizes.keys().chain(without_room.keys()).collect();
        let size = |name: &String| without_room.get(name).or(self.sizes.get(name)).copied().unwrap_or(0);
        let mut largest: Vec<_> = names.into_iter().map(|name| (name.clone(), size(name))).collect();
        largest.sort_by_key(|(name, size)| (std::cmp::Reverse(*size), name.clone()));
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is set, dropped and put back, what is known of the length is the length.
    #[test]
    fn the_length_is_that_of_the_text() {
        let mut document = Document::new("ann", "0123456789abcdef".into(), [1; 16]);
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        for round in 0..40 {
            let max_len = 600 + next(4000) as usize;
            let mut room = Room::new(&mut document, max_len);
            for step in 0..50 {
                let length = next(600) as usize;
                let stored = Stored {
                    saved_ms: (round * 50 + step) as i64,
                    bytes: length as u64,
                    sealed: vec![7; length],
                };
                let (source, item) = (format!("s{}", next(3)), format!("a \"quoted\" ü{}", next(7)));
                let before = room.document().clone();
                let placed = room.set(&source, &item, Version(next(90)), (next(5) > 0).then_some(stored));
                assert_eq!(room.json_len(), room.document().to_json().len(), "{placed:?}");
                let earlier: usize = room.document().items.values().map(|item| item.earlier().len()).sum();
                assert_eq!(room.earlier, earlier);
                match placed {
                    Placed::Here => assert!(room.json_len() <= max_len),
                    Placed::Missing | Placed::NoRoom(_) => assert_eq!(*room.document(), before, "{placed:?}"),
                }
            }
        }
    }
}
