//! What a workspace says when it does not do what it was asked for, in all the shapes that are known; and what that
//! means. The error's own code counts before the status of the reply, which lies: a full scope can be a 403.

use serde::Deserialize;
use serde_json::Value;

use crate::vault::words::printable;

/// A reply that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status.
    pub status: u16,
    /// The error's code, empty if it has none.
    pub code: String,
    /// Its words, safe to show.
    pub message: String,
    /// Whether the reply was made by the workspace's programs, and not by what lies between.
    pub is_json: bool,
}

/// What it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// As many as there may be.
    Limit,
    /// There is no such scope or secret.
    Absent,
    /// It is there already.
    Exists,
    /// Whoever asks may not.
    Denied,
    /// The token is not accepted.
    Unauthenticated,
    /// It can only be read.
    ReadOnly,
    /// Later it may be done.
    Passing,
    /// Anything else.
    Refused,
}

/// JSON as the workspace's programs write it, or those of their predecessors, or its directory of users.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    error_code: Value,
    #[serde(default)]
    message: Value,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    error_description: Value,
    #[serde(default)]
    detail: Value,
    #[serde(default, rename = "scimType")]
    scim_type: Value,
}

impl Fault {
    /// From a reply's status and body.
    pub fn read(status: u16, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        if let Ok(body) = serde_json::from_slice::<Body>(body) {
            let code = first_text(&[&body.error_code, &body.scim_type]);
            let message = first_text(&[&body.message, &body.error_description, &body.detail, &body.error]);
            return Self { status, code: printable(&code), message: printable(&message), is_json: true };
        }
        let (code, message) = match plain(&text) {
            Some((code, message)) => (code.to_owned(), message.to_owned()),
            None => (String::new(), in_page(&text).unwrap_or(&text).to_owned()),
        };
        Self { status, code, message: printable(&message), is_json: false }
    }

    /// What it means.
    pub fn meaning(&self) -> Meaning {
        let words = self.message.to_ascii_lowercase();
        if words.contains("key vault") || words.contains("keyvault") {
            return Meaning::ReadOnly;
        }
        match self.code.as_str() {
            "RESOURCE_LIMIT_EXCEEDED" | "QUOTA_EXCEEDED" => Meaning::Limit,
            "RESOURCE_DOES_NOT_EXIST" => Meaning::Absent,
            "RESOURCE_ALREADY_EXISTS" | "ALREADY_EXISTS" => Meaning::Exists,
            "PERMISSION_DENIED" | "CUSTOMER_UNAUTHORIZED" if !words.contains("access token") => {
                Meaning::Denied
            }
            "UNAUTHENTICATED" => Meaning::Unauthenticated,
            "REQUEST_LIMIT_EXCEEDED"
            | "RESOURCE_EXHAUSTED"
            | "TEMPORARILY_UNAVAILABLE"
            | "WORKSPACE_TEMPORARILY_UNAVAILABLE"
            | "SERVICE_UNDER_MAINTENANCE"
            | "DEADLINE_EXCEEDED" => Meaning::Passing,
            _ => self.by_words_and_status(&words),
        }
    }

    /// For a code that says nothing, or none.
    fn by_words_and_status(&self, words: &str) -> Meaning {
        const PASSING: [&str; 3] = ["token bucket limit", "please try again later", "temporarily throttled"];
        if PASSING.iter().any(|passing| words.contains(passing)) {
            return Meaning::Passing;
        }
        let has_code = !self.code.is_empty();
        match self.status {
            429 | 502 | 503 | 504 => Meaning::Passing,
            401 => Meaning::Unauthenticated,
            403 if words.contains("access token") => Meaning::Unauthenticated,
            403 => Meaning::Denied,
            // Only in the workspace's own words: a page of something between must not make a secret absent.
            _ if self.is_json && !has_code && words.contains("does not exist") => Meaning::Absent,
            _ if self.is_json && !has_code && words.contains("already exists") => Meaning::Exists,
            _ => Meaning::Refused,
        }
    }

    /// In a person's words.
    pub fn text(&self) -> String {
        let message = if self.message.is_empty() { "no further words" } else { &self.message };
        match self.code.as_str() {
            "" => format!("{message} (status {})", self.status),
            code => format!("{message} ({code}, status {})", self.status),
        }
    }
}

