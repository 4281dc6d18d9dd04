//! One request and its reply over HTTP: proxy, certificates, time limits. Knows no call of Databricks, and does not
//! try twice.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::StatusCode;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy};
use zeroize::Zeroizing;

use super::environment::Environment;
use super::host::Host;
use crate::vault::words::printable;

/// A listing of 1 000 scopes with all they have, and far more than any secret.
const MAX_BODY_LEN: u64 = 16 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// What other programs take instead of the system's certificates, in this order.
const CERTIFICATE_VARIABLES: [&str; 3] = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];
/// Where systems keep theirs: Debian's kind, Red Hat's, SUSE's, Alpine's.
const SYSTEM_CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What is sent.
pub struct Request<'a> {
    /// The whole address.
    pub url: &'a str,
    /// Behind the `?`, not yet encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// The header that says who asks.
    pub authorization: Option<&'a str>,
    /// The kind of the body and the body; a request without one is a GET.
    pub body: Option<(&'static str, &'a [u8])>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// All of its body.
    pub body: Zeroizing<Vec<u8>>,
    /// The clock over there, in milliseconds since 1970, a second exact.
    pub date_ms: Option<i64>,
    /// For how long to leave it alone.
    pub retry_after: Option<Duration>,
    /// Where it sends its visitors instead.
    pub location: Option<String>,
}

/// Why nothing came back.
#[derive(Debug)]
pub struct NoReply {
    /// In a person's words.
    pub reason: String,
    /// Whether it makes sense to try again.
    pub is_passing: bool,
    /// Whether a connection was made; if not, nothing can have been done over there.
    pub has_connected: bool,
}

/// Makes requests. Keeps connections open for the next.
#[derive(Debug)]
pub struct Transport {
    agent: Agent,
}

impl Transport {
    /// The environment says by which proxy, and whose certificates are trusted.
    pub fn new(host: &Host, environment: &Environment, timeout: Duration) -> Result<Self, String> {
        let tls = TlsConfig::builder().root_certs(root_certificates(environment)?).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A token must not follow where somebody else points.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT.min(timeout)))
            .timeout_global(Some(timeout))
            .max_idle_connections_per_host(16)
            .user_agent(concat!("homekeep/", env!("CARGO_PKG_VERSION")))
            .proxy(proxy(host, environment)?)
            .tls_config(tls)
            .build();
        Ok(Self { agent: config.new_agent() })
    }

    /// Sends a request and reads all of the reply.
    pub fn send(&self, request: &Request<'_>) -> Result<Reply, NoReply> {
        let queries = request.query.iter().copied();
        let sent = match request.body {
            None => {
                let mut call = self.agent.get(request.url).query_pairs(queries);
                if let Some(value) = request.authorization {
                    call = call.header(AUTHORIZATION, value);
                }
                call.call()
            }
            Some((kind, body)) => {
                let mut call = self.agent.post(request.url).query_pairs(queries).header(CONTENT_TYPE, kind);
                if let Some(value) = request.authorization {
                    call = call.header(AUTHORIZATION, value);
                }
                call.send(body)
            }
        };
        let mut response = sent.map_err(|error| no_reply(&error))?;
        let body = read(response.body_mut())?;
        let headers = response.headers();
        Ok(Reply {
            status: response.status().as_u16(),
            body,
            date_ms: header(headers, DATE.as_str()).and_then(date_ms),
            retry_after: header(headers, RETRY_AFTER.as_str()).and_then(retry_after),
            location: header(headers, LOCATION.as_str()).map(str::to_owned),
        })
    }
}

impl Reply {
    /// Whether it is what was asked for.
    pub fn is_success(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }

    /// Whether it points elsewhere.
    pub fn is_redirect(&self) -> bool {
        (300..400).contains(&self.status)
    }
}

fn read(body: &mut Body) -> Result<Zeroizing<Vec<u8>>, NoReply> {
    let bytes = body.with_config().limit(MAX_BODY_LEN).read_to_vec();
    bytes.map(Zeroizing::new).map_err(|error| no_reply(&error))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn date_ms(text: &str) -> Option<i64> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    Some(parser.parse_timestamp(text).ok()?.as_millisecond())
}

