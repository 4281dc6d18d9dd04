//! What earlier snapshots of one source say of each home: the newest, and the newest that really holds it. Summaries
//! show which these are, and only their records are read: how many snapshots are kept makes no difference.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::codec::Hash;
use crate::engine::select::newest_first;
use crate::format::{Attention, HomeRecord, ObjectName, ShortHash};
use crate::index::{HomeMention, Summary};
use crate::repo::{RepoError, Repository, Snapshot};

/// What a backup asks of earlier snapshots.
pub struct Asked<'a> {
    /// The logical machine.
    pub source: &'a str,
    /// Whose homes are saved.
    pub users: HashSet<&'a [u8]>,
    /// The commits that rows of the local index were made for.
    pub bases: HashSet<Hash>,
    /// When the run began.
    pub now: Timestamp,
}

/// The snapshots of one source, and what they say of each home.
pub struct History {
    newest: Option<Summary>,
    homes: HashMap<Vec<u8>, Mentions>,
    /// Those that matter: the newest of each home, those that hold the homes that are saved, and the bases.
    snapshots: HashMap<Hash, Snapshot>,
    /// Of these, commits that may be relied on, and what they need, themselves included. All of it is in the repository
    /// and stays there.
    sound: HashMap<Hash, Vec<ShortHash>>,
}

/// Which snapshots matter to a home.
struct Mentions {
    /// The newest that says anything of it.
    latest: Hash,
    /// What it says.
    attention: Attention,
    /// The newest that really holds it.
    holding: Option<Hash>,
    /// Nothing older matters.
    is_over: bool,
}

impl Mentions {
    fn new(commit: Hash, mention: &HomeMention) -> Self {
        Self { latest: commit, attention: mention.attention, holding: None, is_over: false }
    }

    /// Takes the next older mention. Someone who was removed and comes back begins anew.
    fn consider(&mut self, commit: Hash, mention: &HomeMention) {
        if self.is_over {
            return;
        }
        match mention.attention {
            Attention::Normal => (self.holding, self.is_over) = (Some(commit), true),
            Attention::Removed => self.is_over = true,
            Attention::Shrunk | Attention::Missing => {}
        }
    }
}

impl History {
    /// Reads the history that is asked for; `segments` are those that may be relied on.
    pub fn read(
        repository: &Repository,
        asked: &Asked<'_>,
        segments: &HashSet<ShortHash>,
    ) -> Result<Self, RepoError> {
        let summaries = repository.summaries()?;
        let mut ordered: Vec<&Summary> =
            newest_first(&summaries, asked.now).into_iter().map(|(_, summary)| summary).collect();
        ordered.retain(|summary| summary.source == asked.source);
        let homes = mentions(&ordered);
        let there = summaries.iter().map(|summary| summary.hash);
        let mut wanted: HashSet<Hash> = there.filter(|commit| asked.bases.contains(commit)).collect();
        wanted.extend(homes.values().map(|home| home.latest));
        let saved = homes.iter().filter(|(user, _)| asked.users.contains(&user[..]));
        wanted.extend(saved.filter_map(|(_, home)| home.holding));
        let wanted: Vec<Hash> = wanted.into_iter().collect();
        let read = repository.read_snapshots(&wanted)?;
        let snapshots: HashMap<Hash, Snapshot> = read.into_iter().map(|s| (s.hash, s)).collect();
        let named = |s: &Snapshot| [&s.record.deps[..], &[s.hash.short()]].concat();
        let named = snapshots.values().map(|snapshot| (snapshot.hash, named(snapshot)));
        let sound = named.filter(|(_, deps)| deps.iter().all(|dep| segments.contains(dep))).collect();
        Ok(Self { newest: ordered.first().map(|newest| (*newest).clone()), homes, snapshots, sound })
    }

    /// Snapshots that a backup would like to rely on, and of which it is not known whether it may: some of their deps
    /// are gone or on their way out, which is no harm if their trees do without.
    pub fn doubtful(&self, asked: &Asked<'_>) -> Vec<Snapshot> {
        let latest = asked.users.iter().filter_map(|user| self.latest(user));
        let holding = asked.users.iter().filter_map(|user| self.holding(user)).map(|(snapshot, _)| snapshot);
        let wanted = latest.chain(holding).chain(self.committed_as(&asked.bases));
        let doubtful: HashMap<Hash, &Snapshot> =
            wanted.filter(|s| !self.has(&s.hash)).map(|s| (s.hash, s)).collect();
        doubtful.into_values().cloned().collect()
    }

