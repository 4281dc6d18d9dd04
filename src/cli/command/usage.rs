//! `usage`: who uses what, what is shared, and how it grows.

mod arguments;
mod html;
mod parts;
mod prometheus;
mod rows;
mod users;
mod written;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use jiff::{Timestamp, ZonedDateTime};

pub use arguments::{By, UsageArguments};

use self::rows::{Cell, Rows};
use self::written::Files;
use crate::cli::choose;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::lines::Lines;
use crate::cli::progress::Progress;
use crate::cli::synced::Indexed;
use crate::cli::text::{self, count};
use crate::engine::Meter;
use crate::engine::lookup::lookup;
use crate::engine::select::{Choice, SelectedPlace, SnapshotSpec};
use crate::engine::usage::{
    DamageCount, Distinction, UsageError, UsageOptions, UsageReport, UserUsage, by_kind, by_path,
    by_snapshot, freed_by, growth, usage,
};
use crate::index::Summary;
use crate::repo::{RepoError, Repository};

/// Says it.
pub fn run(context: &Context, arguments: &UsageArguments) -> Result<Exit, CliError> {
    let indexed = Indexed::open(context)?;
    let exit = indexed.exit();
    let summaries = indexed.repository.summaries()?;
    let repository = RefCell::new(indexed.repository);
    let asked = Asked { context, arguments, repository, now: Timestamp::now() };
    let damage = match asked.question(&summaries)? {
        Question::Users => asked.users()?,
        Question::Snapshots => asked.snapshots()?,
        Question::Together(snapshots) => asked.together(&snapshots)?,
        Question::Path(spec) => asked.path(&summaries, &spec)?,
        Question::Kind(distinction, key) => asked.kinds(distinction, key)?,
        Question::Times => asked.times()?,
    };
    if damage.lost + damage.unreadable > 0 {
        context.output.warn(&format!(
            "{} missing and {} unreadable: figures lack what hangs on them; `homekeep check` says whose they are",
            count(damage.lost, "chunk is", "chunks are"),
            count(damage.unreadable, "tree is", "trees are")
        ));
    }
    if damage.history > 0 {
        context.output.warn(&format!(
            "{} of the past cannot be read: growth lacks what only they say; `homekeep check` names them",
            count(damage.history, "record", "records")
        ));
    }
    Ok(if damage.is_none() { exit } else { Exit::Problems })
}

/// How often figures in which something is missing are found out.
const LOOKS: usize = 3;

/// What was found out, and what was missing.
trait Found {
    /// What of it could not be found or read in the store as it is.
    fn damage(&self) -> DamageCount;
}

impl Found for UsageReport {
    fn damage(&self) -> DamageCount {
        // What cannot be read of the past is not lost by a prune.
        DamageCount { history: 0, ..self.damage }
    }
}

impl<T> Found for (T, DamageCount) {
    fn damage(&self) -> DamageCount {
        self.1
    }
}

/// What the command line asks for.
enum Question<'s> {
    Users,
    Snapshots,
    Together(Vec<&'s Summary>),
    Path(OsString),
    Kind(Distinction, &'static str),
    Times,
}

struct Asked<'a> {
    context: &'a Context,
    arguments: &'a UsageArguments,
    repository: RefCell<Repository>,
    now: Timestamp,
}

