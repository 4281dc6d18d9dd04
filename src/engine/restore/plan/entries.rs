//! Decides what happens to files, links, pipes and devices, and gathers those that are to be written.

use zeroize::Zeroizing;

use super::super::RestoreError;
use super::super::decide::decide;
use super::super::report::{Action, Change, RestoreReport};
use super::super::secrets::Secret;
use super::{Job, Planner};
use crate::codec::ChunkId;
use crate::engine::{Meter, ProblemKind};
use crate::files::metadata::EntryMeta;
use crate::files::place::{Found, Place, Placement};
use crate::files::read::xattrs_at;
use crate::format::{Content, Entry, EntryKind, Extent, flags};

impl Planner<'_> {
    /// Decides what happens to anything but a directory.
    pub(super) fn other(
        &mut self,
        parent: usize,
        place: &Option<Place>,
        mut entry: Entry,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        if self.is_wanted(parent, &entry) != Some(true) {
            return Ok(());
        }
        if matches!(entry.kind, EntryKind::CharDevice(_) | EntryKind::BlockDevice(_))
            && !self.context.options.devices
        {
            let kind = ProblemKind::Unrestored("device files come back only with --devices".into());
            report.problems.push(self.problem(parent, &entry.name, kind));
            return Ok(());
        }
        // Its content was never read: what stands in its place must not be replaced by nothing.
        if entry.attributes.flags & flags::FOREIGN_LINK != 0 {
            report.problems.push(self.problem(parent, &entry.name, ProblemKind::ForeignLink));
            return Ok(());
        }
        let Ok(secret) = self.secret(parent, &mut entry, report) else { return Ok(()) };
        let found = place.as_ref().and_then(|place| self.look(parent, place, &entry.name, report));
        let meta = self.metas.of(&entry);
        let same_metadata = |found: &Found| {
            let same_owner = found.mode == meta.mode
                && meta.owner.is_none_or(|ids| (ids.uid, ids.gid) == (found.uid, found.gid));
            matches!(entry.kind, EntryKind::Symlink(_))
                || same_owner && place.as_ref().is_some_and(|place| has_xattrs(place, &entry.name, &meta))
        };
        let options = self.context.options;
        let mut action =
            decide(&entry, found.as_ref(), options.overwrite, self.source.time_ms, same_metadata);
        if action == Action::InTheWay && self.may_clear() {
            if let (Some(place), false) = (&place, options.dry_run) {
                self.clear(parent, place, &entry.name, report);
            }
            action = Action::Replace;
        }
        self.tell(action, Some(parent), &entry, visit, report);
        match action {
            Action::InTheWay => {
                let kind =
                    ProblemKind::Unrestored("a directory stands in its place; --delete removes it".into());
                report.problems.push(self.problem(parent, &entry.name, kind));
                Ok(())
            }
            Action::Create | Action::Replace => {
                let placement = if found.is_some() { Placement::Replace } else { Placement::New };
                self.queue(parent, entry, secret, placement, visit, report)
            }
            Action::Unchanged | Action::Keep | Action::KeepNewer => {
                Meter::add(&self.context.meter.files, 1);
                Meter::add(&self.context.meter.bytes, entry.size());
                Ok(())
            }
            Action::Delete => Ok(()),
        }
    }

    /// The bytes of a file that is in the vault. The entry gets their size, and a mode that lets nobody else read them,
    /// whatever it was. That there are none is a problem.
    pub(super) fn secret(
        &mut self,
        parent: usize,
        entry: &mut Entry,
        report: &mut RestoreReport,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ()> {
        let Some(item) = &entry.attributes.vault else { return Ok(None) };
        match self.secrets.get(item) {
            Ok(Secret { value, note }) => {
                let note = note.map(ProblemKind::OtherVersion);
                report.problems.extend(note.map(|kind| self.problem(parent, &entry.name, kind)));
                let length = value.len() as u64;
                let hole = (length > 0).then_some(Extent::Hole { length });
                entry.kind = EntryKind::File(Content { depth: 0, extents: hole.into_iter().collect() });
                entry.mode &= !0o077;
                Ok(Some(value))
            }
            Err(why) => {
                report.is_vault_out_of_reach |= self.secrets.is_out_of_reach();
                report.problems.push(self.problem(parent, &entry.name, ProblemKind::Unrestored(why)));
                Err(())
            }
        }
    }

    pub(super) fn queue(
        &mut self,
        parent: usize,
        entry: Entry,
        secret: Option<Zeroizing<Vec<u8>>>,
        placement: Placement,
        visit: &mut dyn FnMut(&Change<'_>),
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        if self.directories[parent].made.is_none() && !self.make(parent, visit, report)? {
            return Ok(());
        }
        if self.context.options.dry_run {
            return Ok(());
        }
        let is_further_name = entry.attributes.link_group.is_some_and(|group| !self.groups.insert(group));
        let location = match &entry.kind {
            EntryKind::File(content) if !is_further_name => match content.extents.iter().find_map(data_id) {
                Some(id) => self.reader.catalog().locate(&id)?,
                None => None,
            },
            _ => None,
        };
        let job = Job { directory: parent, entry, secret, placement, location };
        if is_further_name {
            self.links.push(job)
        } else {
            self.jobs.push(job)
        }
        Ok(())
    }
}

/// Whether what stands at `name` has the attributes it is to get.
fn has_xattrs(place: &Place, name: &[u8], meta: &EntryMeta) -> bool {
    xattrs_at(place, name).is_ok_and(|present| meta.has_xattrs(&present))
}

fn data_id(extent: &Extent) -> Option<ChunkId> {
    match extent {
        Extent::Data { id, .. } => Some(*id),
        Extent::Hole { .. } => None,
    }
}
