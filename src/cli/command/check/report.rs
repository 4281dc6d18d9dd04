//! What is told at the end of a check: whose damage it is, what still comes back, and one line.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::objects;
use crate::cli::exit::Exit;
use crate::cli::output::{Output, Verbosity, complain};
use crate::cli::text::{self, count};
use crate::codec::SnapshotId;
use crate::engine::Kind;
use crate::engine::check::{CheckReport, Finding, Intact, Loss, LostSnapshot, SampleFailure};

/// So many lines of a kind are printed unless all are asked for.
const SHOWN: usize = 20;

/// What a check came to.
pub struct Outcome {
    /// What the engine says.
    pub report: CheckReport,
    /// How long it took.
    pub elapsed: Duration,
}

impl Outcome {
    /// The exit code: loss comes before what needs attention.
    pub fn exit(&self) -> Exit {
        match (self.report.is_damaged(), self.report.has_problems()) {
            (true, _) => Exit::Damaged,
            (false, true) => Exit::Problems,
            (false, false) => Exit::Done,
        }
    }

    /// Tells all of it.
    pub fn tell(&self, output: &Output) {
        let report = &self.report;
        if output.is_json() {
            return objects::tell(output, report, self.elapsed);
        }
        tell_findings(output, &report.findings);
        lines(output, &report.foreign, |name| {
            format!("note: {} is no object of a repository", text::safe(name))
        });
        lines(output, &report.lost_snapshots, lost_snapshot);
        lines(output, &report.losses, loss);
        tell_users(report);
        let failures = report.sample.iter().flat_map(|sample| &sample.failures).collect::<Vec<_>>();
        lines(output, &failures, |failure| unrestored(failure));
        if let Some(advice) = advice(report) {
            output.note(advice);
        }
        tell_leftovers(output, report);
        if !output.is_quiet() {
            output.line(&self.line());
        }
    }

    fn line(&self) -> String {
        let report = &self.report;
        format!(
            "checked {} of {}, {} ({}){}: {}; {}",
            count(report.snapshots, "snapshot", "snapshots"),
            count(report.homes, "home", "homes"),
            count(report.objects, "object", "objects"),
            text::size(report.bytes),
            self.more(),
            self.verdict(),
            text::duration(self.elapsed)
        )
    }

    /// What was done beside walking.
    fn more(&self) -> String {
        let mut more = String::new();
        if let Some(read) = &self.report.read {
            more += &format!(
                ", read {} ({}, {} unpacked)",
                count(read.objects, "of them", "of them"),
                text::size(read.bytes),
                text::size(read.raw_bytes)
            );
        }
        if let Some(sample) = &self.report.sample {
            more += &format!(
                ", restored {} ({})",
                count(sample.files, "file", "files"),
                text::size(sample.bytes)
            );
        }
        more
    }

    fn verdict(&self) -> String {
        let report = &self.report;
        if !report.is_damaged() {
            let attention = report.findings.iter().filter(|finding| finding.matters).count() as u64;
            return match attention {
                0 => "everything is there".into(),
                some => format!(
                    "everything is there, but {} attention",
                    count(some, "object needs", "objects need")
                ),
            };
        }
        let losses = report.losses.len() as u64 + report.losses_more;
        let unrestored = report.sample.as_ref().map_or(0, |sample| sample.failures.len() as u64);
        let parts = [
            (losses, count(losses, "file or directory is lost", "files and directories are lost")),
            (
                report.incomplete.len() as u64,
                count(report.incomplete.len() as u64, "snapshot lacks something", "snapshots lack something"),
            ),
            (
                report.lost_snapshots.len() as u64,
                count(report.lost_snapshots.len() as u64, "snapshot is lost", "snapshots are lost"),
            ),
            (unrestored, count(unrestored, "file was not restored", "files were not restored")),
        ];
        let parts: Vec<String> = parts.into_iter().filter(|(n, _)| *n > 0).map(|(_, text)| text).collect();
        format!("DAMAGED: {}", parts.join(", "))
    }
}

