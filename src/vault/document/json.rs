//! The text of a document. The shape stands in docs/vault.md.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Document, Item, SALT_LEN, Stored};
use crate::vault::secret::Version;

const FORMAT: u32 = 1;

/// Why a text is no document. It never says what the text holds: that may be somebody's secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is not what homekeep writes.
    #[error("it is not a document of homekeep's (line {line}, column {column}: {reason})")]
    Malformed {
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
        /// What was expected.
        reason: &'static str,
    },
    /// A newer homekeep wrote it.
    #[error("it has format {0}, which this version of homekeep does not know. Use a newer one")]
    Format(u32),
    /// It is another user's.
    #[error("it says that it belongs to another user")]
    OtherUser,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentText {
    format: u32,
    user: String,
    key: KeyText,
    items: BTreeMap<String, ItemText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyText {
    id: String,
    salt: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemText {
    now: BTreeMap<String, String>,
    versions: BTreeMap<String, StoredText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredText {
    saved: Timestamp,
    bytes: u64,
    sealed: String,
}

/// Only the number, of whatever else a newer format may have.
#[derive(Deserialize)]
struct FormatText {
    format: u32,
}

impl Document {
    /// The text. Equal documents have equal texts.
    pub fn to_json(&self) -> Vec<u8> {
        let items = self.items.iter().map(|(name, item)| (name.clone(), ItemText::new(item))).collect();
        let key = KeyText { id: self.key_id.clone(), salt: BASE64.encode(self.salt) };
        let text = DocumentText { format: FORMAT, user: self.user.clone(), key, items };
        serde_json::to_vec(&text).expect("maps with text for keys can be written")
    }

    /// Bytes of the text without any item.
    pub(super) fn empty_json_len(&self) -> usize {
        self.clone_without_items().to_json().len()
    }

    /// Reads the text of a user's document.
    pub fn from_json(user: &str, text: &[u8]) -> Result<Self, DocumentError> {
        let format: FormatText = serde_json::from_slice(text).map_err(|error| malformed(&error))?;
        if format.format != FORMAT {
            return Err(DocumentError::Format(format.format));
        }
        let text: DocumentText = serde_json::from_slice(text).map_err(|error| malformed(&error))?;
        if text.user != user {
            return Err(DocumentError::OtherUser);
        }
        let salt = BASE64.decode(&text.key.salt).ok().and_then(|salt| salt.try_into().ok());
        let salt: [u8; SALT_LEN] = salt.ok_or(wrong("a salt of 16 bytes"))?;
        let mut items = BTreeMap::new();
        for (name, item) in text.items {
            items.insert(name, item.read()?);
        }
        Ok(Self { user: text.user, key_id: text.key.id, salt, items })
    }
}

impl Item {
    /// Bytes that the item takes in the text, with a comma behind it.
    pub(super) fn json_len(&self, name: &str) -> usize {
        let len =
            |text: serde_json::Result<Vec<u8>>| text.expect("maps with text for keys can be written").len();
        len(serde_json::to_vec(name)) + ":,".len() + len(serde_json::to_vec(&ItemText::new(self)))
    }
}

impl ItemText {
    fn new(item: &Item) -> Self {
        let now = item.now.iter().map(|(source, version)| (source.clone(), version.to_string())).collect();
        let stored = |stored: &Stored| StoredText {
            saved: Timestamp::from_millisecond(stored.saved_ms).unwrap_or_default(),
            bytes: stored.bytes,
            sealed: BASE64.encode(&stored.sealed),
        };
        let versions = item.versions.iter().map(|(version, s)| (version.to_string(), stored(s))).collect();
        Self { now, versions }
    }

    fn read(self) -> Result<Item, DocumentError> {
        let version = |text: &str| text.parse::<Version>().map_err(|()| wrong("a version of 16 digits"));
        let mut item = Item::default();
        for (source, text) in self.now {
            item.now.insert(source, version(&text)?);
        }
        for (text, stored) in self.versions {
            let sealed = BASE64.decode(&stored.sealed).map_err(|_| wrong("a value in Base64"))?;
            let saved_ms = stored.saved.as_millisecond();
            item.versions.insert(version(&text)?, Stored { saved_ms, bytes: stored.bytes, sealed });
        }
        // What is in use and not there has to be put again.
        item.now.retain(|_, version| item.versions.contains_key(version));
        Ok(item)
    }
}

fn malformed(error: &serde_json::Error) -> DocumentError {
    let reason = match error.classify() {
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "this is not JSON",
        serde_json::error::Category::Data => "a field is missing, unknown, or of the wrong kind",
        serde_json::error::Category::Eof => "it ends too early",
    };
    DocumentError::Malformed { line: error.line(), column: error.column(), reason }
}

fn wrong(expected: &'static str) -> DocumentError {
    DocumentError::Malformed { line: 1, column: 1, reason: expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let mut document = Document::new("ann@example.org", "0123456789abcdef".into(), [3; SALT_LEN]);
        let stored = Stored { saved_ms: 1_764_000_000_123, bytes: 5, sealed: vec![1, 2, 3] };
        document.set("cluster", ".ssh/id_rsa", Version(0xab), Some(stored));
        document
    }

    #[test]
    fn the_text_is_what_the_documentation_shows() {
        let text = String::from_utf8(document().to_json()).unwrap();
        let expected = r#"{"format":1,"user":"ann@example.org","key":{"id":"0123456789abcdef","salt":"AwMDAwMDAwMDAwMDAwMDAw=="},"items":{".ssh/id_rsa":{"now":{"cluster":"00000000000000ab"},"versions":{"00000000000000ab":{"saved":"2025-11-24T16:00:00.123Z","bytes":5,"sealed":"AQID"}}}}}"#;
        assert_eq!(text, expected);
        assert_eq!(Document::from_json("ann@example.org", text.as_bytes()).unwrap(), document());
    }

    #[test]
    fn what_is_no_document_is_refused_without_a_word_of_it() {
        let user = "ann@example.org";
        let foreign = br#"{"private_key":"-----BEGIN CANARY","access_token":"CANARY"}"#;
        for text in [&foreign[..], b"CANARY", b"", b"{\"format\":1,\"user\":\"CANARY\"}"] {
            let error = Document::from_json(user, text).unwrap_err().to_string();
            assert!(!error.contains("CANARY"), "{error}");
        }
        assert_eq!(Document::from_json(user, br#"{"format":2,"more":1}"#), Err(DocumentError::Format(2)));
        assert_eq!(Document::from_json("bob", &document().to_json()), Err(DocumentError::OtherUser));
    }

    #[test]
    fn no_byte_that_is_changed_makes_it_panic() {
        let text = document().to_json();
        for at in 0..text.len() {
            for byte in [0, b'"', b'9', b'}', 0xff] {
                let mut other = text.clone();
                other[at] = byte;
                let _ = Document::from_json("ann@example.org", &other);
                let _ = Document::from_json("ann@example.org", &text[..at]);
            }
        }
    }
}
