//! The address of a workspace, checked once: a token goes only over TLS, or to this machine itself.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

/// The beginning of every address of a workspace, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// From what people write: with or without `https://`, with whatever path a browser showed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let (scheme, authority) = checked(&with_scheme)?;
        Ok(Self(format!("{scheme}://{authority}")))
    }

    /// The full address of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Whether it is this very machine.
    pub fn is_loopback(&self) -> bool {
        self.0.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(is_loopback))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An address that somebody else gave, to which a secret may go: over TLS, or on this machine.
pub fn check_url(url: &str) -> Result<(), String> {
    checked(url).map(drop)
}

/// The scheme and the authority.
fn checked(url: &str) -> Result<(String, String), String> {
    let uri: Uri = url.parse().map_err(|_| "it is no address".to_owned())?;
    let (Some(scheme), Some(authority), Some(host)) = (uri.scheme_str(), uri.authority(), uri.host()) else {
        return Err("it is no address".into());
    };
    if host.is_empty() || authority.as_str().contains('@') {
        return Err("it is no address of a workspace".into());
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(host) => {}
        _ => return Err("a token is sent with https only".into()),
    }
    Ok((scheme.to_owned(), authority.as_str().to_ascii_lowercase()))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_people_write_it() {
        for text in [
            "https://a.example.com",
            "a.example.com/",
            " https://A.example.com/?o=12#x ",
            "https://a.example.com/sql",
        ] {
            assert_eq!(Host::parse(text).unwrap().to_string(), "https://a.example.com", "{text}");
        }
        assert_eq!(Host::parse("http://127.0.0.1:81/x").unwrap().url("/y"), "http://127.0.0.1:81/y");
        assert!(Host::parse("http://[::1]:81").unwrap().is_loopback());
        assert!(!Host::parse("https://127.0.0.1.example.com").unwrap().is_loopback());
    }

    #[test]
    fn a_token_goes_nowhere_in_clear() {
        for text in [
            "http://a.example.com",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "ftp://127.0.0.1",
            "",
            "https://",
            "https://u:p@a.example.com",
            "http://127.0.0.1@a.example.com",
            "a b",
        ] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }
}
