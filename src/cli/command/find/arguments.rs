//! What `find` takes, and what that asks for. Knows no snapshot.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::{Args, ValueEnum};
use jiff::{Timestamp, ZonedDateTime};

use crate::cli::ByteSize;
use crate::cli::choose::FilterArguments;
use crate::cli::error::CliError;
use crate::engine::find::FindOptions;
use crate::engine::select::{SelectError, SnapshotSpec};
use crate::engine::{HomePath, Kind};

/// Search all snapshots, or one, for names, kinds, sizes and times
///
/// A pattern is a name at any depth, or, with a slash, a path in the home; `*`, `?`, `[…]` and `**` are as in a
/// .gitignore file. What did not change between snapshots is shown once, with the snapshots that have it, newest
/// first.
#[derive(Debug, Default, Args)]
pub struct FindArguments {
    /// What to look for; any of them may match
    #[arg(value_name = "PATTERN", required_unless_present_any = ["iname", "history", "type", "newer", "older",
        "larger", "smaller", "below"])]
    pub patterns: Vec<String>,
    /// The same, whatever the case (repeatable)
    #[arg(long, value_name = "PATTERN")]
    pub iname: Vec<String>,
    /// Take upper and lower case of all patterns for each other
    #[arg(short, long)]
    pub ignore_case: bool,
    /// Only in this snapshot: `latest`, an id, a time
    #[arg(short, long, value_name = "SPEC")]
    pub snapshot: Option<String>,
    /// Only below this directory of each home
    #[arg(long, visible_alias = "path", value_name = "DIR")]
    pub below: Option<OsString>,
    /// Only of this kind (repeatable, or separated by commas)
    #[arg(long = "type", value_name = "KIND", value_delimiter = ',')]
    pub r#type: Vec<KindArgument>,
    /// Only modified after this: `2026-11-20`, `2026-11-20T10:00`, `yesterday`, `2h`; a day counts to its end
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub newer: Option<String>,
    /// Only modified before this
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub older: Option<String>,
    /// Only files of more bytes: `100M`, `1.5G`
    #[arg(long, value_name = "SIZE")]
    pub larger: Option<ByteSize>,
    /// Only files of fewer bytes
    #[arg(long, value_name = "SIZE")]
    pub smaller: Option<ByteSize>,
    /// Show the versions of one path, `USER/path`, newest first
    #[arg(long, value_name = "USER/PATH", conflicts_with_all = ["patterns", "iname", "snapshot", "below", "type",
        "newer", "older", "larger", "smaller", "user"])]
    pub history: Option<OsString>,
    /// Which snapshots count.
    #[command(flatten)]
    pub filter: FilterArguments,
}

/// A kind of entry, as find(1) names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArgument {
    /// A regular file
    #[value(name = "f", alias = "file")]
    File,
    /// A directory
    #[value(name = "d", alias = "dir")]
    Directory,
    /// A symbolic link
    #[value(name = "l", alias = "symlink")]
    Symlink,
    /// A named pipe
    #[value(name = "p", alias = "fifo")]
    Fifo,
    /// A device
    #[value(name = "c", aliases = ["b", "device"])]
    Device,
}

impl From<KindArgument> for Kind {
    fn from(argument: KindArgument) -> Self {
        match argument {
            KindArgument::File => Self::File,
            KindArgument::Directory => Self::Directory,
            KindArgument::Symlink => Self::Symlink,
            KindArgument::Fifo => Self::Fifo,
            KindArgument::Device => Self::Device,
        }
    }
}

impl FindArguments {
    /// As the engine takes it.
    pub fn options(&self, now: &ZonedDateTime) -> Result<FindOptions, CliError> {
        let moment = |text: &Option<String>| text.as_deref().map(|text| time(text, now)).transpose();
        let (patterns, same) =
            if self.ignore_case { (&[][..], &self.patterns[..]) } else { (&self.patterns[..], &[][..]) };
        let below = self.below.as_deref().map(|below| HomePath::parse(below.as_bytes())).transpose();
        Ok(FindOptions {
            patterns: patterns.to_vec(),
            ipatterns: [same, &self.iname].concat(),
            below: below.map_err(SelectError::from)?.unwrap_or_default(),
            kinds: self.r#type.iter().map(|kind| (*kind).into()).collect(),
            larger_than: self.larger.map(|size| size.0),
            smaller_than: self.smaller.map(|size| size.0),
            newer_than: moment(&self.newer)?,
            older_than: moment(&self.older)?,
        })
    }
}

/// A time as in a spec, with or without its `@`; here a span can only mean the past.
fn time(text: &str, now: &ZonedDateTime) -> Result<Timestamp, CliError> {
    let text = text.strip_prefix('@').unwrap_or(text);
    let parse = |text: &str| SnapshotSpec::parse(&format!("@{text}"), now);
    match parse(text).or_else(|error| parse(&format!("{text} ago")).map_err(|_| error))? {
        SnapshotSpec::At(time) => Ok(time),
        _ => Err(SelectError::Time(text.into()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_means_the_past() {
        let now: ZonedDateTime = "2026-11-24T09:30:00+00:00[UTC]".parse().unwrap();
        for text in ["2h", "-2h", "2h ago", "@2h ago"] {
            assert_eq!(time(text, &now).unwrap().to_string(), "2026-11-24T07:30:00Z", "{text}");
        }
        assert_eq!(time("2026-11-20", &now).unwrap().to_string(), "2026-11-20T23:59:59.999999999Z");
        assert!(matches!(time("soon", &now), Err(CliError::Select(SelectError::Time(_)))));
    }

    #[test]
    fn case_is_ignored_in_all_patterns_or_in_some() {
        let now = ZonedDateTime::now();
        let arguments = |ignore_case| FindArguments {
            patterns: vec!["A".into()],
            iname: vec!["B".into()],
            ignore_case,
            ..Default::default()
        };
        let options = arguments(false).options(&now).unwrap();
        assert_eq!((options.patterns, options.ipatterns), (vec!["A".to_owned()], vec!["B".to_owned()]));
        let options = arguments(true).options(&now).unwrap();
        assert_eq!((options.patterns.len(), options.ipatterns), (0, vec!["A".to_owned(), "B".into()]));
    }
}
