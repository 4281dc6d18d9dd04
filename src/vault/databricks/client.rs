//! One call of a workspace's API: with a token, in its turn, repeated while it is only not possible now. Knows how
//! calls fail, and not which calls there are.

use std::ops::RangeInclusive;
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::access::Access;
use super::environment::Environment;
use super::fault::{Fault, Meaning, in_page};
use super::host::Host;
use super::pace::{Pace, Patience, Tries};
use super::token::{NoToken, Tokens};
use super::transport::{NoReply, Reply, Request, Transport};
use crate::vault::words::printable;

/// What clocks over there may differ by, on top of the second that a reply's date is exact to.
const CLOCK_MARGIN_MS: i64 = 2000;
/// A time that is less certain than this tells nothing.
const LONGEST_WINDOW: Duration = Duration::from_secs(60);
/// A workspace that wants to be left alone for longer is asked again after this.
const LONGEST_QUIET: Duration = Duration::from_secs(60);

/// A call.
pub enum Call<'a> {
    /// What changes nothing.
    Get {
        /// Behind the host.
        path: &'static str,
        /// Behind the `?`.
        query: &'a [(&'a str, &'a str)],
    },
    /// What does.
    Post {
        /// Behind the host.
        path: &'static str,
        /// JSON.
        body: &'a [u8],
    },
}

/// Why there is no answer.
#[derive(Debug)]
pub enum CallError {
    /// The workspace said no.
    Refused(Fault),
    /// It is not possible now.
    Passing(Passing),
    /// All tries failed.
    Unavailable(String),
    /// What came back is nothing that the API answers.
    Senseless(String),
}

/// A failure that may be over soon.
#[derive(Debug)]
pub struct Passing {
    /// What happened.
    pub reason: String,
    /// How long the workspace wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether a connection was made.
    pub has_connected: bool,
    /// Whether what was asked may have been done nevertheless.
    pub may_be_done: bool,
}

/// An answer, and when it was given by the clock over there, in milliseconds since 1970.
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// Between the call's beginning and its end; none where that is not known.
    pub within_ms: Option<RangeInclusive<i64>>,
}

/// Calls one workspace.
#[derive(Debug)]
pub struct Client {
    host: Host,
    transport: Transport,
    tokens: Tokens,
    pace: Pace,
    patience: Patience,
}

impl Client {
    /// Calls nobody yet.
    pub fn new(
        access: Access,
        environment: &Environment,
        calls_per_second: u32,
        patience: Patience,
    ) -> Result<Self, String> {
        let transport = Transport::new(&access.host, environment, patience.call)?;
        let (tokens, pace) = (Tokens::new(access.login), Pace::new(calls_per_second));
        Ok(Self { host: access.host, transport, tokens, pace, patience })
    }

    /// Where it calls.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Calls until there is an answer or the patience is at its end.
    pub fn call<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Answer<T>, CallError> {
        let mut tries = self.tries();
        loop {
            match self.try_once(call, tries.began_at) {
                Err(CallError::Passing(passing)) => tries.wait(passing)?,
                ended => return ended,
            }
        }
    }

