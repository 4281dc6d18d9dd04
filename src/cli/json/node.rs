//! An entry of a snapshot in JSON.

use serde::Serialize;

use super::{lossy, raw};
use crate::cli::entry::{modified, permissions};
use crate::engine::HomePath;
use crate::format::{Entry, EntryKind, flags};

/// An entry with where it is.
#[derive(Debug, Serialize)]
pub struct NodeObject {
    message_type: &'static str,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_bytes: Option<String>,
    /// In the home.
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    size: u64,
    mode: u16,
    permissions: String,
    uid: u32,
    gid: u32,
    /// Names on the machine that was saved; empty where there were none.
    owner: String,
    group: String,
    /// Null for a time that no calendar has.
    mtime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    linktarget: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    linktarget_bytes: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    marks: Vec<&'static str>,
}

impl NodeObject {
    /// What is at `path` in a user's home.
    pub fn new(message_type: &'static str, user: &[u8], path: &HomePath, entry: &Entry) -> Self {
        let target = match &entry.kind {
            EntryKind::Symlink(target) => Some(target),
            _ => None,
        };
        Self {
            message_type,
            user: lossy(user),
            user_bytes: raw(user),
            path: lossy(path.as_bytes()),
            path_bytes: raw(path.as_bytes()),
            kind: kind(entry),
            size: entry.size(),
            mode: entry.mode,
            permissions: permissions(entry),
            uid: entry.owner.uid,
            gid: entry.owner.gid,
            owner: entry.owner.user.clone(),
            group: entry.owner.group.clone(),
            mtime: modified(entry).map(|time| format!("{time:.9}")),
            linktarget: target.map(|target| lossy(target)),
            linktarget_bytes: target.and_then(|target| raw(target)),
            marks: marks(entry),
        }
    }
}

/// The kind of an entry, in restic's words.
pub fn kind(entry: &Entry) -> &'static str {
    match entry.kind {
        EntryKind::File(_) => "file",
        EntryKind::Directory(_) => "dir",
        EntryKind::Symlink(_) => "symlink",
        EntryKind::Fifo => "fifo",
        EntryKind::CharDevice(_) => "chardev",
        EntryKind::BlockDevice(_) => "dev",
    }
}

/// What the backup noted of a file.
fn marks(entry: &Entry) -> Vec<&'static str> {
    let words = [
        (flags::CHANGED, "changed"),
        (flags::SQLITE_COPY, "sqlite_copy"),
        (flags::FOREIGN_LINK, "foreign_link"),
        (flags::SQLITE_RAW, "sqlite_raw"),
    ];
    let is_set = |flag: u64| entry.attributes.flags & flag != 0;
    words.into_iter().filter(|(flag, _)| is_set(*flag)).map(|(_, word)| word).collect()
}
