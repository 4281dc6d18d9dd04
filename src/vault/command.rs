//! A provider that is a program of somebody else: `PROGRAM list|get|put|delete`, JSON on its standard input and output.
//! docs/vault-command.md is the protocol; this knows nothing of what the program talks to.

mod messages;
mod run;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use self::messages::{DocumentReply, ForUser, Limit, ListReply, PutReply, PutRequest};
use self::run::{Ended, Run, RunError};
use super::provider::{Listing, Provider, ProviderError, Written};
use super::words::printable;

/// More than this is no document of secrets.
const MAX_LEN: usize = 16 << 20;
/// How often a program may ask to be called again, and how long it is left alone before.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// The codes that a program ends with.
mod code {
    pub const DONE: i32 = 0;
    pub const NO_SUCH_USER: i32 = 3;
    pub const DENIED: i32 = 4;
    pub const READ_ONLY: i32 = 5;
    pub const TOO_LARGE: i32 = 6;
    pub const FULL: i32 = 7;
    pub const TRY_AGAIN: i32 = 8;
}

/// What is asked of the program.
#[derive(Debug, Clone, Copy)]
enum Verb {
    List,
    Get,
    Put,
    Delete,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }
}

/// How the program ended, where that is no failure.
enum Answer {
    Done(Vec<u8>),
    NoSuchUser,
    /// With the most bytes it would take, where it said so.
    TooLarge(Option<usize>),
}

/// Documents kept by a program.
#[derive(Debug)]
pub struct CommandProvider {
    program: PathBuf,
    timeout: Duration,
}

impl CommandProvider {
    /// The program is looked for when it is first called. One without a `/` in its name is looked for in `PATH`.
    pub fn new(program: &Path, timeout: Duration) -> Result<Self, ProviderError> {
        if program.as_os_str().is_empty() {
            return Err(ProviderError::Configuration("the vault's program has no name".into()));
        }
        if timeout.is_zero() {
            return Err(ProviderError::Configuration(
                "the vault's program needs a time limit above zero".into(),
            ));
        }
        Ok(Self { program: program.to_owned(), timeout })
    }

    fn call(&self, verb: Verb, input: &impl serde::Serialize) -> Result<Answer, ProviderError> {
        let input = serde_json::to_vec(input).map_err(|error| self.senseless(verb, &error.to_string()))?;
        let run = Run { program: &self.program, verb: verb.word(), input: &input, timeout: self.timeout };
        let mut number = 1;
        loop {
            let ended = run.to_end().map_err(|error| self.not_run(verb, error))?;
            if ended.code != Some(code::TRY_AGAIN) || number == TRIES {
                return self.judge(verb, ended);
            }
            thread::sleep(PAUSE * number);
            number += 1;
        }
    }

    fn judge(&self, verb: Verb, ended: Ended) -> Result<Answer, ProviderError> {
        let location = self.location();
        let words = printable(&String::from_utf8_lossy(&ended.errors));
        let reason = |default: &str| if words.is_empty() { default.to_owned() } else { words.clone() };
        Err(match ended.code {
            Some(code::DONE) => return Ok(Answer::Done(ended.output)),
            Some(code::NO_SUCH_USER) if !matches!(verb, Verb::List) => return Ok(Answer::NoSuchUser),
            Some(code::TOO_LARGE) if matches!(verb, Verb::Put) => {
                return Ok(Answer::TooLarge(Limit::read(&ended.output)));
            }
            Some(code::DENIED) => ProviderError::Denied { location, reason: reason("it does not say why") },
            Some(code::READ_ONLY) => {
                ProviderError::ReadOnly { location, reason: reason("it does not say why") }
            }
            Some(code::FULL) => {
                ProviderError::Full { location, reason: reason("it does not say which limit") }
            }
            Some(code::TRY_AGAIN) => {
                let reason = reason("it does not say why");
                ProviderError::Unavailable { location, reason: format!("{reason} (asked {TRIES} times)") }
            }
            Some(code) => self.unavailable(format!("“{}” ended with code {code}: {words}", verb.word())),
            None => self.unavailable(format!("“{}” was killed by a signal: {words}", verb.word())),
        })
    }

