//! Reads and changes users' documents. Whoever changes one reads it, changes what is their own, writes it, and reads it
//! back: what another machine wrote meanwhile is kept, and what it overwrote is put again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::document::{Document, Item, Placed, Room, SALT_LEN, Stored};
use super::error::VaultError;
use super::provider::{Listing, Provider, Written};
use super::secret::{Place, UnsealError, VaultSecret, Version};
use crate::keys::random_bytes;

/// How often a change is tried when others write the same document.
const ATTEMPTS: u32 = 6;
/// So many items are named when a document is too large.
const NAMED: usize = 8;

/// All users' secrets, and what opens them.
#[derive(Debug, Clone)]
pub struct Vault {
    provider: Arc<dyn Provider>,
    /// The first seals what is new.
    secrets: Vec<VaultSecret>,
}

/// A secret as a backup found it.
pub enum Found {
    /// It was not read: it is as it was when this version was put.
    Unread(Version),
    /// It was read.
    Read {
        /// What it is now.
        version: Version,
        /// Its bytes.
        value: Zeroizing<Vec<u8>>,
        /// A rule names it; otherwise it looks like a secret.
        is_by_rule: bool,
    },
}

impl Found {
    /// Which version it is.
    pub fn version(&self) -> Version {
        let (Self::Unread(version) | Self::Read { version, .. }) = self;
        *version
    }
}

/// What came of an update.
#[derive(Debug, Default)]
pub struct Updated {
    /// What is known of the document that was put; none if nothing had to be.
    pub written: Option<Written>,
    /// Items there was no room for. The others are there.
    pub too_large: Vec<String>,
    /// Items that were not read and that the document lacks: they have to be read.
    pub missing: Vec<String>,
    /// Why there was no room, with the largest items and what to do.
    pub room_problem: Option<VaultError>,
}

/// A value with what is known of it.
pub struct Value {
    /// Which version.
    pub version: Version,
    /// When it was first put, milliseconds since 1970.
    pub saved_ms: i64,
    /// The bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl Vault {
    /// A vault. `secrets` has at least one; the first seals what is new, all of them open.
    pub fn new(provider: Arc<dyn Provider>, secrets: Vec<VaultSecret>) -> Self {
        assert!(!secrets.is_empty(), "a vault has a secret");
        Self { provider, secrets }
    }

    /// What keeps the documents.
    pub fn provider(&self) -> &dyn Provider {
        self.provider.as_ref()
    }

    /// Names the secret that seals what is new.
    pub fn secret_id(&self) -> String {
        self.secrets[0].id()
    }

    /// Everyone who has secrets, with the stamp of their document.
    pub fn list(&self) -> Result<Listing, VaultError> {
        Ok(self.provider.list()?)
    }

    /// The version that a content is.
    pub fn version(&self, user: &str, item: &str, content: &[u8]) -> Version {
        self.secrets[0].version(user, item, content)
    }

    /// A user's document; none if there is none.
    pub fn read(&self, user: &str) -> Result<Option<Document>, VaultError> {
        let Some(text) = self.provider.get(user)? else { return Ok(None) };
        self.parse(user, &text).map(Some)
    }

    fn parse(&self, user: &str, text: &[u8]) -> Result<Document, VaultError> {
        let document = Document::from_json(user, text).map_err(|source| VaultError::Document {
            user: user.into(),
            location: self.provider.location(),
            source,
        })?;
        self.secret_of(&document)?;
        Ok(document)
    }

    fn secret_of(&self, document: &Document) -> Result<&VaultSecret, VaultError> {
        self.secrets.iter().find(|secret| secret.id() == document.key_id).ok_or_else(|| {
            VaultError::OtherSecret {
                user: document.user.clone(),
                location: self.provider.location(),
                id: document.key_id.clone(),
            }
        })
    }

    /// Opens one version of an item, the newest if none is asked for; none if the document lacks it.
    pub fn open(
        &self,
        document: &Document,
        item: &str,
        version: Option<Version>,
    ) -> Result<Option<Value>, VaultError> {
        let wanted = match version {
            Some(version) => document.version(item, version).map(|stored| (version, stored)),
            None => document.items.get(item).and_then(|item| item.newest()),
        };
        let Some((version, stored)) = wanted else { return Ok(None) };
        let bytes = self.open_stored(document, item, version, stored)?;
        Ok(Some(Value { version, saved_ms: stored.saved_ms, bytes }))
    }

