//! Keeps two backups of one repository, copies into it, or two prunes, on one machine from doing the same work twice. Knows the lock, which
//! the kernel releases with the process, so that nothing is ever left behind. Safety does not rest on it.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::CliError;

/// Held while a backup, a copy or a prune runs.
#[derive(Debug)]
pub struct BusyLock(#[expect(dead_code, reason = "what counts is that it stays open")] File);

impl BusyLock {
    /// Takes the lock of backups in a repository's cache folder, or fails at once.
    pub fn take(cache: &Path) -> Result<Self, CliError> {
        Self::take_named(cache, "backup.lock", "backup of this repository, or a copy into it,")
    }

    /// Takes the lock of prunes, which do not keep backups waiting.
    pub fn of_prune(cache: &Path) -> Result<Self, CliError> {
        Self::take_named(cache, "prune.lock", "prune of this repository")
    }

    fn take_named(cache: &Path, file: &str, what: &'static str) -> Result<Self, CliError> {
        let path = cache.join(file);
        let error = |source| CliError::Lock { path: path.clone(), source };
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(error)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(Errno::WOULDBLOCK) => Err(CliError::Busy(what)),
            Err(errno) => Err(error(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_until_the_first_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let first = BusyLock::take(folder.path()).unwrap();
        assert!(matches!(BusyLock::take(folder.path()), Err(CliError::Busy(_))));
        drop(first);
        BusyLock::take(folder.path()).unwrap();
    }
}
