//! Users' names as names of files and secrets: readable, reversible, and two even where upper and lower case are
//! one. Knows alphabets and lengths, not what keeps the names.
//!
//! Small letters, digits, `-` and `.` stand for themselves, every other byte is `_` and two hexadecimal digits. What
//! would be too long is `_h` and a hash, which no other name gives; then the document says whose it is.

use std::fmt::Write;

use serde::Deserialize;

use super::provider::ProviderError;
use crate::codec::Hash;

const HASHED: &str = "_h";

/// What a stored name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// The user.
    User(String),
    /// Only a hash of the user's name; [`named_in`] reads it from the document.
    Hashed,
}

/// A user's name in the alphabet `a-z 0-9 - . _`, at most `max_len` long, which is 66 or more.
pub fn encode(user: &str, max_len: usize) -> String {
    let mut encoded = String::with_capacity(user.len());
    for (at, byte) in user.bytes().enumerate() {
        // A point at the beginning hides a file, and `..` is no name at all.
        if matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-') || (byte == b'.' && at > 0) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "_{byte:02x}");
        }
    }
    if encoded.len() <= max_len { encoded } else { format!("{HASHED}{}", Hash::of(user.as_bytes()).to_hex()) }
}

/// What a stored name tells; none if [`encode`] did not make it.
pub fn decode(encoded: &str, max_len: usize) -> Option<Decoded> {
    if let Some(digits) = encoded.strip_prefix(HASHED) {
        let is_hash = digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        return is_hash.then_some(Decoded::Hashed);
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'_' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
        }
    }
    let user = String::from_utf8(bytes).ok()?;
    // Only the one way to write a name is taken: two secrets never stand for one user.
    (!user.is_empty() && encode(&user, max_len) == encoded).then_some(Decoded::User(user))
}

/// Refuses a document from which nobody could tell whose it is, where its stored name will not.
pub fn check_document(
    user: &str,
    document: &[u8],
    max_len: usize,
    location: &str,
) -> Result<(), ProviderError> {
    let encoded = encode(user, max_len);
    if !encoded.starts_with(HASHED) || named_in(document, &encoded, max_len).is_some() {
        return Ok(());
    }
    Err(ProviderError::Configuration(format!(
        "the name {user} is too long for {location}, and the document to be put there does not say whose it is"
    )))
}

/// The user whom the document under a hashed name names in its field `user`; none if that is not whose it is.
pub fn named_in(document: &[u8], encoded: &str, max_len: usize) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        user: String,
    }
    let named: Named = serde_json::from_slice(document).ok()?;
    (encode(&named.user, max_len) == encoded).then_some(named.user)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ordinary_names_stay_readable() {
        assert_eq!(encode("user@example.org", 128), "user_40example.org");
        assert_eq!(encode("Ann_B", 128), "_41nn_5f_42");
        assert_eq!(encode("..", 128), "_2e.");
        assert_eq!(encode("zoë/x", 128), "zo_c3_ab_2fx");
    }

    #[test]
    fn every_name_comes_back() {
        for user in ["a", "A", "ann@x.org", "..", ".hidden", "_h", "_", "ö", "a b", "-", "a/../b", "日本"]
        {
            assert_eq!(decode(&encode(user, 128), 128), Some(Decoded::User(user.into())), "{user}");
        }
    }

    #[test]
    fn names_that_differ_only_in_case_are_stored_apart() {
        let users = ["ann", "Ann", "ANN", "aNN", "_41nn", "_61nn", "straße", "STRASSE"];
        let stored: HashSet<_> = users.iter().map(|user| encode(user, 128).to_ascii_uppercase()).collect();
        assert_eq!(stored.len(), users.len());
    }

    #[test]
    fn a_name_too_long_is_a_hash_and_its_document_tells_whose() {
        let [long, other] = ["x", "y"].map(|end| "A".repeat(254) + end);
        let stored = encode(&long, 128);
        assert_eq!(stored.len(), 66);
        assert_ne!(stored, encode(&other, 128));
        assert_eq!(decode(&stored, 128), Some(Decoded::Hashed));
        let document = serde_json::json!({"format": 1, "user": long}).to_string();
        assert_eq!(named_in(document.as_bytes(), &stored, 128), Some(long));
        let foreign = serde_json::json!({"user": other}).to_string();
        assert_eq!(named_in(foreign.as_bytes(), &stored, 128), None);
        assert_eq!(named_in(b"{}", &stored, 128), None);
    }

    #[test]
    fn what_was_never_made_here_is_nobody() {
        for foreign in
            ["", "Ann", "ann@x", ".ann", "_4", "_4g", "_41", "a_4", "_61", "_2D", "_ff", "_h", "_hab"]
        {
            let expected = (foreign == "_41").then(|| Decoded::User("A".into()));
            assert_eq!(decode(foreign, 128), expected, "{foreign}");
        }
        assert_eq!(decode(&"a".repeat(129), 128), None);
    }
}