    /// Notes what a snapshot needs, its own commit included: all of it may be relied on.
    pub fn trust(&mut self, commit: Hash, deps: Vec<ShortHash>) {
        self.sound.insert(commit, deps);
    }

    /// What a snapshot needs of the repository that builds on one of these, as far as they may be relied on.
    pub fn deps_of(&self, commits: &HashSet<Hash>) -> HashSet<ShortHash> {
        commits.iter().filter_map(|commit| self.sound.get(commit)).flatten().copied().collect()
    }

    /// The newest snapshot.
    pub fn newest(&self) -> Option<&Summary> {
        self.newest.as_ref()
    }

    fn committed_as<'h>(&'h self, commits: &'h HashSet<Hash>) -> impl Iterator<Item = &'h Snapshot> {
        commits.iter().filter_map(|commit| self.snapshots.get(commit))
    }

    /// Whether a commit that matters exists, of whatever source, and may be relied on. One that lacks a segment it needs,
    /// or needs one that is condemned, may not: what it has is read and stored again. Nor may that of a forgotten snapshot,
    /// whose segments may be on their way out; it is not among those this history was made of.
    pub fn has(&self, commit: &Hash) -> bool {
        self.sound.contains_key(commit)
    }

    /// The newest snapshots of these users that lack a segment.
    pub fn incomplete<'h>(&'h self, users: impl Iterator<Item = &'h [u8]>) -> HashSet<&'h ObjectName> {
        let newest = users.filter_map(|user| self.latest(user));
        newest.filter(|s| !self.has(&s.hash)).map(|s| &s.name).collect()
    }

    /// The newest snapshot that says anything of a user.
    pub fn latest(&self, user: &[u8]) -> Option<&Snapshot> {
        self.snapshots.get(&self.homes.get(user)?.latest)
    }

    /// The newest snapshot that really holds the home of a user who was asked for.
    pub fn holding(&self, user: &[u8]) -> Option<(&Snapshot, &HomeRecord)> {
        let snapshot = self.snapshots.get(&self.homes.get(user)?.holding?)?;
        Some((snapshot, home_in(snapshot, user)?))
    }

    /// Whether a record says something else than the newest one of its user, or the newest one is not whole.
    pub fn is_news(&self, record: &HomeRecord) -> bool {
        let latest = self.latest(&record.user);
        latest.and_then(|snapshot| Some((snapshot, home_in(snapshot, &record.user)?))).is_none_or(
            |(snapshot, last)| {
                !self.has(&snapshot.hash) || last.root != record.root || last.attention != record.attention
            },
        )
    }

    /// Users whose home was directly in `folder` and is not known to be gone, with its path.
    pub fn users_under(&self, folder: &std::path::Path) -> Vec<(Vec<u8>, Vec<u8>)> {
        use std::os::unix::ffi::OsStrExt;
        let known = self.homes.iter().filter(|(_, home)| home.attention != Attention::Removed);
        let last = known.filter_map(|(user, home)| home_in(self.snapshots.get(&home.latest)?, user));
        last.filter(|home| {
            std::path::Path::new(std::ffi::OsStr::from_bytes(&home.path)).parent() == Some(folder)
        })
        .map(|home| (home.user.clone(), home.path.clone()))
        .collect()
    }
}

/// Which of these snapshots, which come newest first, matter to whom.
fn mentions(newest_first: &[&Summary]) -> HashMap<Vec<u8>, Mentions> {
    let Some(first) = newest_first.first() else { return HashMap::new() };
    let users = first.homes.users();
    let mut by_number: Vec<Option<Mentions>> = Vec::new();
    by_number.resize_with(users.len() + 1, || None);
    for summary in newest_first {
        for mention in summary.homes.iter() {
            by_number[mention.user as usize]
                .get_or_insert_with(|| Mentions::new(summary.hash, &mention))
                .consider(summary.hash, &mention);
        }
    }
    let numbered = (0..).zip(by_number);
    numbered.filter_map(|(number, home)| Some((users.name(number)?.to_vec(), home?))).collect()
}

fn home_in<'s>(snapshot: &'s Snapshot, user: &[u8]) -> Option<&'s HomeRecord> {
    let homes = &snapshot.record.homes;
    homes.binary_search_by(|home| home.user[..].cmp(user)).ok().map(|at| &homes[at])
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
