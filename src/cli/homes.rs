//! Which homes a backup is about: what is named, or else the places where homes usually are.
//! Knows patterns for directories; what a home is, the engine knows.

use std::path::{Path, PathBuf};

use super::config::Caller;
use super::error::CliError;
use crate::engine::backup::HomeSelection;

/// Where root finds the homes of all users.
const HOMES: &str = "/home";

/// What was said about homes.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// Homes, each by its path.
    pub paths: &'a [PathBuf],
    /// A directory of homes.
    pub folder: Option<&'a Path>,
    /// Patterns of the configuration.
    pub patterns: Option<&'a [String]>,
}

/// The homes of a run.
pub fn select(named: Named<'_>, caller: Caller) -> Result<HomeSelection, CliError> {
    if let Some(folder) = named.folder {
        return Ok(HomeSelection::Under(absolute(folder)?));
    }
    if !named.paths.is_empty() {
        return Ok(HomeSelection::Paths(named.paths.to_vec()));
    }
    match (named.patterns, caller) {
        (Some([pattern]), _) if whole_folder(pattern).is_some() => {
            Ok(HomeSelection::Under(whole_folder(pattern).map(PathBuf::from).unwrap_or_default()))
        }
        (Some(patterns), _) => expand_all(patterns).map(HomeSelection::Paths),
        (None, Caller::Root) => Ok(HomeSelection::Under(HOMES.into())),
        (None, Caller::User) => match std::env::home_dir() {
            Some(home) if home.is_absolute() => Ok(HomeSelection::Paths(vec![home])),
            _ => Err(CliError::Usage("you have no home directory; name what is to be saved".into())),
        },
    }
}

/// Paths in a snapshot are absolute.
fn absolute(folder: &Path) -> Result<PathBuf, CliError> {
    folder.canonicalize().map_err(|source| CliError::File { flag: "--homes", path: folder.into(), source })
}

/// `DIR/*` means every directory in `DIR`, also those that are missed there later.
fn whole_folder(pattern: &str) -> Option<&str> {
    let folder = pattern.strip_suffix("/*")?;
    (!folder.is_empty() && !has_wildcard(folder)).then_some(folder)
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

fn expand_all(patterns: &[String]) -> Result<Vec<PathBuf>, CliError> {
    let mut paths = Vec::new();
    for pattern in patterns {
        let expanded = expand(pattern);
        if expanded.is_empty() {
            return Err(CliError::Usage(format!(
                "no directory matches {pattern:?} (homes in the configuration)"
            )));
        }
        paths.extend(expanded);
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// The directories that a pattern names. One without wildcards names itself, there or not: a home that is
/// missing must be noticed.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from(if pattern.starts_with('/') { "/" } else { "" })];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        if !has_wildcard(component) {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        }
        found = found.iter().flat_map(|folder| matching(folder, component)).collect();
    }
    if has_wildcard(pattern) {
        found.retain(|path| path.is_dir());
    }
    found
}

fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(here) else { return Vec::new() };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    let wanted = names.filter(|name| is_match(pattern.as_bytes(), name.as_encoded_bytes()));
    let mut paths: Vec<_> = wanted.map(|name| folder.join(name)).collect();
    paths.sort();
    paths
}

/// `*` is any run of bytes, `?` one byte; a leading dot is matched by a dot only.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n + 1));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    (p, n) = (after, from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_within_a_name() {
        for (pattern, name) in
            [("*", "ann"), ("a*", "ann"), ("*n", "ann"), ("a?n", "ann"), ("*a*b*", "xaybz")]
        {
            assert!(is_match(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ann"), ("?", "ab"), ("*b", "ba"), ("*", ".hidden"), ("", "a")] {
            assert!(!is_match(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_become_directories_and_a_literal_stays_even_when_missing() {
        let folder = tempfile::tempdir().unwrap();
        for home in ["a/ann", "b/bob", "b/.hidden"] {
            std::fs::create_dir_all(folder.path().join(home)).unwrap();
        }
        std::fs::write(folder.path().join("b/file"), "").unwrap();
        let pattern = |text: &str| format!("{}/{text}", folder.path().display());
        let expanded = expand_all(&[pattern("?/*"), pattern("b/bob"), pattern("missing")]).unwrap();
        assert_eq!(expanded, ["a/ann", "b/bob", "missing"].map(|p| folder.path().join(p)));
        assert!(matches!(expand_all(&[pattern("z*")]), Err(CliError::Usage(_))));
    }

    #[test]
    fn a_whole_folder_is_watched_for_homes_that_go_missing() {
        let select = |patterns: &[String]| {
            let named = Named { paths: &[], folder: None, patterns: Some(patterns) };
            select(named, Caller::Root).unwrap()
        };
        assert_eq!(select(&["/home/*".into()]), HomeSelection::Under("/home".into()));
        assert_eq!(select(&["/x".into(), "/y".into()]), HomeSelection::Paths(vec!["/x".into(), "/y".into()]));
        let nothing = Named { paths: &[], folder: None, patterns: None };
        assert_eq!(super::select(nothing, Caller::Root).unwrap(), HomeSelection::Under("/home".into()));
    }
}
