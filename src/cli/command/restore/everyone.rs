//! `restore --all-homes`: from the command line to everyone who is back. Knows which source is meant, and whom to
//! tell of what.

mod report;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use super::arguments::RestoreArguments;
use super::changes::Changes;
use super::sources::Sources;
use super::{options, refuse_repository};
use crate::cli::command::backup::own_source;
use crate::cli::config::Caller;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::progress::Progress;
use crate::cli::synced::Synced;
use crate::cli::text;
use crate::cli::vault;
use crate::engine::Meter;
use crate::engine::restore::everyone::{Happening, MissingUsers, Tell, restore_everyone};
use crate::engine::restore::{Change, RestoreError, RestoreOptions};
use crate::engine::select::{Filter, Place, SnapshotSpec};
use crate::files::owners::OwnerMatch;
use crate::index::Summary;
use report::Outcome;

/// More names than these are not told one by one.
const NAMES_TOLD: usize = 12;

/// Brings everyone back.
pub fn run(context: &Context, arguments: &RestoreArguments) -> Result<Exit, CliError> {
    let started = Instant::now();
    let options = everyone_options(context, arguments)?;
    refuse_repository(context, arguments)?;
    let synced = Synced::open(context)?;
    let filter = filter(context, arguments, &synced.summaries)?;
    let chosen = Sources::choose(&synced, arguments, &filter)?;
    let sources = Sources::of(&synced, &chosen, &filter)?;
    let (source, trees) = sources.by_machine().into_iter().next().unwrap_or_default();
    let vault = vault::open_to_restore(context, &synced.repository);
    let (target, source_name) = (sources.target(arguments), source.to_owned());
    let options = RestoreOptions { target, source: source_name, vault, ..options };
    sources.tell(&context.output, &options);
    sources.tell_of_owners(context, &options);
    let meter = Arc::new(Meter::interrupted_by(context.interrupt.deferred()));
    sources.expect(&meter, &options);
    let mut told = Told { changes: Changes::new(&context.output, &sources, options.dry_run), context };
    let progress = (!told.changes.are_listed()).then(|| Progress::start(context, "restoring", &meter));
    let missing = missing(arguments);
    let result = restore_everyone(&synced.repository, &trees, &options, missing, &meter, &mut told);
    progress.into_iter().for_each(Progress::finish);
    let outcome = Outcome {
        report: result?,
        states: sources.states(),
        source,
        homes_missing: sources.missing(),
        damaged: synced.damaged,
        snapshots: sources.snapshots(),
        is_dry_run: options.dry_run,
        elapsed: started.elapsed(),
    };
    report::tell(&context.output, &outcome);
    match outcome.exit() {
        Exit::Interrupted => Err(RestoreError::Interrupted.into()),
        exit => Ok(exit),
    }
}

/// On a machine whose numbers were given out anew, a number is no reason to hand somebody a file.
fn everyone_options(context: &Context, arguments: &RestoreArguments) -> Result<RestoreOptions, CliError> {
    if arguments.everyone.create_users && context.caller != Caller::Root {
        return Err(CliError::Usage("--create-users: only root can create users".into()));
    }
    let options = options::options(context, arguments)?;
    if arguments.everyone.create_users && !options.owners {
        let text = "--create-users makes no sense with --no-owner: nothing would belong to them";
        return Err(CliError::Usage(text.into()));
    }
    let owner_match = match options.owner_match {
        OwnerMatch::Number => OwnerMatch::Number,
        OwnerMatch::Name | OwnerMatch::NameOrFreeNumber => OwnerMatch::NameOrFreeNumber,
    };
    Ok(RestoreOptions { owner_match, ..options })
}

fn missing(arguments: &RestoreArguments) -> MissingUsers {
    let everyone = &arguments.everyone;
    MissingUsers {
        create: everyone.create_users,
        wait: everyone.wait_for_users.map(|age| age.0),
        stage: everyone.stage_users,
    }
}

