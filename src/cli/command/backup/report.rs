//! What is told about a backup: problems, homes that need attention, and one line at the end.

use std::time::Duration;

use serde::Serialize;

use crate::cli::json::{HomeObject, rfc3339};
use crate::cli::output::{Output, Verbosity};
use crate::cli::problems;
use crate::cli::quota::Over;
use crate::cli::table::{self, Align};
use crate::cli::text::{self, count};
use crate::engine::backup::{BackupReport, HomeReport, Outcome};
use crate::format::Attention;

/// Tells all of it.
pub fn tell(output: &Output, report: &BackupReport, over_quota: Vec<Over>) {
    if output.is_json() {
        return tell_programs(output, report, over_quota);
    }
    problems::tell(output, &report.problems);
    for error in &report.damaged {
        let error = text::chain(error);
        output.warn(&format!("{error}. Snapshots that need it are damaged; others are not"));
    }
    if let Some(error) = &report.vault.unavailable {
        output.warn(&format!(
            "{}. Secrets that did not change should be there from before",
            text::chain(error)
        ));
    }
    report.homes.iter().filter_map(attention).for_each(|message| output.warn(&message));
    if output.verbosity == Verbosity::Verbose {
        output.line(&homes_table(&report.homes));
    }
    if !output.is_quiet() {
        output.line(&Summary::of(report).line(report));
    }
}

/// What someone must look at. The earlier state stays what a restore brings back.
fn attention(home: &HomeReport) -> Option<String> {
    let record = &home.record;
    let user = text::name(&record.user);
    match record.attention {
        Attention::Normal => None,
        Attention::Shrunk if home.is_half_restored => Some(format!(
            "a restore of the home of {user} runs, was interrupted, or could not read the vault: what is there is saved, and a \
             restore looks behind it, to the state before. Run the restore again; or, if the home is as it should be, run \
             the backup with --confirm {user}"
        )),
        Attention::Shrunk => Some(format!(
            "the home of {user} has shrunk to {} and {}; a restore looks behind this state, to the one before. If \
             it is meant, run again with --confirm {user}",
            count(record.files, "file", "files"),
            text::size(record.bytes)
        )),
        Attention::Missing => Some(format!(
            "the home of {user} is not there ({}); its last state is kept. If it is gone for good, run again with \
             --confirm {user}",
            text::name(&record.path)
        )),
        Attention::Removed => None,
    }
}

fn homes_table(homes: &[HomeReport]) -> String {
    let header = [
        ("home", Align::Left),
        ("files", Align::Right),
        ("size", Align::Right),
        ("read", Align::Right),
        ("new", Align::Right),
        ("excluded", Align::Right),
        ("problems", Align::Right),
    ];
    let row = |home: &HomeReport| {
        vec![
            text::name(&home.record.user),
            home.record.files.to_string(),
            text::size(home.record.bytes),
            home.files_read.to_string(),
            text::size(home.record.bytes_new),
            home.excluded.to_string(),
            home.record.problems.to_string(),
        ]
    };
    table::render(&header, homes.iter().map(row).collect())
}

/// The end of the run, in numbers.
#[derive(Debug, Serialize)]
struct Summary {
    message_type: &'static str,
    /// `saved`, `unchanged` or `dry_run`.
    outcome: &'static str,
    dry_run: bool,
    /// The snapshot that was saved or that still says it all.
    snapshot_id: Option<String>,
    homes: usize,
    total_files_processed: u64,
    total_directories_processed: u64,
    total_bytes_processed: u64,
    files_read: u64,
    /// Bytes of files that the repository did not have.
    data_added: u64,
    /// What they and everything else came to in the store.
    data_added_packed: u64,
    objects_added: u64,
    excluded: u64,
    sockets: u64,
    vanished: u64,
    problems: usize,
    damaged_objects: usize,
    homes_missing: usize,
    homes_shrunk: usize,
    /// Secrets that were found, and users whose document was written.
    secrets: u64,
    vaults_written: u64,
    /// Users who use more than they should.
    over_quota: Vec<Over>,
    backup_start: String,
    backup_end: String,
    /// Seconds.
    total_duration: f64,
}

