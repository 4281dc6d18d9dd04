//! `restore`: from the command line to homes that are back, and what is told about it.

mod arguments;
mod changes;
mod everyone;
mod options;
mod report;
mod sources;

use std::sync::Arc;
use std::time::Instant;

pub use arguments::RestoreArguments;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::synced::Synced;
use crate::cli::vault;
use crate::engine::Meter;
use crate::engine::restore::{RestoreOptions, RestoreReport, restore};
use crate::repo::Repository;
use changes::Changes;
use report::Outcome;
use sources::Sources;

/// Brings back what is asked for.
pub fn run(context: &Context, arguments: &RestoreArguments) -> Result<Exit, CliError> {
    match arguments.everyone.all_homes {
        true => everyone::run(context, arguments),
        false => run_some(context, arguments),
    }
}

fn run_some(context: &Context, arguments: &RestoreArguments) -> Result<Exit, CliError> {
    let started = Instant::now();
    let options = options::options(context, arguments)?;
    refuse_repository(context, arguments)?;
    let synced = Synced::open(context)?;
    let filter = arguments.filter.filter();
    let chosen = Sources::choose(&synced, arguments, &filter)?;
    let sources = Sources::of(&synced, &chosen, &filter)?;
    let vault = vault::open_to_restore(context, &synced.repository);
    let options = RestoreOptions { target: sources.target(arguments), vault, ..options };
    sources.tell(&context.output, &options);
    sources.tell_of_owners(context, &options);
    let meter = Arc::new(Meter::interrupted_by(context.interrupt.deferred()));
    sources.expect(&meter, &options);
    let mut changes = Changes::new(&context.output, &sources, options.dry_run);
    // Lines and a bar would overwrite each other.
    let progress = (!changes.are_listed()).then(|| Progress::start(context, "restoring", &meter));
    let result = apply(&synced.repository, &sources, &options, &meter, &mut changes);
    progress.into_iter().for_each(Progress::finish);
    let outcome = Outcome {
        report: result?,
        homes_missing: sources.missing(),
        damaged: synced.damaged,
        snapshots: sources.snapshots(),
        is_dry_run: options.dry_run,
        elapsed: started.elapsed(),
    };
    report::tell(&context.output, &outcome);
    Ok(outcome.exit())
}

/// A target in the repository would mix users' files into it, and `--delete` above it would remove it.
fn refuse_repository(context: &Context, arguments: &RestoreArguments) -> Result<(), CliError> {
    let Some(target) = &arguments.target else { return Ok(()) };
    let existing = target.ancestors().find_map(|path| match path.as_os_str().is_empty() {
        true => std::env::current_dir().ok(),
        false => path.canonicalize().ok(),
    });
    let (Some(existing), Ok(repository)) = (existing, context.places.repository.canonicalize()) else {
        return Ok(());
    };
    let is_above = arguments.how.delete && repository.starts_with(&existing) && target.exists();
    if existing.starts_with(&repository) || is_above {
        let text = format!("{} is, or holds, the repository itself: name another --target", target.display());
        return Err(CliError::Usage(text));
    }
    Ok(())
}

/// Each logical machine has an index of its own, so each is a restore of its own.
fn apply(
    repository: &Repository,
    sources: &Sources<'_>,
    options: &RestoreOptions,
    meter: &Meter,
    changes: &mut Changes<'_>,
) -> Result<RestoreReport, CliError> {
    let mut report = RestoreReport::default();
    for (machine, trees) in sources.by_machine() {
        let options = RestoreOptions { source: machine.to_owned(), ..options.clone() };
        report.add(restore(repository, &trees, &options, meter, &mut |change| changes.tell(change))?);
    }
    Ok(report)
}
