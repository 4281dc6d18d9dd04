//! What went wrong with one file while the rest went on. Counted and shown, never only logged.

use std::fmt;

/// One file's or directory's problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The user whose home it is in.
    pub user: Vec<u8>,
    /// The path below the home; empty for the home itself.
    pub path: Vec<u8>,
    /// What happened.
    pub kind: ProblemKind,
}

/// What can happen to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    /// It could not be read; the snapshot lacks it.
    Unreadable(String),
    /// It kept changing while it was read; the snapshot has bytes of several moments.
    Changed,
    /// A live SQLite database of which no consistent copy could be made; it was saved as plain bytes.
    LiveDatabase(String),
    /// A hard link to a file of somebody else: the snapshot has the name without the content.
    ForeignLink,
    /// Another file system is mounted there; it was not entered.
    OtherFileSystem,
    /// A line of an ignore file is no pattern; the line was passed over.
    IgnoreFile(String),
    /// An attribute (owner, mode, time, extended attribute) could not be read or set.
    Attribute(String),
    /// This machine's accounts could not be asked, so that numbers stood in for names.
    AccountLookup(String),
    /// It is a secret, and could not be put into the vault: the snapshot names it, and nothing has it.
    Vault(String),
    /// It looks like a secret, and is stored as ordinary data because a rule says so.
    LooksSecret,
    /// It is a secret, and came back in another version than the snapshot's.
    OtherVersion(String),
    /// It could not be restored.
    Unrestored(String),
}

impl ProblemKind {
    /// Whether the snapshot or the restored tree is less than it should be. The others are notes:
    /// what happened was intended or harmless, and is shown without changing the exit code.
    pub fn is_loss(&self) -> bool {
        !matches!(
            self,
            Self::OtherFileSystem
                | Self::ForeignLink
                | Self::IgnoreFile(_)
                | Self::LooksSecret
                | Self::OtherVersion(_)
        )
    }

    /// A stable word for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Changed => "changed",
            Self::LiveDatabase(_) => "live_database",
            Self::ForeignLink => "foreign_link",
            Self::OtherFileSystem => "other_file_system",
            Self::IgnoreFile(_) => "ignore_file",
            Self::Attribute(_) => "attribute",
            Self::AccountLookup(_) => "account_lookup",
            Self::Vault(_) => "vault",
            Self::LooksSecret => "looks_secret",
            Self::OtherVersion(_) => "other_version",
            Self::Unrestored(_) => "unrestored",
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Self::Changed => f.write_str("changed while it was read; saved as last seen and marked"),
            Self::LiveDatabase(why) => {
                write!(
                    f,
                    "live SQLite database without a consistent copy ({why}); saved as plain bytes and marked"
                )
            }
            Self::ForeignLink => f.write_str("hard link to a file of another user; recorded without content"),
            Self::OtherFileSystem => f.write_str("another file system; not entered"),
            Self::IgnoreFile(line) => write!(f, "ignore file: {line}"),
            Self::Attribute(what) => f.write_str(what),
            Self::AccountLookup(what) => write!(f, "{what}; owners may be wrong"),
            Self::Vault(why) => write!(f, "this secret is not in the vault: {why}"),
            Self::LooksSecret => {
                f.write_str("looks like a secret, and is stored as ordinary data because a rule says so")
            }
            Self::OtherVersion(why) => f.write_str(why),
            Self::Unrestored(why) => write!(f, "not restored: {why}"),
        }
    }
}
