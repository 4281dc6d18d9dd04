//! A file of patterns, line by line. Knows comments and line ends, not what a pattern means.

use std::path::PathBuf;

use super::Origin;

/// The name of git's own.
pub(super) const GIT_IGNORE: &str = ".gitignore";
/// How long the ignore files that hold for one directory may be together. Any user may write them,
/// and each of their patterns is tried on every name below.
pub const MAX_IGNORE_BYTES: usize = 64 << 10;

/// A file of patterns that someone has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternFile {
    /// Where it is: for messages, and for its name, which tells whose rules it follows.
    pub path: PathBuf,
    /// All of it; or, of an ignore file, a byte more than [`MAX_IGNORE_BYTES`] at most.
    pub bytes: Vec<u8>,
}

impl PatternFile {
    /// Its patterns and where each stands; empty lines and comments are none.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (Origin, &[u8])> {
        let bytes = self.bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&self.bytes);
        let lines = bytes.split(|byte| *byte == b'\n').map(without_trailing_space).enumerate();
        let patterns = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"));
        patterns.map(|(index, line)| (Origin::Line(self.path.clone(), index + 1), line))
    }

    pub(super) fn is_git_ignore(&self) -> bool {
        self.path.ends_with(GIT_IGNORE)
    }
}

/// A space at the end counts only after a `\`.
fn without_trailing_space(line: &[u8]) -> &[u8] {
    let trimmed = line.trim_ascii_end();
    let is_escaped = trimmed.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
    if is_escaped && line.get(trimmed.len()) == Some(&b' ') { &line[..=trimmed.len()] } else { trimmed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blanks_and_line_ends_are_no_patterns() {
        let text = b"\xef\xbb\xbf# c\n\na \t\r\n\\#b\n c\\ \nd\\\\ \n!\xff";
        let file = PatternFile { path: "f".into(), bytes: text.to_vec() };
        let found: Vec<_> = file.patterns().map(|(origin, line)| (origin.to_string(), line)).collect();
        let expected: [(&str, &[u8]); 5] =
            [("f:3", b"a"), ("f:4", b"\\#b"), ("f:5", b" c\\ "), ("f:6", b"d\\\\"), ("f:7", b"!\xff")];
        assert_eq!(found, expected.map(|(origin, line)| (origin.to_string(), line)));
    }
}
