//! Words, colours, progress and exit codes: the only layer that reads the environment or prints.
//!
//! A command is a file in `command/`: what it takes, and one function from a [`context::Context`] to an
//! [`exit::Exit`].

mod args;
mod best_effort;
mod busy;
mod choose;
mod command;
pub mod config;
mod context;
mod effort;
mod entry;
mod error;
mod exit;
mod homes;
mod hygiene;
mod interrupt;
mod json;
mod lines;
mod locate;
mod metrics;
mod open;
mod output;
mod problems;
mod progress;
pub mod quota;
mod report_file;
mod secret;
mod size;
mod state;
mod synced;
mod table;
mod text;
pub mod vault;

pub use size::{ByteSize, ParseSizeError};

use std::ffi::OsString;

use clap::Parser;

use args::Arguments;
use context::Context;
use error::{CliError, say};
use exit::Exit;
use interrupt::Interrupt;
use output::Format;

/// Runs the program.
pub fn main(arguments: impl Iterator<Item = OsString>) -> std::process::ExitCode {
    hygiene::protect();
    let arguments: Vec<OsString> = arguments.collect();
    match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => run(parsed).into(),
        Err(error) => answer(&error, &arguments).into(),
    }
}

fn run(arguments: Arguments) -> Exit {
    let is_best_effort = arguments.command.is_best_effort();
    let format = if arguments.global.json { Format::Json } else { Format::Human };
    let interrupt = match Interrupt::install() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            say(format, Exit::Failed, &format!("cannot handle signals: {error}"), None);
            return if is_best_effort { best_effort::forgive(format, Exit::Failed) } else { Exit::Failed };
        }
    };
    match Context::new(&arguments.global, interrupt) {
        Ok(context) => run_in(&context, arguments.command, is_best_effort),
        Err(error) => failed(format, &error, is_best_effort),
    }
}

fn run_in(context: &Context, command: command::Command, is_best_effort: bool) -> Exit {
    let result = command.run(context);
    let written = context.output.finish().map_err(CliError::Output);
    match result.and_then(|exit| written.map(|()| exit)) {
        Ok(exit) if is_best_effort => best_effort::forgive(context.output.format, exit),
        Ok(exit) => exit,
        Err(error) if error.is_seen_enough() => Exit::Done,
        Err(error) => {
            error.discard_damaged_index(&context.places.cache);
            failed(context.output.format, &error, is_best_effort)
        }
    }
}

/// Says what ended the run, and with which code the program ends.
fn failed(format: Format, error: &CliError, is_best_effort: bool) -> Exit {
    error.report(format);
    if !is_best_effort || error.exit() == Exit::Interrupted {
        return error.exit();
    }
    best_effort::summarise(format, error);
    best_effort::forgive(format, error.exit())
}

/// Help and version are answers; all else that the parser says is a mistake.
fn answer(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let is_mistake = error.use_stderr();
    if is_mistake && arguments.iter().any(|argument| argument == "--json") {
        let message = error.render().to_string();
        say(Format::Json, Exit::Usage, message.trim().trim_start_matches("error: "), None);
    } else {
        // Where nobody listens, nothing can be said.
        let _ = error.print();
    }
    if is_mistake { Exit::Usage } else { Exit::Done }
}
