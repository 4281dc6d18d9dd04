//! `--best-effort`: a run ends with code 0 whatever happened, and what happened is told all the same. Knows exit
//! codes, no command.

use serde::Serialize;

use super::error::CliError;
use super::exit::Exit;
use super::output::{Format, complain, complain_object};
use super::text;

#[derive(Serialize)]
struct Forgiven<'f> {
    message_type: &'static str,
    code: u8,
    message: &'f str,
}

#[derive(Serialize)]
struct FailedSummary<'f> {
    message_type: &'static str,
    /// The code that the command ends with, but for --best-effort.
    exit_code: u8,
    message: &'f str,
}

/// What a run ends with that would have ended with `exit`. Only being told to stop is passed on: whoever sent the
/// signal waits for it.
pub fn forgive(format: Format, exit: Exit) -> Exit {
    if matches!(exit, Exit::Done | Exit::Interrupted) {
        return exit;
    }
    let message = exit.meaning();
    match format {
        Format::Human => complain(&format!(
            "homekeep: because of --best-effort, this ends with code 0 instead of {}: {message}",
            exit.code()
        )),
        Format::Json => {
            complain_object(&Forgiven { message_type: "best_effort", code: exit.code(), message });
        }
    }
    Exit::Done
}

/// A program that reads the results finds a summary at their end, also where an error ended the run.
pub fn summarise(format: Format, error: &CliError) {
    if format == Format::Json {
        let message = text::chain(error);
        let summary =
            FailedSummary { message_type: "summary", exit_code: error.exit().code(), message: &message };
        if let Ok(json) = serde_json::to_string(&summary) {
            use std::io::Write;
            // Where nobody listens, nothing can be said.
            let _ = writeln!(std::io::stdout(), "{json}");
        }
    }
}
