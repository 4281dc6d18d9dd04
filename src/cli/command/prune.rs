//! `prune`: gives back the space of what no snapshot needs.

mod options;
mod report;

use std::sync::Arc;

pub use options::{Age, PruneArguments, PruneLimits, Unused};

use crate::cli::busy::BusyLock;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::open;
use crate::cli::progress::Progress;
use crate::engine::Meter;
use crate::engine::prune::prune;
use crate::repo::Repository;

/// Prunes.
pub fn run(context: &Context, arguments: &PruneArguments) -> Result<Exit, CliError> {
    let mut repository = open::open(context)?;
    prune_repository(context, &mut repository, arguments)
}

/// Prunes a repository that is open.
pub fn prune_repository(
    context: &Context,
    repository: &mut Repository,
    arguments: &PruneArguments,
) -> Result<Exit, CliError> {
    let options = arguments.options(context, repository.store().list_delay());
    let _lock = BusyLock::of_prune(repository.cache())?;
    let meter = Arc::new(Meter::interrupted_by(context.interrupt.deferred()));
    let progress = Progress::start(context, "pruning", &meter);
    let result = prune(repository, &options, &meter);
    progress.finish();
    let report = result?;
    report::tell(&context.output, &report, &options);
    let is_complete =
        report.damaged.is_empty() && report.incomplete.is_empty() && report.repack_problem.is_none();
    Ok(if is_complete { Exit::Done } else { Exit::Problems })
}
