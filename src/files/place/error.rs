//! What can go wrong in a restore target, by what callers do about it.

use std::io;

use rustix::io::Errno;

/// Why something in a restore target could not be created, changed or removed.
///
/// Names are single components, made printable; the caller knows the directory.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The system refused.
    #[error("cannot {action} {name:?}")]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// The name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something stands there already.
    #[error("cannot {action} {name:?}: something stands there already")]
    Exists {
        /// What was tried.
        action: &'static str,
        /// The name.
        name: String,
    },
    /// A directory was expected; something else stands there, perhaps a link to one.
    #[error("{name:?} is not a directory")]
    NotADirectory {
        /// The name.
        name: String,
    },
    /// A directory stands there, and nothing but a directory can take its place.
    #[error("{name:?} is a directory")]
    IsADirectory {
        /// The name.
        name: String,
    },
    /// The file system takes no (further) hard link here: write a copy instead.
    #[error("cannot make {name:?} another name of the same file")]
    LinkRefused {
        /// The new name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The name leads elsewhere: empty, `.`, `..`, or with a slash or a zero byte in it.
    #[error("{name:?} is not the name of one file")]
    NotAComponent {
        /// The name.
        name: String,
    },
    /// Somebody else changed the target at the same time.
    #[error("{name:?} was replaced by somebody else at the same moment")]
    Swapped {
        /// The name.
        name: String,
    },
    /// Something else is mounted there. Nothing in it was touched.
    #[error("another file system is mounted at {name:?}")]
    MountPoint {
        /// The name.
        name: String,
    },
}

impl PlaceError {
    pub(super) fn new(action: &'static str, name: &[u8], errno: Errno) -> Self {
        let name = printable(name);
        match errno {
            Errno::EXIST => Self::Exists { action, name },
            Errno::NOTDIR | Errno::LOOP => Self::NotADirectory { name },
            Errno::ISDIR => Self::IsADirectory { name },
            _ => Self::Io { action, name, source: errno.into() },
        }
    }

    pub(super) fn swapped(name: &[u8]) -> Self {
        Self::Swapped { name: printable(name) }
    }
}

/// `{:?}` in the messages escapes what terminals would obey.
pub(super) fn printable(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
