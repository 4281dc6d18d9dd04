//! Names of stored objects. A name is checked once, when it is made or parsed, and trusted after.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::gc::GcKind;
use crate::codec::{Hash, SnapshotId};

/// A name in the store: components of `[a-z0-9.-]` joined by `/`, none of them `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

/// A text is not the name of an object of this format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a stored object")]
pub struct ParseNameError(pub String);

impl ObjectName {
    /// Where marks on forgotten snapshots are.
    pub const FORGOTTEN: &'static str = "forgotten/";

    /// Where records of garbage collection are.
    pub const GC: &'static str = "gc/";
    /// Where sizes of the past are.
    pub const HISTORY: &'static str = "history/";
    /// Where bulk segments are.
    pub const SEGMENTS: &'static str = "segments/";

    /// The repository's descriptor.
    pub fn descriptor() -> Self {
        Self("format".into())
    }

    /// A key slot, named by the hash of its bytes.
    pub fn key(hash: &Hash) -> Self {
        Self(format!("keys/{hash}"))
    }

    /// A bulk segment, named by the hash of its bytes.
    pub fn segment(hash: &Hash) -> Self {
        let hex = hash.to_hex();
        Self(format!("segments/{}/{hex}", &hex[..2]))
    }

    /// A published index image, sorted by time.
    pub fn index(time: Timestamp, hash: &Hash) -> Self {
        Self(format!("index/{}-{hash}", compact(time)))
    }

    /// Sizes of the past, sorted by when they were written.
    pub fn history(time: Timestamp, hash: &Hash) -> Self {
        Self(format!("{}{}-{hash}", Self::HISTORY, compact(time)))
    }

    /// The mark that hides a snapshot.
    pub fn forgotten(snapshot: SnapshotId) -> Self {
        Self(format!("{}{snapshot}", Self::FORGOTTEN))
    }

    /// A record of garbage collection, sorted by what it says and then by time.
    pub fn gc(kind: GcKind, time: Timestamp, hash: &Hash) -> Self {
        let kind = match kind {
            GcKind::Condemned => "condemned",
            GcKind::Deleted => "deleted",
        };
        Self(format!("{}{kind}-{}-{hash}", Self::GC, compact(time)))
    }

    /// What a record of garbage collection says of its segments; none for other names, and for records of
    /// kinds that this program does not know.
    pub fn gc_kind(&self) -> Option<GcKind> {
        match self.0.strip_prefix(Self::GC)?.split('-').next()? {
            "condemned" => Some(GcKind::Condemned),
            "deleted" => Some(GcKind::Deleted),
            _ => None,
        }
    }

