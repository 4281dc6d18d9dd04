//! `diff`: what differs between two snapshots, or between two places in them.

mod report;
mod sides;

use std::ffi::OsString;

use clap::Args;

use crate::cli::choose::FilterArguments;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::lines::Lines;
use crate::cli::synced::Synced;
use crate::engine::diff::{DiffTotals, Difference, diff};
use report::{ChangeObject, line};
use sides::Pair;

/// Show what differs between two snapshots
///
/// A line for each path: + it was added, - removed, M its content is another, T it is of another kind, and with
/// --metadata U only its mode, owner, time or other attributes are others. Of two specs the second can leave out
/// the place if it is the same as the first's: `diff latest~1:ann/thesis latest`.
#[derive(Debug, Default, Args)]
pub struct DiffArguments {
    /// What it was: `latest`, `latest~2`, an id or its beginning, a time, with `:USER` or `:USER/path`
    #[arg(value_name = "BEFORE")]
    before: OsString,
    /// What it became, in the same words
    #[arg(value_name = "AFTER")]
    after: OsString,
    /// Show paths of which only attributes changed
    #[arg(long)]
    metadata: bool,
    /// Which snapshots count.
    #[command(flatten)]
    filter: FilterArguments,
}

/// Compares them.
pub fn run(context: &Context, arguments: &DiffArguments) -> Result<Exit, CliError> {
    let specs = sides::specs(arguments)?;
    let synced = Synced::open(context)?;
    let (pairs, snapshots) = sides::pairs(&synced, &specs, &arguments.filter.filter())?;
    let mut reader = synced.repository.reader()?;
    let mut lines = Lines::begin();
    let mut totals = Vec::new();
    for pair in &pairs {
        let mut visit = |difference: &Difference<'_>| tell(context, arguments, &mut lines, pair, difference);
        totals.push(diff(&mut reader, pair.before.as_ref(), pair.after.as_ref(), &mut visit)?);
    }
    let totals = totals.iter().fold(DiffTotals::default(), report::sum);
    match context.output.is_json() {
        true => lines.object(&report::Statistics::new(snapshots, &totals))?,
        false if context.output.is_quiet() => {}
        false => lines.line(&report::totals(&totals))?,
    }
    lines.finish()?;
    Ok(synced.exit())
}

fn tell(
    context: &Context,
    arguments: &DiffArguments,
    lines: &mut Lines,
    pair: &Pair,
    difference: &Difference<'_>,
) -> Result<(), CliError> {
    if difference.change == crate::engine::diff::Change::Metadata && !arguments.metadata {
        return Ok(());
    }
    match context.output.is_json() {
        true => lines.object(&ChangeObject::new(pair, difference)),
        false => lines.line(&line(pair, difference)),
    }
}
