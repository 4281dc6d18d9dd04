//! How one entry differs from another. Pure.

use crate::engine::Kind;
use crate::format::Entry;

/// What happened at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// It is of another kind.
    Type,
    /// A file's bytes, a link's target, a device's number or a directory's listing differ.
    Content,
    /// Only attributes differ, see [`AttributeChanges`].
    Metadata,
}

impl Change {
    /// What turns `before` into `after`; none when they are alike.
    pub fn between(before: Option<&Entry>, after: Option<&Entry>) -> Option<Self> {
        match (before, after) {
            (None, None) => None,
            (None, Some(_)) => Some(Self::Added),
            (Some(_), None) => Some(Self::Removed),
            (Some(before), Some(after)) if Kind::of(before) != Kind::of(after) => Some(Self::Type),
            (Some(before), Some(after)) if before.kind != after.kind => Some(Self::Content),
            (Some(before), Some(after)) => {
                AttributeChanges::between(before, after).any().then_some(Self::Metadata)
            }
        }
    }
}

/// Which attributes differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttributeChanges {
    /// Permission bits.
    pub mode: bool,
    /// Owner or group.
    pub owner: bool,
    /// The modification time.
    pub mtime: bool,
    /// Extended attributes, with access lists.
    pub xattrs: bool,
    /// Whether there are other names of the file. Which they are is not compared: the group's id
    /// differs on every machine.
    pub links: bool,
    /// What the backup noted of the file.
    pub marks: bool,
}

impl AttributeChanges {
    /// Compares two entries' attributes.
    pub fn between(before: &Entry, after: &Entry) -> Self {
        let (old, new) = (&before.attributes, &after.attributes);
        Self {
            mode: before.mode != after.mode,
            owner: before.owner != after.owner,
            mtime: (before.mtime_s, before.mtime_ns) != (after.mtime_s, after.mtime_ns),
            xattrs: old.xattrs != new.xattrs,
            links: old.link_group.is_some() != new.link_group.is_some(),
            marks: old.critical_flags() != new.critical_flags(),
        }
    }

    /// Whether anything differs.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}