/// The first that says something; codes may be numbers.
fn first_text(values: &[&Value]) -> String {
    let texts = values.iter().map(|value| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    });
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

/// `ERROR_CODE: words`.
fn plain(text: &str) -> Option<(&str, &str)> {
    let (code, message) = text.trim().split_once(':')?;
    let is_code = code.len() > 3 && code.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
    is_code.then_some((code, message.trim()))
}

/// What a web page has to say: its `<pre>`, or its `<title>`.
pub fn in_page(text: &str) -> Option<&str> {
    ["pre", "title"].iter().find_map(|tag| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(words, _)| words.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: u16, body: &str) -> Meaning {
        Fault::read(status, body.as_bytes()).meaning()
    }

    #[test]
    fn the_code_counts_before_the_status() {
        let coded = |code: &str| format!(r#"{{"error_code": "{code}", "message": "x"}}"#);
        assert_eq!(meaning(403, &coded("RESOURCE_LIMIT_EXCEEDED")), Meaning::Limit);
        assert_eq!(meaning(400, &coded("RESOURCE_ALREADY_EXISTS")), Meaning::Exists);
        assert_eq!(meaning(400, &coded("REQUEST_LIMIT_EXCEEDED")), Meaning::Passing);
        assert_eq!(meaning(404, &coded("RESOURCE_DOES_NOT_EXIST")), Meaning::Absent);
        assert_eq!(meaning(404, &coded("ENDPOINT_NOT_FOUND")), Meaning::Refused);
        assert_eq!(meaning(429, &coded("SOMETHING")), Meaning::Passing);
        assert_eq!(meaning(500, &coded("INTERNAL_ERROR")), Meaning::Refused);
        assert_eq!(meaning(400, r#"{"error_code": 7, "message": "already exists"}"#), Meaning::Refused);
    }

    #[test]
    fn bodies_of_every_shape_are_read() {
        let fault = Fault::read(400, br#"{"error": "old"}"#);
        assert_eq!((fault.code.as_str(), fault.message.as_str()), ("", "old"));
        let fault = Fault::read(400, br#"{"detail": "no", "status": "400", "scimType": "invalidValue"}"#);
        assert_eq!((fault.code.as_str(), fault.message.as_str()), ("invalidValue", "no"));
        let fault = Fault::read(400, b"MALFORMED_REQUEST: vpc_endpoints malformed");
        assert_eq!(
            (fault.code.as_str(), fault.message.as_str()),
            ("MALFORMED_REQUEST", "vpc_endpoints malformed")
        );
        let fault = Fault::read(500, b"<html><title>t</title><pre> some\nerror </pre></html>");
        assert_eq!(fault.message, "some | error");
        assert_eq!(Fault::read(503, b"").text(), "no further words (status 503)");
        let fault = Fault::read(400, br#"{"error": "invalid_request", "error_description": "Temporarily throttled, too many requests"}"#);
        assert_eq!(fault.meaning(), Meaning::Passing);
        assert_eq!(Fault::read(500, "\u{1b}[2J\u{fffd}".as_bytes()).message, "\\u{1b}[2J\u{fffd}");
    }

    #[test]
    fn only_the_workspace_itself_makes_a_secret_absent() {
        assert_eq!(
            meaning(404, "<html><title>Not found: it does not exist</title></html>"),
            Meaning::Refused
        );
        assert_eq!(meaning(404, ""), Meaning::Refused);
        assert_eq!(meaning(404, r#"{"message": "Scope x does not exist!"}"#), Meaning::Absent);
        assert_eq!(meaning(400, r#"{"message": "Scope x already exists!"}"#), Meaning::Exists);
    }

    #[test]
    fn a_token_that_is_not_accepted_is_told_from_a_missing_right() {
        assert_eq!(
            meaning(403, r#"{"error_code": "PERMISSION_DENIED", "message": "User lacks READ"}"#),
            Meaning::Denied
        );
        assert_eq!(
            meaning(403, r#"{"error_code": "403", "message": "Invalid access token."}"#),
            Meaning::Unauthenticated
        );
        assert_eq!(meaning(401, ""), Meaning::Unauthenticated);
        assert_eq!(
            meaning(400, r#"{"error_code": "BAD_REQUEST", "message": "Azure KeyVault is read-only"}"#),
            Meaning::ReadOnly
        );
    }
}
