//! `vault list` and `vault show`: names, sizes and dates, and no value.

use jiff::Timestamp;
use serde::Serialize;

use super::{ItemArguments, document};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::rfc3339;
use crate::cli::table::{self, Align};
use crate::cli::text;
use crate::vault::{Item, Stamp, Stored, Vault, Version};

#[derive(Serialize)]
struct UserObject<'a> {
    user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<String>,
}

impl<'a> UserObject<'a> {
    fn new((user, stamp): (&'a String, &Stamp)) -> Self {
        Self { user, changed: stamp.time_ms.map(rfc3339) }
    }
}

#[derive(Serialize)]
struct ItemObject<'a> {
    item: &'a str,
    /// Of the newest version.
    bytes: u64,
    saved: String,
    versions: usize,
    /// Who has it now.
    sources: Vec<&'a str>,
}

#[derive(Serialize)]
struct VersionObject<'a> {
    version: String,
    bytes: u64,
    saved: String,
    sources: Vec<&'a str>,
}

/// Everyone who has secrets.
pub fn users(context: &Context, vault: &Vault) -> Result<Exit, CliError> {
    let listing = vault.list()?;
    let output = &context.output;
    if output.is_json() {
        let users: Vec<_> = listing.iter().map(UserObject::new).collect();
        output.object(&users);
        return Ok(Exit::Done);
    }
    if listing.is_empty() {
        output.note(&format!("{} has no secrets", vault.provider().location()));
        return Ok(Exit::Done);
    }
    let row = |(user, stamp): (&String, &Stamp)| {
        vec![text::name(user.as_bytes()), stamp.time_ms.map(local_time).unwrap_or_default()]
    };
    let header = ["user", "changed"].map(|title| (title, Align::Left));
    output.line(&table::render(&header, listing.iter().map(row).collect()));
    Ok(Exit::Done)
}

/// What a user has.
pub fn items(context: &Context, vault: &Vault, user: &str) -> Result<Exit, CliError> {
    let document = document(vault, user)?;
    let newest =
        |item: &Item| item.newest().map(|(_, stored)| (stored.bytes, stored.saved_ms)).unwrap_or_default();
    let output = &context.output;
    if output.is_json() {
        let object = |(name, item): (&'_ String, &'_ Item)| {
            let (bytes, saved_ms) = newest(item);
            serde_json::to_value(ItemObject {
                item: name,
                bytes,
                saved: rfc3339(saved_ms),
                versions: item.versions.len(),
                sources: item.now.keys().map(String::as_str).collect(),
            })
            .expect("it has text for keys")
        };
        output.object(&document.items.iter().map(object).collect::<Vec<_>>());
        return Ok(Exit::Done);
    }
    let row = |(name, item): (&String, &Item)| {
        let (bytes, saved_ms) = newest(item);
        let sources: Vec<String> = item.now.keys().map(|source| text::name(source.as_bytes())).collect();
        vec![
            text::name(name.as_bytes()),
            bytes.to_string(),
            local_time(saved_ms),
            item.versions.len().to_string(),
            if sources.is_empty() { "gone".into() } else { sources.join(", ") },
        ]
    };
    let (left, right) = (Align::Left, Align::Right);
    let header = [("item", left), ("bytes", right), ("saved", left), ("versions", right), ("on", left)];
    output.line(&table::render(&header, document.items.iter().map(row).collect()));
    Ok(Exit::Done)
}

/// The versions of one secret, newest first.
pub fn versions(context: &Context, vault: &Vault, of: &ItemArguments) -> Result<Exit, CliError> {
    let document = document(vault, &of.user)?;
    let item = document.items.get(&of.item).ok_or_else(|| of.not_there(vault))?;
    let mut versions: Vec<(Version, &Stored)> = item.versions.iter().map(|(v, s)| (*v, s)).collect();
    versions.sort_by_key(|(version, stored)| (std::cmp::Reverse(stored.saved_ms), *version));
    let sources = |version: Version| -> Vec<&str> {
        item.now.iter().filter(|(_, now)| **now == version).map(|(source, _)| source.as_str()).collect()
    };
    let output = &context.output;
    if output.is_json() {
        let object = |(version, stored): &(Version, &Stored)| {
            let sources = sources(*version);
            serde_json::to_value(VersionObject {
                version: version.to_string(),
                bytes: stored.bytes,
                saved: rfc3339(stored.saved_ms),
                sources,
            })
            .expect("it has text for keys")
        };
        output.object(&versions.iter().map(object).collect::<Vec<_>>());
        return Ok(Exit::Done);
    }
    let row = |(version, stored): &(Version, &Stored)| {
        let sources: Vec<String> =
            sources(*version).iter().map(|source| text::name(source.as_bytes())).collect();
        vec![version.to_string(), stored.bytes.to_string(), local_time(stored.saved_ms), sources.join(", ")]
    };
    let header =
        [("version", Align::Left), ("bytes", Align::Right), ("saved", Align::Left), ("now on", Align::Left)];
    output.line(&table::render(&header, versions.iter().map(row).collect()));
    Ok(Exit::Done)
}

fn local_time(milliseconds: i64) -> String {
    text::local_time(Timestamp::from_millisecond(milliseconds).unwrap_or_default())
}