    /// The snapshot that a mark hides: its id follows [`ObjectName::FORGOTTEN`], and behind a `-`
    /// may follow anything. None for every other name.
    pub fn forgotten_snapshot(&self) -> Option<SnapshotId> {
        let mark = self.0.strip_prefix(Self::FORGOTTEN)?;
        let (id, rest) = mark.split_at_checked(2 * SnapshotId::LEN)?;
        if rest.is_empty() || rest.starts_with('-') { id.parse().ok() } else { None }
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash that the name promises of the object's bytes; none for the descriptor.
    pub fn promised_hash(&self) -> Option<Hash> {
        self.0.rsplit(['/', '-']).next()?.parse().ok()
    }
}

impl FromStr for ObjectName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let component = |c: &str| {
            !c.is_empty()
                && c != "."
                && c != ".."
                && c.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
        };
        if text.len() <= 255 && text.split('/').all(component) {
            Ok(Self(text.into()))
        } else {
            Err(ParseNameError(text.into()))
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the name of a commit object says: `snapshots/2026-11-24/20261124t072542.123z-<id>.<n>-<hash>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitName {
    /// When the run began, to the millisecond.
    pub time: Timestamp,
    /// The snapshot.
    pub id: SnapshotId,
    /// How often the snapshot was superseded; the highest counts.
    pub supersession: u32,
    /// Of the object's bytes.
    pub hash: Hash,
}

impl CommitName {
    /// Where all commits are.
    pub const PREFIX: &'static str = "snapshots/";

    /// The object's name.
    pub fn to_object_name(&self) -> ObjectName {
        let day = self.time.strftime("%Y-%m-%d").to_string();
        ObjectName(format!(
            "{}{day}/{}-{}.{}-{}",
            Self::PREFIX,
            compact(self.time),
            self.id,
            self.supersession,
            self.hash
        ))
    }

    /// Reads a name under [`CommitName::PREFIX`]; only what [`CommitName::to_object_name`] writes.
    pub fn parse(name: &ObjectName) -> Result<Self, ParseNameError> {
        let error = || ParseNameError(name.0.clone());
        let parse = || {
            let file = name.0.rsplit('/').next()?;
            let mut parts = file.splitn(3, '-');
            let time = parse_compact(parts.next()?)?;
            let (id, supersession) = parts.next()?.split_once('.')?;
            let (id, supersession) = (id.parse().ok()?, supersession.parse().ok()?);
            Some(Self { time, id, supersession, hash: parts.next()?.parse().ok()? })
        };
        let parsed: Self = parse().ok_or_else(error)?;
        if parsed.to_object_name() == *name { Ok(parsed) } else { Err(error()) }
    }
}

/// `20261124t072542.123z`: sorts as it reads.
fn compact(time: Timestamp) -> String {
    let text = time.strftime("%Y%m%dt%H%M%S").to_string();
    format!("{text}.{:03}z", time.subsec_millisecond().unsigned_abs())
}

fn parse_compact(text: &str) -> Option<Timestamp> {
    let (seconds, millis) = text.strip_suffix('z')?.split_once('.')?;
    let civil = jiff::civil::DateTime::strptime("%Y%m%dt%H%M%S", seconds).ok()?;
    let time = TimeZone::UTC.to_timestamp(civil).ok()?;
    let millis: i64 = if millis.len() == 3 { millis.parse().ok()? } else { return None };
    time.checked_add(jiff::SignedDuration::from_millis(millis)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_name_reads_back() {
        let name = CommitName {
            time: "2026-11-24T07:25:42.123Z".parse().unwrap(),
            id: SnapshotId([0xab; 16]),
            supersession: 2,
            hash: Hash([0xcd; 32]),
        };
        let object = name.to_object_name();
        let text =
            format!("snapshots/2026-11-24/20261124t072542.123z-{}.2-{}", "ab".repeat(16), "cd".repeat(32));
        assert_eq!(object.as_str(), text);
        assert_eq!(CommitName::parse(&object), Ok(name.clone()));
        assert_eq!(object.promised_hash(), Some(name.hash));
        assert_eq!(text.parse(), Ok(object));
    }

    #[test]
    fn a_mark_names_the_snapshot_that_it_hides() {
        let id = SnapshotId([0xab; 16]);
        assert_eq!(ObjectName::forgotten(id).forgotten_snapshot(), Some(id));
        let hides = |text: String| text.parse::<ObjectName>().unwrap().forgotten_snapshot();
        for rest in ["", "-", "-x", "-cdcd/more.1"] {
            assert_eq!(hides(format!("forgotten/{id}{rest}")), Some(id), "{rest}");
        }
        let hex = id.to_hex();
        for other in [format!("forgotten/{hex}0"), format!("forgotten/{}", &hex[1..]), format!("gc/{hex}")] {
            assert_eq!(hides(other.clone()), None, "{other}");
        }
        assert_eq!(hides(format!("forgotten/{hex}.1")), None);
        assert_eq!(hides(format!("forgotten/x/{hex}")), None);
        assert_eq!(hides(format!("forgotten/{}", "xy".repeat(16))), None);
    }

    #[test]
    fn names_that_lead_out_of_the_store_are_refused() {
        for text in ["", "/", "..", "a/../b", "a//b", "/etc", "A", "a b", "a/", "a\n", "a#1"] {
            assert!(text.parse::<ObjectName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_commit_under_another_day_or_spelling_is_refused() {
        let id = "ab".repeat(16);
        let hash = "cd".repeat(32);
        for file in [
            format!("2026-11-25/20261124t072542.123z-{id}.2-{hash}"),
            format!("2026-11-24/20261124t072542.12z-{id}.2-{hash}"),
            format!("2026-11-24/20261124t072542.123z-{id}.02-{hash}"),
            format!("2026-11-24/20261124t072542.123z-{id}-{hash}"),
        ] {
            assert!(CommitName::parse(&format!("snapshots/{file}").parse().unwrap()).is_err(), "{file}");
        }
    }
}
