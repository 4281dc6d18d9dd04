//! The state of a home that a command chose, and why, in JSON.

use serde::Serialize;

use super::{attention, lossy, raw, rfc3339};
use crate::engine::select::{AbsentHome, HomeState, StateNote};

/// A home's state.
#[derive(Debug, Serialize)]
pub struct StateObject {
    message_type: &'static str,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_bytes: Option<String>,
    /// Where the home was.
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    source: String,
    snapshot_id: String,
    time: String,
    files: u64,
    directories: u64,
    bytes: u64,
    attention: &'static str,
    /// `behind` or `shrunk`.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    /// With `behind`, the snapshot that was passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_snapshot_id: Option<String>,
    /// With `behind`, what that says of the home.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_attention: Option<&'static str>,
}

impl StateObject {
    /// A state.
    pub fn new(state: &HomeState<'_>) -> Self {
        let (record, home) = (&state.snapshot.record, state.home);
        let newest = match state.note {
            Some(StateNote::Behind { newest, attention }) => Some((newest, attention)),
            _ => None,
        };
        Self {
            message_type: "home",
            user: lossy(&home.user),
            user_bytes: raw(&home.user),
            path: lossy(&home.path),
            path_bytes: raw(&home.path),
            source: record.source.clone(),
            snapshot_id: record.id.to_hex(),
            time: rfc3339(record.time_ms),
            files: home.files,
            directories: home.directories,
            bytes: home.bytes,
            attention: attention(home.attention),
            note: state.note.map(|note| match note {
                StateNote::Shrunk => "shrunk",
                StateNote::Behind { .. } => "behind",
            }),
            newest_snapshot_id: newest.map(|(newest, _)| newest.record.id.to_hex()),
            newest_attention: newest.map(|(_, found)| attention(found)),
        }
    }
}

/// A home that has no state.
#[derive(Debug, Serialize)]
pub struct AbsentObject {
    message_type: &'static str,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_bytes: Option<String>,
    source: String,
    /// The snapshot that says so.
    snapshot_id: String,
    /// `missing` or `removed`.
    attention: &'static str,
}

impl AbsentObject {
    /// An absent home.
    pub fn new(absent: &AbsentHome<'_>) -> Self {
        Self {
            message_type: "home_absent",
            user: lossy(&absent.home.user),
            user_bytes: raw(&absent.home.user),
            source: absent.snapshot.record.source.clone(),
            snapshot_id: absent.snapshot.record.id.to_hex(),
            attention: attention(absent.home.attention),
        }
    }
}
