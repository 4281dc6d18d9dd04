//! What is left out unless a run says otherwise: what a program makes again by itself. Knows no home.
//!
//! Nothing here may ever match work, so whatever is in doubt is saved. Not here, on purpose:
//! - `*_cache/` beside an R Markdown document: knitr keeps results in it that may have taken days,
//!   and people give their own folders such names;
//! - `.venv/`, `R/…-library/` and `~/.m2/repository`: no file says for certain what is in them.
//!   uv tags its environments with `CACHEDIR.TAG`, so `--exclude-caches` leaves those out;
//! - `.ipynb_checkpoints/`, `.RData`, suspended RStudio sessions: the last state of someone's work;
//! - `.git` and `.Rproj.user`: unpushed commits and unsaved editor buffers;
//! - `renv/local` and `renv/cellar`: packages that have no other source.

/// A pattern that holds by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRule {
    /// Relative to the home, as in a `.gitignore` there.
    pub pattern: &'static str,
    /// Why nobody misses what it matches.
    pub reason: &'static str,
}

/// All of them, in the order in which they are tried.
pub fn default_rules() -> &'static [DefaultRule] {
    DEFAULTS
}

const fn rule(pattern: &'static str, reason: &'static str) -> DefaultRule {
    DefaultRule { pattern, reason }
}

const RSTUDIO_LOCK: &str = "a lock of a running RStudio; restored, it would hide unsaved work from recovery";
const RENV: &str = "`renv::restore()` makes it again from renv.lock";
const PACKRAT: &str = "`packrat::restore()` makes it again from packrat.lock";
const DUMP: &str = "the memory of a program that crashed";
const SERVER: &str = "the part of the editor that it installs again when it connects";
const TOOL_CACHE: &str = "a development tool's cache";

const DEFAULTS: &[DefaultRule] = &[
    rule("/.cache/", "caches, by the XDG rules"),
    rule("/.thumbnails/", "previews of pictures"),
    rule("/.local/share/Trash/", "deleted by its owner"),
    rule("/.gvfs/", "a view of other machines, mounted here"),
    rule("/.local/share/rstudio/log/", "RStudio's logs"),
    rule("/.local/share/rstudio/sources/session-*/lock_file", RSTUDIO_LOCK),
    rule("/.rstudio/sdb/s-*/lock_file", RSTUDIO_LOCK),
    rule("**/.Rproj.user/*/sources/session-*/lock_file", RSTUDIO_LOCK),
    rule("**/.Rproj.user/*/sdb/s-*/lock_file", RSTUDIO_LOCK),
    rule("/.local/share/renv/cache/", "packages that renv fetches again"),
    rule("**/renv/library/", RENV),
    rule("**/renv/staging/", RENV),
    rule("**/renv/sandbox/", RENV),
    rule("**/packrat/lib/", PACKRAT),
    rule("**/packrat/lib-R/", PACKRAT),
    rule("**/packrat/lib-ext/", PACKRAT),
    rule(".quarto/", "Quarto's working files; what it froze is in _freeze"),
    rule("__pycache__/", "compiled Python"),
    rule(".mypy_cache/", TOOL_CACHE),
    rule(".pytest_cache/", TOOL_CACHE),
    rule(".ruff_cache/", TOOL_CACHE),
    rule("node_modules/", "`npm install` makes it again from package.json"),
    rule("/.npm/_cacache/", "packages that npm fetches again"),
    rule("/.conda/pkgs/", "packages that conda fetches again"),
    rule("/.cargo/registry/", "crates that cargo fetches again"),
    rule("/go/pkg/mod/", "modules that go fetches again"),
    rule("/.gradle/caches/", "packages that Gradle fetches again"),
    rule("/.ivy2/cache/", "packages that Ivy and Spark fetch again"),
    rule("/.nv/ComputeCache/", "compiled GPU code"),
    rule("/.vscode-server/bin/", SERVER),
    rule("/.vscode-server/cli/servers/", SERVER),
    rule("/.positron-server/bin/", SERVER),
    // Named after a process. Shorter numbers may count the parts of an archive, 1xxx and 2xxx may be years.
    rule("core.[3-9][0-9][0-9][0-9]", DUMP),
    rule("core.[0-9][0-9][0-9][0-9][0-9]", DUMP),
    rule("core.[0-9][0-9][0-9][0-9][0-9][0-9]", DUMP),
    rule("core.[0-9][0-9][0-9][0-9][0-9][0-9][0-9]", DUMP),
    rule("!core.[0-9]*/", "kept: a directory is not a core dump"),
    // Exactly as the kernel names them: two numbers of 16 and 8 digits.
    rule(".nfs????????????????????????", "deleted, but still open on an NFS client"),
];
