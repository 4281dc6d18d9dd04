//! A user's document: which secrets there are, in which versions, and which version each source has now. The
//! values in it are sealed; everything else can be read by whoever keeps it.

mod json;
mod room;

use std::collections::{BTreeMap, BTreeSet};

use super::secret::Version;

pub use json::DocumentError;
pub use room::{Placed, Room};

/// Bytes of a document's salt.
pub const SALT_LEN: usize = 16;

/// All secrets of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Whose.
    pub user: String,
    /// Names the secret that the values are sealed with.
    pub key_id: String,
    /// Goes into the keys of the values. A rotation makes a new one.
    pub salt: [u8; SALT_LEN],
    /// By name.
    pub items: BTreeMap<String, Item>,
}

/// One secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Item {
    /// By source, which version it has now. A source that does not have the item any more is not in it.
    pub now: BTreeMap<String, Version>,
    /// All that are kept: those of now, and earlier ones as long as there is room.
    pub versions: BTreeMap<Version, Stored>,
}

/// One version of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// When it was first put here, milliseconds since 1970.
    pub saved_ms: i64,
    /// Bytes of the value.
    pub bytes: u64,
    /// The value, sealed.
    pub sealed: Vec<u8>,
}

impl Item {
    /// The version that came last.
    pub fn newest(&self) -> Option<(Version, &Stored)> {
        let newest = self.versions.iter().max_by_key(|(version, stored)| (stored.saved_ms, **version));
        newest.map(|(version, stored)| (*version, stored))
    }

    /// Versions that no source has now, oldest first.
    fn earlier(&self) -> Vec<Version> {
        let now: BTreeSet<Version> = self.now.values().copied().collect();
        let mut earlier: Vec<_> =
            self.versions.iter().filter(|(version, _)| !now.contains(version)).collect();
        earlier.sort_by_key(|(version, stored)| (stored.saved_ms, **version));
        earlier.into_iter().map(|(version, _)| *version).collect()
    }
}

impl Document {
    /// An empty one.
    pub fn new(user: &str, key_id: String, salt: [u8; SALT_LEN]) -> Self {
        Self { user: user.into(), key_id, salt, items: BTreeMap::new() }
    }

    /// The same document without its items: user and key.
    pub fn clone_without_items(&self) -> Self {
        Self::new(&self.user, self.key_id.clone(), self.salt)
    }

    /// One version of an item.
    pub fn version(&self, item: &str, version: Version) -> Option<&Stored> {
        self.items.get(item)?.versions.get(&version)
    }

    /// Notes that a source has this version of an item now; `stored` is what it is, if the document may lack it or has it
    /// damaged. False if it does lack it.
    pub fn set(&mut self, source: &str, item: &str, version: Version, stored: Option<Stored>) -> bool {
        if self.version(item, version).is_none() && stored.is_none() {
            return false;
        }
        let item = self.items.entry(item.into()).or_default();
        if let Some(stored) = stored {
            item.versions.insert(version, stored);
        }
        item.now.insert(source.into(), version);
        true
    }

    /// Notes that a source has these items and no others. What it lost stays, as an earlier version.
    pub fn keep_only(&mut self, source: &str, items: &BTreeSet<&str>) {
        for (name, item) in &mut self.items {
            if !items.contains(name.as_str()) {
                item.now.remove(source);
            }
        }
    }

    /// Drops earlier versions until the document has at most `max_len` bytes; see [`Room::fit`]. False if that is not enough; then
    /// the document is as it was.
    pub fn fit(&mut self, max_len: usize) -> bool {
        Room::new(self, max_len).fit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(saved_ms: i64, length: usize) -> Stored {
        Stored { saved_ms, bytes: length as u64, sealed: vec![7; length] }
    }

    fn document() -> Document {
        Document::new("ann", "0123456789abcdef".into(), [1; SALT_LEN])
    }

    #[test]
    fn what_a_source_lost_stays_as_an_earlier_version() {
        let mut document = document();
        assert!(document.set("a", "key", Version(1), Some(stored(1, 10))));
        assert!(document.set("b", "key", Version(2), Some(stored(2, 10))));
        document.keep_only("a", &BTreeSet::new());
        let item = &document.items["key"];
        assert_eq!(item.now, BTreeMap::from([("b".into(), Version(2))]));
        assert_eq!(item.earlier(), [Version(1)]);
        assert_eq!(item.newest().unwrap().0, Version(2));
        assert!(!document.set("a", "key", Version(3), None), "nobody knows that version's value");
        assert!(document.set("a", "key", Version(1), None));
    }

    #[test]
    fn room_is_made_by_the_item_that_changes_most_and_never_by_what_is_in_use() {
        let mut document = document();
        for time in 0..20 {
            document.set("a", "token", Version(time as u64), Some(stored(time, 900)));
        }
        document.set("a", "key", Version(100), Some(stored(0, 900)));
        document.set("a", "key", Version(101), Some(stored(1, 900)));
        assert!(document.fit(12_000));
        assert!(document.to_json().len() <= 12_000);
        assert_eq!(document.items["key"].versions.len(), 2);
        let kept: Vec<_> = document.items["token"].versions.keys().copied().collect();
        assert!(kept.len() > 2 && kept.contains(&Version(19)) && !kept.contains(&Version(0)), "{kept:?}");
        let before = document.clone();
        assert!(!document.fit(2_000));
        assert_eq!(document, before);
    }

    #[test]
    fn an_item_of_which_nothing_is_left_goes() {
        let mut document = document();
        document.set("a", "gone", Version(1), Some(stored(1, 900)));
        document.set("a", "here", Version(2), Some(stored(2, 900)));
        document.keep_only("a", &BTreeSet::from(["here"]));
        assert!(document.fit(2_000));
        assert_eq!(document.items.keys().collect::<Vec<_>>(), ["here"]);
    }
}
