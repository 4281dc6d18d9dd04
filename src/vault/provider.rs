//! What keeps the documents: the interface, and how it can fail. A provider sees names of users and bytes; what
//! the bytes hold is sealed before.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

/// Keeps one document per user. All methods may be called from several threads at once.
///
/// Names of users are UTF-8 without control characters, 1 to 255 bytes long, and two that differ are two
/// users, whatever the provider's own names can tell apart.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Everyone of whom there is a document.
    fn list(&self) -> Result<Listing, ProviderError>;

    /// A user's document as it is now; none if there is none.
    fn get(&self, user: &str) -> Result<Option<Vec<u8>>, ProviderError>;

    /// Puts a user's document in place of the one before, durably. Interrupted, either of the two stays whole.
    fn put(&self, user: &str, document: &[u8]) -> Result<Written, ProviderError>;

    /// Removes a user's document. That there is none is no error.
    fn delete(&self, user: &str) -> Result<(), ProviderError>;

    /// How many bytes a document may have.
    fn max_len(&self) -> usize;

    /// Documents that two machines put for one new user at the same moment, and that stand beside the one which
    /// [`Provider::get`] returns and are older. To be merged into what is put next: the put after this call removes
    /// those that it returned, if nobody has written to them since. None where the provider cannot come to have any.
    fn older_copies(&self, _user: &str) -> Result<Vec<Vec<u8>>, ProviderError> {
        Ok(Vec::new())
    }

    /// Who may read or write what is kept, where the provider itself knows of grants; empty where it does not.
    fn grants(&self) -> Result<Vec<Grant>, ProviderError> {
        Ok(Vec::new())
    }

    /// Keeps other writers of a user's document away for as long as the guard lives; none where the provider cannot.
    fn lock(&self, _user: &str) -> Result<Option<Guard>, ProviderError> {
        Ok(None)
    }

    /// What keeps them, in a person's words: `the Databricks scope "homekeep" at https://…`. Never a token or password.
    fn location(&self) -> String;
}

/// What the provider lets somebody do with all documents in one of its places.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Which of its places, such as a scope's name.
    pub place: String,
    /// Who: a user, a service principal or a group.
    pub principal: String,
    /// What, in the provider's word: `READ`, `WRITE` or `MANAGE`.
    pub permission: String,
}

/// Ends when it is dropped: others may write again.
pub type Guard = Box<dyn std::any::Any>;

/// Everyone of whom there is a document, with its stamp.
pub type Listing = BTreeMap<String, Stamp>;

/// Tells that a document is another than before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Equal only while the document is the same. Empty where the provider cannot tell.
    pub tag: String,
    /// When it was put, in milliseconds since 1970 by the provider's clock, where that is known.
    pub time_ms: Option<i64>,
}

/// What is known of a document that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The stamp that it has as long as nobody else writes.
    As(Stamp),
    /// By the provider's clock it was put within these milliseconds since 1970.
    Within(RangeInclusive<i64>),
    /// Nothing.
    Unknown,
}

impl Written {
    /// Whether a stamp that was listed later is that of this very document; where that is not known, no.
    pub fn is(&self, stamp: &Stamp) -> bool {
        match self {
            Self::As(own) => own.tag == stamp.tag && !stamp.tag.is_empty(),
            Self::Within(range) => stamp.time_ms.is_some_and(|time| range.contains(&time)),
            Self::Unknown => false,
        }
    }
}

/// Why a provider did not do what it was asked for. No variant ever has a token, a password or a document's bytes.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It did not answer, or not in time, after all retries.
    #[error("{location} does not answer: {reason}. Try again later")]
    Unavailable {
        /// What was asked.
        location: String,
        /// What happened last.
        reason: String,
    },
    /// Who asked may not.
    #[error("{location} denies this: {reason}")]
    Denied {
        /// What was asked.
        location: String,
        /// Its words, and what would have to be allowed.
        reason: String,
    },
    /// It can be read only.
    #[error("{location} cannot be written to: {reason}")]
    ReadOnly {
        /// What was asked.
        location: String,
        /// Why, and what to use instead.
        reason: String,
    },
    /// There is no room for one more user.
    #[error("{location} has no room left: {reason}")]
    Full {
        /// What was asked.
        location: String,
        /// Which limit, and what to do.
        reason: String,
    },
    /// The document has more bytes than it takes.
    #[error("the secrets of {user} take {bytes} bytes, and {location} keeps at most {limit}")]
    TooLarge {
        /// Whose.
        user: String,
        /// Of the document.
        bytes: usize,
        /// What a document may have.
        limit: usize,
        /// What was asked.
        location: String,
    },
    /// What is configured cannot work.
    #[error("{0}")]
    Configuration(String),
    /// It answered what no provider of its kind answers.
    #[error("{location} gave an answer that makes no sense: {reason}")]
    Protocol {
        /// What was asked.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
}
