//! `check`: from the command line to what is wrong with the repository, by whose it is.

mod arguments;
mod objects;
mod report;

use std::sync::Arc;
use std::time::Instant;

pub use arguments::CheckArguments;

use crate::cli::context::Context;
use crate::cli::effort;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::open;
use crate::cli::progress::Progress;
use crate::engine::Meter;
use crate::engine::check::{CheckOptions, check};
use crate::repo::RepoError;
use crate::store::LocalStore;
use report::Outcome;

/// Checks the repository.
pub fn run(context: &Context, arguments: &CheckArguments) -> Result<Exit, CliError> {
    let started = Instant::now();
    let mut repository = open::open(context)?;
    let options = CheckOptions {
        read: arguments.subset(),
        restore_sample: arguments.restore_sample(),
        scratch: repository.cache().into(),
        threads: effort::threads(None),
    };
    let meter = Arc::new(Meter::interrupted_by(context.interrupt.deferred()));
    let progress = Progress::start_counting(context, "checking", arguments.counted(), &meter);
    let result = check(&mut repository, &options, &meter);
    progress.finish();
    let mut report = result?;
    let folder = LocalStore::open(&context.places.repository).map_err(RepoError::from)?;
    report.add_strays(folder.strays().map_err(RepoError::from)?);
    let outcome = Outcome { report, elapsed: started.elapsed() };
    outcome.tell(&context.output);
    Ok(outcome.exit())
}
