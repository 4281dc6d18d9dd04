//! Secrets of the user whose tree is restored: read from the vault once, when the first one is met.

use zeroize::Zeroizing;

use crate::engine::chain::chain;
use crate::format::VaultItem;
use crate::vault::{Document, Vault, Version, item_of_path};

/// Which of a tree's files are wanted, secrets being some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecretsWanted {
    /// Secrets and all other files.
    #[default]
    With,
    /// All other files.
    Without,
    /// Secrets alone.
    Only,
}

/// What the vault has for a file.
pub struct Secret {
    /// Its bytes.
    pub value: Zeroizing<Vec<u8>>,
    /// Why these are not the bytes of the snapshot's version.
    pub note: Option<String>,
}

/// One user's secrets.
pub struct Secrets<'a> {
    vault: Option<&'a Vault>,
    user: String,
    /// What came of reading the document; none before it was needed.
    document: Option<Result<Document, String>>,
}

impl<'a> Secrets<'a> {
    /// The secrets of a user, not read yet.
    pub fn new(vault: Option<&'a Vault>, user: &[u8]) -> Self {
        Self { vault, user: item_of_path(user), document: None }
    }

    /// Whether there is no document to look into.
    pub fn is_out_of_reach(&self) -> bool {
        !matches!(self.document, Some(Ok(_)))
    }

    /// The bytes of a file that is in the vault: of the snapshot's version if the vault still has that, else of the
    /// newest, with a note; or why there are none.
    pub fn get(&mut self, wanted: &VaultItem) -> Result<Secret, String> {
        let Some(vault) = self.vault else {
            return Err(format!(
                "its content is in the vault, item {:?}, and no vault is configured ([vault] provider)",
                wanted.item
            ));
        };
        let user = &self.user;
        let document = self.document.get_or_insert_with(|| match vault.read(user) {
            Ok(Some(document)) => Ok(document),
            Ok(None) => Err(format!("{} has no secrets of {user}", vault.provider().location())),
            Err(error) => Err(chain(&error)),
        });
        let document = document.as_ref().map_err(Clone::clone)?;
        let open = |version| vault.open(document, &wanted.item, version).map_err(|error| chain(&error));
        if let Some(value) = open(Some(Version(wanted.version)))? {
            return Ok(Secret { value: value.bytes, note: None });
        }
        let newest = open(None)?.ok_or_else(|| {
            format!("{} has no item {:?} of {user}", vault.provider().location(), wanted.item)
        })?;
        let saved = jiff::Timestamp::from_millisecond(newest.saved_ms).unwrap_or_default();
        let note = format!(
            "the vault no longer has the version of this snapshot; this is the newest one, first saved at {}",
            saved.strftime("%Y-%m-%d %H:%M:%S UTC")
        );
        Ok(Secret { value: newest.bytes, note: Some(note) })
    }
}