impl Summary {
    fn of(report: &BackupReport) -> Self {
        let sum = |of: fn(&HomeReport) -> u64| report.homes.iter().map(of).fold(0, u64::saturating_add);
        let homes = |kind| report.homes.iter().filter(|home| home.record.attention == kind).count();
        let (outcome, id, packed, objects) = match report.outcome {
            Outcome::Saved { id, bytes_stored, objects } => ("saved", Some(id), bytes_stored, objects),
            Outcome::Unchanged { id } => ("unchanged", id, 0, 0),
            Outcome::DryRun { .. } => ("dry_run", None, 0, 0),
        };
        let duration = report.finished.as_millisecond() - report.started.as_millisecond();
        Self {
            message_type: "summary",
            outcome,
            dry_run: outcome == "dry_run",
            snapshot_id: id.map(|id| id.to_hex()),
            homes: report.homes.iter().filter(|home| home.record.root.is_some()).count(),
            total_files_processed: sum(|home| home.record.files),
            total_directories_processed: sum(|home| home.record.directories),
            total_bytes_processed: sum(|home| home.record.bytes),
            files_read: sum(|home| home.files_read),
            data_added: report.bytes_new(),
            data_added_packed: packed,
            objects_added: objects,
            excluded: sum(|home| home.excluded),
            sockets: sum(|home| home.sockets),
            vanished: sum(|home| home.vanished),
            problems: report.problems.iter().filter(|problem| problem.kind.is_loss()).count(),
            damaged_objects: report.damaged.len(),
            homes_missing: homes(Attention::Missing),
            homes_shrunk: homes(Attention::Shrunk),
            secrets: report.vault.items,
            vaults_written: report.vault.written,
            over_quota: Vec::new(),
            backup_start: rfc3339(report.started.as_millisecond()),
            backup_end: rfc3339(report.finished.as_millisecond()),
            total_duration: duration.max(0) as f64 / 1000.0,
        }
    }

    /// What was saved, what is new, what it cost, and what was left out and why.
    fn line(&self, report: &BackupReport) -> String {
        let what = format!(
            "{}, {}, {}",
            count(self.homes as u64, "home", "homes"),
            count(self.total_files_processed, "file", "files"),
            text::size(self.total_bytes_processed)
        );
        let time = text::duration(Duration::from_secs_f64(self.total_duration));
        let new =
            format!("{} read, {} new", count(self.files_read, "file", "files"), text::size(self.data_added));
        let line = match report.outcome {
            Outcome::Saved { id, .. } => format!(
                "saved snapshot {}: {what}; {new}; stored {} in {}, {time}",
                id.short_hex(),
                text::size(self.data_added_packed),
                count(self.objects_added, "object", "objects")
            ),
            Outcome::Unchanged { id } => format!(
                "nothing changed since snapshot {}: {what}; nothing stored, {time}",
                id.map_or("none".into(), |id| id.short_hex())
            ),
            Outcome::DryRun { .. } => format!("would save: {what}; {new}; nothing stored, {time}"),
        };
        line + &self.kept_apart() + &self.left_out()
    }

    fn kept_apart(&self) -> String {
        match self.secrets {
            0 => String::new(),
            secrets => format!("; {} in the vault", count(secrets, "secret", "secrets")),
        }
    }

    fn left_out(&self) -> String {
        let parts = [
            (self.excluded, "excluded by rules"),
            (self.sockets, if self.sockets == 1 { "socket" } else { "sockets" }),
            (self.vanished, "vanished meanwhile"),
            (self.problems as u64, if self.problems == 1 { "problem" } else { "problems" }),
            (
                self.homes_missing as u64,
                if self.homes_missing == 1 { "home missing" } else { "homes missing" },
            ),
        ];
        let parts: Vec<_> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if parts.is_empty() { String::new() } else { format!("; left out: {}", parts.join(", ")) }
    }
}

#[derive(Serialize)]
struct DamagedObject {
    message_type: &'static str,
    code: &'static str,
    message: String,
}

#[derive(Serialize)]
struct HomeEnd {
    message_type: &'static str,
    #[serde(flatten)]
    home: HomeObject,
    files_read: u64,
    excluded: u64,
    sockets: u64,
    vanished: u64,
}

fn tell_programs(output: &Output, report: &BackupReport, over_quota: Vec<Over>) {
    problems::tell_programs(output, &report.problems);
    if let Some(error) = &report.vault.unavailable {
        output.warn(&text::chain(error));
    }
    for error in &report.damaged {
        output.object(&DamagedObject {
            message_type: "error",
            code: "damaged_object",
            message: text::chain(error),
        });
    }
    for home in report.homes.iter().filter(|_| !output.is_quiet()) {
        output.object(&HomeEnd {
            message_type: "home",
            home: HomeObject::new(&home.record),
            files_read: home.files_read,
            excluded: home.excluded,
            sockets: home.sockets,
            vanished: home.vanished,
        });
    }
    output.object(&Summary { over_quota, ..Summary::of(report) });
}
