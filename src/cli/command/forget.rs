//! `forget`: from a policy or names to snapshots that are hidden, and what is told about it.

mod arguments;
mod options;
mod reason;
mod report;

pub use arguments::ForgetArguments;

use jiff::ZonedDateTime;

use super::prune::{PruneArguments, prune_repository};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::synced::Indexed;
use crate::engine::Meter;
use crate::engine::forget::{forget, plan};

/// Forgets what is to go.
pub fn run(context: &Context, arguments: &ForgetArguments) -> Result<Exit, CliError> {
    let mut indexed = Indexed::open(context)?;
    let output = &context.output;
    let summaries = indexed.repository.summaries()?;
    let options = options::options(arguments, &context.config.forget, &summaries)?;
    let plan = plan(&summaries, &options, &ZonedDateTime::now())?;
    report::tell_plan(output, &plan, arguments.dry_run)?;
    report::warn(output, &plan, &options);
    if !arguments.dry_run {
        let meter = Meter::interrupted_by(context.interrupt.deferred());
        forget(&mut indexed.repository, &plan.forgotten(), &meter)?;
    }
    report::tell(output, &plan, arguments.dry_run);
    if !arguments.dry_run && !arguments.prune && !plan.forgotten().is_empty() {
        output.note("`homekeep prune` gives back the space; until then, `homekeep undo` takes this back");
    }
    let is_refused = report::refused(&plan, &options).next().is_some();
    let pruned = prune(context, &mut indexed, arguments)?;
    Ok(if is_refused || pruned == Exit::Problems { Exit::Problems } else { indexed.exit() })
}

/// What a dry run would have freed is known only once the snapshots are forgotten.
fn prune(context: &Context, indexed: &mut Indexed, arguments: &ForgetArguments) -> Result<Exit, CliError> {
    if !arguments.prune || arguments.dry_run {
        return Ok(Exit::Done);
    }
    let prune = PruneArguments { dry_run: false, limits: arguments.limits.clone() };
    prune_repository(context, &mut indexed.repository, &prune)
}
