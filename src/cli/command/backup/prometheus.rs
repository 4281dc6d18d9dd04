//! `backup --prometheus`: what the last run did as metrics. docs/usage.md lists them.

use std::collections::{HashMap, HashSet};

use crate::cli::metrics::{Gauge, Metrics, Number, label};
use crate::cli::report_file::Kind;
use crate::engine::ProblemKind;
use crate::engine::backup::{BackupReport, HomeReport, Outcome};
use crate::format::Attention;
use crate::index::Summary;

/// The file.
pub const METRICS: Kind = Kind { name: "file of backup metrics", mark: "# homekeep backup\n", mode: 0o644 };

type Of<T> = fn(&T) -> Number;

/// Of the run.
const OF_RUN: [(Gauge, Of<BackupReport>); 12] = [
    (
        Gauge {
            name: "homekeep_backup_start_timestamp_seconds",
            help: "When the last run began that came to an end.",
        },
        |report| Number::Milliseconds(report.started.as_millisecond()),
    ),
    (Gauge { name: "homekeep_backup_finish_timestamp_seconds", help: "When it ended." }, |report| {
        Number::Milliseconds(report.finished.as_millisecond())
    }),
    (Gauge { name: "homekeep_backup_duration_seconds", help: "How long it took." }, |report| {
        let span = report.finished.as_millisecond().saturating_sub(report.started.as_millisecond());
        Number::Milliseconds(span.max(0))
    }),
    (
        Gauge { name: "homekeep_backup_complete", help: "Whether everything was saved that should be." },
        |report| report.is_complete().into(),
    ),
    (
        Gauge {
            name: "homekeep_backup_saved",
            help: "Whether it took a snapshot; 0 if nothing had changed.",
        },
        |report| matches!(report.outcome, Outcome::Saved { .. }).into(),
    ),
    (
        Gauge {
            name: "homekeep_backup_files_read",
            help: "Files that were read, because they were new or had changed.",
        },
        |report| Number::Whole(report.homes.iter().map(|home| home.files_read).sum()),
    ),
    (
        Gauge { name: "homekeep_backup_new_bytes", help: "Bytes of files that the repository did not have." },
        |report| Number::Whole(report.bytes_new()),
    ),
    (
        Gauge {
            name: "homekeep_backup_stored_bytes",
            help: "Bytes of the objects that were added to the store.",
        },
        |report| match report.outcome {
            Outcome::Saved { bytes_stored, .. } => Number::Whole(bytes_stored),
            _ => Number::Whole(0),
        },
    ),
    (
        Gauge {
            name: "homekeep_backup_damaged_objects",
            help: "Objects of the repository that could not be read.",
        },
        |report| Number::Whole(report.damaged.len() as u64),
    ),
    (
        Gauge { name: "homekeep_backup_vault_items", help: "Secrets that were found in all homes." },
        |report| Number::Whole(report.vault.items),
    ),
    (
        Gauge {
            name: "homekeep_backup_vault_problems",
            help: "Secrets that could not be put into the vault.",
        },
        |report| {
            let of_vault =
                report.problems.iter().filter(|problem| matches!(problem.kind, ProblemKind::Vault(_)));
            Number::Whole(of_vault.count() as u64)
        },
    ),
    (
        Gauge { name: "homekeep_backup_vault_unavailable", help: "Whether the vault could not be asked." },
        |report| report.vault.unavailable.is_some().into(),
    ),
];

/// Of every home that is there.
const OF_HOMES: [(Gauge, Of<HomeReport>); 4] = [
    (Gauge { name: "homekeep_backup_home_files", help: "Regular files in the home." }, |home| {
        Number::Whole(home.record.files)
    }),
    (Gauge { name: "homekeep_backup_home_bytes", help: "Bytes of its files." }, |home| {
        Number::Whole(home.record.bytes)
    }),
    (
        Gauge { name: "homekeep_backup_home_new_bytes", help: "Those that the repository did not have." },
        |home| Number::Whole(home.record.bytes_new),
    ),
    (
        Gauge {
            name: "homekeep_backup_home_problems",
            help: "Files and directories that could not be saved as they are.",
        },
        |home| Number::Whole(home.record.problems),
    ),
];

const OVER: Gauge =
    Gauge { name: "homekeep_backup_homes_over_quota", help: "Homes that take more than they should." };
const SUCCESS: Gauge = Gauge {
    name: "homekeep_backup_home_last_success_timestamp_seconds",
    help: "When the home was last found as it should be, and saved as it was or known to be saved so.",
};

/// The metrics. `last_saved` says when homes were last saved as they should be, of those that were not now.
pub fn metrics(
    report: &BackupReport,
    source: &str,
    over_quota: usize,
    last_saved: &HashMap<Vec<u8>, i64>,
) -> String {
    let mut metrics = Metrics::begin(METRICS);
    let source = label(source.as_bytes());
    let of_source = || vec![("source", &*source)];
    for (gauge, of) in OF_RUN {
        metrics.gauge(gauge, [(of_source(), of(report))]);
    }
    metrics.gauge(OVER, [(of_source(), Number::Whole(over_quota as u64))]);
    let names: Vec<String> = report.homes.iter().map(|home| label(&home.record.user)).collect();
    let homes = || {
        let homes = report.homes.iter().zip(&names);
        homes.map(|(home, name)| (vec![("source", &*source), ("user", &**name)], home))
    };
    let finished = report.finished.as_millisecond();
    let last = |home: &HomeReport| match home.record.attention {
        Attention::Normal => Some(finished),
        Attention::Shrunk | Attention::Missing => last_saved.get(&home.record.user).copied(),
        Attention::Removed => None,
    };
    let known = homes().filter_map(|(labels, home)| Some((labels, Number::Milliseconds(last(home)?))));
    metrics.gauge(SUCCESS, known);
    for (gauge, of) in OF_HOMES {
        let there = homes().filter(|(_, home)| home.record.root.is_some());
        metrics.gauge(gauge, there.map(|(labels, home)| (labels, of(home))));
    }
    metrics.finish()
}

/// Homes that were not found as they should be.
pub fn amiss(report: &BackupReport) -> HashSet<&[u8]> {
    let records = report.homes.iter().map(|home| &home.record);
    let amiss = records.filter(|home| matches!(home.attention, Attention::Shrunk | Attention::Missing));
    amiss.map(|home| &home.user[..]).collect()
}

/// When these homes of a source were last saved as they should be: by the newest snapshot that says so. `summaries` are oldest
/// first.
pub fn last_saved(summaries: &[Summary], source: &str, mut homes: HashSet<&[u8]>) -> HashMap<Vec<u8>, i64> {
    let mut last = HashMap::new();
    for summary in summaries.iter().rev().filter(|summary| summary.source == source) {
        if homes.is_empty() {
            break;
        }
        for mention in summary.homes.iter().filter(|mention| mention.attention == Attention::Normal) {
            let name = summary.homes.name(&mention);
            if homes.remove(name) {
                last.insert(name.to_vec(), summary.time_ms);
            }
        }
    }
    last
}
