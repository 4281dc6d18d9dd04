//! Running a program once: input, output and errors through pipes, within a time and a size. Knows no protocol.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// What a program may write: a document whose every byte is escaped, or a long list.
const MAX_OUTPUT_LEN: usize = 128 << 20;
/// What is kept of its words; the rest is read and dropped, so that it does not wait for a reader.
const MAX_ERRORS_LEN: usize = 8 << 10;
/// For what it wrote to arrive, and for a killed program to end.
const GRACE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// What is ours, and nothing that the program needs to know.
const HIDDEN_VARIABLES: [&str; 2] = ["HOMEKEEP_PASSWORD", "HOMEKEEP_FROM_PASSWORD"];

/// One call of a program.
pub struct Run<'a> {
    /// The program.
    pub program: &'a Path,
    /// Its only argument.
    pub verb: &'a str,
    /// Its standard input; all that is secret goes there.
    pub input: &'a [u8],
    /// After this long it is killed, with all that it started.
    pub timeout: Duration,
}

/// A program that ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: Vec<u8>,
    /// The beginning of its standard error.
    pub errors: Vec<u8>,
}

/// Why there is no end to tell of.
#[derive(Debug)]
pub enum RunError {
    /// It could not be started.
    Start(io::Error),
    /// It did not end in time.
    TimedOut {
        /// What it was given.
        after: Duration,
        /// What it had said by then.
        errors: Vec<u8>,
    },
    /// It wrote without end.
    TooMuch {
        /// What it may write.
        limit: usize,
    },
    /// The system's.
    Io(io::Error),
}

/// What a pipe carried, in the end.
struct Carried {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Run<'_> {
    /// Starts the program and waits for its end.
    pub fn to_end(&self) -> Result<Ended, RunError> {
        let deadline = Instant::now() + self.timeout;
        let mut command = Command::new(self.program);
        command.arg(self.verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        HIDDEN_VARIABLES.iter().for_each(|name| {
            command.env_remove(name);
        });
        // A group of its own, so that all of it can be stopped.
        let mut child = command.process_group(0).spawn().map_err(RunError::Start)?;
        let outcome = self.watch(&mut child, deadline);
        if outcome.is_err() && matches!(child.try_wait(), Ok(None)) {
            kill(&mut child);
        }
        outcome
    }

    fn watch(&self, child: &mut Child, deadline: Instant) -> Result<Ended, RunError> {
        if let Some(mut stdin) = child.stdin.take() {
            let input = self.input.to_owned();
            // A program that does not read its input to the end answers nevertheless.
            spawn(move || drop(stdin.write_all(&input)))?;
        }
        let output = collect(child.stdout.take(), MAX_OUTPUT_LEN, AtLimit::Stop)?;
        let errors = collect(child.stderr.take(), MAX_ERRORS_LEN, AtLimit::Drop)?;
        let status = wait(child, &output, deadline)?;
        let Some((status, output)) = status else {
            kill(child);
            let errors = errors.recv_timeout(GRACE).map(|carried| carried.bytes).unwrap_or_default();
            return Err(RunError::TimedOut { after: self.timeout, errors });
        };
        if output.is_cut {
            return Err(RunError::TooMuch { limit: MAX_OUTPUT_LEN });
        }
        // A child of it that lives on may hold the pipe; what came until now is what there is to say.
        let errors = errors.recv_timeout(GRACE).map(|carried| carried.bytes).unwrap_or_default();
        Ok(Ended { code: status.code(), output: output.bytes, errors })
    }
}

/// The status and all output; none when the time is over. A program is done when it ended and its output did: one
/// that leaves a child behind with its output open may still answer.
fn wait(
    child: &mut Child,
    output: &Receiver<Carried>,
    deadline: Instant,
) -> Result<Option<(ExitStatus, Carried)>, RunError> {
    let left = deadline.saturating_duration_since(Instant::now());
    let carried = match output.recv_timeout(left) {
        Ok(carried) => carried,
        Err(RecvTimeoutError::Timeout) => return Ok(None),
        Err(RecvTimeoutError::Disconnected) => {
            return Err(RunError::Io(io::Error::other("its output cannot be read")));
        }
    };
    if carried.is_cut {
        kill(child);
    }
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().map_err(RunError::Io)? {
            return Ok(Some((status, carried)));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Kills the program and all of its group. Nobody may have seen its end yet: until then the number is its own.
fn kill(child: &mut Child) {
    let _ended_just_now = kill_process_group(Pid::from_child(child), Signal::KILL);
    let _dead_already = child.kill();
    let mut left = GRACE;
    // One that hangs inside of a file system dies when that answers, and is a zombie until we end.
    while matches!(child.try_wait(), Ok(None)) && !left.is_zero() {
        thread::sleep(LONGEST_PAUSE);
        left = left.saturating_sub(LONGEST_PAUSE);
    }
}

/// What happens with more than may be kept.
#[derive(Debug, Clone, Copy, PartialEq)]
enum AtLimit {
    /// The rest is read and dropped.
    Drop,
    /// Reading ends.
    Stop,
}

/// Reads a pipe to its end on a thread of its own: a program that waits for one pipe must not wait for another.
fn collect(
    pipe: Option<impl Read + Send + 'static>,
    limit: usize,
    at_limit: AtLimit,
) -> Result<Receiver<Carried>, RunError> {
    let (sender, receiver) = mpsc::channel();
    let Some(mut pipe) = pipe else { return Ok(receiver) };
    spawn(move || {
        let mut bytes = Vec::new();
        let _as_far_as_it_goes = (&mut pipe).take(limit as u64).read_to_end(&mut bytes);
        let mut is_cut = false;
        if bytes.len() == limit {
            is_cut = match at_limit {
                AtLimit::Stop => pipe.read(&mut [0]).is_ok_and(|more| more > 0),
                AtLimit::Drop => io::copy(&mut pipe, &mut io::sink()).is_ok_and(|more| more > 0),
            };
        }
        let _nobody_waits_any_more = sender.send(Carried { bytes, is_cut });
    })?;
    Ok(receiver)
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), RunError> {
    thread::Builder::new().spawn(work).map(drop).map_err(RunError::Io)
}
