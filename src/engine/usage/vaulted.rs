//! Counts the entries of a tree whose content is in the vault. What was counted below a directory is kept, so that of
//! a home that changed only the directories that changed are read. Asks no vault.

use std::collections::HashMap;

use super::UsageError;
use crate::codec::ChunkId;
use crate::format::{EntryKind, TreeObject};
use crate::index::{ChunkKey, Holdings};
use crate::repo::{Reader, RepoError};

/// Counts that are known.
pub struct Vaulted {
    counts: HashMap<ChunkKey, u32>,
}

/// A directory, or a page of one, whose own entries are counted.
struct Open {
    key: ChunkKey,
    below: Vec<ChunkId>,
    count: u32,
}

impl Vaulted {
    /// What was kept.
    pub fn load(holdings: &Holdings) -> Result<Self, UsageError> {
        let mut counts = HashMap::new();
        holdings.scan_vaulted(|(key, count)| {
            counts.insert(key, count);
        })?;
        Ok(Self { counts })
    }

    /// How many entries below a tree are in the vault. What cannot be read has none.
    pub fn count(&mut self, reader: &mut Reader, tree: &ChunkId) -> Result<u64, UsageError> {
        let mut open = vec![Open { key: ChunkKey([0; ChunkKey::LEN]), below: vec![*tree], count: 0 }];
        loop {
            let last = open.last_mut().expect("the first is taken out at the end");
            if let Some(next) = last.below.pop() {
                match self.counts.get(&ChunkKey::of(&next)) {
                    Some(count) => last.count = last.count.saturating_add(*count),
                    None => open.push(read(reader, &next)?),
                }
                continue;
            }
            let Open { key, count, .. } = open.pop().expect("it was there");
            let Some(above) = open.last_mut() else { return Ok(count.into()) };
            above.count = above.count.saturating_add(count);
            self.counts.insert(key, count);
        }
    }

    /// All counts of trees among `keys`, which are in order.
    pub fn entries(&self, keys: &[ChunkKey]) -> Vec<(ChunkKey, u32)> {
        let known = self.counts.iter().map(|(key, count)| (*key, *count));
        let mut kept: Vec<_> = known.filter(|(key, _)| keys.binary_search(key).is_ok()).collect();
        kept.sort_unstable();
        kept
    }
}

fn read(reader: &mut Reader, tree: &ChunkId) -> Result<Open, UsageError> {
    let mut open = Open { key: ChunkKey::of(tree), below: Vec::new(), count: 0 };
    match reader.tree(tree) {
        Ok(TreeObject::Index(index)) => open.below = index.pages.into_iter().map(|(page, _)| page).collect(),
        Ok(TreeObject::Page(page)) => {
            for entry in page.entries {
                open.count += u32::from(entry.attributes.vault.is_some());
                if let EntryKind::Directory(tree) = entry.kind {
                    open.below.push(tree);
                }
            }
        }
        Err(error) if error.is_damage() => {}
        Err(error) => return Err(RepoError::into(error)),
    }
    Ok(open)
}