    fn open_stored(
        &self,
        document: &Document,
        item: &str,
        version: Version,
        stored: &Stored,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let place = Place { user: &document.user, item, version };
        let failed =
            |source| VaultError::Unseal { user: document.user.clone(), item: item.into(), version, source };
        let value = self.secret_of(document)?.open(place, &document.salt, &stored.sealed).map_err(failed)?;
        // That it is this version is sealed with it. The version's name cannot be computed again where another
        // repository's key gave it.
        match value.len() as u64 == stored.bytes {
            true => Ok(value),
            false => Err(failed(UnsealError::OtherLength)),
        }
    }

    fn seal(
        &self,
        document: &Document,
        item: &str,
        version: Version,
        value: &[u8],
    ) -> Result<Stored, VaultError> {
        let place = Place { user: &document.user, item, version };
        let sealed = self.secret_of(document)?.seal(place, &document.salt, value)?;
        Ok(Stored { saved_ms: Timestamp::now().as_millisecond(), bytes: value.len() as u64, sealed })
    }

    /// Brings a document up to date: this source has these items now, and no others. Nothing is written if that is what it
    /// says. `is_absent` promises that there was no document just now.
    pub fn update(
        &self,
        user: &str,
        source: &str,
        found: &BTreeMap<String, Found>,
        is_absent: bool,
    ) -> Result<Updated, VaultError> {
        let mut updated = Updated::default();
        let written = self.change(user, is_absent, |document| {
            updated = self.apply(document, source, found)?;
            Ok(())
        })?;
        Ok(Updated { written, ..updated })
    }

    fn apply(
        &self,
        document: &mut Document,
        source: &str,
        found: &BTreeMap<String, Found>,
    ) -> Result<Updated, VaultError> {
        let mut updated = Updated::default();
        document.keep_only(source, &found.keys().map(String::as_str).collect::<BTreeSet<_>>());
        // What rules name has a claim to the room before what only looks like a secret, and small before large.
        let rank = |found: &Found| match found {
            Found::Unread(_) => (0, 0),
            Found::Read { value, is_by_rule, .. } => (if *is_by_rule { 1 } else { 2 }, value.len()),
        };
        let mut ordered: Vec<_> = found.iter().collect();
        ordered.sort_by_key(|(name, found)| (rank(found), *name));
        let (key, max_len) = (document.clone_without_items(), self.provider.max_len());
        let (mut room, mut without_room) = (Room::new(document, max_len), BTreeMap::new());
        for (name, found) in ordered {
            let stored = match found {
                Found::Read { version, value, .. } => match room.document().version(name, *version) {
                    // What is there may be damaged; here is a value to mend it with.
                    Some(stored) if self.open_stored(&key, name, *version, stored).is_ok() => None,
                    _ => Some(self.seal(&key, name, *version, value)?),
                },
                _ => None,
            };
            match room.set(source, name, found.version(), stored) {
                Placed::Here => {}
                Placed::Missing => updated.missing.push(name.clone()),
                Placed::NoRoom(bytes) => drop(without_room.insert(name.clone(), bytes)),
            }
        }
        if !without_room.is_empty() {
            updated.room_problem = Some(self.too_large(&room, &without_room));
            updated.too_large = without_room.into_keys().collect();
        }
        Ok(updated)
    }

    fn too_large(&self, room: &Room<'_>, without_room: &BTreeMap<String, usize>) -> VaultError {
        let named: Vec<String> = room
            .largest(without_room)
            .into_iter()
            .take(NAMED)
            .map(|(item, bytes)| format!("{item:?} ({bytes} bytes)"))
            .collect();
        VaultError::TooLarge {
            user: room.document().user.clone(),
            location: self.provider.location(),
            limit: self.provider.max_len(),
            advice: format!(
                "The largest are {}. Move what is no secret elsewhere, or take it out of the vault with a rule \
                 (docs/vault.md)",
                named.join(", ")
            ),
        }
    }

    /// Stores a value that is in no file; `source` says who has it. It takes the place of an earlier one.
    pub fn set(&self, user: &str, source: &str, item: &str, value: &[u8]) -> Result<Version, VaultError> {
        let version = self.version(user, item, value);
        self.change(user, false, |document| {
            let stored = match document.version(item, version) {
                Some(_) => None,
                None => Some(self.seal(document, item, version, value)?),
            };
            let mut room = Room::new(document, self.provider.max_len());
            match room.set(source, item, version, stored) {
                Placed::NoRoom(bytes) => {
                    Err(self.too_large(&room, &BTreeMap::from([(item.to_string(), bytes)])))
                }
                Placed::Here | Placed::Missing => Ok(()),
            }
        })?;
        Ok(version)
    }