    fn not_run(&self, verb: Verb, error: RunError) -> ProviderError {
        match error {
            RunError::Start(error) => {
                ProviderError::Configuration(format!("{} cannot be run: {error}", self.location()))
            }
            RunError::TooMuch { limit } => {
                self.senseless(verb, &format!("it wrote more than {limit} bytes, and was stopped"))
            }
            RunError::TimedOut { after, errors } => {
                let words = printable(&String::from_utf8_lossy(&errors));
                let seconds = after.as_secs_f64();
                self.unavailable(format!("“{}” was stopped after {seconds} s: {words}", verb.word()))
            }
            RunError::Io(error) => self.unavailable(format!("“{}”: {error}", verb.word())),
        }
    }

    fn unavailable(&self, reason: String) -> ProviderError {
        let reason = reason.trim_end_matches([':', ' ']).to_owned();
        ProviderError::Unavailable { location: self.location(), reason }
    }

    fn senseless(&self, verb: Verb, reason: &str) -> ProviderError {
        let reason = format!("to “{}”: {}", verb.word(), printable(reason));
        ProviderError::Protocol { location: self.location(), reason }
    }

    fn parse<'a, T: serde::Deserialize<'a>>(&self, verb: Verb, output: &'a [u8]) -> Result<T, ProviderError> {
        // A parser's error has a place and a kind, and nothing of the text.
        serde_json::from_slice(output).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            self.senseless(verb, &format!("its output is not the JSON that the protocol wants ({place})"))
        })
    }
}

impl Provider for CommandProvider {
    fn list(&self) -> Result<Listing, ProviderError> {
        match self.call(Verb::List, &serde_json::json!({}))? {
            Answer::Done(output) => {
                let reply: ListReply = self.parse(Verb::List, &output)?;
                reply.into_listing().map_err(|error| self.senseless(Verb::List, &error))
            }
            Answer::NoSuchUser | Answer::TooLarge(_) => Err(self.senseless(Verb::List, "an unexpected code")),
        }
    }

    fn get(&self, user: &str) -> Result<Option<Vec<u8>>, ProviderError> {
        match self.call(Verb::Get, &ForUser { user })? {
            Answer::Done(output) => {
                let reply: DocumentReply = self.parse(Verb::Get, &output)?;
                Ok(reply.document.map(String::into_bytes))
            }
            Answer::NoSuchUser => Ok(None),
            Answer::TooLarge(_) => Err(self.senseless(Verb::Get, "an unexpected code")),
        }
    }

    fn put(&self, user: &str, document: &[u8]) -> Result<Written, ProviderError> {
        let bytes = document.len();
        let too_large = |limit| ProviderError::TooLarge {
            user: user.to_owned(),
            bytes,
            limit,
            location: self.location(),
        };
        if bytes > MAX_LEN {
            return Err(too_large(MAX_LEN));
        }
        let document = std::str::from_utf8(document)
            .map_err(|_| ProviderError::Configuration("a document for a program must be text".into()))?;
        match self.call(Verb::Put, &PutRequest { user, document })? {
            Answer::Done(output) if output.trim_ascii().is_empty() => Ok(Written::Unknown),
            Answer::Done(output) => {
                let reply: PutReply = self.parse(Verb::Put, &output)?;
                Ok(reply.into_written())
            }
            Answer::TooLarge(limit) => Err(too_large(limit.unwrap_or(bytes.saturating_sub(1)))),
            Answer::NoSuchUser => Err(self.senseless(Verb::Put, "an unexpected code")),
        }
    }

    fn delete(&self, user: &str) -> Result<(), ProviderError> {
        match self.call(Verb::Delete, &ForUser { user })? {
            Answer::Done(_) | Answer::NoSuchUser => Ok(()),
            Answer::TooLarge(_) => Err(self.senseless(Verb::Delete, "an unexpected code")),
        }
    }

    fn max_len(&self) -> usize {
        MAX_LEN
    }

    fn location(&self) -> String {
        format!("the program {}", self.program.display())
    }
}
