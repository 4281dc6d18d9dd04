//! Files that are secrets: their bytes go to the vault, and the tree says which item and version they are.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use zeroize::Zeroizing;

use super::contents::ATTEMPTS;
use super::directory::Directory;
use super::lock;
use super::walker::Walker;
use crate::engine::backup::BackupError;
use crate::engine::backup::seen_listing::Signature;
use crate::engine::{Meter, ProblemKind};
use crate::files::read::{OpenError, OpenFile};
use crate::files::rules::{LOOK_LEN, MAX_LOOKED_INTO, looks_secret};
use crate::files::walk::{Listed, Stat};
use crate::format::{Attributes, Content, Entry, EntryKind, VaultItem, Xattr};
use crate::vault::{MAX_VALUE_LEN, item_of_path};

impl Walker<'_> {
    /// Whether a file that is about to be stored as ordinary data begins like a private key, and is a secret for that. Where
    /// a rule says otherwise, the report tells.
    pub(super) fn is_secret_inside(
        &self,
        directory: &Directory,
        file: &OpenFile,
        name: &[u8],
        is_turned_off: bool,
    ) -> bool {
        let is_key = || {
            let mut start = [0; LOOK_LEN];
            let read = file.read_at(&mut start, 0).unwrap_or(0);
            looks_secret(&start[..read])
        };
        let is_small = (1..=MAX_LOOKED_INTO).contains(&file.stat.size);
        if !(is_turned_off || is_small && is_key()) {
            return false;
        }
        if !is_turned_off && self.scan.vault.is_some() && self.scan.secrets.by_content() {
            return true;
        }
        directory.home.problem(directory.path_of(name), ProblemKind::LooksSecret);
        false
    }

    /// Reads a secret; none if it cannot be read, or nobody would keep it. Its bytes are in no chunk.
    pub(super) fn secret_file(
        &mut self,
        directory: &Directory,
        handle: &OwnedFd,
        listed: &Listed,
        is_by_rule: bool,
    ) -> Result<Option<(Signature, Entry)>, BackupError> {
        let Some(vault) = self.scan.vault else { return Ok(None) };
        let Listed { name, .. } = listed;
        let (home, path) = (&directory.home, directory.path_of(name));
        let Some((value, stat, xattrs)) = self.read_secret(directory, handle, name)? else { return Ok(None) };
        let item = item_of_path(&path);
        let version = vault.version(&home.user, &item, &value);
        if !lock(&home.secrets).add(item.clone(), version, value, is_by_rule) {
            home.problem(path, ProblemKind::Vault("the home has more secrets than a vault keeps".into()));
            return Ok(None);
        }
        let vault = Some(VaultItem { item, version: version.0 });
        let attributes = Attributes { xattrs, vault, ..Attributes::default() };
        let entry = self.entry(name, &stat, EntryKind::File(Content::default()), attributes);
        Ok(Some((self.signature(&stat), entry)))
    }

    #[allow(clippy::type_complexity)]
    fn read_secret(
        &mut self,
        directory: &Directory,
        handle: &OwnedFd,
        name: &[u8],
    ) -> Result<Option<(Zeroizing<Vec<u8>>, Stat, Vec<Xattr>)>, BackupError> {
        for attempt in 1..=ATTEMPTS {
            let file = match OpenFile::open(handle, name) {
                Ok(file) => file,
                Err(OpenError::Vanished | OpenError::Replaced) => {
                    return Ok(self.unreadable(directory, name, Errno::NOENT));
                }
                Err(OpenError::Failed(error)) => return Ok(self.unreadable(directory, name, error)),
            };
            if self.is_foreign_link(directory, &file.stat) {
                return Ok(self.unreadable(directory, name, Errno::NOENT));
            }
            if file.stat.size > MAX_VALUE_LEN as u64 {
                let why = format!(
                    "it has {} bytes, and no secret may have more than {MAX_VALUE_LEN}. Take it out of the vault with a rule \
                     (docs/vault.md), or leave it out of backups",
                    file.stat.size
                );
                directory.home.problem(directory.path_of(name), ProblemKind::Vault(why));
                return Ok(None);
            }
            let mut value = Zeroizing::new(vec![0; file.stat.size as usize]);
            let read = file.read_at(&mut value, 0);
            let (read, now, xattrs) = match (read, file.stat_again(), file.xattrs()) {
                (Ok(read), Ok(now), Ok(xattrs)) => (read, now, xattrs),
                (Err(error), ..) | (_, Err(error), _) | (_, _, Err(error)) => {
                    return Ok(self.unreadable(directory, name, error));
                }
            };
            let is_whole = now.is_unchanged(&file.stat) && read as u64 == now.size;
            if is_whole || attempt == ATTEMPTS {
                value.truncate(read);
                if !is_whole {
                    directory.home.problem(directory.path_of(name), ProblemKind::Changed);
                }
                Meter::add(&directory.home.totals.files_read, 1);
                return Ok(Some((value, now, xattrs)));
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Whether a directory has to be looked into for the secrets it had, although nothing changed in it.
    pub(super) fn must_read_secrets(&self, directory: &Directory) -> bool {
        let secrets = lock(&directory.home.secrets);
        secrets.must_read() && secrets.had_in(&directory.path_of(b""))
    }

    /// Nothing changed in a directory: its secrets are what they were.
    pub(super) fn keep_secrets(&self, directory: &Directory) {
        let mut secrets = lock(&directory.home.secrets);
        if !secrets.is_empty() {
            secrets.keep(&directory.path_of(b""));
        }
    }
}
