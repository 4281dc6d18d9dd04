//! Where words go: results to standard output, everything else to standard error, for people or
//! for programs. Knows how a line is written, not what it says.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::text;

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// People.
    Human,
    /// Programs: one JSON object a line.
    Json,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Problems only.
    Quiet,
    /// Results and problems.
    Normal,
    /// All problems, and each home.
    Verbose,
}

/// The program's voice.
#[derive(Debug)]
pub struct Output {
    /// For whom.
    pub format: Format,
    /// How much.
    pub verbosity: Verbosity,
    /// Why standard output cannot be written, if it cannot.
    failure: Mutex<Option<io::Error>>,
}

#[derive(Serialize)]
struct Remark<'a> {
    message_type: &'static str,
    message: &'a str,
}

impl Output {
    /// A voice.
    pub fn new(format: Format, verbosity: Verbosity) -> Self {
        Self { format, verbosity, failure: Mutex::new(None) }
    }

    /// Whether a program reads.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether only problems are to be said.
    pub fn is_quiet(&self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    /// A line of the result, for people. What comes from outside in it is already safe.
    pub fn line(&self, line: &str) {
        self.write(format!("{line}\n").as_bytes());
    }

    /// An object of the result, for programs.
    pub fn object(&self, object: &impl Serialize) {
        match serde_json::to_vec(object) {
            Ok(mut bytes) => {
                bytes.push(b'\n');
                self.write(&bytes);
            }
            Err(error) => self.fail(error.into()),
        }
    }

    /// Bytes of the result.
    pub fn write(&self, bytes: &[u8]) {
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            self.fail(error);
        }
    }

    /// Something worth knowing that is no result.
    pub fn note(&self, message: &str) {
        if !self.is_quiet() {
            self.remark("note", message);
        }
    }

    /// Something that needs someone's attention. Said also when quiet.
    pub fn warn(&self, message: &str) {
        self.remark("warning", message);
    }

    fn remark(&self, kind: &'static str, message: &str) {
        match self.format {
            Format::Human => complain(&format!("homekeep: {kind}: {}", text::safe(message))),
            Format::Json => complain_object(&Remark { message_type: kind, message }),
        }
    }

    fn fail(&self, error: io::Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Whether all results were written. A reader that has seen enough and closed the pipe is fine.
    pub fn finish(&self) -> io::Result<()> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

/// A line on standard error. If it cannot be written, there is nowhere left to say so.
pub fn complain(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// An object on standard error.
pub fn complain_object(object: &impl Serialize) {
    if let Ok(json) = serde_json::to_string(object) {
        complain(&json);
    }
}
