//! What a directory was when it was made anew before, and what it became: both listings, read in step.

use super::TreePair;
use super::error::RewriteError;
use crate::engine::listing::Listing;
use crate::format::Entry;
use crate::repo::{Reader, RepoError};

/// A directory's base. Where either side cannot be read, nothing is known any more.
pub struct BaseListing(Option<[Listing; 2]>);

/// An entry of the source's base and what it became.
pub struct EntryPair {
    pub source: Entry,
    pub target: Entry,
}

/// The readers of both sides.
pub struct BaseReaders<'r> {
    pub source: &'r mut Reader,
    pub target: &'r mut Reader,
}

impl BaseListing {
    /// Opens both sides.
    pub fn open(pair: Option<TreePair>, readers: BaseReaders<'_>) -> Result<Self, RewriteError> {
        let Some(pair) = pair else { return Ok(Self(None)) };
        let source = known(Listing::open(readers.source, pair.source), RewriteError::Source)?;
        let target = known(Listing::open(readers.target, pair.target), RewriteError::Target)?;
        Ok(Self(source.zip(target).map(<[Listing; 2]>::from)))
    }

    /// The entries called `name`, which must not be before the last one asked for.
    pub fn take(&mut self, name: &[u8], readers: BaseReaders<'_>) -> Result<Option<EntryPair>, RewriteError> {
        let Some([source, target]) = &mut self.0 else { return Ok(None) };
        let source = known(entry(source, name, readers.source), RewriteError::Source)?;
        let target = known(entry(target, name, readers.target), RewriteError::Target)?;
        match source.zip(target) {
            Some((source, target)) => {
                Ok(source.zip(target).map(|(source, target)| EntryPair { source, target }))
            }
            None => {
                self.0 = None;
                Ok(None)
            }
        }
    }
}

/// What is damaged is not known; other errors are `fatal`.
fn known<T>(
    result: Result<T, RepoError>,
    fatal: fn(RepoError) -> RewriteError,
) -> Result<Option<T>, RewriteError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(fatal(error)),
    }
}

fn entry(listing: &mut Listing, name: &[u8], reader: &mut Reader) -> Result<Option<Entry>, RepoError> {
    while listing.peek(reader)?.is_some_and(|entry| *entry.name < *name) {
        listing.next(reader)?;
    }
    match listing.peek(reader)? {
        Some(entry) if *entry.name == *name => listing.next(reader),
        _ => Ok(None),
    }
}
