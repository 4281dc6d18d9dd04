//! What to do with an entry when something stands in its place. Pure: looks at two descriptions.

use super::report::Action;
use crate::files::place::{Found, Kind};
use crate::format::{Entry, EntryKind};

/// What happens to files that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// Replace what differs, but keep what was modified after the snapshot was taken, and say so.
    #[default]
    UnlessModifiedSince,
    /// Replace everything.
    Always,
    /// Replace what differs in kind, size or modification time.
    IfChanged,
    /// Replace what differs and is older than the snapshot's.
    IfNewer,
    /// Keep everything that is there.
    Never,
}

/// What to do with an entry that is no directory. `same_owner` says whether owner and mode are as
/// they would be restored.
pub fn decide(
    entry: &Entry,
    found: Option<&Found>,
    overwrite: Overwrite,
    snapshot_time_ms: i64,
    same_metadata: impl Fn(&Found) -> bool,
) -> Action {
    let Some(found) = found else { return Action::Create };
    if found.kind == Kind::Directory {
        return Action::InTheWay;
    }
    let is_same = looks_same(entry, found);
    let found_time = (found.mtime_s, found.mtime_ns);
    match overwrite {
        Overwrite::Always => Action::Replace,
        Overwrite::Never => Action::Keep,
        _ if is_same && same_metadata(found) => Action::Unchanged,
        Overwrite::IfChanged => Action::Replace,
        Overwrite::IfNewer if found_time < (entry.mtime_s, entry.mtime_ns) || is_same => Action::Replace,
        Overwrite::IfNewer => Action::Keep,
        Overwrite::UnlessModifiedSince if is_same || !is_after(found_time, snapshot_time_ms) => {
            Action::Replace
        }
        Overwrite::UnlessModifiedSince => Action::KeepNewer,
    }
}

/// Kind, size and modification time are equal, which is how every tool of this kind tells.
fn looks_same(entry: &Entry, found: &Found) -> bool {
    let is_same_kind = match &entry.kind {
        EntryKind::File(content) => found.kind == Kind::File && content.size() == found.size,
        EntryKind::Symlink(target) => found.kind == Kind::Symlink && target.len() as u64 == found.size,
        EntryKind::CharDevice(number) => found.kind == Kind::CharDevice && *number == found.device_number,
        EntryKind::BlockDevice(number) => found.kind == Kind::BlockDevice && *number == found.device_number,
        EntryKind::Fifo => found.kind == Kind::Fifo,
        EntryKind::Directory(_) => found.kind == Kind::Directory,
    };
    is_same_kind && (found.mtime_s, found.mtime_ns) == (entry.mtime_s, entry.mtime_ns)
}

