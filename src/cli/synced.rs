//! The repository with its index brought up to date: what every command begins with that looks into
//! snapshots. Knows no snapshot spec and nothing of what is done next.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::config::Progress as When;
use super::context::{Context, is_watched};
use super::error::CliError;
use super::exit::Exit;
use super::open;
use super::text;
use crate::engine::select::{Choice, Chosen, Filter, PathSpec};
use crate::index::Summary;
use crate::repo::Repository;

/// Fewer objects than these are read before anyone wonders.
const WORTH_TELLING: usize = 32;

/// A repository whose index knows all that the store holds.
pub struct Indexed {
    /// It.
    pub repository: Repository,
    /// Objects that cannot be read; what needs them cannot be had.
    pub damaged: usize,
}

/// A repository of whose snapshots it is known which there are.
pub struct Synced {
    /// It.
    pub repository: Repository,
    /// Its snapshots in short, oldest first.
    pub summaries: Vec<Summary>,
    /// Objects that cannot be read; what needs them cannot be had.
    pub damaged: usize,
}

impl Indexed {
    /// Opens the repository and reads what its index lacks. Damage is told as warnings.
    pub fn open(context: &Context) -> Result<Self, CliError> {
        Self::of(context, open::open(context)?)
    }

    /// The same for a repository that is open.
    pub fn of(context: &Context, mut repository: Repository) -> Result<Self, CliError> {
        let mut display = Display::new(context);
        let report = repository.sync(&mut |done, total| display.update(done, total))?;
        display.clear();
        report.damaged.iter().for_each(|error| context.output.warn(&text::chain(error)));
        Ok(Self { repository, damaged: report.damaged.len() })
    }

    /// The exit code of a command that found nothing wrong itself.
    pub fn exit(&self) -> Exit {
        exit(self.damaged)
    }
}

impl Synced {
    /// Opens the repository, reads what its index lacks, and the summaries of all snapshots.
    pub fn open(context: &Context) -> Result<Self, CliError> {
        Self::of(context, open::open(context)?)
    }

    /// The same for a repository that is open.
    pub fn of(context: &Context, repository: Repository) -> Result<Self, CliError> {
        let Indexed { repository, damaged } = Indexed::of(context, repository)?;
        let summaries = repository.summaries()?;
        Ok(Self { repository, summaries, damaged })
    }

    /// Finds out what a spec means, and reads the snapshots that tell it.
    pub fn choose(&self, spec: &PathSpec, filter: &Filter, now: Timestamp) -> Result<Chosen, CliError> {
        Ok(Choice::new(&self.summaries, spec, filter, now)?.read(&self.repository)?)
    }

    /// The exit code of a command that found nothing wrong itself.
    pub fn exit(&self) -> Exit {
        exit(self.damaged)
    }
}

fn exit(damaged: usize) -> Exit {
    if damaged == 0 { Exit::Done } else { Exit::Problems }
}

/// Says that an index is being built, where that takes a while.
struct Display<'c> {
    context: &'c Context,
    bar: ProgressBar,
    is_told: bool,
}

impl<'c> Display<'c> {
    fn new(context: &'c Context) -> Self {
        let output = &context.output;
        let is_bar =
            is_watched() && context.progress != When::Never && !output.is_quiet() && !output.is_json();
        let bar = match is_bar {
            true => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            false => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {pos} of {len} objects") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { context, bar, is_told: false }
    }

    fn update(&mut self, done: usize, total: usize) {
        if total < WORTH_TELLING {
            return;
        }
        if self.bar.is_hidden() && !self.is_told {
            self.context.output.note(&format!("building the local index from {total} objects"));
        }
        self.is_told = true;
        self.bar.set_prefix("building the local index");
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
