//! What is told of a plan to forget and of what came of it.

use serde::Serialize;

use super::reason::{ReasonObject, words};
use crate::cli::command::snapshots::line::Line;
use crate::cli::error::CliError;
use crate::cli::json::rfc3339;
use crate::cli::lines::Lines;
use crate::cli::output::{Output, Verbosity};
use crate::cli::table::{self, Align};
use crate::cli::text;
use crate::engine::forget::{Choice, Decision, Fate, ForgetOptions, Plan, Reason};

/// A snapshot and what becomes of it, for programs.
#[derive(Serialize)]
struct DecisionObject<'p> {
    message_type: &'static str,
    snapshot_id: String,
    time: String,
    source: &'p str,
    host: &'p str,
    tags: &'p [String],
    action: &'static str,
    reasons: Vec<ReasonObject>,
}

#[derive(Serialize)]
struct Summary {
    message_type: &'static str,
    dry_run: bool,
    kept: usize,
    forgotten: usize,
    shared: usize,
}

/// Shows what is going to happen, before it does.
pub fn tell_plan(output: &Output, plan: &Plan<'_>, is_dry_run: bool) -> Result<(), CliError> {
    if output.is_json() && !output.is_quiet() {
        let mut lines = Lines::begin();
        plan.decisions.iter().try_for_each(|decision| lines.object(&object(decision)))?;
        return lines.finish();
    }
    if !output.is_json()
        && (is_dry_run || output.verbosity == Verbosity::Verbose)
        && !plan.decisions.is_empty()
    {
        let columns = ["id", "time", "source", "homes", "tags", "", "because"];
        let header = columns.map(|title| (title, Align::Left));
        output.line(&table::render(&header, plan.decisions.iter().map(row).collect()));
    }
    Ok(())
}

fn row(decision: &Decision<'_>) -> Vec<String> {
    let mut row = Line::of_all(decision.summary).cells(true);
    let reasons: Vec<_> = decision.reasons.iter().map(words).collect();
    row.push(text::name(decision.summary.tags.join(",").as_bytes()));
    row.push(action(decision.fate).into());
    row.push(reasons.join("; "));
    row
}

fn action(fate: Fate) -> &'static str {
    match fate {
        Fate::Kept => "keep",
        Fate::Forgotten => "forget",
    }
}

fn object<'p>(decision: &'p Decision<'_>) -> DecisionObject<'p> {
    let summary = decision.summary;
    DecisionObject {
        message_type: "decision",
        snapshot_id: summary.id.to_hex(),
        time: rfc3339(summary.time_ms),
        source: &summary.source,
        host: &summary.host,
        tags: &summary.tags,
        action: action(decision.fate),
        reasons: decision.reasons.iter().map(ReasonObject::new).collect(),
    }
}

/// What a person should know of a plan.
pub fn warn(output: &Output, plan: &Plan<'_>, options: &ForgetOptions) {
    if plan.shared > 0 {
        let snapshots = text::count(plan.shared as u64, "snapshot", "snapshots");
        output.note(&format!("{snapshots} with homes of other users too were left alone"));
    }
    for decision in refused(plan, options) {
        let reasons: Vec<_> = decision.reasons.iter().map(words).collect();
        output.warn(&format!(
            "{} stays: {}; --force forgets it all the same",
            decision.summary.id.short_hex(),
            reasons.join("; ")
        ));
    }
    let late = |decision: &&Decision<'_>| {
        decision.reasons.iter().any(|reason| matches!(reason, Reason::Late { .. } | Reason::Future))
    };
    let late = plan.decisions.iter().filter(late).count();
    if late > 0 {
        output.warn(&format!(
            "{} with dates that cannot be right: a clock was wrong. No rule forgets them; they can be named",
            text::count(late as u64, "snapshot stays", "snapshots stay")
        ));
    }
}

/// Those that were named and stay.
pub fn refused<'p, 's>(
    plan: &'p Plan<'s>,
    options: &ForgetOptions,
) -> impl Iterator<Item = &'p Decision<'s>> {
    let is_named = matches!(options.choice, Choice::Named(_));
    plan.decisions.iter().filter(move |decision| is_named && decision.fate == Fate::Kept)
}

/// What came of it.
pub fn tell(output: &Output, plan: &Plan<'_>, is_dry_run: bool) {
    let forgotten = plan.forgotten().len();
    let kept = plan.decisions.len() - forgotten;
    if output.is_json() {
        let shared = plan.shared;
        output.object(&Summary { message_type: "summary", dry_run: is_dry_run, kept, forgotten, shared });
        return;
    }
    if output.is_quiet() {
        return;
    }
    let verb = if is_dry_run { "would be forgotten" } else { "forgotten" };
    let snapshots = text::count(forgotten as u64, "snapshot", "snapshots");
    output.line(&format!("{snapshots} {verb}, {kept} kept"));
}
