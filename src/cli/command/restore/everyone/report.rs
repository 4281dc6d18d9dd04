//! What is told when everyone was restored: a line for each home, what went wrong, and one line for all.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::cli::command::restore::report::Counts;
use crate::cli::exit::Exit;
use crate::cli::json::{lossy, raw};
use crate::cli::output::{Output, complain};
use crate::cli::table::{Align, render};
use crate::cli::text::{self, count};
use crate::cli::{json, problems};
use crate::engine::restore::everyone::{EveryoneReport, HomeOutcome, HomeReport};
use crate::engine::select::HomeState;

const HEADER: [(&str, Align); 6] = [
    ("user", Align::Left),
    ("outcome", Align::Left),
    ("snapshot", Align::Left),
    ("files", Align::Right),
    ("size", Align::Right),
    ("", Align::Left),
];

/// What a restore of everyone came to.
pub struct Outcome<'o> {
    /// What the engine says.
    pub report: EveryoneReport,
    /// The states of the homes, in the report's order.
    pub states: &'o [HomeState<'o>],
    /// The logical machine.
    pub source: &'o str,
    /// Homes that were to be there and are not.
    pub homes_missing: usize,
    /// Objects of the repository that cannot be read.
    pub damaged: usize,
    /// The snapshots it came from, newest first.
    pub snapshots: Vec<String>,
    /// Whether nothing was done.
    pub is_dry_run: bool,
    /// How long it took.
    pub elapsed: Duration,
}

#[derive(Serialize)]
struct HomeResult<'h> {
    message_type: &'static str,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_bytes: Option<String>,
    outcome: &'static str,
    /// Why, where it is not back.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Null where a number is all that counts.
    account: Option<&'h str>,
    account_created: bool,
    snapshot_id: String,
    time: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct Summary<'o> {
    message_type: &'static str,
    dry_run: bool,
    source: &'o str,
    snapshot_ids: &'o [String],
    users: usize,
    users_restored: usize,
    users_incomplete: usize,
    users_failed: usize,
    users_without_account: usize,
    users_staged: usize,
    users_unfinished: usize,
    accounts_created: usize,
    #[serde(flatten)]
    counts: Counts,
    homes_missing: usize,
    damaged_objects: usize,
    /// The code that the command ends with, but for --best-effort.
    exit_code: u8,
    /// Seconds.
    total_duration: f64,
}

#[derive(Serialize)]
struct OwnerNote<'o> {
    message_type: &'static str,
    code: &'static str,
    user: String,
    message: &'o str,
}

/// Tells all of it.
pub fn tell(output: &Output, outcome: &Outcome<'_>) {
    if output.is_json() {
        return outcome.tell_programs(output);
    }
    problems::tell(output, &outcome.report.problems());
    // What is missing is missing for many.
    let notes: BTreeSet<&String> =
        outcome.report.homes.iter().flat_map(|home| &home.report.owner_notes).collect();
    notes.into_iter().for_each(|note| output.note(note));
    outcome.each(|state, home| outcome.complain(state, home));
    if !output.is_quiet() {
        let mut rows = Vec::new();
        outcome.each(|state, home| rows.push(row(state, home)));
        output.line(&render(&HEADER, rows));
        output.line(&outcome.line());
    }
}

