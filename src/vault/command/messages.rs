//! What goes to a provider's program and what comes back, as JSON. Unknown fields of a reply are passed over.

use serde::{Deserialize, Serialize};

use crate::vault::provider::{Listing, Stamp, Written};

/// The longest name of a user, in bytes.
const MAX_USER_LEN: usize = 255;

/// `get` and `delete`.
#[derive(Serialize)]
pub struct ForUser<'a> {
    /// Whose document.
    pub user: &'a str,
}

/// `put`.
#[derive(Serialize)]
pub struct PutRequest<'a> {
    /// Whose document.
    pub user: &'a str,
    /// All of it.
    pub document: &'a str,
}

/// What `get` answers.
#[derive(Deserialize)]
pub struct DocumentReply {
    /// The document; null if there is none.
    pub document: Option<String>,
}

/// What `list` answers.
#[derive(Deserialize)]
pub struct ListReply {
    users: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    user: String,
    #[serde(flatten)]
    stamp: StampFields,
}

#[derive(Deserialize)]
struct StampFields {
    #[serde(default)]
    tag: String,
    #[serde(default)]
    time_ms: Option<i64>,
}

impl From<StampFields> for Stamp {
    fn from(fields: StampFields) -> Self {
        Self { tag: fields.tag, time_ms: fields.time_ms }
    }
}

impl ListReply {
    /// Refuses what is no user's name, and a user who is there twice.
    pub fn into_listing(self) -> Result<Listing, String> {
        let mut listing = Listing::new();
        for Listed { user, stamp } in self.users {
            if user.is_empty() || user.len() > MAX_USER_LEN || user.contains(char::is_control) {
                return Err(format!("{user:?} is not the name of a user"));
            }
            if listing.contains_key(&user) {
                return Err(format!("{user} is listed twice"));
            }
            listing.insert(user, stamp.into());
        }
        Ok(listing)
    }
}

/// What `put` may answer.
#[derive(Deserialize)]
pub struct PutReply {
    #[serde(flatten)]
    stamp: StampFields,
}

impl PutReply {
    /// Without a tag, nothing is known.
    pub fn into_written(self) -> Written {
        if self.stamp.tag.is_empty() { Written::Unknown } else { Written::As(self.stamp.into()) }
    }
}

/// What `put` may say beside the code for "too large".
#[derive(Deserialize)]
pub struct Limit {
    limit: usize,
}

impl Limit {
    /// The most bytes that a document may have; none if the program did not say.
    pub fn read(output: &[u8]) -> Option<usize> {
        serde_json::from_slice::<Self>(output).ok().map(|said| said.limit)
    }
}
