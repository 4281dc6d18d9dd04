//! Marks homes that are being restored, in the cache of this machine. A restore may be killed, or a backup may run beside it:
//! half a home must not become the state that the next restore brings back. So a home with a mark is saved, and
//! not taken for its user's state, until a restore has ended or an admin confirms it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The folder in the cache.
const FOLDER: &str = "restoring";

/// A mark on a home.
#[derive(Debug)]
pub struct Marker(PathBuf);

impl Marker {
    /// The mark of the home in this place, whether or not it is set.
    pub fn of(cache: &Path, home: &Path) -> Self {
        let home = home.canonicalize().unwrap_or_else(|_| home.to_path_buf());
        let name = blake3::hash(home.as_os_str().as_bytes()).to_hex();
        Self(cache.join(FOLDER).join(&name[..32]))
    }

    /// Sets it, before anything of the home is touched. It says which home it is about, for people.
    pub fn set(&self, home: &Path) -> io::Result<()> {
        if let Some(folder) = self.0.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = fs::File::create(&self.0)?;
        file.write_all(home.as_os_str().as_bytes())?;
        file.sync_all()
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.0.exists()
    }

    /// Removes it. One that stays is only told too often.
    pub fn clear(&self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_homes_own_however_its_path_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, home) = (folder.path().join("cache"), folder.path().join("home"));
        fs::create_dir(&home).unwrap();
        Marker::of(&cache, &home).set(&home).unwrap();
        assert!(Marker::of(&cache, &home.join("../home/")).is_set());
        assert!(!Marker::of(&cache, folder.path()).is_set());
        Marker::of(&cache, &home).clear();
        assert!(!Marker::of(&cache, &home).is_set());
    }
}
