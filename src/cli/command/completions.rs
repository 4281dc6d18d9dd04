//! `completions`: what a shell needs to complete the command line. Knows the shells.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::args::Arguments;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;

/// Print completions for a shell
///
/// For bash, for example: homekeep completions bash > /etc/bash_completion.d/homekeep
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Prints them.
pub fn run(context: &Context, arguments: &CompletionsArguments) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "homekeep", &mut script);
    context.output.write(&script);
    Ok(Exit::Done)
}
