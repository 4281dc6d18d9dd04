//! The key file: 32 random bytes as a line of text that survives being printed and typed.
//! Knows its text and its permissions, not what it opens.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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
        let secret = match parse(&text) {
            Some(Ok(secret)) => secret,
            Some(Err(())) => return Err(KeyFileError::Damaged(path.into())),
            None => return Err(KeyFileError::NoKey(path.into())),
        };
        Ok(Self { secret, exposed })
    }

    /// Writes `secret` to a new file that only its owner can read, durably.
    pub fn create(path: &Path, secret: &[u8; 32]) -> Result<(), KeyFileError> {
        let io = |source| KeyFileError::Io { path: path.into(), source };
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(io)?;
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyFileError::Exists(path.into()));
            }
            opened => opened.map_err(io)?,
        };
        file.write_all(render(secret).as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(io)
    }
}

fn render(secret: &[u8; 32]) -> Zeroizing<String> {
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

/// The key in `text`: none without a key line, an error when the line is damaged.
fn parse(text: &[u8]) -> Option<Result<Zeroizing<[u8; 32]>, ()>> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.lines().find_map(|line| line.trim().strip_prefix(PREFIX))?;
    let mut bytes = Zeroizing::new([0; 36]);
    if digits.len() != 72 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(Err(()));
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        match u8::from_str_radix(&digits[2 * n..2 * n + 2], 16) {
            Ok(value) => *byte = value,
            Err(_) => return Some(Err(())),
        }
    }
    let secret = Zeroizing::new(<[u8; 32]>::try_from(&bytes[..32]).expect("32 of 36"));
    if checksum(&secret) == bytes[32..] { Some(Ok(secret)) } else { Some(Err(())) }
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
    }

    #[test]
    fn missing_empty_and_mistyped_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(matches!(KeyFile::read(&path), Err(KeyFileError::Missing(_))));
        std::fs::write(&path, "nothing").unwrap();
        assert!(matches!(KeyFile::read(&path), Err(KeyFileError::NoKey(_))));
        let mut text = render(&[0xa5; 32]).clone();
        let at = text.len() - 20;
        let other = if &text[at..at + 1] == "0" { "1" } else { "0" };
        text.replace_range(at..at + 1, other);
        std::fs::write(&path, text.as_bytes()).unwrap();
        assert!(matches!(KeyFile::read(&path), Err(KeyFileError::Damaged(_))));
        // What a number parser takes for a digit is not one.
        let text = render(&[0x05; 32]).replacen("05", "+5", 1);
        std::fs::write(&path, text).unwrap();
        assert!(matches!(KeyFile::read(&path), Err(KeyFileError::Damaged(_))));
    }
}
