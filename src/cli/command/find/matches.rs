//! What a search found: the same entry in many snapshots is one match. Knows no query.

use std::collections::HashMap;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::entry::{self, Sizes};
use crate::cli::error::CliError;
use crate::cli::json::node::NodeObject;
use crate::cli::lines::Lines;
use crate::cli::output::Verbosity;
use crate::cli::table::{self, Align};
use crate::cli::text;
use crate::codec::SnapshotId;
use crate::engine::HomePath;
use crate::engine::find::{FindReport, Found};
use crate::format::Entry;

/// More ids than these are shown by the first and the last.
const IDS_SHOWN: usize = 2;

/// Matches, in the order in which they were found: newest first.
#[derive(Default)]
pub struct Matches {
    all: Vec<Match>,
    /// By home and path, where they are in the list.
    by_place: HashMap<(Vec<u8>, HomePath), Vec<usize>>,
}

struct Match {
    user: Vec<u8>,
    path: HomePath,
    entry: Entry,
    /// Newest first.
    snapshots: Vec<SnapshotId>,
}

#[derive(Serialize)]
struct MatchObject {
    #[serde(flatten)]
    node: NodeObject,
    snapshots: Vec<String>,
}

#[derive(Serialize)]
struct Summary {
    message_type: &'static str,
    /// Entries, each once.
    matches: usize,
    /// The same counted in each snapshot.
    hits: u64,
}

impl Matches {
    /// Adds a find.
    pub fn add(&mut self, found: &Found<'_>) {
        let id = found.state.snapshot.record.id;
        let places = self.by_place.entry((found.state.home.path.clone(), found.path.clone())).or_default();
        let known = places.iter().find(|at| self.all[**at].entry == *found.entry);
        if let (true, Some(known)) = (found.is_repeat, known) {
            self.all[*known].snapshots.push(id);
            return;
        }
        places.push(self.all.len());
        self.all.push(Match {
            user: found.state.home.user.clone(),
            path: found.path.clone(),
            entry: found.entry.clone(),
            snapshots: vec![id],
        });
    }

    /// Tells them.
    pub fn tell(&self, context: &Context, report: &FindReport) -> Result<(), CliError> {
        let output = &context.output;
        if output.is_json() {
            return self.tell_programs(report);
        }
        if self.all.is_empty() {
            output.note("nothing was found");
            return Ok(());
        }
        let header = [
            ("snapshots", Align::Left),
            ("modified", Align::Left),
            ("size", Align::Right),
            ("path", Align::Left),
        ];
        let is_verbose = output.verbosity == Verbosity::Verbose;
        output.line(&table::render(&header, self.all.iter().map(|m| m.row(is_verbose)).collect()));
        Ok(())
    }

    fn tell_programs(&self, report: &FindReport) -> Result<(), CliError> {
        let mut lines = Lines::begin();
        for found in &self.all {
            lines.object(&MatchObject {
                node: NodeObject::new("match", &found.user, &found.path, &found.entry),
                snapshots: found.snapshots.iter().map(|id| id.to_hex()).collect(),
            })?;
        }
        lines.object(&Summary { message_type: "summary", matches: self.all.len(), hits: report.matches })?;
        lines.finish()
    }
}

impl Match {
    fn row(&self, is_verbose: bool) -> Vec<String> {
        let slash = if self.entry.is_directory() { "/" } else { "" };
        vec![
            ids(&self.snapshots, is_verbose),
            entry::modified(&self.entry).map_or_else(|| "-".into(), text::local_time),
            entry::size(&self.entry, Sizes::Units),
            text::place(&self.user, self.path.as_bytes()) + slash,
        ]
    }
}

fn ids(snapshots: &[SnapshotId], is_verbose: bool) -> String {
    match snapshots {
        [newest, .., oldest] if snapshots.len() > IDS_SHOWN && !is_verbose => {
            format!("{} … {} ({})", newest.short_hex(), oldest.short_hex(), snapshots.len())
        }
        all => all.iter().map(|id| id.short_hex()).collect::<Vec<_>>().join(", "),
    }
}