/// In seconds; the other form, a date, is never used by Databricks, and a wrong clock would make it nonsense.
fn retry_after(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

fn no_reply(error: &ureq::Error) -> NoReply {
    let of = |is_passing, has_connected| NoReply {
        reason: printable(&error.to_string()),
        is_passing,
        has_connected,
    };
    match error {
        ureq::Error::Io(io) => match io.kind() {
            std::io::ErrorKind::ConnectionRefused
            | std::io::ErrorKind::HostUnreachable
            | std::io::ErrorKind::NetworkUnreachable => of(true, false),
            // What the TLS library thinks of the other side.
            std::io::ErrorKind::InvalidData => certificate(error),
            _ => of(true, true),
        },
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => of(true, false),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => of(true, false),
        ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => of(true, true),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => certificate(error),
        ureq::Error::BodyExceedsLimit(limit) => NoReply {
            reason: format!("its reply is longer than {limit} bytes"),
            is_passing: false,
            has_connected: true,
        },
        _ => of(false, true),
    }
}

fn certificate(error: &ureq::Error) -> NoReply {
    let reason = format!(
        "{}. If a proxy here puts its own certificate in between, SSL_CERT_FILE has to name a file with the authority's",
        printable(&error.to_string())
    );
    NoReply { reason, is_passing: false, has_connected: false }
}

/// Those in the file that the environment names, else the system's, else Mozilla's as they were when this was built.
fn root_certificates(environment: &Environment) -> Result<RootCerts, String> {
    if let Some(path) = environment.first(&CERTIFICATE_VARIABLES) {
        let bytes =
            fs::read(path).map_err(|error| format!("cannot read the certificates in {path}: {error}"))?;
        return specific(&bytes).ok_or_else(|| format!("there is no certificate in {path}"));
    }
    let system = SYSTEM_CERTIFICATES.iter().find_map(|path| specific(&fs::read(path).ok()?));
    Ok(system.unwrap_or(RootCerts::WebPki))
}

fn specific(pem: &[u8]) -> Option<RootCerts> {
    let items = parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = items.collect();
    (!certificates.is_empty()).then(|| RootCerts::Specific(Arc::new(certificates)))
}

/// For an address with TLS, what the environment says; this machine is always reached directly.
fn proxy(host: &Host, environment: &Environment) -> Result<Option<Proxy>, String> {
    let named = environment.first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]);
    let Some(named) = named.filter(|_| !host.is_loopback()) else { return Ok(None) };
    // Neither the address nor the library's error is shown: there may be a password in it.
    let unusable = |_| "HTTPS_PROXY (or ALL_PROXY) is no address of an HTTP proxy".to_owned();
    let parsed = Proxy::new(named).map_err(unusable)?;
    let mut proxy = Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
    if let Some(name) = parsed.username() {
        proxy = proxy.username(name);
    }
    if let Some(password) = parsed.password() {
        proxy = proxy.password(password);
    }
    for pattern in excluded(environment.first(&["NO_PROXY", "no_proxy"]).unwrap_or_default()) {
        proxy = proxy.no_proxy(&pattern);
    }
    Ok(Some(proxy.build().map_err(unusable)?))
}

/// A name stands for itself and all below it, as with other programs.
fn excluded(list: &str) -> Vec<String> {
    let names = list.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty());
    names
        .flat_map(|name| match name.trim_start_matches("*.").trim_start_matches('.') {
            _ if name == "*" => vec![name.to_owned()],
            bare => vec![bare.to_owned(), format!(".{bare}")],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy_of(host: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let host = Host::parse(host).unwrap();
        let environment = variables.iter().copied().collect();
        let proxy = proxy(&host, &environment)?;
        let uri = host.url("/").parse().unwrap();
        Ok(proxy
            .filter(|proxy| !proxy.is_no_proxy(&uri))
            .map(|proxy| format!("{}:{}", proxy.host(), proxy.port())))
    }

    #[test]
    fn the_environment_says_which_proxy() {
        let set = ("HTTPS_PROXY", "http://u:p@proxy.example.com:3128");
        let through = Ok(Some("proxy.example.com:3128".to_owned()));
        assert_eq!(proxy_of("a.example.com", &[set]), through);
        assert_eq!(proxy_of("a.example.com", &[set, ("NO_PROXY", "b.example.com, c")]), through);
        for none in ["a.example.com", "example.com", ".example.com", "*.example.com", "x,A.EXAMPLE.COM", "*"]
        {
            assert_eq!(proxy_of("a.example.com", &[set, ("no_proxy", none)]), Ok(None), "{none}");
        }
        assert_eq!(proxy_of("http://127.0.0.1:1", &[set]), Ok(None));
        assert_eq!(proxy_of("a.example.com", &[]), Ok(None));
        assert!(
            proxy_of("a.example.com", &[("HTTPS_PROXY", "gopher://u:secret@x")])
                .is_err_and(|text| !text.contains("secret"))
        );
    }

    #[test]
    fn certificates_are_those_of_the_file_that_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let environment = [("SSL_CERT_FILE", file.path().to_str().unwrap())].into_iter().collect();
        assert!(root_certificates(&environment).unwrap_err().contains("no certificate"));
        let environment = [("CURL_CA_BUNDLE", "/nonexistent")].into_iter().collect();
        assert!(root_certificates(&environment).unwrap_err().contains("/nonexistent"));
    }

    #[test]
    fn headers_are_read() {
        assert_eq!(date_ms("Tue, 24 Nov 2026 13:52:28 GMT"), Some(1_795_528_348_000));
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("soon"), None);
    }
}
