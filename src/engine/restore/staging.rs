//! Homes of users who have no account yet: written into a folder for this process's user alone, beside where they
//! come back, and moved from there file by file when they come back. Knows places and trees, no account.
//!
//! A staged home stands under its user and the id of its tree, so what is found there is what is wanted. Nothing
//! there belongs to its owner yet: nobody knows who that will be. The restore that takes it into place plans
//! as any other, so what the target has meanwhile, and whoever works against it, is treated as ever; only
//! the bytes come from here.

use std::path::{Path, PathBuf};

use super::open_places::OpenPlaces;
use super::plan::{Job, PlannedDirectory};
use super::root::Root;
use super::{RestoreError, RestoreOptions, RestoreSource, RestoreTarget};
use crate::files::place::{IfMissing, Place, PlaceError, PlacedNode, STAGING, Written};
use crate::format::EntryKind;

/// Finds what an earlier run staged of the very same tree.
pub fn find(source: &RestoreSource, options: &RestoreOptions) -> Option<Root> {
    if options.dry_run || !source.path.is_empty() {
        return None;
    }
    let (top, tree) = (top(source, options).ok()?, tree(source)?);
    let staging = Place::open_target(&top, IfMissing::Fail).ok()?.open_directory(STAGING).ok()?;
    let user = staging.open_directory(&source.user).ok().filter(|_| staging.is_private())?;
    let place = user.open_directory(tree.as_bytes()).ok()?;
    Some(Root { place: Some(place), is_owned: false })
}

/// Makes, or opens, the place for a staged home, and says where that is.
pub fn make(source: &RestoreSource, options: &RestoreOptions) -> Result<(Root, PathBuf), RestoreError> {
    let top = top(source, options)?;
    let fail = |source| RestoreError::Target { path: path(&top), source };
    let Some(tree) = tree(source) else { return Err(no_place(source)) };
    let staging = Place::open_target(&top, IfMissing::CreatePassable)
        .and_then(|place| Ok(place.make_directory(STAGING)?.0))
        .map_err(fail)?;
    if !staging.is_private() {
        return Err(RestoreError::Staging(path(&top)));
    }
    let make = |user: &[u8], tree: &[u8]| {
        let user = staging.make_directory(user)?.0;
        // Earlier states are of no use beside this one.
        for other in user.list()?.into_iter().filter(|listed| listed.name != tree) {
            user.remove(&other.name)?;
        }
        Ok(user.make_directory(tree)?.0)
    };
    let place = make(&source.user, tree.as_bytes()).map_err(fail)?;
    Ok((Root { place: Some(place), is_owned: false }, path(&top)))
}

/// Removes what was staged of a user whose home is back. What cannot be removed stays, and is in nobody's way.
pub fn remove(source: &RestoreSource, options: &RestoreOptions) {
    let Ok(top) = top(source, options) else { return };
    let opened = Place::open_target(&top, IfMissing::Fail).and_then(|place| place.open_directory(STAGING));
    if let Ok(staging) = opened
        && staging.is_private()
    {
        let _ = staging.remove(&source.user);
    }
}

/// Removes the folder where homes were staged, if none is there any more.
pub fn tidy(sources: &[RestoreSource], options: &RestoreOptions) {
    let mut tops: Vec<_> = sources.iter().filter_map(|source| top(source, options).ok()).collect();
    tops.sort();
    tops.dedup();
    for top in tops {
        if let Ok(place) = Place::open_target(&top, IfMissing::Fail)
            && place.open_directory(STAGING).is_ok_and(|staging| staging.is_private())
        {
            let _ = place.remove_if_empty(STAGING);
        }
    }
}

/// The directory in which homes come back.
fn top(source: &RestoreSource, options: &RestoreOptions) -> Result<PathBuf, RestoreError> {
    match &options.target {
        RestoreTarget::PerUser(path) | RestoreTarget::Contents(path) => Ok(path.clone()),
        RestoreTarget::InPlace => {
            source.home_path.parent().map(Path::to_path_buf).ok_or_else(|| no_place(source))
        }
    }
}

fn tree(source: &RestoreSource) -> Option<String> {
    match source.entry.kind {
        EntryKind::Directory(tree) => Some(tree.to_hex()),
        _ => None,
    }
}

fn path(top: &Path) -> PathBuf {
    top.join(std::str::from_utf8(STAGING).unwrap_or_default())
}

fn no_place(source: &RestoreSource) -> RestoreError {
    RestoreError::NoPlace(String::from_utf8_lossy(&source.user).into_owned())
}

/// The files of a staged home, for one thread.
pub struct StagedFiles<'r> {
    root: &'r Root,
    places: OpenPlaces,
}

impl<'r> StagedFiles<'r> {
    pub fn new(root: &'r Root) -> Self {
        Self { root, places: OpenPlaces::default() }
    }

    /// Moves a file into its place, if it was staged.
    pub fn adopt(
        &mut self,
        directories: &[PlannedDirectory],
        job: &Job,
        to: &Place,
        meta: &crate::files::metadata::EntryMeta,
    ) -> Result<Option<PlacedNode>, PlaceError> {
        let Ok(place) = self.places.open(directories, self.root, job.directory) else { return Ok(None) };
        to.adopt(&job.entry.name, Written { place: &place, size: job.entry.size() }, meta)
    }
}
