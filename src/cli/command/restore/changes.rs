//! What a restore does, told entry by entry when someone wants to know. Knows no report.

use serde::Serialize;

use super::sources::Sources;
use crate::cli::json::{lossy, raw};
use crate::cli::output::{Output, Verbosity};
use crate::cli::text;
use crate::engine::HomePath;
use crate::engine::restore::{Action, Change};

/// Tells changes as they come.
pub struct Changes<'o> {
    output: &'o Output,
    /// What paths of changes begin at.
    above: HomePath,
    detail: Detail,
}

/// How many entries are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    Nothing,
    Changes,
    Everything,
}

#[derive(Serialize)]
struct ChangeObject<'c> {
    message_type: &'static str,
    action: &'static str,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_bytes: Option<String>,
    /// In the home.
    item: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_bytes: Option<String>,
    #[serde(rename = "type")]
    kind: &'c str,
    size: u64,
}

impl<'o> Changes<'o> {
    /// A dry run tells what would change, `--verbose` everything.
    pub fn new(output: &'o Output, sources: &Sources<'_>, is_dry_run: bool) -> Self {
        let detail = match output.verbosity {
            Verbosity::Verbose => Detail::Everything,
            Verbosity::Normal if is_dry_run => Detail::Changes,
            Verbosity::Normal | Verbosity::Quiet => Detail::Nothing,
        };
        Self { output, above: sources.above(), detail }
    }

    /// Whether there are lines for people.
    pub fn are_listed(&self) -> bool {
        self.detail != Detail::Nothing && !self.output.is_json()
    }

    /// Tells one.
    pub fn tell(&mut self, change: &Change<'_>) {
        match (self.detail, change.action) {
            (Detail::Nothing, _) | (Detail::Changes, Action::Unchanged) => {}
            _ if self.output.is_json() => self.output.object(&self.object(change)),
            _ => self.output.line(&self.line(change)),
        }
    }

    fn line(&self, change: &Change<'_>) -> String {
        let place = text::place(change.user, &self.path(change));
        let slash = if change.is_directory { "/" } else { "" };
        let (sign, _, remark) = words(change.action);
        let remark = if remark.is_empty() { String::new() } else { format!(" ({remark})") };
        format!("{sign} {place}{slash}{remark}")
    }

    fn object(&self, change: &Change<'_>) -> ChangeObject<'static> {
        let path = self.path(change);
        ChangeObject {
            message_type: "verbose_status",
            action: words(change.action).1,
            user: lossy(change.user),
            user_bytes: raw(change.user),
            item: lossy(&path),
            item_bytes: raw(&path),
            kind: if change.is_directory { "dir" } else { "file" },
            size: change.size,
        }
    }

    fn path(&self, change: &Change<'_>) -> Vec<u8> {
        let parts = [self.above.as_bytes(), change.path];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(&b'/')
    }
}

/// An action as a sign, as a word for programs, and what people are told beside the sign.
fn words(action: Action) -> (char, &'static str, &'static str) {
    match action {
        Action::Create => ('+', "restored", ""),
        Action::Replace => ('~', "updated", ""),
        Action::Unchanged => ('=', "unchanged", "unchanged"),
        Action::Keep => ('=', "kept", "kept"),
        Action::KeepNewer => ('=', "kept_newer", "kept, newer"),
        Action::InTheWay => ('!', "blocked", "a directory is in the way"),
        Action::Delete => ('-', "deleted", ""),
    }
}
