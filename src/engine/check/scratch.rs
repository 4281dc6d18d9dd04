//! A folder for files that are restored only to be looked at. Only its owner can look into it, and it goes with
//! everything in it.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::CheckError;

/// Names begin so, and end in the number of the process that made them.
const PREFIX: &str = "restore-sample-";

/// The folder.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one in `folder`, and removes what processes left there that were killed.
    pub fn create(folder: &Path) -> Result<Self, CheckError> {
        let own = folder.join(format!("{PREFIX}{}", std::process::id()));
        let make = || {
            std::fs::create_dir_all(folder)?;
            remove_left(folder)?;
            DirBuilder::new().mode(0o700).create(&own)
        };
        make().map_err(|source| CheckError::Scratch { path: folder.into(), source })?;
        Ok(Self(own))
    }

    /// A new folder in it.
    pub fn folder(&self, number: usize) -> Result<PathBuf, CheckError> {
        let path = self.0.join(number.to_string());
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(CheckError::Scratch { path, source }),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next one.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn remove_left(folder: &Path) -> io::Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|pid| pid.parse().ok());
        if maker.is_some_and(|maker: u32| maker == std::process::id() || !is_running(maker)) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn is_running(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_its_files_and_takes_what_killed_processes_left() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(format!("{PREFIX}{}", u32::MAX));
        let other = folder.path().join("seen.sqlite");
        std::fs::create_dir_all(left.join("0")).unwrap();
        std::fs::write(&other, "").unwrap();
        let scratch = Scratch::create(folder.path()).unwrap();
        std::fs::write(scratch.folder(1).unwrap().join("file"), "text").unwrap();
        assert!(!left.exists());
        drop(scratch);
        let rest: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(rest, [other]);
    }
}
