//! Where dumped bytes go: standard output, but no binary onto a terminal, or a file that is whole or not
//! there. Knows bytes only.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Stdout, Write};
use std::path::{Path, PathBuf};

use crate::cli::error::CliError;

/// An output.
pub enum Target {
    /// Standard output.
    Standard(BufWriter<Stdout>),
    /// Standard output that someone watches: text only.
    Terminal(Stdout),
    /// A file.
    File {
        /// It.
        file: BufWriter<File>,
        /// Where it is.
        path: PathBuf,
        /// Whether it was made now, and so is removed if it cannot be finished.
        is_new: bool,
    },
}

impl Target {
    /// Opens it.
    pub fn open(path: Option<&Path>, force: bool, is_archive: bool) -> Result<Self, CliError> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            let stdout = io::stdout();
            return match (stdout.is_terminal() && !force, is_archive) {
                (true, true) => Err(CliError::Terminal),
                (true, false) => Ok(Self::Terminal(stdout)),
                (false, _) => Ok(Self::Standard(BufWriter::with_capacity(64 << 10, stdout))),
            };
        };
        let error = |source| CliError::Write { path: path.into(), source };
        let (file, is_new) = match File::create_new(path) {
            Err(exists) if force && exists.kind() == ErrorKind::AlreadyExists => {
                (File::create(path).map_err(error)?, false)
            }
            created => (created.map_err(error)?, true),
        };
        Ok(Self::File { file: BufWriter::with_capacity(64 << 10, file), path: path.into(), is_new })
    }

    /// Ends the output; a new file that is not whole goes.
    pub fn finish<T>(mut self, written: Result<T, CliError>) -> Result<T, CliError> {
        let result = written.and_then(|done| self.flush().map(|()| done).map_err(CliError::Output));
        match (self, result) {
            (_, Ok(done)) => Ok(done),
            (Self::File { path, is_new, .. }, Err(error)) => {
                if is_new {
                    // The error that is told is why it is not whole.
                    let _ = std::fs::remove_file(&path);
                }
                Err(match error {
                    CliError::Output(source) => CliError::Write { path, source },
                    error => error,
                })
            }
            (_, Err(CliError::Output(error))) => Err(match error.kind() {
                ErrorKind::BrokenPipe => CliError::PipeClosed,
                ErrorKind::InvalidData => CliError::Terminal,
                _ => CliError::Output(error),
            }),
            (_, Err(error)) => Err(error),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(to) => to.write(bytes),
            Self::Terminal(_) if bytes.iter().any(|byte| is_binary(*byte)) => {
                Err(ErrorKind::InvalidData.into())
            }
            Self::Terminal(to) => to.write(bytes),
            Self::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(to) => to.flush(),
            Self::Terminal(to) => to.flush(),
            Self::File { file, .. } => file.flush(),
        }
    }
}

/// Control characters that no text needs; some of them command a terminal.
fn is_binary(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t' | b'\r')
}
