//! A directory's entries: those that did not change are taken over, the others looked into.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::mem;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::FileType;

use super::directory::{Child, Directory, Outcome, Visit};
use super::listing_saver::ListingSaver;
use super::walker::{Walker, find};
use super::{Home, lock};
use crate::codec::ChunkId;
use crate::engine::backup::BackupError;
use crate::engine::backup::prior::Prior;
use crate::engine::backup::seen_listing::Signature;
use crate::files::live_sqlite;
use crate::files::read::xattrs_at;
use crate::files::rules::Secrecy;
use crate::files::walk::{Listed, Stat};
use crate::format::{Attributes, Entry, EntryKind, Owner, PageBuilder, flags};
use crate::index::SeenRow;
use crate::repo::RepoError;

impl Walker<'_> {
    /// Saves a directory's entries: those that did not change are taken over, the others looked into.
    pub(super) fn save_entries(
        &mut self,
        directory: &Directory,
        handle: &OwnedFd,
        visit: &mut Visit,
    ) -> Result<SeenRow, BackupError> {
        let mut prior = self.prior(directory, visit)?;
        let entries = mem::take(&mut visit.entries);
        let names = |name: &OsStr| find(&entries, name.as_bytes()).is_some();
        let mut listing = ListingSaver::new(entries.len(), visit.digest);
        let mut copied = HashSet::new();
        let mut children = mem::take(&mut visit.children).into_iter().peekable();
        for listed in &entries {
            let known = self.take(&mut prior, &listed.name)?;
            if listed.stat.kind.is_dir() {
                while children.next_if(|c| c.name < listed.name).is_some() {}
                let child = children.next_if(|c| c.name == listed.name);
                match self.subdirectory(listed, child)? {
                    Some(entry) => listing.push(Signature::of(&listed.stat), entry, &mut self.session)?,
                    None => visit.is_incomplete = true,
                }
                continue;
            }
            // A database's name sorts before those of its companions.
            if self.belongs_to_database(listed, &copied) {
                continue;
            }
            // A secret's bytes are needed as soon as anything changed beside it: the vault may lack them.
            let secrecy = match listed.stat.kind.is_file() {
                true => directory.secret_scope.decide(OsStr::from_bytes(&listed.name)),
                false => Secrecy::Ordinary,
            };
            let is_secret = secrecy == Secrecy::Secret
                || known.as_ref().is_some_and(|(_, entry)| entry.attributes.vault.is_some());
            let known = known.filter(|_| !is_secret);
            if let Some((signature, entry)) = self.known_entry(&directory.home, listed, known, handle, &names)
            {
                listing.push(signature, entry, &mut self.session)?;
                continue;
            }
            match self.new_entry(directory, handle, listed, &names, secrecy)? {
                Some((signature, entry)) => {
                    if entry.attributes.flags & flags::SQLITE_COPY != 0 {
                        copied.insert(entry.name.clone());
                    }
                    listing.push(signature, entry, &mut self.session)?;
                }
                None => visit.is_incomplete = true,
            }
        }
        listing.finish(directory, &mut self.session)
    }

    pub(super) fn prior(&mut self, directory: &Directory, visit: &Visit) -> Result<Prior, BackupError> {
        match (&visit.seen, directory.home.seen, directory.previous) {
            (Some(_), Some(key), _) => {
                let bytes = self.seen.entries(key, directory.stat.device, directory.stat.inode)?;
                Ok(Prior::seen(bytes.unwrap_or_default()))
            }
            (_, _, Some(tree)) => Ok(self.prior_tree(tree)?),
            _ => Ok(Prior::none()),
        }
    }

    /// What a snapshot's tree has. One that is damaged is known no more: its files are read again.
    pub(super) fn prior_tree(&mut self, tree: ChunkId) -> Result<Prior, RepoError> {
        match Prior::tree(&mut self.reader, tree) {
            Err(error) if error.is_damage() => {
                lock(&self.scan.damaged).push(error);
                Ok(Prior::none())
            }
            prior => prior,
        }
    }

    pub(super) fn take(
        &mut self,
        prior: &mut Prior,
        name: &[u8],
    ) -> Result<Option<(Option<Signature>, Entry)>, RepoError> {
        match prior.take(name, &mut self.reader) {
            Err(error) if error.is_damage() => {
                lock(&self.scan.damaged).push(error);
                *prior = Prior::none();
                Ok(None)
            }
            taken => taken,
        }
    }

    /// The entry of a subdirectory; none when it could not be read. One on another file system is kept empty.
    pub(super) fn subdirectory(
        &mut self,
        listed: &Listed,
        child: Option<Child>,
    ) -> Result<Option<Entry>, BackupError> {
        let outcome = match child {
            Some(Child { outcome: None, .. }) => return Ok(None),
            Some(Child { outcome: Some(outcome), .. }) => {
                // A tree that was taken over is only believed in when the repository has it.
                if outcome.is_same && self.session.reuse(&outcome.tree)?.is_none() {
                    return Err(BackupError::StaleIndex);
                }
                outcome
            }
            None => {
                let tree = PageBuilder::new(0)
                    .finish(&mut |bytes: Vec<u8>| self.session.tree(&bytes).map(|s| s.id))?;
                Outcome { tree, is_same: false, stat: listed.stat, xattrs: Vec::new() }
            }
        };
        Ok(Some(self.directory_entry(&listed.name, outcome)))
    }

    pub(super) fn directory_entry(&self, name: &[u8], outcome: Outcome) -> Entry {
        let attributes = Attributes { xattrs: outcome.xattrs, ..Attributes::default() };
        self.entry(name, &outcome.stat, EntryKind::Directory(outcome.tree), attributes)
    }

    pub(super) fn entry(&self, name: &[u8], stat: &Stat, kind: EntryKind, attributes: Attributes) -> Entry {
        let owner: Arc<Owner> = self.scan.owners.owner(stat.uid, stat.gid);
        Entry {
            name: name.to_vec(),
            kind,
            mode: stat.mode,
            owner,
            mtime_s: stat.mtime.0,
            mtime_ns: stat.mtime.1,
            attributes,
        }
    }

    /// A write-ahead log is part of the copy that SQLite makes; beside the copy it would damage it.
    pub(super) fn belongs_to_database(&self, listed: &Listed, copied: &HashSet<Vec<u8>>) -> bool {
        self.scan.options.sqlite_copies
            && listed.stat.kind.is_file()
            && live_sqlite::belongs_to_copy(OsStr::from_bytes(&listed.name), |database| {
                copied.contains(database.as_bytes())
            })
    }

    /// What is known of an entry, if it still holds.
    pub(super) fn known_entry(
        &self,
        home: &Home,
        listed: &Listed,
        known: Option<(Option<Signature>, Entry)>,
        handle: &OwnedFd,
        names: &dyn Fn(&OsStr) -> bool,
    ) -> Option<(Signature, Entry)> {
        let Listed { name, stat } = listed;
        let (signature, entry) = known?;
        let is_equal = kind_of(&entry.kind) == stat.kind
            && (entry.mtime_s, entry.mtime_ns) == stat.mtime
            && (!stat.kind.is_file() || entry.size() == stat.size);
        let is_live = self.is_live_database(listed, names);
        if !is_equal || is_live || self.scan.options.verify_unchanged {
            return None;
        }
        match signature {
            Some(signature) => (signature == Signature::of(stat)).then_some((signature, entry)),
            None if stat.kind.is_file()
                && entry.attributes.critical_flags() == 0
                && !home.is_recent_in_previous(stat.mtime.0) =>
            {
                let xattrs = xattrs_at(handle, name).ok()?;
                let attributes =
                    Attributes { xattrs, link_group: self.link_group(stat), ..Attributes::default() };
                let signature = self.signature(stat);
                Some((signature, self.entry(name, stat, entry.kind, attributes)))
            }
            None => None,
        }
    }

    pub(super) fn is_live_database(&self, listed: &Listed, names: &dyn Fn(&OsStr) -> bool) -> bool {
        self.scan.options.sqlite_copies
            && listed.stat.kind.is_file()
            && live_sqlite::is_live_database(OsStr::from_bytes(&listed.name), names)
    }
}

fn kind_of(kind: &EntryKind) -> FileType {
    match kind {
        EntryKind::File(_) => FileType::RegularFile,
        EntryKind::Directory(_) => FileType::Directory,
        EntryKind::Symlink(_) => FileType::Symlink,
        EntryKind::Fifo => FileType::Fifo,
        EntryKind::CharDevice(_) => FileType::CharacterDevice,
        EntryKind::BlockDevice(_) => FileType::BlockDevice,
    }
}
