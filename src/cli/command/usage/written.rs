//! The files that `usage` writes: a page for people, metrics for Prometheus.

use std::path::{Path, PathBuf};

use super::html::{self, Sheet};
use super::rows::Rows;
use super::{Asked, UsageArguments, prometheus, users};
use crate::cli::error::CliError;
use crate::cli::report_file::ReportFile;
use crate::cli::text;
use crate::engine::usage::{DamageCount, UsageReport, UserUsage, by_folder, contents, growth};
use crate::index::Summary;

/// How many homes are looked into, the largest first.
const HOMES: usize = 8;
/// How deep.
const DEPTH: usize = 2;

/// Files that may be written.
pub struct Files {
    page: Option<ReportFile>,
    metrics: Option<ReportFile>,
}

impl Files {
    /// Looks whether they may, before any work is done.
    pub fn open(arguments: &UsageArguments) -> Result<Self, CliError> {
        let open =
            |path: &Option<PathBuf>, kind| path.as_ref().map(|path| ReportFile::open(path, kind)).transpose();
        let page = open(&arguments.html, html::PAGE)?;
        Ok(Self { page, metrics: open(&arguments.prometheus, prometheus::METRICS)? })
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.page.is_none() && self.metrics.is_none()
    }
}

impl Asked<'_> {
    /// Writes them. `users` are in order, `rows` as well.
    pub fn write(
        &self,
        files: &Files,
        report: &UsageReport,
        users: &[&UserUsage],
        rows: &Rows,
    ) -> Result<(), CliError> {
        if let Some(file) = &files.metrics {
            file.write(&prometheus::metrics(report, users, &self.context.config.quota))?;
            self.tell_written(self.arguments.prometheus.as_deref());
        }
        if let Some(file) = &files.page {
            file.write(&self.page(report, users, rows)?)?;
            self.tell_written(self.arguments.html.as_deref());
        }
        Ok(())
    }

    fn page(&self, report: &UsageReport, users: &[&UserUsage], rows: &Rows) -> Result<String, CliError> {
        let summaries = self.repository.borrow().summaries()?;
        let filter = self.arguments.filter.filter();
        let is_wanted =
            |summary: &&Summary| filter.sources.is_empty() || filter.sources.contains(&summary.source);
        let snapshots: Vec<&Summary> = summaries.iter().filter(is_wanted).collect();
        // What is damaged is in the report.
        let (contents, _) = self.reading(|repository, meter| contents(repository, &snapshots, meter))?;
        let largest = &users[..users.len().min(self.arguments.top.unwrap_or(HOMES))];
        let looked_into = |repository: &_, meter: &_| {
            Ok((by_folder(repository, largest, DEPTH, meter)?, DamageCount::default()))
        };
        let (folders, _) = self.reading(looked_into)?;
        let folders: Vec<_> = largest.iter().copied().zip(folders).collect();
        Ok(html::page(&Sheet {
            place: text::safe(&self.context.places.repository.display().to_string()).into_owned(),
            report,
            users,
            quota: &self.context.config.quota,
            snapshots: &snapshots,
            grown: growth(&self.repository.borrow(), &filter, self.now)?,
            contents,
            folders: &folders,
            rows,
            total: &users::total(users, rows),
        }))
    }

    fn tell_written(&self, path: Option<&Path>) {
        if let (Some(path), false) = (path, self.context.output.is_json() || self.context.output.is_quiet()) {
            self.context.output.line(&format!("wrote {}", text::safe(&path.display().to_string())));
        }
    }
}
