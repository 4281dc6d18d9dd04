//! Which snapshots and places the command line means: the filters that several commands take, and
//! specs as they are typed. Knows the clock and the time zone, no repository.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::Args;
use jiff::{Timestamp, ZonedDateTime};

use super::error::CliError;
use crate::engine::select::{Filter, PathSpec, Place, SnapshotHead, SnapshotSpec};

/// Which snapshots count.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which snapshots")]
pub struct FilterArguments {
    /// Only snapshots with this user's home, and of them only this home (repeatable)
    #[arg(long, value_name = "USER", value_delimiter = ',')]
    pub user: Vec<OsString>,
    /// Only of this logical machine (repeatable)
    #[arg(long, value_name = "NAME")]
    pub source: Vec<String>,
    /// Only made by this host (repeatable)
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// Only with this tag; with all of TAG,TAG; repeated, with any
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
}

impl FilterArguments {
    /// As the engine takes it.
    pub fn filter(&self) -> Filter {
        let words = |tags: &String| tags.split(',').map(str::to_owned).collect();
        Filter {
            sources: self.source.clone(),
            hosts: self.host.clone(),
            users: self.user.iter().map(|user| user.clone().into_vec()).collect(),
            tags: self.tag.iter().map(words).collect(),
        }
    }

    /// Reads `SPEC[:USER[/path]]`. One that names a home leaves nothing for --user to say.
    pub fn spec(&self, text: &OsStr) -> Result<PathSpec, CliError> {
        let spec = spec(text)?;
        match (&spec.place, self.user.is_empty()) {
            (Place::Everything, _) | (_, true) => Ok(spec),
            _ => Err(CliError::Usage(format!("--user cannot be used with {}", text.to_string_lossy()))),
        }
    }
}

/// Reads `SPEC[:USER[/path]]`.
pub fn spec(text: &OsStr) -> Result<PathSpec, CliError> {
    Ok(PathSpec::parse(text.as_bytes(), &ZonedDateTime::now())?)
}

/// The snapshot that `text` names: an id or its beginning, `latest`, a time.
pub fn snapshot<'s, S: SnapshotHead>(snapshots: &'s [S], text: &str) -> Result<&'s S, CliError> {
    let spec = SnapshotSpec::parse(text, &ZonedDateTime::now())?;
    Ok(crate::engine::select::find(snapshots, &spec, Timestamp::now())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_list_of_words_that_must_all_be_there() {
        let arguments = FilterArguments { tag: vec!["a,b".into(), "c".into()], ..Default::default() };
        assert_eq!(arguments.filter().tags, [vec!["a".to_owned(), "b".into()], vec!["c".into()]]);
    }

    #[test]
    fn a_spec_that_names_a_home_leaves_nothing_for_the_user_flag() {
        let arguments = FilterArguments { user: vec!["ann".into()], ..Default::default() };
        assert!(arguments.spec("latest".as_ref()).is_ok());
        assert!(matches!(arguments.spec("latest:ann".as_ref()), Err(CliError::Usage(_))));
        assert!(FilterArguments::default().spec("latest:ann".as_ref()).is_ok());
    }
}
