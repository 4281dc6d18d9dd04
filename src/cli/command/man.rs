//! `man`: the manual pages, made from what `--help` says.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use crate::cli::args::Arguments;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;

/// Print the manual page, or write the pages of all commands
#[derive(Debug, Args)]
pub struct ManArguments {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints or writes them.
pub fn run(context: &Context, arguments: &ManArguments) -> Result<Exit, CliError> {
    let command = Arguments::command().disable_help_subcommand(true);
    match &arguments.out {
        Some(folder) => write_all(folder, command)?,
        None => context.output.write(&render(command).map_err(CliError::Output)?),
    }
    Ok(Exit::Done)
}

fn render(command: clap::Command) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}

fn write_all(folder: &Path, mut command: clap::Command) -> Result<(), CliError> {
    // Gives every command its full name, by which its page is called.
    command.build();
    std::fs::create_dir_all(folder).map_err(|source| CliError::Write { path: folder.into(), source })?;
    write_with_subcommands(folder, &command)
}

fn write_with_subcommands(folder: &Path, command: &clap::Command) -> Result<(), CliError> {
    let path = folder.join(Man::new(command.clone()).get_filename());
    let written = render(command.clone()).and_then(|page| std::fs::write(&path, page));
    // The umask is for secrets, and manual pages are none.
    let written = written.and_then(|()| std::fs::set_permissions(&path, Permissions::from_mode(0o644)));
    written.map_err(|source| CliError::Write { path, source })?;
    let mut subcommands = command.get_subcommands().filter(|command| !command.is_hide_set());
    subcommands.try_for_each(|subcommand| write_with_subcommands(folder, subcommand))
}
