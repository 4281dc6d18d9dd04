//! What people type to name a snapshot and a place in it: `SPEC[:USER[/path]]`. Knows no snapshot.

use jiff::{Timestamp, ZonedDateTime};

use super::{SelectError, moment};
use crate::codec::SnapshotId;
use crate::engine::HomePath;

/// How a snapshot is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotSpec {
    /// `latest`, or `latest~2`: as if the two newest snapshots had not been taken.
    Latest {
        /// How many snapshots to leave out.
        back: usize,
    },
    /// An id, or as much of its beginning as no other id shares: lower-case hexadecimal.
    Id(String),
    /// `@…`: as it was then.
    At(Timestamp),
}

/// Which part of a snapshot is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// All homes.
    Everything,
    /// A path in a user's home.
    InHome {
        /// The user.
        user: Vec<u8>,
        /// The path.
        path: HomePath,
    },
    /// An absolute path on the machine that was saved.
    Absolute(HomePath),
}

/// A snapshot and a place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathSpec {
    /// The snapshot.
    pub snapshot: SnapshotSpec,
    /// The place.
    pub place: Place,
}

impl SnapshotSpec {
    /// Reads `latest`, `latest~2`, the beginning of an id, or `@` and a time, which `now` and its time
    /// zone give a meaning.
    pub fn parse(text: &str, now: &ZonedDateTime) -> Result<Self, SelectError> {
        let error = || SelectError::Spec(text.into());
        if let Some(time) = text.strip_prefix('@') {
            return moment::parse(time, now).map(Self::At).ok_or_else(|| SelectError::Time(text.into()));
        }
        if let Some(rest) = text.strip_prefix("latest") {
            let back = match rest.strip_prefix('~') {
                Some(number) => number.parse().map_err(|_| error())?,
                None if rest.is_empty() => 0,
                None => return Err(error()),
            };
            return Ok(Self::Latest { back });
        }
        let is_prefix = (1..=2 * SnapshotId::LEN).contains(&text.len());
        match is_prefix && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            true => Ok(Self::Id(text.to_ascii_lowercase())),
            false => Err(error()),
        }
    }
}

impl PathSpec {
    /// Reads `SPEC`, `SPEC:USER`, `SPEC:USER/path` or `SPEC:/absolute/path`. A path may have any bytes;
    /// times have colons too, and the longest beginning that is a time is one.
    pub fn parse(text: &[u8], now: &ZonedDateTime) -> Result<Self, SelectError> {
        let (snapshot, place) = split(text, now)?;
        let place = match place {
            None | Some(b"") => Place::Everything,
            Some(path) if path.starts_with(b"/") => Place::Absolute(HomePath::parse(path)?),
            Some(path) => in_home(path)?,
        };
        Ok(Self { snapshot, place })
    }
}

fn split<'t>(text: &'t [u8], now: &ZonedDateTime) -> Result<(SnapshotSpec, Option<&'t [u8]>), SelectError> {
    let colons = text.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
    let ends: Vec<usize> = match text.starts_with(b"@") {
        true => std::iter::once(text.len()).chain(colons.rev()).collect(),
        false => colons.take(1).collect(),
    };
    let spec_at = |end: usize| SnapshotSpec::parse(std::str::from_utf8(&text[..end]).ok()?, now).ok();
    let found = ends.iter().find_map(|end| Some((spec_at(*end)?, text.get(end + 1..))));
    match found {
        Some(split) => Ok(split),
        // Nothing reads: the error is about what stands before the first colon.
        None => {
            let end = ends.last().copied().unwrap_or(text.len());
            SnapshotSpec::parse(&String::from_utf8_lossy(&text[..end]), now).map(|spec| (spec, None))
        }
    }
}

fn in_home(text: &[u8]) -> Result<Place, SelectError> {
    let end = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
    let (user, path) = text.split_at(end);
    // A user's name is one component: the same rules as for a path's.
    match HomePath::parse(user)?.is_home() {
        true => Ok(Place::Everything),
        false => Ok(Place::InHome { user: user.to_vec(), path: HomePath::parse(path)? }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> ZonedDateTime {
        "2026-11-24T09:30:00+00:00[UTC]".parse().unwrap()
    }

    fn parse(text: impl AsRef<[u8]>) -> Result<PathSpec, SelectError> {
        PathSpec::parse(text.as_ref(), &now())
    }

    fn in_home(user: &str, path: &str) -> Place {
        Place::InHome { user: user.into(), path: HomePath::parse(path.as_bytes()).unwrap() }
    }

    #[test]
    fn a_place_follows_the_first_colon() {
        let cases = [
            ("latest", SnapshotSpec::Latest { back: 0 }, Place::Everything),
            ("latest~2:", SnapshotSpec::Latest { back: 2 }, Place::Everything),
            ("latest:ann", SnapshotSpec::Latest { back: 0 }, in_home("ann", "")),
            ("AB12:ann@x.org/a:b/c/", SnapshotSpec::Id("ab12".into()), in_home("ann@x.org", "a:b/c")),
            (
                "ab12:/home/ann",
                SnapshotSpec::Id("ab12".into()),
                Place::Absolute(HomePath::parse(b"home/ann").unwrap()),
            ),
        ];
        for (text, snapshot, place) in cases {
            assert_eq!(parse(text), Ok(PathSpec { snapshot, place }), "{text}");
        }
        let bytes = parse(b"latest:ann/\xff").unwrap();
        assert_eq!(
            bytes.place,
            Place::InHome { user: b"ann".to_vec(), path: HomePath::parse(b"\xff").unwrap() }
        );
    }

    #[test]
    fn a_time_keeps_its_colons() {
        let at = |text: &str| SnapshotSpec::At(moment::parse(text, &now()).unwrap());
        let cases = [
            ("@2026-11-20T10:00", "2026-11-20T10:00", Place::Everything),
            ("@2026-11-20T10:00:30", "2026-11-20T10:00:30", Place::Everything),
            ("@2026-11-20T10:00:ann/x:y", "2026-11-20T10:00", in_home("ann", "x:y")),
            ("@yesterday:ann", "yesterday", in_home("ann", "")),
            ("@2h ago:ann/a", "2h ago", in_home("ann", "a")),
            ("@-2h", "2h ago", Place::Everything),
        ];
        for (text, time, place) in cases {
            assert_eq!(parse(text), Ok(PathSpec { snapshot: at(time), place }), "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in ["", "latest~", "latest~x", "latest2", "xyz", ":ann", &"a".repeat(33)] {
            assert!(matches!(parse(text), Err(SelectError::Spec(_))), "{text}");
        }
        assert_eq!(parse("@soon:ann"), Err(SelectError::Time("@soon".into())));
        assert!(matches!(parse("latest:../x"), Err(SelectError::Path(_))));
        assert!(matches!(parse("latest:ann/../x"), Err(SelectError::Path(_))));
    }
}
