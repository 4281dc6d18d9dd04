//! Results that come line by line and may be millions: written through a buffer, and ended when nobody
//! reads any more. Knows no line's meaning.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use serde::Serialize;

use super::error::CliError;

/// Standard output for a long result.
pub struct Lines {
    to: BufWriter<StdoutLock<'static>>,
    is_watched: bool,
}

impl Lines {
    /// Takes standard output.
    pub fn begin() -> Self {
        let stdout = io::stdout().lock();
        let is_watched = stdout.is_terminal();
        Self { to: BufWriter::with_capacity(64 << 10, stdout), is_watched }
    }

    /// A line for people. What comes from outside in it is already safe.
    pub fn line(&mut self, line: &str) -> Result<(), CliError> {
        self.write(line.as_bytes())
    }

    /// An object for programs.
    pub fn object(&mut self, object: &impl Serialize) -> Result<(), CliError> {
        let bytes = serde_json::to_vec(object).map_err(|error| CliError::Output(error.into()))?;
        self.write(&bytes)
    }

    /// An array of objects for programs, in one line. They are made one after another: all together may be
    /// more than memory holds.
    pub fn array<T: Serialize>(
        &mut self,
        objects: impl Iterator<Item = Result<T, CliError>>,
    ) -> Result<(), CliError> {
        let mut before = &b"["[..];
        for object in objects {
            let object = serde_json::to_vec(&object?).map_err(|error| CliError::Output(error.into()))?;
            self.to.write_all(before).and_then(|()| self.to.write_all(&object)).map_err(CliError::Output)?;
            before = b",";
        }
        self.line(if before == b"[" { "[]" } else { "]" })
    }

    /// Writes what is left.
    pub fn finish(mut self) -> Result<(), CliError> {
        self.to.flush().map_err(CliError::Output)
    }

    fn write(&mut self, line: &[u8]) -> Result<(), CliError> {
        let written = self.to.write_all(line).and_then(|()| self.to.write_all(b"\n"));
        let written = written.and_then(|()| if self.is_watched { self.to.flush() } else { Ok(()) });
        written.map_err(CliError::Output)
    }
}
