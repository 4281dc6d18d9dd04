//! The key file: 32 random bytes as a line of text that survives being printed and typed.
//! Knows its text and its permissions, not what it opens.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use zeroize::Zeroizing;

const PREFIX: &str = "homekeep-key-1-";
/// Nothing of a key file is beyond this many bytes.
const MAX_LEN: u64 = 64 << 10;

/// The secret in a key file.
pub struct KeyFile {
    /// What opens a slot.
    pub secret: Zeroizing<[u8; 32]>,
    /// Others on this machine can read the file.
    pub exposed: bool,
}

/// What can be wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is none.
    #[error("key file {0} does not exist. Bring back your copy of it, or name another with --key-file")]
    Missing(PathBuf),
    /// One is already there; it may be the only key to something.
    #[error("key file {0} exists already and is not overwritten")]
    Exists(PathBuf),
    /// It has no key.
    #[error("{0} holds no homekeep key (a line that begins with {PREFIX:?})")]
    NoKey(PathBuf),
    /// A key, but not as it was written.
    #[error("the key in {0} is damaged: its checksum is wrong. Use another copy of it")]
    Damaged(PathBuf),
    /// It cannot be read or written.
    #[error("cannot access key file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl KeyFile {
    /// Reads the key from a file.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let io = |source| KeyFileError::Io { path: path.into(), source };
        let file = match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(KeyFileError::Missing(path.into())),
            opened => opened.map_err(io)?,
        };
        let exposed = file.metadata().map_err(io)?.mode() & 0o077 != 0;
        let mut text = Zeroizing::new(Vec::new());
        file.take(MAX_LEN).read_to_end(&mut text).map_err(io)?;
        let secret = parse_key(&text).map_err(|error| match error {
            KeyTextError::NoKey => KeyFileError::NoKey(path.into()),
            KeyTextError::Damaged => KeyFileError::Damaged(path.into()),
        })?;
        Ok(Self { secret, exposed })
    }

    /// Writes `secret` to a new file that only its owner can read, durably. Interrupted at any instant, it
    /// leaves no key file or a whole one: half of one would stand in the way of the next try.
    pub fn create(path: &Path, secret: &[u8; 32]) -> Result<(), KeyFileError> {
        let io = |source| KeyFileError::Io { path: path.into(), source };
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(io)?;
        let temporary = temporary_beside(path).map_err(io)?;
        let published = write_new(&temporary, secret).and_then(|()| take_free_name(&temporary, path));
        if published.is_err() {
            // The error to report is the first one.
            let _ = std::fs::remove_file(&temporary);
        }
        published.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.into()),
            _ => io(source),
        })?;
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(io)
    }
}

fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".tmp-{:016x}", u64::from_ne_bytes(random)));
    Ok(path.with_file_name(name))
}

fn write_new(path: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(render_key(secret).as_bytes())?;
    file.sync_all()
}

/// Gives the file its name unless that is taken. Where rename cannot refuse to replace, as on NFS, a hard
/// link does.
fn take_free_name(temporary: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, temporary, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            std::fs::hard_link(temporary, path)?;
            std::fs::remove_file(temporary)
        }
        renamed => Ok(renamed?),
    }
}

/// A key file's text.
pub fn render_key(secret: &[u8; 32]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::from(
        "# The key to a homekeep repository. Without it nothing can be restored; whoever has it\n\
         # can read everything. Keep a copy in a safe place that is not this machine.\n",
    ));
    text.push_str(PREFIX);
    for byte in secret.iter().chain(&checksum(secret)) {
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('\n');
    text
}

/// Why a text gives no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyTextError {
    /// It has no key line.
    NoKey,
    /// It has one, which is not as it was written.
    Damaged,
}

/// The secret on the first key line of `text`.
pub fn parse_key(text: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyTextError> {
    let text = std::str::from_utf8(text).map_err(|_| KeyTextError::NoKey)?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix(PREFIX));
    let digits = line.ok_or(KeyTextError::NoKey)?;
    let mut bytes = Zeroizing::new([0; 36]);
    if digits.len() != 72 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(KeyTextError::Damaged);
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).expect("two hexadecimal digits");
    }
    let secret = Zeroizing::new(<[u8; 32]>::try_from(&bytes[..32]).expect("32 of 36"));
    if checksum(&secret) == bytes[32..] { Ok(secret) } else { Err(KeyTextError::Damaged) }
}

/// Four bytes that notice a mistyped digit.
fn checksum(secret: &[u8; 32]) -> [u8; 4] {
    let hash = blake3::derive_key("homekeep 2026-11-24 key file checksum", secret);
    hash[..4].try_into().expect("4 of 32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_reads_back_is_private_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/key");
        KeyFile::create(&path, &[0xa5; 32]).unwrap();
        let read = KeyFile::read(&path).unwrap();
        assert_eq!(*read.secret, [0xa5; 32]);
        assert!(!read.exposed);
        assert!(matches!(KeyFile::create(&path, &[1; 32]), Err(KeyFileError::Exists(_))));
        assert_eq!(*KeyFile::read(&path).unwrap().secret, [0xa5; 32]);
        let beside = std::fs::read_dir(folder.path().join("new")).unwrap();
        assert_eq!(beside.count(), 1, "something temporary was left");
    }

    #[test]
    fn missing_empty_and_mistyped_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(matches!(KeyFile::read(&path), Err(KeyFileError::Missing(_))));
        std::fs::write(&path, "nothing").unwrap();
        assert!(matches!(KeyFile::read(&path), Err(KeyFileError::NoKey(_))));
        let mut text = render_key(&[0xa5; 32]).clone();
        let at = text.len() - 20;
        let other = if &text[at..at + 1] == "0" { "1" } else { "0" };
        text.replace_range(at..at + 1, other);
        std::fs::write(&path, text.as_bytes()).unwrap();
        assert!(matches!(KeyFile::read(&path), Err(KeyFileError::Damaged(_))));
        // What a number parser takes for a digit is not one.
        let text = render_key(&[0x05; 32]).replacen("05", "+5", 1);
        std::fs::write(&path, text).unwrap();
        assert!(matches!(KeyFile::read(&path), Err(KeyFileError::Damaged(_))));
    }
}
