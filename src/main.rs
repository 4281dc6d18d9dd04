//! The program: hands over to the library; knows nothing else.

use std::process::ExitCode;

use homekeep::cli;
use homekeep::files::live_sqlite;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == live_sqlite::SUBCOMMAND) {
        return live_sqlite::child_main(std::env::args_os().skip(2));
    }
    cli::main(std::env::args_os())
}
