//! What a run was told to leave out, as it was said. Knows no flag and no file.

use super::PatternFile;

/// The name of a directory's own list, unless another is set.
const IGNORE_FILE_NAME: &str = ".homekeepignore";

/// What to leave out; see the module for how patterns are written and which of them decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleOptions {
    /// Patterns of the run.
    pub excludes: Vec<String>,
    /// Patterns of the run that take upper and lower case for the same.
    pub iexcludes: Vec<String>,
    /// Files of patterns, `#` begins a comment; [`RuleOptions::excludes`] come after them.
    pub exclude_files: Vec<PatternFile>,
    /// Of a directory with a valid `CACHEDIR.TAG`, only the tag is saved.
    pub exclude_caches: bool,
    /// `NAME` or `NAME:HEADER`: of a directory with such a file (that begins so), only the file is saved.
    pub exclude_if_present: Vec<String>,
    /// Files of more bytes are left out.
    pub exclude_larger_than: Option<u64>,
    /// Whether [`super::default_rules`] hold.
    pub default_excludes: bool,
    /// A file of patterns that holds for its directory; none are read without a name.
    pub ignore_file_name: Option<String>,
    /// Whether `.gitignore` is such a file too. What it names is often work: RStudio's unsaved
    /// buffers (`.Rproj.user`), `.RData` and `.Rhistory` stand in the usual one for R.
    pub git_ignore: bool,
}

impl Default for RuleOptions {
    fn default() -> Self {
        Self {
            excludes: Vec::new(),
            iexcludes: Vec::new(),
            exclude_files: Vec::new(),
            exclude_caches: false,
            exclude_if_present: Vec::new(),
            exclude_larger_than: None,
            default_excludes: true,
            ignore_file_name: Some(IGNORE_FILE_NAME.into()),
            git_ignore: false,
        }
    }
}
