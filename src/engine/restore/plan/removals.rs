//! Takes away what is in the way or was asked to go. Knows whether it may, not what comes instead.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::super::RestoreError;
use super::super::decide::Overwrite;
use super::super::report::{Action, Change, RestoreReport};
use super::super::words::chain;
use super::Planner;
use crate::codec::ChunkId;
use crate::engine::ProblemKind;
use crate::files::place::{Kind, Place, is_part_name};
use crate::files::rules::Verdict;

impl Planner<'_> {
    /// Whether what is in the way may be removed.
    pub(super) fn may_clear(&self) -> bool {
        self.context.options.delete || self.context.options.overwrite == Overwrite::Always
    }

    pub(super) fn clear(&self, parent: usize, place: &Place, name: &[u8], report: &mut RestoreReport) {
        match place.remove(name) {
            Ok(removal) => {
                for error in removal.problems {
                    report.problems.push(self.problem(parent, name, ProblemKind::Unrestored(chain(&error))));
                }
            }
            Err(error) => {
                report.problems.push(self.problem(parent, name, ProblemKind::Unrestored(chain(&error))));
            }
        }
    }

    /// Removes what a killed restore left under temporary names.
    pub(super) fn remove_parts(&self, place: &Place) {
        if self.context.options.dry_run {
            return;
        }
        let parts = place.list().unwrap_or_default().into_iter();
        for part in parts.filter(|found| found.kind == Kind::File && is_part_name(&found.name)) {
            // One that cannot be removed stays; it is in nobody's way.
            let _ = place.remove(&part.name);
        }
    }

    /// Removes what stands in a directory and is not in the snapshot.
    pub(super) fn delete_others(
        &mut self,
        index: usize,
        tree: &ChunkId,
        place: &Place,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        if !self.directories[index].is_included() {
            return Ok(());
        }
        let names: HashSet<Vec<u8>> =
            self.reader.listing(tree)?.into_iter().map(|entry| entry.name).collect();
        let listed = match place.list() {
            Ok(listed) => listed,
            Err(error) => return self.failed(index, b"", error, report),
        };
        for found in listed {
            let is_directory = found.kind == Kind::Directory;
            let verdict = self.directories[index].scope.decide(OsStr::from_bytes(&found.name), is_directory);
            if names.contains(&found.name) || verdict != Verdict::Keep {
                continue;
            }
            let path = self.path(Some(index), &found.name);
            let change = Change {
                user: &self.source.user,
                path: &path,
                action: Action::Delete,
                is_directory,
                size: 0,
            };
            visit(&change);
            report.count(&change);
            if !self.context.options.dry_run {
                self.clear(index, place, &found.name, report);
            }
        }
        Ok(())
    }
}
