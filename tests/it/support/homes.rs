//! Makes what homes are made of.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

use super::run;

/// A time long before every test, in seconds since 1970.
pub const LONG_AGO: i64 = 1_600_000_000;

/// Sets an access control list, as `setfacl` takes it.
pub fn set_acl(path: &Path, arguments: &[&str]) {
    let mut command = Command::new("setfacl");
    command.args(arguments).arg(path);
    run(command, "acl");
}

/// Sets an extended attribute.
pub fn set_xattr(path: &Path, name: &str, value: &str) {
    let mut command = Command::new("setfattr");
    command.args(["-h", "-n", name, "-v", value]).arg(path);
    run(command, "attr");
}

/// Sets the modification time, of a link its own.
pub fn set_mtime(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Makes a named pipe or a socket.
pub fn make_node(path: &Path, kind: FileType) {
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o640), 0).unwrap();
}

/// Writes a file whose modification time is long past, as of nearly all files.
pub fn write_old(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::write(path, bytes).unwrap();
    set_mtime(path, LONG_AGO, 123_456_789);
}

/// A little of everything that a home can have and every tool brings back.
pub fn plant(home: &Path) {
    for directory in ["empty", "work/deep/er", "shared"] {
        fs::create_dir_all(home.join(directory)).unwrap();
    }
    write_old(&home.join("nothing"), "");
    write_old(&home.join("notes"), "the quick brown fox\n".repeat(400));
    write_old(&home.join("work/data"), noise(1, 150_000));
    write_old(&home.join("work/deep/er/script"), "#!/bin/sh\n");
    fs::set_permissions(home.join("work/deep/er/script"), PermissionsExt::from_mode(0o750)).unwrap();
    fs::hard_link(home.join("work/data"), home.join("shared/data")).unwrap();
    symlink("notes", home.join("link")).unwrap();
    symlink("nowhere/at all", home.join("work/dangling")).unwrap();
    make_node(&home.join("pipe"), FileType::Fifo);
    set_xattr(&home.join("notes"), "user.note", "kept");
    set_acl(&home.join("shared"), &["-m", "u:12345:rx", "-d", "-m", "g:12345:rwx"]);
    write_sparse(&home.join("work/holes"));
    for path in ["pipe", "link", "work/dangling", "work/deep/er", "work/deep", "work", "empty", "shared", ""]
    {
        set_mtime(&home.join(path), LONG_AGO, 1);
    }
}

/// Holes at the beginning, in the middle and at the end of 8 MB.
pub fn write_sparse(path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(8 << 20).unwrap();
    for start in [1 << 20, 5 << 20] {
        file.write_all_at(&noise(start, 100_000), start).unwrap();
    }
    set_mtime(path, LONG_AGO, 5);
}

/// Bytes that do not compress and repeat nowhere, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
