//! What is to be done with a snapshot, by what both repositories say of it. Pure.

use crate::format::{HomeRecord, SnapshotRecord};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'s> {
    /// Nothing: the target has it.
    Present,
    /// Nothing: another snapshot has its id in the target.
    Conflict,
    /// These homes are missing there.
    Copy(Vec<&'s HomeRecord>),
}

/// Decides about a snapshot, of which only the homes of `users` are wanted, unless there are none of these.
/// A home whose copy lacks something, because it could not be read, is tried again.
pub fn decide<'s>(
    record: &'s SnapshotRecord,
    there: Option<&SnapshotRecord>,
    users: &[Vec<u8>],
) -> Verdict<'s> {
    let of_users = |home: &&HomeRecord| users.is_empty() || users.contains(&home.user);
    let wanted = record.homes.iter().filter(of_users);
    let Some(there) = there else { return Verdict::Copy(wanted.collect()) };
    if (there.time_ms, &there.source, &there.host) != (record.time_ms, &record.source, &record.host) {
        return Verdict::Conflict;
    }
    let is_missing =
        |home: &&HomeRecord| home_of(there, &home.user).is_none_or(|found| found.problems > home.problems);
    match wanted.filter(is_missing).collect::<Vec<_>>() {
        missing if missing.is_empty() => Verdict::Present,
        missing => Verdict::Copy(missing),
    }
}

/// What a snapshot says of a user.
pub fn home_of<'s>(record: &'s SnapshotRecord, user: &[u8]) -> Option<&'s HomeRecord> {
    record.homes.iter().find(|home| home.user == user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::copy::records::testing::{home, record};

    fn users(verdict: Verdict<'_>) -> Option<Vec<&[u8]>> {
        match verdict {
            Verdict::Copy(homes) => Some(homes.iter().map(|home| &home.user[..]).collect()),
            Verdict::Present | Verdict::Conflict => None,
        }
    }

    #[test]
    fn what_is_missing_or_lacks_something_is_copied() {
        let here = record(vec![home("ann", 1), home("bob", 0)]);
        let ann = [b"ann".to_vec()];
        let of = |there: Option<&SnapshotRecord>, names: &[Vec<u8>]| users(decide(&here, there, names));
        assert_eq!(of(None, &[]), Some(vec![&b"ann"[..], b"bob"]));
        assert_eq!(of(None, &ann), Some(vec![&b"ann"[..]]));
        let only_ann = record(vec![home("ann", 1)]);
        assert_eq!(of(Some(&only_ann), &[]), Some(vec![&b"bob"[..]]));
        assert_eq!(decide(&here, Some(&only_ann), &ann), Verdict::Present);
        let lossy = record(vec![home("ann", 2), home("bob", 0)]);
        assert_eq!(of(Some(&lossy), &[]), Some(vec![&b"ann"[..]]));
        assert_eq!(decide(&here, Some(&here.clone()), &[]), Verdict::Present);
    }

    #[test]
    fn another_snapshot_with_the_id_is_a_conflict() {
        let here = record(vec![home("ann", 0)]);
        let other = SnapshotRecord { time_ms: here.time_ms + 1, ..here.clone() };
        assert_eq!(decide(&here, Some(&other), &[]), Verdict::Conflict);
    }
}
