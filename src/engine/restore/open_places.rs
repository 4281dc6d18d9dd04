//! Directories of a restore target that are kept open, so that the way to the next one is short.
//! Does not decide which come next.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::RestoreError;
use super::plan::{PlannedDirectory, path};
use super::root::Root;
use crate::files::place::{Place, PlaceError};

/// Kept open at a time. A tree may be deeper: then every so many levels the way leads from the root.
const KEPT: usize = 64;

/// The directories opened last, by their index in the plan.
#[derive(Default)]
pub struct OpenPlaces {
    places: HashMap<usize, Place>,
    order: VecDeque<usize>,
}

impl OpenPlaces {
    /// Opens a planned directory, from the nearest open one above it down; no link is followed on the way.
    pub fn open(
        &mut self,
        directories: &[PlannedDirectory],
        root: &Root,
        index: usize,
    ) -> Result<Place, RestoreError> {
        let target = |source| RestoreError::Target {
            path: OsStr::from_bytes(&path(directories, Some(index), b"")).into(),
            source,
        };
        let (mut at, mut closed) = (index, Vec::new());
        let mut place = loop {
            if let Some(place) = self.places.get(&at) {
                break place.clone();
            }
            let Some(parent) = directories[at].parent else {
                let name = String::from_utf8_lossy(&directories[index].entry.name).into_owned();
                break root.place.clone().ok_or_else(|| target(PlaceError::NotADirectory { name }))?;
            };
            closed.push(at);
            at = parent;
        };
        for index in closed.into_iter().rev() {
            place = place.open_directory(&directories[index].entry.name).map_err(target)?;
            self.keep(index, place.clone());
        }
        Ok(place)
    }

    fn keep(&mut self, index: usize, place: Place) {
        if self.order.len() == KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.places.remove(&oldest);
        }
        self.places.insert(index, place);
        self.order.push_back(index);
    }
}
