//! The one encoding everything structured is written in: CBOR, definite lengths, shortest forms.
//! Knows the rules, not what is written.

use minicbor::{Decoder, Encoder};

/// Why bytes are not what the format says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Not CBOR, or not the shape this object has.
    #[error("malformed {what}: {reason}")]
    Malformed {
        /// The object or part that was decoded.
        what: &'static str,
        /// What the decoder found.
        reason: String,
    },
    /// Well-formed, but not the one way to write it; nothing of ours writes that.
    #[error("{0} is not in canonical form")]
    NotCanonical(&'static str),
    /// Another magic number: not an object of this program.
    #[error("{0} does not start with the expected magic number")]
    Magic(&'static str),
    /// A format version this program does not know.
    #[error("{what} has format version {found}; this program reads version {known}. Use a newer homekeep")]
    Version {
        /// The object.
        what: &'static str,
        /// The version found.
        found: u64,
        /// The version known.
        known: u64,
    },
    /// A feature that old programs have to refuse.
    #[error("the repository uses the feature {0:?}, which this program does not know. Use a newer homekeep")]
    Feature(String),
}

impl FormatError {
    pub(super) fn malformed(what: &'static str, reason: impl ToString) -> Self {
        Self::Malformed { what, reason: reason.to_string() }
    }
}

/// Encoding into memory cannot fail.
pub(super) const INFALLIBLE: &str = "writing to a Vec cannot fail";

/// Types with one canonical encoding.
pub(super) trait Cbor: Sized {
    /// Named in errors.
    const WHAT: &'static str;

    /// The version that stands first, where one does. It is looked at before the shape that it
    /// decides, so that what a newer program wrote is not taken for damage.
    const VERSION: Option<u64> = None;

    fn encode(&self, to: &mut Encoder<Vec<u8>>);

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        self.encode(&mut encoder);
        encoder.into_writer()
    }

    /// Decodes all of `bytes`, and proves by encoding again that they are canonical.
    fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        if let Some(known) = Self::VERSION {
            check_version(bytes, Self::WHAT, known)?;
        }
        let mut decoder = Decoder::new(bytes);
        let value = Self::decode(&mut decoder).map_err(|e| FormatError::malformed(Self::WHAT, e))?;
        if value.to_bytes() != bytes {
            return Err(FormatError::NotCanonical(Self::WHAT));
        }
        Ok(value)
    }
}

/// Whether the first field of the array in `bytes` is the version `known`.
pub(super) fn check_version(bytes: &[u8], what: &'static str, known: u64) -> Result<(), FormatError> {
    let mut decoder = Decoder::new(bytes);
    match array(&mut decoder).and_then(|_| decoder.u64()) {
        Ok(found) if found == known => Ok(()),
        Ok(found) => Err(FormatError::Version { what, found, known }),
        Err(e) => Err(FormatError::malformed(what, e)),
    }
}

/// A definite-length array header.
pub(super) fn array(from: &mut Decoder<'_>) -> Result<u64, minicbor::decode::Error> {
    from.array()?.ok_or_else(|| minicbor::decode::Error::message("indefinite length"))
}

/// A definite-length array of exactly `expected` items.
pub(super) fn array_of(from: &mut Decoder<'_>, expected: u64) -> Result<(), minicbor::decode::Error> {
    match array(from)? {
        found if found == expected => Ok(()),
        found => Err(minicbor::decode::Error::message(format!("{found} fields where {expected} belong"))),
    }
}

/// A definite-length map's number of pairs.
pub(super) fn map(from: &mut Decoder<'_>) -> Result<u64, minicbor::decode::Error> {
    from.map()?.ok_or_else(|| message("indefinite length"))
}

/// A text of at most `max` bytes.
pub(super) fn text(from: &mut Decoder<'_>, max: usize) -> Result<String, minicbor::decode::Error> {
    match from.str()? {
        text if text.len() <= max => Ok(text.to_string()),
        text => Err(message(&format!("a text of {} bytes where {max} may be", text.len()))),
    }
}

/// A byte string of exactly `N` bytes.
pub(super) fn bytes_of<const N: usize>(from: &mut Decoder<'_>) -> Result<[u8; N], minicbor::decode::Error> {
    from.bytes()?.try_into().map_err(|_| minicbor::decode::Error::message(format!("not {N} bytes")))
}

/// Collects `count` items without trusting `count` for an allocation.
pub(super) fn items<T>(
    from: &mut Decoder<'_>,
    count: u64,
    mut item: impl FnMut(&mut Decoder<'_>) -> Result<T, minicbor::decode::Error>,
) -> Result<Vec<T>, minicbor::decode::Error> {
    let remaining = (from.input().len() - from.position()) as u64;
    if count > remaining {
        return Err(minicbor::decode::Error::message(format!("{count} items in {remaining} bytes")));
    }
    (0..count).map(|_| item(from)).collect()
}

pub(super) fn message(text: &str) -> minicbor::decode::Error {
    minicbor::decode::Error::message(text.to_string())
}
