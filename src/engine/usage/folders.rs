//! What the folders of several homes take: each home looked at as if it were alone.

use super::breakdown::{PathUsage, below, charger};
use super::report::UserUsage;
use super::scene::Scene;
use super::{Meter, UsageError};
use crate::engine::HomePath;
use crate::format::EntryKind;
use crate::repo::Repository;

/// For each of these users what is in the newest state of the home, down to `depth` names; a directory follows what is in it,
/// and the home is the last. Nothing of who has no state.
pub fn by_folder(
    repository: &Repository,
    users: &[&UserUsage],
    depth: usize,
    meter: &Meter,
) -> Result<Vec<Vec<PathUsage>>, UsageError> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let scene = Scene::look(repository)?;
    let mut charger = charger(repository, &scene)?;
    let mut folders = Vec::with_capacity(users.len());
    for user in users {
        let summary = user.state.and_then(|state| scene.summaries.iter().find(|s| s.id == state.snapshot));
        let snapshot = summary.map(|summary| repository.snapshot(&summary.hash)).transpose()?.flatten();
        let homes = snapshot.map_or(Vec::new(), |snapshot| snapshot.record.homes);
        let root = homes.into_iter().find(|home| home.user == user.user).and_then(|home| home.root);
        charger.forget();
        folders.push(match root.map(|root| root.kind) {
            Some(EntryKind::Directory(tree)) => below(&mut charger, &HomePath::home(), &tree, depth, meter)?,
            _ => Vec::new(),
        });
    }
    Ok(folders)
}
