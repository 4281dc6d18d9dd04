//! Why what was typed means no snapshot, no home or no path; each with what is there instead.

use jiff::Timestamp;

use super::{AbsentHome, HomeState, SnapshotHead};
use crate::codec::SnapshotId;
use crate::engine::HomePath;
use crate::engine::home_path::ParsePathError;
use crate::format::Attention;

/// More names than these help nobody in an error.
const NAMES_SHOWN: usize = 12;

/// A snapshot that could have been meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The snapshot.
    pub id: SnapshotId,
    /// When it was taken.
    pub time: Timestamp,
}

/// Why nothing could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Not a way to name a snapshot.
    #[error(
        "{0:?} names no snapshot: write `latest`, `latest~1`, an id or its beginning, or a time such as `@2026-11-20T10:00`, `@yesterday` or `@2h ago`"
    )]
    Spec(String),
    /// Not a time.
    #[error(
        "{0:?} is not a time: write `@2026-11-20`, `@2026-11-20T10:00`, `@yesterday`, `@2h ago` or `@now`"
    )]
    Time(String),
    /// Not a path.
    #[error(transparent)]
    Path(#[from] ParsePathError),
    /// There is nothing to choose from.
    #[error("{}", if *is_filtered { "no snapshot has this source, host, user and tag" } else { "there are no snapshots yet" })]
    NoSnapshots {
        /// Whether there are snapshots, and the filter lets none through.
        is_filtered: bool,
    },
    /// What was asked for lies before the first snapshot.
    #[error("that is before the oldest of {snapshots} snapshots")]
    TooOld {
        /// How many there are.
        snapshots: usize,
    },
    /// No id begins so.
    #[error("no snapshot's id begins with {0}")]
    NoSuchId(String),
    /// Several ids begin so.
    #[error("{prefix} is the beginning of several ids: {}", candidates_text(candidates))]
    Ambiguous {
        /// What was typed.
        prefix: String,
        /// The snapshots, oldest first.
        candidates: Vec<Candidate>,
    },
    /// No such home.
    #[error("no snapshot here has a home of {:?}; there are {}", text(user), names(known))]
    UnknownUser {
        /// What was typed.
        user: Vec<u8>,
        /// Who there is.
        known: Vec<Vec<u8>>,
    },
    /// The home has no state at that point.
    #[error("{:?} has no home there: {}", text(user), match attention {
        Attention::Removed => "it was confirmed to be gone; an older snapshot's id still leads to it",
        _ => "it was missing",
    })]
    Absent {
        /// Whose.
        user: Vec<u8>,
        /// The snapshot that says so.
        snapshot: SnapshotId,
        /// What it says.
        attention: Attention,
    },
    /// The same user has homes on several sources.
    #[error("{:?} has a home on each of {}; choose one with --source", text(user), sources.join(", "))]
    SeveralSources {
        /// Whose.
        user: Vec<u8>,
        /// The sources.
        sources: Vec<String>,
    },
    /// An absolute path that is in no home.
    #[error("/{path} is in none of the homes, which are {}", names(homes))]
    OutsideHomes {
        /// What was typed.
        path: HomePath,
        /// Where the homes were.
        homes: Vec<Vec<u8>>,
    },
}

impl SelectError {
    pub(super) fn ambiguous(prefix: &str, matching: &[&impl SnapshotHead]) -> Self {
        let candidate = |s: &&_| Candidate { id: SnapshotHead::id(*s), time: SnapshotHead::time(*s) };
        Self::Ambiguous { prefix: prefix.into(), candidates: matching.iter().map(candidate).collect() }
    }

    pub(super) fn absent(AbsentHome { snapshot, home }: &AbsentHome<'_>) -> Self {
        Self::Absent { user: home.user.clone(), snapshot: snapshot.record.id, attention: home.attention }
    }

    pub(super) fn several_sources(homes: &[HomeState<'_>]) -> Self {
        let user = homes.first().map(|state| state.home.user.clone()).unwrap_or_default();
        Self::SeveralSources {
            user,
            sources: homes.iter().map(|s| s.snapshot.record.source.clone()).collect(),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn names(names: &[Vec<u8>]) -> String {
    listed(names.iter().map(|name| text(name)))
}

fn candidates_text(candidates: &[Candidate]) -> String {
    listed(candidates.iter().map(|c| format!("{} of {}", c.id, c.time)))
}

fn listed(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(NAMES_SHOWN);
    let shown: Vec<_> = items.take(NAMES_SHOWN).collect();
    match (shown.is_empty(), more) {
        (true, _) => "none".into(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}
