//! What earlier snapshots of one source say of each home: the newest, and the newest that really holds it.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::codec::Hash;
use crate::engine::select::newest_first;
use crate::format::{Attention, HomeRecord, ObjectName, ShortHash};
use crate::repo::Snapshot;

/// The snapshots of one source, and what they say of each home.
pub struct History {
    /// Newest first.
    snapshots: Vec<Snapshot>,
    /// Commits, of whatever source, all of whose deps are in the repository and stay there.
    whole: HashSet<Hash>,
    /// Commits whose deps are not, and what they need of them nevertheless is.
    sound: HashMap<Hash, Vec<ShortHash>>,
}

impl History {
    /// The history of `source`, as of `now`; `segments` are those that may be relied on.
    pub fn new(
        snapshots: Vec<Snapshot>,
        source: &str,
        now: Timestamp,
        segments: &HashSet<ShortHash>,
    ) -> Self {
        let is_whole = |s: &&Snapshot| {
            segments.contains(&s.hash.short()) && s.record.deps.iter().all(|dep| segments.contains(dep))
        };
        let whole = snapshots.iter().filter(is_whole).map(|s| s.hash).collect();
        let ordered = newest_first(&snapshots, now).into_iter().map(|(_, snapshot)| snapshot);
        let snapshots = ordered.filter(|s| s.record.source == source).cloned().collect();
        Self { snapshots, whole, sound: HashMap::new() }
    }

    /// Snapshots that a backup of `users` would like to rely on, and of which it is not known whether it may:
    /// some of their deps are gone or on their way out, which is no harm if their trees do without.
    pub fn doubtful<'h>(
        &'h self,
        users: impl Iterator<Item = &'h [u8]>,
        bases: &HashSet<Hash>,
    ) -> Vec<Snapshot> {
        let wanted =
            users.flat_map(|user| self.latest(user).into_iter().chain(self.holding(user).map(|h| h.0)));
        let doubtful = wanted.chain(self.committed_as(bases)).filter(|s| !self.has(&s.hash));
        let by_hash: HashMap<Hash, &Snapshot> = doubtful.map(|s| (s.hash, s)).collect();
        by_hash.into_values().cloned().collect()
    }

    /// Notes what a snapshot needs, its own commit included: all of it may be relied on.
    pub fn trust(&mut self, commit: Hash, deps: Vec<ShortHash>) {
        self.sound.insert(commit, deps);
    }

    /// What a snapshot that builds on this one needs of the repository.
    pub fn deps_of(&self, snapshot: &Snapshot) -> Vec<ShortHash> {
        match self.sound.get(&snapshot.hash) {
            Some(deps) => deps.clone(),
            None => [&snapshot.record.deps[..], &[snapshot.hash.short()]].concat(),
        }
    }

    /// The newest snapshot.
    pub fn newest(&self) -> Option<&Snapshot> {
        self.snapshots.first()
    }

    /// The snapshots that were committed as one of `commits`.
    pub fn committed_as<'h>(&'h self, commits: &HashSet<Hash>) -> impl Iterator<Item = &'h Snapshot> {
        self.snapshots.iter().filter(|s| commits.contains(&s.hash))
    }

    /// Whether a commit exists, of whatever source, and may be relied on. One that lacks a segment it needs, or needs
    /// one that is condemned, may not: what it has is read and stored again. Nor may that of a forgotten snapshot, whose segments may be on
    /// their way out; it is not among those this history was made of.
    pub fn has(&self, commit: &Hash) -> bool {
        self.whole.contains(commit) || self.sound.contains_key(commit)
    }

    /// The newest snapshots of these users that lack a segment.
    pub fn incomplete<'h>(&'h self, users: impl Iterator<Item = &'h [u8]>) -> HashSet<&'h ObjectName> {
        let newest = users.filter_map(|user| self.latest(user));
        newest.filter(|s| !self.has(&s.hash)).map(|s| &s.name).collect()
    }

    /// What was said of a user, newest first.
    fn mentions<'h>(&'h self, user: &[u8]) -> impl Iterator<Item = (&'h Snapshot, &'h HomeRecord)> {
        let mention = move |s: &'h Snapshot| s.record.homes.iter().find(|h| h.user == user).map(|h| (s, h));
        self.snapshots.iter().filter_map(mention)
    }

    /// The newest snapshot that says anything of a user.
    pub fn latest<'h>(&'h self, user: &[u8]) -> Option<&'h Snapshot> {
        self.mentions(user).next().map(|(snapshot, _)| snapshot)
    }

    /// The newest snapshot that really holds a user's home.
    pub fn holding<'h>(&'h self, user: &[u8]) -> Option<(&'h Snapshot, &'h HomeRecord)> {
        // Someone who was removed and comes back begins anew.
        self.mentions(user)
            .take_while(|(_, home)| home.attention != Attention::Removed)
            .find(|(_, home)| home.attention == Attention::Normal)
    }

    /// Whether a record says something else than the newest one of its user, or the newest one is not whole.
    pub fn is_news(&self, record: &HomeRecord) -> bool {
        self.mentions(&record.user).next().is_none_or(|(snapshot, last)| {
            !self.has(&snapshot.hash) || last.root != record.root || last.attention != record.attention
        })
    }

    /// Users whose home was directly in `folder` and is not known to be gone, with its path.
    pub fn users_under(&self, folder: &std::path::Path) -> Vec<(Vec<u8>, Vec<u8>)> {
        use std::os::unix::ffi::OsStrExt;
        let mut last: HashMap<&[u8], &HomeRecord> = HashMap::new();
        for home in self.snapshots.iter().rev().flat_map(|s| &s.record.homes) {
            last.insert(&home.user, home);
        }
        last.into_values()
            .filter(|home| home.attention != Attention::Removed)
            .filter(|home| {
                std::path::Path::new(std::ffi::OsStr::from_bytes(&home.path)).parent() == Some(folder)
            })
            .map(|home| (home.user.clone(), home.path.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::Bench;
    use crate::store::Store;

    #[test]
    fn a_forgotten_snapshot_is_neither_a_base_nor_a_parent() {
        let mut bench = Bench::new();
        bench.home("ann").file("notes", "first").file("same", "same");
        bench.backup("2026-01-01T00:00:00Z");
        bench.home("ann").file("notes", "second");
        let second = bench.backup("2026-01-02T00:00:00Z");
        let [first_commit, second_commit] = [0, 1].map(|n| bench.repository.snapshots().unwrap()[n].hash);
        let mark = format!("forgotten/{second}").parse().unwrap();
        bench.store.put(&mark, b"").unwrap();

        let third = bench.backup("2026-01-03T00:00:00Z");
        let snapshots = bench.repository.snapshots().unwrap();
        assert!(bench.repository.has_commit(&second_commit).unwrap());
        let newest = snapshots.iter().find(|snapshot| snapshot.record.id == third).unwrap();
        assert_eq!(newest.record.parents, [first_commit]);
        assert_eq!(snapshots.len(), 2);
    }
}