impl Outcome<'_> {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        let is_back = |home: &HomeReport| home.outcome == HomeOutcome::Restored;
        match self.report.homes.iter().all(is_back) && self.homes_missing == 0 && self.damaged == 0 {
            _ if self.report.is_interrupted => Exit::Interrupted,
            true => Exit::Done,
            false => Exit::Problems,
        }
    }

    fn each(&self, mut tell: impl FnMut(&HomeState<'_>, &HomeReport)) {
        self.states.iter().zip(&self.report.homes).for_each(|(state, home)| tell(state, home));
    }

    fn counts(&self) -> Counts {
        self.report.homes.iter().map(|home| Counts::from(&home.report)).sum()
    }

    fn count(&self, is_so: impl Fn(&HomeOutcome) -> bool) -> usize {
        self.report.count(is_so)
    }

    /// A home that is not back is told to whoever reads errors, however little else is to be said.
    fn complain(&self, state: &HomeState<'_>, home: &HomeReport) {
        let user = text::name(&state.home.user);
        let account = || text::name(home.account.as_deref().unwrap_or_default().as_bytes());
        match &home.outcome {
            HomeOutcome::Restored | HomeOutcome::Incomplete => {}
            HomeOutcome::Failed(why) => {
                complain(&format!("homekeep: {user}: not restored: {}", text::safe(why)));
            }
            HomeOutcome::NoAccount(None) => {
                complain(&format!("homekeep: {user}: not restored: there is no account {} here", account()));
            }
            HomeOutcome::NoAccount(Some(why)) => complain(&format!(
                "homekeep: {user}: not restored: the account {} is not here and was not made: {}",
                account(),
                text::safe(why)
            )),
            HomeOutcome::Staged(folder) => complain(&format!(
                "homekeep: {user}: waits in {}: there is no account {} here yet; the same command moves it into \
                 place when there is one",
                text::safe(&folder.display().to_string()),
                account()
            )),
            HomeOutcome::Unfinished => complain(&format!("homekeep: {user}: not finished: interrupted")),
        }
    }

    fn tell_programs(&self, output: &Output) {
        self.each(|state, home| {
            problems::tell_programs(output, &home.report.problems);
            for message in &home.report.owner_notes {
                let user = lossy(&state.home.user);
                output.object(&OwnerNote { message_type: "note", code: "owner", user, message });
            }
            output.object(&result(state, home));
        });
        output.object(&self.summary());
    }

    fn summary(&self) -> Summary<'_> {
        let users = &self.report.homes;
        Summary {
            message_type: "summary",
            dry_run: self.is_dry_run,
            source: self.source,
            snapshot_ids: &self.snapshots,
            users: users.len(),
            users_restored: self.count(|o| *o == HomeOutcome::Restored),
            users_incomplete: self.count(|o| *o == HomeOutcome::Incomplete),
            users_failed: self.count(|o| matches!(o, HomeOutcome::Failed(_))),
            users_without_account: self.count(|o| matches!(o, HomeOutcome::NoAccount(_))),
            users_staged: self.count(|o| matches!(o, HomeOutcome::Staged(_))),
            users_unfinished: self.count(|o| *o == HomeOutcome::Unfinished),
            accounts_created: users.iter().filter(|home| home.is_created).count(),
            counts: self.counts(),
            homes_missing: self.homes_missing,
            damaged_objects: self.damaged,
            exit_code: self.exit().code(),
            total_duration: self.elapsed.as_millis() as f64 / 1000.0,
        }
    }

    fn line(&self) -> String {
        let counts = self.counts();
        let restored = self.count(|o| matches!(o, HomeOutcome::Restored | HomeOutcome::Incomplete));
        format!(
            "{} {restored} of {} from source {}: {}, {}, {}{}; {}",
            if self.is_dry_run { "would restore" } else { "restored" },
            count(self.report.homes.len() as u64, "home", "homes"),
            text::name(self.source.as_bytes()),
            count(counts.files_restored, "file", "files"),
            count(counts.directories_restored, "directory", "directories"),
            text::size(counts.bytes_restored),
            self.others(&counts),
            text::duration(self.elapsed)
        )
    }

    fn others(&self, counts: &Counts) -> String {
        let parts = [
            (counts.unchanged as usize, "unchanged"),
            (counts.kept as usize, "kept"),
            (counts.problems, "problems"),
            (self.count(|o| matches!(o, HomeOutcome::Failed(_))), "failed"),
            (self.count(|o| matches!(o, HomeOutcome::NoAccount(_))), "without an account"),
            (self.count(|o| matches!(o, HomeOutcome::Staged(_))), "waiting for an account"),
            (self.count(|o| *o == HomeOutcome::Unfinished), "unfinished"),
            (self.homes_missing, "missing in the snapshots"),
        ];
        let parts: Vec<_> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if parts.is_empty() { String::new() } else { format!("; {}", parts.join(", ")) }
    }
}

/// How it ended, as a word for programs and for people.
fn words(outcome: &HomeOutcome) -> (&'static str, &'static str) {
    match outcome {
        HomeOutcome::Restored => ("restored", "restored"),
        HomeOutcome::Incomplete => ("incomplete", "incomplete"),
        HomeOutcome::Failed(_) => ("failed", "failed"),
        HomeOutcome::NoAccount(_) => ("no_account", "no account"),
        HomeOutcome::Staged(_) => ("staged", "staged"),
        HomeOutcome::Unfinished => ("unfinished", "unfinished"),
    }
}

fn result<'h>(state: &HomeState<'_>, home: &'h HomeReport) -> HomeResult<'h> {
    let user = &state.home.user;
    HomeResult {
        message_type: "home_result",
        user: lossy(user),
        user_bytes: raw(user),
        outcome: words(&home.outcome).0,
        message: match &home.outcome {
            HomeOutcome::Failed(why) | HomeOutcome::NoAccount(Some(why)) => Some(why.clone()),
            HomeOutcome::NoAccount(None) => Some("there is no such account here".into()),
            HomeOutcome::Staged(folder) => Some(folder.display().to_string()),
            HomeOutcome::Restored | HomeOutcome::Incomplete | HomeOutcome::Unfinished => None,
        },
        account: home.account.as_deref(),
        account_created: home.is_created,
        snapshot_id: state.snapshot.record.id.to_hex(),
        time: json::rfc3339(state.snapshot.record.time_ms),
        counts: Counts::from(&home.report),
    }
}

fn row(state: &HomeState<'_>, home: &HomeReport) -> Vec<String> {
    let counts = Counts::from(&home.report);
    let kept_newer = "kept because modified after the snapshot";
    let remarks = [
        (counts.unchanged, "unchanged"),
        (counts.kept_newer, kept_newer),
        (counts.kept - counts.kept_newer.min(counts.kept), "kept"),
        (counts.deleted, "deleted"),
        (counts.verified, "verified"),
        (counts.problems as u64, if counts.problems == 1 { "problem" } else { "problems" }),
    ];
    let remarks: Vec<_> =
        remarks.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    vec![
        text::name(&state.home.user),
        words(&home.outcome).1.into(),
        state.snapshot.record.id.short_hex(),
        counts.files_restored.to_string(),
        text::size(counts.bytes_restored),
        remarks.join(", "),
    ]
}