    /// Opens every value of a user; says how many open, and why the others do not.
    pub fn verify(&self, user: &str) -> Result<(usize, Vec<VaultError>), VaultError> {
        let Some(document) = self.read(user)? else { return Ok((0, Vec::new())) };
        let (mut values, mut failed) = (0, Vec::new());
        for (name, item) in &document.items {
            for (version, stored) in &item.versions {
                match self.open_stored(&document, name, *version, stored) {
                    Ok(_) => values += 1,
                    Err(error) => failed.push(error),
                }
            }
        }
        Ok((values, failed))
    }

    /// Removes an item with all its versions; false if there was none.
    pub fn remove(&self, user: &str, item: &str) -> Result<bool, VaultError> {
        let mut was_there = false;
        self.change(user, false, |document| {
            was_there |= document.items.remove(item).is_some();
            Ok(())
        })?;
        Ok(was_there)
    }

    /// Seals a user's values anew, under the first secret and with a new salt; says how many values there are.
    pub fn rotate(&self, user: &str) -> Result<usize, VaultError> {
        let (salt, mut values) = (random_bytes::<SALT_LEN>()?, 0);
        self.change(user, false, |document| {
            if document.salt == salt {
                return Ok(());
            }
            let mut rotated = Document { salt, key_id: self.secrets[0].id(), ..document.clone() };
            values = 0;
            for (name, item) in &document.items {
                for (version, stored) in &item.versions {
                    let value = self.open_stored(document, name, *version, stored)?;
                    let sealed = self.seal(&rotated, name, *version, &value)?.sealed;
                    let item = rotated.items.get_mut(name).expect("it is a copy");
                    item.versions.insert(*version, Stored { sealed, ..stored.clone() });
                    values += 1;
                }
            }
            *document = rotated;
            Ok(())
        })?;
        Ok(values)
    }

    /// Changes a document so that `apply` finds nothing left to change. Returns what is known of what was put; none if
    /// nothing had to be.
    fn change(
        &self,
        user: &str,
        is_absent: bool,
        mut apply: impl FnMut(&mut Document) -> Result<(), VaultError>,
    ) -> Result<Option<Written>, VaultError> {
        let mut is_absent = is_absent;
        // Where others can be kept away, one attempt is enough.
        let guard = self.provider.lock(user)?;
        is_absent &= guard.is_none();
        for _ in 0..ATTEMPTS {
            let before = if is_absent { None } else { self.read(user)? };
            let mut after = match &before {
                Some(document) => document.clone(),
                None => Document::new(user, self.secrets[0].id(), random_bytes()?),
            };
            let has_copies = before.is_some() && self.adopt_older_copies(&mut after)?;
            apply(&mut after)?;
            if !has_copies && before.as_ref().map_or(after.items.is_empty(), |before| *before == after) {
                return Ok(None);
            }
            let written = self.provider.put(user, &after.to_json())?;
            // A document that nobody had is not read back: its stamp tells whether somebody else put one meanwhile.
            if is_absent && !matches!(written, Written::Unknown) {
                return Ok(Some(written));
            }
            if let Some(mut there) = self.read(user)? {
                let as_found = there.clone();
                apply(&mut there)?;
                if there == as_found {
                    return Ok(Some(written));
                }
            }
            is_absent = false;
        }
        Err(VaultError::Contended { user: user.into(), location: self.provider.location() })
    }

    /// Takes over what only other copies of the document have, which a race of two machines left and the next put
    /// removes; false if there are none. Each copy has a salt of its own, so values are sealed anew.
    fn adopt_older_copies(&self, document: &mut Document) -> Result<bool, VaultError> {
        let copies = self.provider.older_copies(&document.user)?;
        for copy in &copies {
            let copy = self.parse(&document.user, copy)?;
            for (name, item) in &copy.items {
                self.adopt(document, &copy, name, item)?;
            }
        }
        match copies.is_empty() || document.fit(self.provider.max_len()) {
            true => Ok(!copies.is_empty()),
            // Rather nothing is put than a copy removed of which a part has no room.
            false => Err(self.too_large(&Room::new(document, self.provider.max_len()), &BTreeMap::new())),
        }
    }

    fn adopt(
        &self,
        document: &mut Document,
        copy: &Document,
        name: &str,
        item: &Item,
    ) -> Result<(), VaultError> {
        for (version, stored) in &item.versions {
            if document.version(name, *version).is_none() {
                let value = self.open_stored(copy, name, *version, stored)?;
                let sealed = self.seal(document, name, *version, &value)?.sealed;
                let own = document.items.entry(name.into()).or_default();
                own.versions.insert(*version, Stored { sealed, ..stored.clone() });
            }
        }
        let own = document.items.entry(name.into()).or_default();
        for (source, version) in &item.now {
            own.now.entry(source.clone()).or_insert(*version);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