    /// For calls that look at what their failed tries have done.
    pub fn tries(&self) -> Repeated<'_> {
        let now = Instant::now();
        Repeated { pace: &self.pace, tries: Tries::new(&self.patience, now), began_at: now }
    }

    /// One try. `began_at` is when the first one began.
    pub fn try_once<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        began_at: Instant,
    ) -> Result<Answer<T>, CallError> {
        let (mut reply, token) = self.send(call)?;
        if self.tokens.can_renew() && self.is_unauthenticated(&reply) {
            self.tokens.forget(&token);
            (reply, _) = self.send(call)?;
        }
        let body = self.judge(&reply)?;
        let value = serde_json::from_slice(body).map_err(|error| {
            // The error's text may have a value in it, its place has not.
            let place = format!("line {}, column {}", error.line(), error.column());
            CallError::Senseless(format!("the JSON of its reply has not what it should have ({place})"))
        })?;
        Ok(Answer { value, within_ms: window(reply.date_ms, began_at.elapsed()) })
    }

    fn send(&self, call: &Call<'_>) -> Result<(Reply, Zeroizing<String>), CallError> {
        let token = self.tokens.current(&self.host, &self.transport, &|| self.pace.wait());
        let token = token.map_err(|none| self.without_token(none))?;
        let authorization = Zeroizing::new(format!("Bearer {}", *token));
        let (path, query, body): (_, &[_], _) = match call {
            Call::Get { path, query } => (path, query, None),
            Call::Post { path, body } => (path, &[], Some(("application/json", *body))),
        };
        let url = self.host.url(path);
        let request = Request { url: &url, query, authorization: Some(&authorization), body };
        self.pace.wait();
        let may_change = matches!(call, Call::Post { .. });
        match self.transport.send(&request) {
            Ok(reply) => Ok((reply, token)),
            Err(failed) => Err(self.without_reply(failed, may_change)),
        }
    }

    fn is_unauthenticated(&self, reply: &Reply) -> bool {
        matches!(reply.status, 401 | 403) && self.fault(reply).meaning() == Meaning::Unauthenticated
    }

    fn fault(&self, reply: &Reply) -> Fault {
        let said = self.tokens.censored(&String::from_utf8_lossy(&reply.body));
        Fault::read(reply.status, said.as_bytes())
    }

    /// The reply's body, if it is an answer.
    fn judge<'a>(&self, reply: &'a Reply) -> Result<&'a [u8], CallError> {
        if reply.is_redirect() {
            let elsewhere = reply.location.as_deref().map_or_else(String::new, without_query);
            return Err(CallError::Senseless(format!(
                "it sends its visitors elsewhere ({}); this happens where a workspace can be reached by a private link only, or the host is wrong",
                printable(&elsewhere)
            )));
        }
        if !reply.is_success() {
            let fault = self.fault(reply);
            if fault.meaning() != Meaning::Passing {
                return Err(CallError::Refused(fault));
            }
            let retry_after = reply.retry_after.map(|asked_for| asked_for.min(LONGEST_QUIET));
            // A workspace that counts calls has not made this one.
            let may_be_done = !matches!(reply.status, 429);
            let reason = fault.text();
            return Err(CallError::Passing(Passing {
                reason,
                retry_after,
                has_connected: true,
                may_be_done,
            }));
        }
        let body: &[u8] = if reply.body.trim_ascii().is_empty() { b"{}" } else { &reply.body };
        if body.trim_ascii_start().first() != Some(&b'{') {
            let text = String::from_utf8_lossy(body);
            let title = printable(in_page(&text).unwrap_or("no title"));
            return Err(CallError::Senseless(format!(
                "it answered with a page and no JSON ({title}); is there a login or a proxy in between?"
            )));
        }
        Ok(body)
    }

    fn without_token(&self, none: NoToken) -> CallError {
        match none {
            NoToken::NoReply(failed) => self.without_reply(failed, false),
            NoToken::Passing { reason, retry_after } => CallError::Passing(Passing {
                reason: self.tokens.censored(&reason),
                retry_after: retry_after.map(|asked_for| asked_for.min(LONGEST_QUIET)),
                has_connected: true,
                may_be_done: false,
            }),
            NoToken::Denied(reason) => CallError::Refused(Fault {
                status: 401,
                code: "UNAUTHENTICATED".into(),
                message: self.tokens.censored(&reason),
                is_json: true,
            }),
            NoToken::Senseless(reason) => CallError::Senseless(self.tokens.censored(&reason)),
        }
    }

    fn without_reply(&self, failed: NoReply, may_change: bool) -> CallError {
        let NoReply { reason, is_passing, has_connected } = failed;
        let reason = self.tokens.censored(&reason);
        if !is_passing {
            return CallError::Unavailable(reason);
        }
        let may_be_done = may_change && has_connected;
        CallError::Passing(Passing { reason, retry_after: None, has_connected, may_be_done })
    }
}

/// The tries of one call.
pub struct Repeated<'a> {
    pace: &'a Pace,
    tries: Tries<'a>,
    /// When the first began.
    pub began_at: Instant,
}

impl Repeated<'_> {
    /// Waits until the next try makes sense. Where the workspace asked for quiet, all threads keep it.
    pub fn wait(&mut self, passing: Passing) -> Result<(), CallError> {
        let mut drawn = [0; 4];
        // Without randomness, pauses are merely even.
        let _ = getrandom::fill(&mut drawn);
        let drawn = u32::from_ne_bytes(drawn);
        let pause = self.tries.next(Instant::now(), passing.retry_after, passing.has_connected, drawn);
        let Some(pause) = pause else {
            return Err(CallError::Unavailable(match self.tries.failed() {
                1 => passing.reason,
                failed => format!("{} (asked {failed} times)", passing.reason),
            }));
        };
        if let Some(quiet) = passing.retry_after {
            self.pace.hold(quiet);
        }
        thread::sleep(pause);
        Ok(())
    }
}

/// From the reply's date, which is when it was made.
fn window(date_ms: Option<i64>, elapsed: Duration) -> Option<RangeInclusive<i64>> {
    let date_ms = date_ms.filter(|_| elapsed <= LONGEST_WINDOW)?;
    let elapsed_ms = i64::try_from(elapsed.as_millis()).ok()?;
    Some(date_ms - elapsed_ms - CLOCK_MARGIN_MS..=date_ms + 1000 + CLOCK_MARGIN_MS)
}

/// A login's address may have secrets behind the `?`.
fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_lies_within_its_calls_time() {
        let window_of = |seconds| window(Some(100_000), Duration::from_secs(seconds));
        assert_eq!(window_of(3), Some(95_000..=103_000));
        assert_eq!(window_of(61), None);
        assert_eq!(window(None, Duration::ZERO), None);
    }

    #[test]
    fn where_a_visitor_is_sent_is_told_without_secrets() {
        assert_eq!(without_query("https://x/login?token=1#a"), "https://x/login");
    }
}
