//! The rules as they stand in one directory. Knows the way to it only as far as patterns have matched it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::list::{Level, PatternList, Progress};
use super::pattern::Case;
use super::{MAX_IGNORE_BYTES, Marker, PatternFile, Reason, RuleError, Verdict};

/// What holds for the entries of one directory. Cheap to clone, and to send to another thread.
#[derive(Debug, Clone)]
pub struct Scope(Arc<Directory>);

#[derive(Debug, Clone)]
struct Directory {
    /// In the order in which they decide.
    lists: Vec<(Arc<PatternList>, Progress)>,
    /// What the ignore files among them came to.
    ignore_bytes: usize,
    marker: Option<Arc<Marker>>,
}

impl Scope {
    pub(super) fn new(lists: Vec<(Arc<PatternList>, Progress)>) -> Self {
        Self(Arc::new(Directory { lists, ignore_bytes: 0, marker: None }))
    }

    /// The directory `name` in this one. Its ignore files and markers are yet to be added.
    pub fn enter(&self, name: &OsStr) -> Self {
        let name = name.as_bytes();
        let lists = self.0.lists.iter().filter(|(list, _)| list.is_about(name));
        let below =
            |(list, progress): &(Arc<PatternList>, Progress)| (list.clone(), list.enter(progress, name));
        Self(Arc::new(Directory { lists: lists.map(below).collect(), marker: None, ..*self.0 }))
    }

    /// Adds a directory's own ignore files, in the order of [`super::Rules::ignore_file_names`]. They are
    /// users' files: a line that is no pattern, or a file that is too long, is a warning, and leaves nothing out.
    #[must_use]
    pub fn with_ignore_files(self, files: &[PatternFile]) -> (Self, Vec<RuleError>) {
        let mut directory = Arc::unwrap_or_clone(self.0);
        let mut warnings = Vec::new();
        for file in files {
            directory.ignore_bytes += file.bytes.len();
            if directory.ignore_bytes > MAX_IGNORE_BYTES {
                directory.ignore_bytes -= file.bytes.len();
                warnings.push(RuleError::TooLong { file: file.path.clone() });
                continue;
            }
            let (list, problems) = ignore_list(file);
            warnings.extend(problems);
            let progress = list.start();
            let behind_run = directory.lists.partition_point(|(list, _)| list.level == Level::Run);
            directory.lists.insert(behind_run, (Arc::new(list), progress));
        }
        (Self(Arc::new(directory)), warnings)
    }

    /// A directory that holds a proven marker: it stays, with its own attributes, but of its entries
    /// [`Scope::decide`] then keeps the marker only, so that a restore finds the directory marked again.
    #[must_use]
    pub fn marked(self, marker: &Arc<Marker>) -> Self {
        let mut directory = Arc::unwrap_or_clone(self.0);
        directory.marker = Some(marker.clone());
        Self(Arc::new(directory))
    }

    /// Whether the entry `name` is saved. A link to a directory is none.
    pub fn decide(&self, name: &OsStr, is_directory: bool) -> Verdict {
        if let Some(marker) = &self.0.marker
            && name != marker.name
        {
            return Verdict::Exclude(Reason::Marker(marker.clone()));
        }
        let name = name.as_bytes();
        let mut lists = self.0.lists.iter().filter(|(list, _)| list.is_about(name));
        let verdict = lists.find_map(|(list, progress)| list.decide(name, is_directory, progress));
        verdict.unwrap_or(Verdict::Keep)
    }
}

fn ignore_list(file: &PatternFile) -> (PatternList, Vec<RuleError>) {
    let level = if file.is_git_ignore() { Level::GitIgnore } else { Level::IgnoreFile };
    let mut list = PatternList::new(level, Case::Sensitive);
    let problems = file.patterns().filter_map(|(origin, line)| list.push(line, origin, None).err()).collect();
    (list, problems)
}
