//! What commits name, and which trees their homes have. What a commit says never changes, so each record is read once,
//! and of it is kept what an account asks for.

use std::collections::{HashMap, HashSet};
use std::hash::Hash as HashKey;

use super::UsageError;
use super::scene::Scene;
use crate::codec::{ChunkId, Hash};
use crate::format::{EntryKind, ShortHash, SnapshotRecord};
use crate::index::{Holdings, HoldingsHead, KeptCommit};
use crate::repo::Repository;

/// What all commits say.
pub struct Commits {
    /// Users by number; each keeps the one it had.
    pub users: Vec<(String, Vec<u8>)>,
    /// The trees of homes in snapshots that count, and whose.
    pub roots: HashSet<(u32, ChunkId)>,
    /// Those that there were when something was kept last.
    pub roots_before: HashSet<(u32, ChunkId)>,
    /// What the snapshots that count name, their own commits included.
    pub named: HashSet<ShortHash>,
    /// What any commit names, forgotten and replaced ones included.
    pub named_by_any: HashSet<ShortHash>,
    /// Every commit.
    pub all: HashSet<Hash>,
    /// Of the snapshots that count.
    pub counted: HashSet<Hash>,
    /// Of which nothing was kept so far.
    pub new: Vec<KeptCommit>,
    trees: Numbered<(u32, ChunkId)>,
    names: Numbered<ShortHash>,
    user_numbers: HashMap<(String, Vec<u8>), u32>,
}

impl Commits {
    /// What is kept, and what the records of new commits say.
    pub fn read(
        repository: &Repository,
        holdings: &Holdings,
        head: &HoldingsHead,
        scene: &Scene,
    ) -> Result<Self, UsageError> {
        let mut commits = Self::begin(repository, head, scene)?;
        let mut sets = Sets::default();
        let mut known = HashSet::new();
        holdings.scan_commits(head, |commit| {
            sets.before.add_if(commit.is_counted, &commit.trees);
            if commits.all.contains(&commit.hash) {
                known.insert(commit.hash);
                sets.add(&commit, commits.counted.contains(&commit.hash));
            }
        })?;
        commits.trees.free_all_but(&sets.trees.0);
        commits.names.free_all_but(&sets.names.0);
        let before = sets.before.of(&head.trees).copied().collect();
        let mut new: Vec<Hash> = commits.all.difference(&known).copied().collect();
        new.sort_unstable();
        for hash in new {
            if let Some(snapshot) = repository.snapshot(&hash)? {
                let commit = commits.number(hash, &snapshot.record);
                sets.add(&commit, commit.is_counted);
                commits.new.push(commit);
            }
        }
        commits.roots_before = before;
        commits.roots.extend(sets.roots.of(&commits.trees.items));
        commits.named.extend(sets.named.of(&commits.names.items));
        commits.named_by_any.extend(sets.names.of(&commits.names.items));
        Ok(commits)
    }

    fn begin(repository: &Repository, head: &HoldingsHead, scene: &Scene) -> Result<Self, UsageError> {
        let all: HashSet<Hash> = repository.catalog().commits()?.into_iter().map(|(_, hash)| hash).collect();
        let counted: HashSet<Hash> = scene.summaries.iter().map(|summary| summary.hash).collect();
        Ok(Self {
            users: head.holders.clone(),
            roots: HashSet::new(),
            roots_before: HashSet::new(),
            named: counted.iter().map(Hash::short).collect(),
            named_by_any: all.iter().map(Hash::short).collect(),
            all,
            counted,
            new: Vec::new(),
            trees: Numbered::new(head.trees.clone()),
            names: Numbered::new(head.names.clone()),
            user_numbers: head.holders.iter().cloned().zip(0..).collect(),
        })
    }

    /// What a record says, by numbers.
    fn number(&mut self, hash: Hash, record: &SnapshotRecord) -> KeptCommit {
        let (mut trees, mut names) = (Vec::new(), Vec::new());
        for home in &record.homes {
            if let Some(EntryKind::Directory(tree)) = home.root.as_ref().map(|root| &root.kind) {
                let user = self.user(&record.source, &home.user);
                trees.push(self.trees.number(&(user, *tree)));
            }
        }
        names.extend(record.deps.iter().map(|dep| self.names.number(dep)));
        for set in [&mut trees, &mut names] {
            set.sort_unstable();
            set.dedup();
        }
        KeptCommit { hash, is_counted: self.counted.contains(&hash), trees, names }
    }

    fn user(&mut self, source: &str, user: &[u8]) -> u32 {
        let name = (source.to_string(), user.to_vec());
        *self.user_numbers.entry(name).or_insert_with_key(|name| {
            self.users.push(name.clone());
            self.users.len() as u32 - 1
        })
    }

    /// Trees of homes by number, as they are to be kept.
    pub fn trees(&self) -> &[Option<(u32, ChunkId)>] {
        &self.trees.items
    }

    /// What commits name by number, as it is to be kept.
    pub fn names(&self) -> &[Option<ShortHash>] {
        &self.names.items
    }
}

/// Which numbers are meant.
#[derive(Default)]
struct Set(Vec<bool>);

impl Set {
    fn add_if(&mut self, is_meant: bool, numbers: &[u32]) {
        if let (true, Some(last)) = (is_meant, numbers.last()) {
            let len = self.0.len().max(*last as usize + 1);
            self.0.resize(len, false);
            numbers.iter().for_each(|number| self.0[*number as usize] = true);
        }
    }

    fn of<'i, T>(&self, items: &'i [Option<T>]) -> impl Iterator<Item = &'i T> {
        items.iter().zip(&self.0).filter(|(_, is_in)| **is_in).filter_map(|(item, _)| item.as_ref())
    }
}

#[derive(Default)]
struct Sets {
    /// Trees of what counts, and of what counted.
    roots: Set,
    before: Set,
    /// Trees of any commit.
    trees: Set,
    /// What is named by what counts, and by any commit.
    named: Set,
    names: Set,
}

impl Sets {
    fn add(&mut self, commit: &KeptCommit, is_counted: bool) {
        self.trees.add_if(true, &commit.trees);
        self.names.add_if(true, &commit.names);
        self.roots.add_if(is_counted, &commit.trees);
        self.named.add_if(is_counted, &commit.names);
    }
}

/// Things with numbers. What is no longer used makes room for others.
struct Numbered<T> {
    items: Vec<Option<T>>,
    numbers: HashMap<T, u32>,
    free: Vec<u32>,
}

impl<T: Copy + Eq + HashKey> Numbered<T> {
    fn new(items: Vec<Option<T>>) -> Self {
        let used = items.iter().zip(0..).filter_map(|(item, number)| Some(((*item)?, number)));
        Self { numbers: used.collect(), items, free: Vec::new() }
    }

    fn free_all_but(&mut self, used: &[bool]) {
        for (number, item) in self.items.iter_mut().enumerate() {
            if !used.get(number).copied().unwrap_or(false) {
                if let Some(item) = item.take() {
                    self.numbers.remove(&item);
                }
                self.free.push(number as u32);
            }
        }
    }

    fn number(&mut self, item: &T) -> u32 {
        if let Some(number) = self.numbers.get(item) {
            return *number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.items.push(None);
            self.items.len() as u32 - 1
        });
        self.items[number as usize] = Some(*item);
        self.numbers.insert(*item, number);
        number
    }
}
