//! The same figures by brute force: a set of chunks for each user, by walking every tree of every snapshot, and
//! every place of every chunk in a list. Shares nothing with the code it checks but the reader and the catalogue.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use homekeep::codec::ChunkId;
use homekeep::engine::usage::{StoreUsage, Stored};
use homekeep::format::{BlockKind, Content, EntryKind, Extent, TreeObject};
use homekeep::repo::{Reader, Repository, Snapshot};

/// A user of a source.
pub type Name = (String, Vec<u8>);

/// The figures.
#[derive(Debug, PartialEq)]
pub struct Figures {
    pub users: BTreeMap<Name, Stored>,
    pub data_own: u64,
    pub data_shared: u64,
    pub trees_own: u64,
    pub trees_shared: u64,
    pub lost: u64,
    pub unreadable: u64,
}

impl Figures {
    pub fn of_store(store: &StoreUsage) -> [u64; 4] {
        [store.data_own, store.data_shared, store.trees_own, store.trees_shared]
    }

    pub fn sums(&self) -> [u64; 4] {
        [self.data_own, self.data_shared, self.trees_own, self.trees_shared]
    }
}

/// What a walk finds.
#[derive(Default)]
pub struct Found {
    pub ids: HashSet<ChunkId>,
    lost: HashSet<ChunkId>,
    unreadable: HashSet<ChunkId>,
}

impl Found {
    /// Everything below the homes of a snapshot that `wanted` picks.
    pub fn walk(
        &mut self,
        repository: &Repository,
        places: &Places,
        snapshot: &Snapshot,
        user: Option<&[u8]>,
    ) {
        let mut reader = repository.reader().unwrap();
        for home in &snapshot.record.homes {
            let is_wanted = user.is_none_or(|user| user == home.user);
            if let (true, Some(EntryKind::Directory(tree))) = (is_wanted, home.root.as_ref().map(|r| &r.kind))
            {
                self.directory(&mut reader, places, tree);
            }
        }
    }

    fn is_news(&mut self, places: &Places, id: &ChunkId) -> bool {
        match places.of.contains_key(id) {
            true => self.ids.insert(*id),
            false => {
                self.lost.insert(*id);
                false
            }
        }
    }

    fn directory(&mut self, reader: &mut Reader, places: &Places, tree: &ChunkId) {
        if !self.is_news(places, tree) {
            return;
        }
        match reader.tree(tree) {
            Err(_) => drop(self.unreadable.insert(*tree)),
            Ok(TreeObject::Index(index)) => {
                index.pages.iter().for_each(|(page, _)| self.directory(reader, places, page));
            }
            Ok(TreeObject::Page(page)) => {
                for entry in page.entries {
                    match entry.kind {
                        EntryKind::Directory(tree) => self.directory(reader, places, &tree),
                        EntryKind::File(content) => self.content(reader, places, &content),
                        _ => {}
                    }
                }
            }
        }
    }

    fn content(&mut self, reader: &mut Reader, places: &Places, content: &Content) {
        for extent in &content.extents {
            let Extent::Data { id, .. } = extent else { continue };
            if !self.is_news(places, id) || content.depth == 0 {
                continue;
            }
            match reader.list(id) {
                Ok(list) => self.content(reader, places, &list),
                Err(_) => drop(self.unreadable.insert(*id)),
            }
        }
    }
}

/// A chunk in a segment: whether a snapshot names that, whether it lies among trees, and what it takes there.
#[derive(Debug, Clone, Copy)]
struct Place {
    is_named: bool,
    is_tree: bool,
    bytes: u64,
}

/// Every place of every chunk.
pub struct Places {
    of: HashMap<ChunkId, Vec<Place>>,
}

