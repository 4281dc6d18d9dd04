//! What an account rests on: the store's listing, the snapshots that count, and what they name. All of it in one
//! digest, so that figures are kept as long as nothing changed.

use std::collections::{HashMap, HashSet};

use super::UsageError;
use crate::codec::Hash;
use crate::format::ShortHash;
use crate::index::Summary;
use crate::repo::{RepoError, Repository};
use crate::store::Listed;

/// Changes whenever the meaning of a figure does.
const VERSION: &[u8] = b"usage 2";

/// The store and the snapshots at one moment.
pub struct Scene {
    /// Every object.
    pub objects: Vec<Listed>,
    /// The snapshots that are there and not forgotten.
    pub summaries: Vec<Summary>,
    /// Of all of this.
    pub basis: Hash,
}

impl Scene {
    /// Lists the store. The index must have been brought up to date.
    pub fn look(repository: &Repository) -> Result<Self, UsageError> {
        let mut objects = repository.store().list("").map_err(RepoError::from)?;
        objects.sort_unstable();
        let summaries = repository.summaries()?;
        let basis = basis(repository, &objects, &summaries)?;
        Ok(Self { objects, summaries, basis })
    }

    /// The segments and commits with their lengths.
    pub fn segments(&self) -> HashMap<Hash, u64> {
        let holds_blocks = |name: &str| name.starts_with("segments/") || name.starts_with("snapshots/");
        let objects = self.objects.iter().filter(|object| holds_blocks(object.name.as_str()));
        objects.filter_map(|object| Some((object.name.promised_hash()?, object.length))).collect()
    }
}

/// What the snapshots name, their own commits included.
pub fn named(repository: &Repository, summaries: &[Summary]) -> Result<HashSet<ShortHash>, UsageError> {
    let mut named = HashSet::new();
    for summary in summaries {
        named.extend(repository.catalog().deps(&summary.hash)?.unwrap_or_default());
        named.insert(summary.hash.short());
    }
    Ok(named)
}

fn basis(repository: &Repository, objects: &[Listed], summaries: &[Summary]) -> Result<Hash, UsageError> {
    let mut bytes = VERSION.to_vec();
    for object in objects {
        bytes.extend(object.name.as_str().as_bytes());
        bytes.extend(object.length.to_le_bytes());
    }
    let catalog = repository.catalog();
    let mut known: Vec<[u8; 32]> = catalog.segments()?.iter().map(|segment| segment.hash.0).collect();
    known.sort_unstable();
    let mut distrusted: Vec<_> = catalog.distrusted_blocks()?.into_iter().collect();
    distrusted.sort_unstable();
    let mut commits: Vec<[u8; 32]> = summaries.iter().map(|summary| summary.hash.0).collect();
    commits.sort_unstable();
    bytes.extend(known.iter().chain(&commits).flatten());
    for (segment, block) in distrusted {
        bytes.extend(catalog.segment(segment)?.hash.0);
        bytes.extend(block.to_le_bytes());
    }
    Ok(Hash::of(&bytes))
}