/// Which snapshots count: those of one source.
fn filter(
    context: &Context,
    arguments: &RestoreArguments,
    snapshots: &[Summary],
) -> Result<Filter, CliError> {
    let filter = arguments.filter.filter();
    let spec = arguments.filter.spec(arguments.spec.as_deref().unwrap_or(OsStr::new("latest")))?;
    if spec.place != Place::Everything {
        return Err(CliError::Usage("--all-homes cannot be used with a part of a snapshot".into()));
    }
    if let SnapshotSpec::Id(_) = spec.snapshot {
        return Ok(filter);
    }
    let there = snapshots.iter().filter(|s| filter.accepts(*s)).map(|s| s.source.as_str()).collect();
    match source(&filter.sources, &own_source(context), &there)? {
        Some(source) => Ok(Filter { sources: vec![source], ..filter }),
        None => Ok(filter),
    }
}

/// The one source that is meant: what was named, or this machine's own, or the only one there is. None where there
/// are no snapshots, which others will say.
fn source(named: &[String], own: &str, there: &BTreeSet<&str>) -> Result<Option<String>, CliError> {
    match (named, there.len()) {
        ([one], _) => Ok(Some(one.clone())),
        ([_, _, ..], _) => {
            let text = "--all-homes brings back one source: name one --source, and run it once for each";
            Err(CliError::Usage(text.into()))
        }
        ([], 0) => Ok(None),
        ([], 1) => Ok(there.first().map(|source| (*source).to_owned())),
        ([], _) if there.contains(own) => Ok(Some(own.to_owned())),
        ([], _) => {
            let names: Vec<_> = there.iter().copied().collect();
            Err(CliError::Usage(format!(
                "the repository has homes of {}, and none of {own}, which is this machine: choose one with --source",
                listed(&names)
            )))
        }
    }
}

fn listed(names: &[&str]) -> String {
    let shown: Vec<_> = names.iter().take(NAMES_TOLD).map(|name| text::name(name.as_bytes())).collect();
    match names.len().saturating_sub(NAMES_TOLD) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Tells what happens as it happens.
struct Told<'c> {
    changes: Changes<'c>,
    context: &'c Context,
}

impl Told<'_> {
    fn output(&self) -> &Output {
        &self.context.output
    }
}

impl Tell for Told<'_> {
    fn change(&mut self, change: &Change<'_>) {
        self.changes.tell(change);
    }

    fn happening(&mut self, happening: &Happening<'_>) {
        match happening {
            Happening::Created { name, ids: Some(ids) } => self.output().note(&format!(
                "made the account {}, with the numbers {}:{} and a locked password",
                text::name(name.as_bytes()),
                ids.uid,
                ids.gid
            )),
            Happening::Created { name, ids: None } => {
                self.output().note(&format!("would make the account {}", text::name(name.as_bytes())));
            }
            Happening::Waiting { names, left } => self.output().note(&format!(
                "waiting for {}, for {} at most: {}",
                text::count(names.len() as u64, "account", "accounts"),
                text::duration(*left),
                listed(names)
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_the_named_one_or_this_machines_or_the_only_one() {
        let choose = |named: &[&str], there: &[&str]| {
            let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
            source(&named, "here", &there.iter().copied().collect())
        };
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(choose(&["b"], &["a", "b", "here"]).unwrap(), named("b"));
        assert_eq!(choose(&[], &["a", "here"]).unwrap(), named("here"));
        assert_eq!(choose(&[], &["a"]).unwrap(), named("a"));
        assert_eq!(choose(&[], &[]).unwrap(), None);
        assert!(matches!(choose(&[], &["a", "b"]), Err(CliError::Usage(text)) if text.contains("a, b")));
        assert!(matches!(choose(&["a", "b"], &["a", "b"]), Err(CliError::Usage(_))));
    }
}