impl Places {
    pub fn read(repository: &Repository, snapshots: &[Snapshot]) -> Self {
        let catalog = repository.catalog();
        let mut names: HashSet<[u8; 8]> = HashSet::new();
        for snapshot in snapshots {
            names.insert(snapshot.hash.short());
            names.extend(snapshot.record.deps.iter().copied());
        }
        let listed = repository.store().list("").unwrap();
        let lengths: HashMap<_, _> = listed.iter().map(|l| (l.name.clone(), l.length)).collect();
        let segments = catalog.segments().unwrap();
        let there = segments.iter().filter(|s| lengths.get(&s.name) == Some(&s.length));
        let is_named: HashMap<_, _> = there.map(|s| (s.row, names.contains(&s.hash.short()))).collect();
        let mut blocks = HashMap::new();
        catalog
            .scan_blocks(|row, number, block| {
                blocks.insert((row, number), *block);
            })
            .unwrap();
        let distrusted = catalog.distrusted_blocks().unwrap();
        let mut of: HashMap<ChunkId, Vec<Place>> = HashMap::new();
        catalog
            .scan_chunks(|id, location| {
                let key = (location.segment, location.block);
                let Some(is_named) = is_named.get(&location.segment).filter(|_| !distrusted.contains(&key))
                else {
                    return;
                };
                let block = &blocks[&key];
                // The tag belongs to nobody. The byte of the block at x of raw bytes is that at x * stored / raw.
                let (stored, raw) = (u128::from(block.stored_len - 16), u128::from(block.raw_len));
                let (start, length) = (u128::from(location.start), u128::from(location.length));
                let bytes = ((start + length) * stored / raw - start * stored / raw) as u64;
                let is_tree = block.kind == BlockKind::Tree;
                of.entry(*id).or_default().push(Place { is_named: *is_named, is_tree, bytes });
            })
            .unwrap();
        Self { of }
    }

    /// Stored bytes of a chunk: data, trees.
    pub fn weigh(&self, id: &ChunkId) -> (u64, u64) {
        let places = &self.of[id];
        let is_anywhere_named = places.iter().any(|place| place.is_named);
        let counted = places.iter().filter(|place| place.is_named || !is_anywhere_named);
        counted.fold((0, 0), |(data, trees), place| match place.is_tree {
            true => (data, trees + place.bytes),
            false => (data + place.bytes, trees),
        })
    }
}

/// All figures.
pub fn figures(repository: &Repository) -> Figures {
    let snapshots = repository.snapshots().unwrap();
    let places = Places::read(repository, &snapshots);
    let mut found: BTreeMap<Name, Found> = BTreeMap::new();
    for snapshot in &snapshots {
        for home in &snapshot.record.homes {
            let name = (snapshot.record.source.clone(), home.user.clone());
            found.entry(name).or_default().walk(repository, &places, snapshot, Some(&home.user));
        }
    }
    let mut users: BTreeMap<Name, Stored> =
        found.keys().map(|name| (name.clone(), Stored::default())).collect();
    let mut groups: BTreeMap<Vec<&Name>, (u64, u64)> = BTreeMap::new();
    let all: BTreeSet<ChunkId> = found.values().flat_map(|found| found.ids.iter().copied()).collect();
    for id in &all {
        let group: Vec<&Name> =
            found.iter().filter(|(_, f)| f.ids.contains(id)).map(|(name, _)| name).collect();
        let (data, trees) = places.weigh(id);
        let sum = groups.entry(group).or_default();
        *sum = (sum.0 + data, sum.1 + trees);
    }
    let count = |of: fn(&Found) -> &HashSet<ChunkId>| {
        found.values().flat_map(of).collect::<HashSet<_>>().len() as u64
    };
    let mut figures = Figures {
        users: BTreeMap::new(),
        data_own: 0,
        data_shared: 0,
        trees_own: 0,
        trees_shared: 0,
        lost: count(|found| &found.lost),
        unreadable: count(|found| &found.unreadable),
    };
    for (group, (data, trees)) in groups {
        if let [only] = group[..] {
            let user = users.get_mut(only).unwrap();
            (user.data_own, user.trees_own) = (user.data_own + data, user.trees_own + trees);
            (figures.data_own, figures.trees_own) = (figures.data_own + data, figures.trees_own + trees);
            continue;
        }
        (figures.data_shared, figures.trees_shared) =
            (figures.data_shared + data, figures.trees_shared + trees);
        let count = group.len() as u64;
        for (place, name) in group.iter().enumerate() {
            let user = users.get_mut(*name).unwrap();
            let part = |sum: u64| sum / count + u64::from((place as u64) < sum % count);
            user.data_shared += data;
            user.trees_shared += trees;
            user.data_fair += part(data);
            user.trees_fair += part(trees);
        }
    }
    figures.users = users;
    figures
}
