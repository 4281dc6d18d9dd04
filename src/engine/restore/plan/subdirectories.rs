//! Decides what happens to the directories in a directory, and makes those that are wanted.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::super::RestoreError;
use super::super::report::{Action, Change, RestoreReport};
use super::{PlannedDirectory, Planner, Step};
use crate::engine::ProblemKind;
use crate::files::place::{Kind, Made, Place};
use crate::format::Entry;

impl Planner<'_> {
    pub(super) fn subdirectory(
        &mut self,
        parent: usize,
        place: &Option<Place>,
        entry: Entry,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        let Some(is_wanted) = self.is_wanted(parent, &entry) else { return Ok(()) };
        let existing = match place {
            Some(place) => self.look(parent, place, &entry.name, report),
            None => None,
        };
        let mut made = None;
        if let Some(found) = &existing {
            made = match found.kind == Kind::Directory {
                true => Some(Made::Existing),
                false if self.may_clear() => None,
                false => {
                    let kind =
                        ProblemKind::Unrestored("something that is no directory stands in its place".into());
                    report.problems.push(self.problem(parent, &entry.name, kind));
                    return Ok(());
                }
            };
        }
        let name = OsStr::from_bytes(&entry.name);
        let above = &self.directories[parent];
        let directory = PlannedDirectory {
            parent: Some(parent),
            is_wanted,
            made,
            scope: above.scope.enter(name),
            // What is wanted brings everything below it.
            include: if is_wanted { None } else { above.include.as_ref().map(|scope| scope.enter(name)) },
            entry,
        };
        let index = self.directories.len();
        self.directories.push(directory);
        if is_wanted && made.is_none() {
            self.make(index, visit, report)?;
        }
        // A directory that could not be made has been reported.
        if !is_wanted || self.directories[index].made.is_some() {
            self.stack.push(Step::Enter(index));
        }
        Ok(())
    }

    /// Makes a directory, and those above it that were not needed until now.
    pub(super) fn make(
        &mut self,
        index: usize,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<bool, RestoreError> {
        let mut missing = Vec::new();
        let mut at = Some(index);
        while let Some(directory) = at.filter(|at| self.directories[*at].made.is_none()) {
            missing.push(directory);
            at = self.directories[directory].parent;
        }
        for index in missing.into_iter().rev() {
            // The target itself is there, or was made when it was opened; only a dry run meets one that is not.
            let Some(parent) = self.directories[index].parent else { continue };
            self.tell(Action::Create, Some(parent), &self.directories[index].entry, visit, report);
            if self.context.options.dry_run {
                self.directories[index].made = Some(Made::Created);
                continue;
            }
            let name = self.directories[index].entry.name.clone();
            let place = self.open(parent)?;
            if self.may_clear() && place.open_directory(&name).is_err() {
                self.clear(parent, &place, &name, report);
            }
            match place.make_directory(&name) {
                Ok((_, made)) => self.directories[index].made = Some(made),
                Err(error) => {
                    self.failed(parent, &name, error, report)?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
