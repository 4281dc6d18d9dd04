//! Finds and opens the directory that a tree comes back to. Knows targets, not what is in a tree.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{RestoreError, RestoreSource, RestoreTarget, open_target};
use crate::files::metadata::EntryMeta;
use crate::files::owners::resolve;
use crate::files::place::{IfMissing, Made, Place, PlaceError};

use super::plan::Context;

/// Where a tree comes back to.
#[derive(Clone)]
pub struct Root {
    /// The directory that gets the tree's contents; none when a dry run finds that it does not exist.
    pub place: Option<Place>,
    /// Whether the directory itself gets the metadata of the tree's own entry.
    pub is_owned: bool,
}

impl Root {
    /// Opens, and unless it is a dry run makes, the directory that `source` comes back to.
    pub fn open(source: &RestoreSource, context: &Context<'_>) -> Result<Self, RestoreError> {
        let options = context.options;
        let if_missing = if options.dry_run { IfMissing::Fail } else { IfMissing::Create };
        match &options.target {
            RestoreTarget::Contents(path) => {
                let existed = path.is_dir();
                let place = if options.dry_run && !existed { None } else { Some(open_target(path)?) };
                Ok(Self { place, is_owned: !existed && source.entry.is_directory() })
            }
            RestoreTarget::PerUser(path) => {
                let top = (path.as_path(), if_missing);
                Self::below(top, &[&source.user, &source.path], source, context, if_missing)
            }
            RestoreTarget::InPlace => {
                let home = &source.home_path;
                let (Some(parent), Some(name)) = (home.parent(), home.file_name()) else {
                    let user = String::from_utf8_lossy(&source.user).into_owned();
                    return Err(RestoreError::NoPlace(user));
                };
                // Whoever's homes these are must get to them.
                let top = if options.dry_run { IfMissing::Fail } else { IfMissing::CreatePassable };
                Self::below((parent, top), &[name.as_bytes(), &source.path], source, context, if_missing)
            }
        }
    }

    /// Goes down from a directory that the administrator named; below it, no link is followed.
    fn below(
        (top, if_top_missing): (&Path, IfMissing),
        parts: &[&[u8]],
        source: &RestoreSource,
        context: &Context<'_>,
        if_missing: IfMissing,
    ) -> Result<Self, RestoreError> {
        let fail = |source| RestoreError::Target { path: top.into(), source };
        let mut components: Vec<&[u8]> =
            parts.iter().flat_map(|part| part.split(|b| *b == b'/')).filter(|c| !c.is_empty()).collect();
        if !source.entry.is_directory() {
            components.pop();
        }
        let mut place = match Place::open_target(top, if_top_missing) {
            Err(_) if if_missing == IfMissing::Fail => return Ok(Self { place: None, is_owned: true }),
            opened => opened.map_err(fail)?,
        };
        let own = components.len().saturating_sub(source.entry.is_directory().into());
        for (level, component) in components.into_iter().enumerate() {
            place = match if_missing {
                IfMissing::Create | IfMissing::CreatePassable if level == own => {
                    place.make_directory(component).map_err(fail)?.0
                }
                IfMissing::Create | IfMissing::CreatePassable => {
                    make_above(&place, component, source, context).map_err(fail)?
                }
                IfMissing::Fail => match place.open_directory(component) {
                    Ok(place) => place,
                    Err(_) => return Ok(Self { place: None, is_owned: true }),
                },
            };
        }
        Ok(Self { place: Some(place), is_owned: source.entry.is_directory() })
    }
}

/// Makes a directory above what comes back alone. It belongs to the home's owner, who alone may enter:
/// what else the snapshot says of it is not known here. What cannot be set is not worth a line: it
/// cannot be set for what comes back either.
fn make_above(
    place: &Place,
    name: &[u8],
    source: &RestoreSource,
    context: &Context<'_>,
) -> Result<Place, PlaceError> {
    let (directory, made) = place.make_directory(name)?;
    if made == Made::Created && context.options.owners {
        let (home, options) = (&source.home, context.options);
        let owner = resolve(&home.owner, &options.owner_map, context.owners, options.owner_match).ids;
        let (mtime_s, mtime_ns) = (home.mtime_s, home.mtime_ns);
        let meta = EntryMeta { owner: Some(owner), mode: 0o700, mtime_s, mtime_ns, xattrs: Vec::new() };
        directory.finish_directory(&meta);
    }
    Ok(directory)
}
