//! File systems for the time of a test. Mounting takes root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::run;

/// Something mounted; unmounted when dropped.
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts at a folder, which is made if there is none. `arguments` are mount's own.
    pub fn new(at: &Path, arguments: &[&str]) -> Self {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(arguments).arg(at);
        run(mount, "mount");
        Self(at.into())
    }

    /// A file system in memory with room for so many bytes and files.
    pub fn with_room(at: &Path, room: &str) -> Self {
        Self::new(at, &["-t", "tmpfs", "-o", room, "none"])
    }

    /// Changes its options, such as how much room there is.
    pub fn change(&self, options: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{options}")]).arg(&self.0);
        run(mount, "mount");
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        umount.arg("-l").arg(&self.0);
        run(umount, "mount");
    }
}
