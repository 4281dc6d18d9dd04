//! The token that goes with each call: as it was given, or bought with a service principal's secret and renewed
//! before it expires. Knows how tokens are asked for, and not how calls are repeated.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::access::Login;
use super::fault::{Fault, Meaning};
use super::host::{Host, check_url};
use super::transport::{NoReply, Reply, Request, Transport};

/// A token is renewed this long before it expires, or at half of a shorter life.
const MARGIN: Duration = Duration::from_secs(300);
/// What a token without a term is taken to have.
const DEFAULT_LIFE: Duration = Duration::from_secs(600);
const DISCOVERY_PATH: &str = "/oidc/.well-known/oauth-authorization-server";
const GRANT: &[u8] = b"grant_type=client_credentials&scope=all-apis";

/// Gives the token of the moment.
pub struct Tokens {
    login: Login,
    bought: Mutex<Bought>,
}

#[derive(Default)]
struct Bought {
    endpoint: Option<String>,
    token: Option<Zeroizing<String>>,
    renew_at: Option<Instant>,
}

/// Why there is none.
pub enum NoToken {
    /// Nothing came back.
    NoReply(NoReply),
    /// Later there may be one.
    Passing {
        /// What was said.
        reason: String,
        /// How long to wait.
        retry_after: Option<Duration>,
    },
    /// Who asks is not known.
    Denied(String),
    /// It answered nonsense.
    Senseless(String),
}

#[derive(Deserialize)]
struct Discovery {
    token_endpoint: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds, as a number or as text.
    #[serde(default)]
    expires_in: Value,
}

impl Tokens {
    /// Asks for none yet.
    pub fn new(login: Login) -> Self {
        Self { login, bought: Mutex::default() }
    }

    /// Whether another can be had when this one is not accepted.
    pub fn can_renew(&self) -> bool {
        matches!(self.login, Login::Client { .. })
    }

    /// The token to send now. One thread buys it, the others wait. `before_call` is told of each call that it takes.
    pub fn current(
        &self,
        host: &Host,
        transport: &Transport,
        before_call: &dyn Fn(),
    ) -> Result<Zeroizing<String>, NoToken> {
        let (id, secret) = match &self.login {
            Login::Token(token) => return Ok(token.clone()),
            Login::Client { id, secret } => (id, secret),
        };
        let mut bought = self.bought();
        if let (Some(token), Some(renew_at)) = (&bought.token, bought.renew_at)
            && Instant::now() < renew_at
        {
            return Ok(token.clone());
        }
        let endpoint = match &bought.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => {
                before_call();
                discover(host, transport)?
            }
        };
        bought.endpoint = Some(endpoint.clone());
        before_call();
        let asked_at = Instant::now();
        let granted = buy(&endpoint, id, secret, transport)?;
        bought.renew_at = Some(asked_at + until_renewal(life(&granted.expires_in)));
        let token = Zeroizing::new(granted.access_token);
        bought.token = Some(token.clone());
        Ok(token)
    }

    /// Makes the next call buy another, unless that was done already.
    pub fn forget(&self, token: &str) {
        let mut bought = self.bought();
        if bought.token.as_ref().is_some_and(|held| held.as_str() == token) {
            bought.token = None;
        }
    }

    /// A text of somebody else without what is secret here.
    pub fn censored(&self, text: &str) -> String {
        let bought = self.bought();
        let own = match &self.login {
            Login::Token(token) => token,
            Login::Client { secret, .. } => secret,
        };
        let secrets = [Some(own), bought.token.as_ref()].into_iter().flatten();
        secrets
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "…"))
    }

    fn bought(&self) -> MutexGuard<'_, Bought> {
        self.bought.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tokens {
    /// Never a token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tokens").field("login", &self.login).finish_non_exhaustive()
    }
}

fn discover(host: &Host, transport: &Transport) -> Result<String, NoToken> {
    let request = Request { url: &host.url(DISCOVERY_PATH), query: &[], authorization: None, body: None };
    let reply = success(transport.send(&request).map_err(NoToken::NoReply)?, "")?;
    let found: Discovery = serde_json::from_slice(&reply.body)
        .map_err(|_| NoToken::Senseless("its discovery document for OAuth has no token endpoint".into()))?;
    check_url(&found.token_endpoint)
        .map_err(|reason| NoToken::Senseless(format!("its token endpoint cannot be used: {reason}")))?;
    Ok(found.token_endpoint)
}

fn buy(endpoint: &str, id: &str, secret: &str, transport: &Transport) -> Result<Granted, NoToken> {
    let pair = Zeroizing::new(format!("{id}:{secret}"));
    let authorization = Zeroizing::new(format!("Basic {}", *Zeroizing::new(BASE64.encode(pair.as_bytes()))));
    let request = Request {
        url: endpoint,
        query: &[],
        authorization: Some(&authorization),
        body: Some(("application/x-www-form-urlencoded", GRANT)),
    };
    let reply = success(transport.send(&request).map_err(NoToken::NoReply)?, secret)?;
    let granted: Granted = serde_json::from_slice(&reply.body)
        .map_err(|_| NoToken::Senseless("its token endpoint gave no token".into()))?;
    if granted.access_token.is_empty() || !granted.access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(NoToken::Senseless("its token endpoint gave no token".into()));
    }
    Ok(granted)
}

/// The reply, or why not, without the secret.
fn success(reply: Reply, secret: &str) -> Result<Reply, NoToken> {
    if reply.is_success() {
        return Ok(reply);
    }
    let said = String::from_utf8_lossy(&reply.body);
    let said = if secret.is_empty() { said.into_owned() } else { said.replace(secret, "…") };
    let fault = Fault::read(reply.status, said.as_bytes());
    let reason = format!("no token for the service principal: {}", fault.text());
    Err(match fault.meaning() {
        Meaning::Passing => NoToken::Passing { reason, retry_after: reply.retry_after },
        _ => NoToken::Denied(reason),
    })
}

fn life(expires_in: &Value) -> Duration {
    let seconds = match expires_in {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    seconds.map_or(DEFAULT_LIFE, |seconds| Duration::from_secs(seconds.min(7 * 24 * 3600)))
}

fn until_renewal(life: Duration) -> Duration {
    life - MARGIN.min(life / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_expires() {
        assert_eq!(until_renewal(life(&3600.into())), Duration::from_secs(3300));
        assert_eq!(until_renewal(life(&"3600".into())), Duration::from_secs(3300));
        assert_eq!(until_renewal(life(&Value::Null)), Duration::from_secs(300));
        assert_eq!(until_renewal(life(&4.into())), Duration::from_secs(2));
        assert!(until_renewal(life(&u64::MAX.into())) < Duration::from_secs(8 * 24 * 3600));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let tokens = Tokens::new(Login::Token(Zeroizing::new("dapi-secret".into())));
        assert!(!format!("{tokens:?}").contains("dapi"));
        assert_eq!(tokens.censored("Bearer dapi-secret!"), "Bearer …!");
    }
}
