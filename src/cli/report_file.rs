//! A file of results that others read while it is renewed: they see the old one or the new one, whole. It replaces
//! nothing but a file of its own kind. Knows no format.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::CliError;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// What it is called in messages.
    pub name: &'static str,
    /// What each begins with, and nothing else does.
    pub mark: &'static str,
    /// The mode of a new one. One that replaces another has the other's.
    pub mode: u32,
}

/// A file that may be written.
#[derive(Debug)]
pub struct ReportFile {
    path: PathBuf,
    kind: Kind,
    mode: u32,
}

impl ReportFile {
    /// Looks at what is there. To be asked before any work is done for the file.
    pub fn open(path: &Path, kind: Kind) -> Result<Self, CliError> {
        let unwritable = |source| CliError::Write { path: path.into(), source };
        if path.file_name().is_none() {
            return Err(unwritable(io::ErrorKind::IsADirectory.into()));
        }
        let mode = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => kind.mode,
            Err(error) => return Err(unwritable(error)),
            Ok(metadata) if metadata.is_file() && is_of(path, kind).map_err(unwritable)? => {
                metadata.permissions().mode() & 0o777
            }
            Ok(_) => return Err(CliError::OtherFile { path: path.into(), what: kind.name }),
        };
        Ok(Self { path: path.into(), kind, mode })
    }

    /// Puts a new file in its place.
    pub fn write(&self, text: &str) -> Result<(), CliError> {
        debug_assert!(text.starts_with(self.kind.mark), "or it could not be replaced");
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        // No collector of metrics takes a name that begins with a dot and ends so.
        let new = self.path.with_file_name(format!(".{name}.{}.new", std::process::id()));
        let written = write_new(&new, self.mode, text).and_then(|()| fs::rename(&new, &self.path));
        written.map_err(|source| {
            // If it cannot be removed, the error that is told is the one that matters.
            let _ = fs::remove_file(&new);
            CliError::Write { path: self.path.clone(), source }
        })
    }
}

/// Whether a file is of the kind. An empty one is anybody's.
fn is_of(path: &Path, kind: Kind) -> io::Result<bool> {
    let mut begin = Vec::new();
    File::open(path)?.take(kind.mark.len() as u64).read_to_end(&mut begin)?;
    Ok(begin.is_empty() || begin == kind.mark.as_bytes())
}

fn write_new(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    // One of this process's number is of a process that was killed.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    // The umask is for secrets.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { name: "list", mark: "# list\n", mode: 0o640 };

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let write = |text: &str| ReportFile::open(&path, KIND).unwrap().write(text).unwrap();
        write("# list\n1");
        assert_eq!(mode(&path), 0o640);
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        let old = File::open(&path).unwrap();
        write("# list\n2");
        assert_eq!((fs::read_to_string(&path).unwrap(), mode(&path)), ("# list\n2".into(), 0o604));
        assert_eq!(io::read_to_string(old).unwrap(), "# list\n1");
        fs::write(&path, "").unwrap();
        write("# list\n3");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_is_something_else_stands() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "# lis").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join("link")).unwrap();
        for name in ["other", "link", "."] {
            let opened = ReportFile::open(&folder.path().join(name), KIND);
            assert!(matches!(opened, Err(CliError::OtherFile { .. })), "{name}: {opened:?}");
        }
        assert_eq!(fs::read_to_string(&other).unwrap(), "# lis");
        let nowhere = ReportFile::open(&folder.path().join("no/where"), KIND).unwrap().write("# list\n");
        assert!(matches!(nowhere, Err(CliError::Write { .. })), "{nowhere:?}");
    }
}
