//! An entry of a snapshot as people read it: permissions, owners, times, a line as from `ls -l`.
//! Knows no path.

use jiff::Timestamp;

use super::text;
use crate::format::{Entry, EntryKind, Owner};

/// How sizes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// Numbers of bytes.
    Bytes,
    /// In binary units.
    Units,
}

/// An entry in a line, with a name that is already safe to show.
pub fn long(entry: &Entry, name: &str, sizes: Sizes) -> String {
    let (user, group) = owner(&entry.owner);
    let size = size(entry, sizes);
    let time = modified(entry).map_or_else(|| format!("@{}", entry.mtime_s), text::local_time);
    let target = match &entry.kind {
        EntryKind::Symlink(target) => format!(" -> {}", text::name(target)),
        _ => String::new(),
    };
    format!("{} {user:<8} {group:<8} {size:>10} {time} {name}{target}", permissions(entry))
}

/// `drwxr-xr-x`.
pub fn permissions(entry: &Entry) -> String {
    let kind = match entry.kind {
        EntryKind::File(_) => '-',
        EntryKind::Directory(_) => 'd',
        EntryKind::Symlink(_) => 'l',
        EntryKind::Fifo => 'p',
        EntryKind::CharDevice(_) => 'c',
        EntryKind::BlockDevice(_) => 'b',
    };
    // Each class: its three bits, and the bit that changes how the third is shown.
    let classes = [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')];
    let mut shown = String::from(kind);
    for (shift, special, with, without) in classes {
        let has = |bit: u16| entry.mode >> shift & bit != 0;
        shown.push(if has(4) { 'r' } else { '-' });
        shown.push(if has(2) { 'w' } else { '-' });
        shown.push(match (entry.mode & special != 0, has(1)) {
            (false, true) => 'x',
            (false, false) => '-',
            (true, true) => with,
            (true, false) => without,
        });
    }
    shown
}

/// When it was modified, if that is a time that a calendar has.
pub fn modified(entry: &Entry) -> Option<Timestamp> {
    Timestamp::new(entry.mtime_s, i32::try_from(entry.mtime_ns).ok()?).ok()
}

/// The size of a file; a device's and a directory's say nothing.
pub fn size(entry: &Entry, sizes: Sizes) -> String {
    match (&entry.kind, sizes) {
        (EntryKind::File(_), Sizes::Bytes) => entry.size().to_string(),
        (EntryKind::File(_), Sizes::Units) => text::size(entry.size()),
        _ => "-".into(),
    }
}

/// User and group by name, or by number where they had none.
fn owner(owner: &Owner) -> (String, String) {
    let shown = |name: &str, number: u32| match name {
        "" => number.to_string(),
        name => text::name(name.as_bytes()),
    };
    (shown(&owner.user, owner.uid), shown(&owner.group, owner.gid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Attributes, Content};

    fn entry(kind: EntryKind, mode: u16) -> Entry {
        let owner = Owner { uid: 7, gid: 8, user: "ann".into(), group: String::new() };
        Entry {
            name: b"n".to_vec(),
            kind,
            mode,
            owner: owner.into(),
            mtime_s: -1,
            mtime_ns: 500_000_000,
            attributes: Attributes::default(),
        }
    }

    #[test]
    fn permissions_are_as_ls_shows_them() {
        let file = |mode| permissions(&entry(EntryKind::File(Content::default()), mode));
        let cases = [
            (0o644, "-rw-r--r--"),
            (0o4755, "-rwsr-xr-x"),
            (0o2644, "-rw-r-Sr--"),
            (0o1777, "-rwxrwxrwt"),
            (0o1000, "---------T"),
        ];
        for (mode, shown) in cases {
            assert_eq!(file(mode), shown);
        }
        assert_eq!(permissions(&entry(EntryKind::Fifo, 0o600)), "prw-------");
    }

    #[test]
    fn a_line_names_owners_by_name_or_number_and_where_links_lead() {
        let line = long(&entry(EntryKind::Symlink(b"a\nb".to_vec()), 0o777), "n", Sizes::Bytes);
        assert!(line.starts_with("lrwxrwxrwx ann      8                 - 19"), "{line}");
        assert!(line.ends_with(" n -> a\\nb"), "{line}");
    }

    #[test]
    fn a_time_before_1970_keeps_its_fraction() {
        let time = modified(&entry(EntryKind::Fifo, 0)).unwrap();
        assert_eq!(time.to_string(), "1969-12-31T23:59:59.5Z");
    }
}