impl Asked<'_> {
    /// A name is a user's if any snapshot knows such a user, and a snapshot's otherwise.
    fn question<'s>(&self, summaries: &'s [Summary]) -> Result<Question<'s>, CliError> {
        let what = &self.arguments.what;
        let users = summaries.first().map(|summary| summary.homes.users());
        let is_place = |what: &OsStr| {
            let bytes = what.as_bytes();
            let is_user = users.is_some_and(|users| users.number(bytes).is_some());
            is_user || bytes.iter().any(|byte| matches!(byte, b'/' | b':'))
        };
        let nothing_named = |question| match what.is_empty() {
            true => Ok(question),
            false => {
                Err(CliError::Usage("only --by path takes a name; --user and --source choose homes".into()))
            }
        };
        match (self.arguments.by, &what[..]) {
            (None, []) => Ok(Question::Users),
            (Some(By::User), _) => nothing_named(Question::Users),
            (Some(By::Snapshot), _) => nothing_named(Question::Snapshots),
            (Some(By::Type), _) => nothing_named(Question::Kind(Distinction::Extension, "type")),
            (Some(By::Age), _) => nothing_named(Question::Kind(Distinction::Age, "age")),
            (Some(By::Time), _) => nothing_named(Question::Times),
            (Some(By::Path), [one]) => Ok(Question::Path(place(one))),
            (None, [one]) if is_place(one) => Ok(Question::Path(place(one))),
            (Some(By::Path), _) => {
                Err(CliError::Usage("--by path takes one user, as in `homekeep usage USER --by path`".into()))
            }
            (None, several) => {
                let named = several.iter().map(|what| choose::snapshot(summaries, &what.to_string_lossy()));
                Ok(Question::Together(named.collect::<Result<_, CliError>>()?))
            }
        }
    }

    /// Figures of users, kinds and ages are of all snapshots, or of the newest states among them.
    fn refuse_hosts_and_tags(&self) -> Result<(), CliError> {
        let filter = &self.arguments.filter;
        match filter.host.is_empty() && filter.tag.is_empty() {
            true => Ok(()),
            false => {
                Err(CliError::Usage("--host and --tag choose snapshots: use them with --by snapshot".into()))
            }
        }
    }

    fn users(&self) -> Result<DamageCount, CliError> {
        self.refuse_hosts_and_tags()?;
        let files = Files::open(self.arguments)?;
        let since = self.arguments.since.as_deref().map(moment).transpose()?;
        let options = UsageOptions { now: self.now, since };
        let report = self.reading(|repository, meter| usage(repository, &options, meter))?;
        let filter = self.arguments.filter.filter();
        let is_wanted = |user: &&UserUsage| {
            filter.accepts_user(&user.user)
                && (filter.sources.is_empty() || filter.sources.contains(&user.source))
        };
        let mut users: Vec<&UserUsage> = report.users.iter().filter(is_wanted).collect();
        users.sort_by_key(|user| Reverse(user.stored.fair()));
        let rows = users::rows(self.context, &users, since.is_some());
        let total = users::total(&users, &rows);
        let over = users::over(self.context, &users);
        let output = &self.context.output;
        self.write(&files, &report, &users, &rows)?;
        if !files.is_none() && !output.is_json() {
            return Ok(report.damage);
        }
        self.show(rows, None, Some(total))?;
        if output.is_json() {
            output.object(&users::Summary::of(&report, users.len(), over));
        } else if !self.arguments.csv {
            output.line("");
            output.line(&users::store(&report.store));
        }
        if report.trees_read > 0 && !output.is_json() {
            let trees = count(report.trees_read, "directory", "directories");
            output.note(&format!("figures were brought up to date: {trees} read that were new to them"));
        }
        Ok(report.damage)
    }

    fn snapshots(&self) -> Result<DamageCount, CliError> {
        let (found, damage) = self.reading(by_snapshot)?;
        let filter = self.arguments.filter.filter();
        let found: Vec<_> = found.into_iter().filter(|usage| filter.accepts(&usage.summary)).collect();
        self.show(parts::snapshots(&found), None, None)?;
        Ok(damage)
    }

    fn together(&self, snapshots: &[&Summary]) -> Result<DamageCount, CliError> {
        let ids: HashSet<_> = snapshots.iter().map(|summary| summary.id).collect();
        let (freed, damage) = self.reading(|repository, meter| freed_by(repository, &ids, meter))?;
        let output = &self.context.output;
        if output.is_json() || self.arguments.csv {
            self.show(parts::freed(snapshots, &freed), None, None)?;
        } else {
            let these = match ids.len() {
                1 => "this snapshot".into(),
                several => format!("these {several} snapshots"),
            };
            output.line(&format!(
                "forgetting {these} would free {}: {} of data and {} of trees that no other snapshot needs",
                text::size(freed.bytes()),
                text::size(freed.data),
                text::size(freed.trees)
            ));
        }
        Ok(damage)
    }

    fn path(&self, summaries: &[Summary], spec: &OsStr) -> Result<DamageCount, CliError> {
        let spec = self.arguments.filter.spec(spec)?;
        let filter = self.arguments.filter.filter();
        let chosen = Choice::new(summaries, &spec, &filter, self.now)?.read(&self.repository.borrow())?;
        let SelectedPlace::InHome { state, path } = chosen.place()? else {
            return Err(CliError::Usage(
                "--by path takes one user, as in `homekeep usage USER --by path`".into(),
            ));
        };
        let start = lookup(&mut self.repository.borrow().reader()?, state.root, &path)?;
        let depth = self.arguments.depth;
        let (found, damage) = self.reading(|repository, meter| by_path(repository, &start, depth, meter))?;
        let top = self.arguments.top.filter(|_| self.arguments.sort.is_none());
        self.show(parts::paths(&found, top), None, None)?;
        Ok(damage)
    }

    fn kinds(&self, distinction: Distinction, key: &'static str) -> Result<DamageCount, CliError> {
        self.refuse_hosts_and_tags()?;
        let filter = self.arguments.filter.filter();
        let (found, damage) =
            self.reading(|repository, meter| by_kind(repository, &filter, distinction, self.now, meter))?;
        let sorted = (distinction == Distinction::Extension).then_some("stored_bytes");
        self.show(parts::kinds(&found, key), sorted, None)?;
        Ok(damage)
    }

    fn times(&self) -> Result<DamageCount, CliError> {
        self.refuse_hosts_and_tags()?;
        let since = self.arguments.since.as_deref().map(moment).transpose()?;
        let since_ms = since.map_or(i64::MIN, Timestamp::as_millisecond);
        let grown = growth(&self.repository.borrow(), &self.arguments.filter.filter(), self.now)?;
        self.show(parts::times(&grown, since_ms), None, None)?;
        Ok(DamageCount { history: grown.unreadable, ..DamageCount::default() })
    }

    /// Shows that trees are read, while they are. Others may prune meanwhile: what is missing is missing only if it still
    /// is when everything is looked at again.
    fn reading<T: Found>(
        &self,
        find: impl Fn(&Repository, &Meter) -> Result<T, UsageError>,
    ) -> Result<T, CliError> {
        let meter = Arc::new(Meter::interrupted_by(self.context.interrupt.deferred()));
        let is_shown = !self.context.output.is_json();
        let progress = is_shown.then(|| Progress::start(self.context, "reading trees", &meter));
        let mut result = find(&self.repository.borrow(), &meter);
        for _ in 1..LOOKS {
            let is_settled = match &result {
                Ok(found) => found.damage().is_none(),
                Err(error) => !matches!(error, UsageError::Repository(RepoError::IndexChanged)),
            };
            if is_settled {
                break;
            }
            self.repository.borrow_mut().sync_all(&mut |_, _| {})?;
            result = find(&self.repository.borrow(), &meter);
        }
        if let Some(progress) = progress {
            progress.finish();
        }
        Ok(result?)
    }

    /// Rows as they are wanted; `sorted` is by what they are sorted if nobody says it.
    fn show(&self, mut rows: Rows, sorted: Option<&str>, total: Option<Vec<Cell>>) -> Result<(), CliError> {
        if let Some(key) = self.arguments.sort.as_deref().or(sorted) {
            rows.sort(key)?;
        }
        let is_tree = rows.message_type == "path" && self.arguments.sort.is_none();
        rows.rows.truncate(self.arguments.top.filter(|_| !is_tree).unwrap_or(usize::MAX));
        let output = &self.context.output;
        if output.is_json() {
            let mut lines = Lines::begin();
            rows.objects(&mut lines)?;
            return lines.finish();
        }
        match self.arguments.csv {
            true => output.write(&rows.csv()?),
            false => output.line(&rows.table(total)),
        }
        Ok(())
    }
}

/// `USER/path` as of the newest state; what names a snapshot is left as it is.
fn place(what: &OsStr) -> OsString {
    if what.as_bytes().contains(&b':') {
        return what.to_owned();
    }
    let mut spec = OsString::from("latest:");
    spec.push(what);
    spec
}

/// A time as people write it, with or without the `@` that a snapshot's has.
fn moment(text: &str) -> Result<Timestamp, CliError> {
    let text = format!("@{}", text.trim_start_matches('@'));
    match SnapshotSpec::parse(&text, &ZonedDateTime::now())? {
        SnapshotSpec::At(time) => Ok(time),
        _ => Err(CliError::Usage(format!("{text} is no time"))),
    }
}