fn is_after((seconds, nanoseconds): (i64, u32), time_ms: i64) -> bool {
    let found_ms = i128::from(seconds) * 1000 + i128::from(nanoseconds / 1_000_000);
    found_ms > i128::from(time_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::ChunkId;
    use crate::files::place::FileId;
    use crate::format::{Attributes, Content, Owner};

    fn entry(mtime_s: i64) -> Entry {
        Entry {
            name: b"f".to_vec(),
            kind: EntryKind::File(Content::default()),
            mode: 0o644,
            owner: Owner::default().into(),
            mtime_s,
            mtime_ns: 0,
            attributes: Attributes::default(),
        }
    }

    fn found(kind: Kind, size: u64, mtime_s: i64) -> Found {
        let id = FileId { device: 1, inode: 1 };
        Found {
            kind,
            size,
            mtime_s,
            mtime_ns: 0,
            mode: 0o644,
            uid: 0,
            gid: 0,
            id,
            links: 1,
            device_number: 0,
        }
    }

    #[test]
    fn each_mode_does_what_it_says() {
        use Action::{Create, InTheWay, Keep, KeepNewer, Replace, Unchanged};
        use Overwrite::{Always, IfChanged, IfNewer, Never, UnlessModifiedSince};
        let snapshot_ms = 200_000;
        let same = found(Kind::File, 0, 100);
        let older = found(Kind::File, 9, 50);
        let between = found(Kind::File, 9, 150);
        let newer = found(Kind::File, 9, 250);
        let cases = [
            (Always, [Replace, Replace, Replace, Replace]),
            (IfChanged, [Unchanged, Replace, Replace, Replace]),
            (IfNewer, [Unchanged, Replace, Keep, Keep]),
            (UnlessModifiedSince, [Unchanged, Replace, Replace, KeepNewer]),
            (Never, [Keep, Keep, Keep, Keep]),
        ];
        for (overwrite, expected) in cases {
            let actual = [&same, &older, &between, &newer]
                .map(|f| decide(&entry(100), Some(f), overwrite, snapshot_ms, |_| true));
            assert_eq!(actual, expected, "{overwrite:?}");
            assert_eq!(decide(&entry(100), None, overwrite, snapshot_ms, |_| true), Create);
            let directory = found(Kind::Directory, 0, 0);
            assert_eq!(decide(&entry(100), Some(&directory), overwrite, snapshot_ms, |_| true), InTheWay);
        }
    }

    #[test]
    fn a_file_that_differs_only_in_owner_or_mode_is_replaced() {
        let same = found(Kind::File, 0, 100);
        for overwrite in [Overwrite::IfChanged, Overwrite::IfNewer, Overwrite::UnlessModifiedSince] {
            assert_eq!(decide(&entry(100), Some(&same), overwrite, 0, |_| false), Action::Replace);
        }
    }

    #[test]
    fn a_file_as_old_as_the_snapshots_is_not_older() {
        let as_old = found(Kind::File, 9, 100);
        let decided = decide(&entry(100), Some(&as_old), Overwrite::IfNewer, 0, |_| true);
        assert_eq!(decided, Action::Keep);
    }

    #[test]
    fn a_file_is_newer_from_the_first_millisecond_after_the_snapshot() {
        let decided = |mtime_ns| {
            let found = Found { mtime_ns, ..found(Kind::File, 9, 200) };
            decide(&entry(100), Some(&found), Overwrite::UnlessModifiedSince, 200_007, |_| true)
        };
        assert_eq!(decided(6_000_000), Action::Replace);
        assert_eq!(decided(7_999_999), Action::Replace);
        assert_eq!(decided(8_000_000), Action::KeepNewer);
    }

    #[test]
    fn what_looks_the_same_is_of_the_same_kind_size_device_and_time() {
        let kinds = || {
            [
                EntryKind::File(Content::default()),
                EntryKind::Symlink(vec![]),
                EntryKind::CharDevice(0),
                EntryKind::BlockDevice(0),
                EntryKind::Fifo,
                EntryKind::Directory(ChunkId([0; 32])),
            ]
        };
        let others =
            [Kind::File, Kind::Symlink, Kind::CharDevice, Kind::BlockDevice, Kind::Fifo, Kind::Directory];
        for (at, kind) in kinds().into_iter().enumerate() {
            let entry = Entry { kind, ..entry(100) };
            for (other, kind) in others.into_iter().enumerate() {
                assert_eq!(looks_same(&entry, &found(kind, 0, 100)), at == other, "{entry:?}, {kind:?}");
            }
            let same = found(others[at], 0, 100);
            let has_size = matches!(entry.kind, EntryKind::File(_) | EntryKind::Symlink(_));
            let is_device = matches!(entry.kind, EntryKind::CharDevice(_) | EntryKind::BlockDevice(_));
            assert_eq!(looks_same(&entry, &Found { size: 1, ..same }), !has_size);
            assert_eq!(looks_same(&entry, &Found { device_number: 1, ..same }), !is_device);
            assert!(!looks_same(&entry, &Found { mtime_s: 101, ..same }));
            assert!(!looks_same(&entry, &Found { mtime_ns: 1, ..same }));
        }
    }
}