/// What to do about damage. What was only met while a sample was restored is not noted in the index.
fn advice(report: &CheckReport) -> Option<&'static str> {
    if !report.is_damaged() {
        return None;
    }
    Some(match report.losses.is_empty() && report.incomplete.is_empty() && report.lost_snapshots.is_empty() {
        true => {
            "run `homekeep check --read-data`: it finds all that is damaged, and the next backup stores it again"
        }
        false => {
            "the next backup stores again what is still in the homes; for the rest, see `homekeep repair --help`"
        }
    })
}

/// One line for each, the first of them or all.
fn lines<T>(output: &Output, items: &[T], line: impl Fn(&T) -> String) {
    let shown = if output.verbosity == Verbosity::Verbose { items.len() } else { SHOWN };
    items.iter().take(shown).for_each(|item| complain(&format!("homekeep: {}", line(item))));
    if let Some(more) = items.len().checked_sub(shown).filter(|more| *more > 0) {
        complain(&format!("homekeep: and {more} more; --verbose shows all"));
    }
}

fn tell_findings(output: &Output, findings: &[Finding]) {
    let (wrong, harmless): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.matters);
    let words = |finding: &&Finding| text::safe(&text::chain(&finding.error)).into_owned();
    lines(output, &wrong, words);
    if !output.is_quiet() {
        lines(output, &harmless, |finding| format!("note: {}; nothing is lost by it", words(finding)));
    }
}

/// What takes room and is no harm.
fn tell_leftovers(output: &Output, report: &CheckReport) {
    if report.orphans > 0 {
        output.note(&format!(
            "{} ({}) of runs that did not end; later runs use what is in them, and `prune` removes the rest",
            count(report.orphans, "segment", "segments"),
            text::size(report.orphan_bytes)
        ));
    }
    if report.temporaries > 0 {
        output.note(&format!(
            "{} ({}) of writes that did not end, or go on",
            count(report.temporaries, "temporary file", "temporary files"),
            text::size(report.temporary_bytes)
        ));
    }
}

fn lost_snapshot(lost: &LostSnapshot) -> String {
    format!(
        "snapshot {} of {} is lost: {} cannot be read",
        lost.id.short_hex(),
        time(lost.time_ms),
        lost.object
    )
}

fn loss(loss: &Loss) -> String {
    let place = text::place(&loss.user, loss.path.as_bytes());
    let snapshots = snapshots(&loss.snapshots);
    let what = match loss.kind {
        Kind::Directory => format!("{place}/: its listing cannot be read in {snapshots}"),
        _ => format!(
            "{place}: {} of {} are lost in {snapshots}",
            text::size(loss.bytes_lost),
            text::size(loss.size)
        ),
    };
    match loss.intact {
        Intact::In { id, time_ms } => {
            format!("{what}; the newest that is whole is in snapshot {} of {}", id.short_hex(), time(time_ms))
        }
        Intact::Nowhere => format!("{what}; no snapshot has one that is whole"),
        Intact::Unknown => what,
    }
}

fn snapshots(ids: &[SnapshotId]) -> String {
    match ids {
        [only] => format!("snapshot {}", only.short_hex()),
        [newest, .., oldest] => {
            format!("{} snapshots ({} … {})", ids.len(), newest.short_hex(), oldest.short_hex())
        }
        [] => "no snapshot".into(),
    }
}

fn unrestored(failure: &SampleFailure) -> String {
    format!(
        "{} of snapshot {}: {}",
        text::place(&failure.user, failure.path.as_bytes()),
        failure.snapshot.short_hex(),
        text::safe(&failure.reason)
    )
}

/// Who is hit, where that does not show at a glance.
fn tell_users(report: &CheckReport) {
    if report.losses.len() <= SHOWN {
        return;
    }
    let mut users: BTreeMap<&[u8], u64> = BTreeMap::new();
    for loss in &report.losses {
        *users.entry(&loss.user).or_default() += 1;
    }
    for (user, losses) in users {
        let what = count(
            losses,
            "version of a file or directory is lost",
            "versions of files and directories are lost",
        );
        complain(&format!("homekeep: {}: {what}", text::name(user)));
    }
}

fn time(time_ms: i64) -> String {
    text::local_time(Timestamp::from_millisecond(time_ms).unwrap_or_default())
}
