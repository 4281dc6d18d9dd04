//! A path below a home, as bytes. Knows how it is written and how it grows, not what lies there.

use std::fmt;

/// Components joined by `/`, none of them empty, `.` or `..`; no components: the home itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HomePath(Vec<u8>);

/// What was typed leads out of the home, or nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{:?} is not a path in a home: `..` and NUL lead nowhere in a snapshot", String::from_utf8_lossy(.0))]
pub struct ParsePathError(pub Vec<u8>);

impl HomePath {
    /// The home itself.
    pub fn home() -> Self {
        Self::default()
    }

    /// Reads what a person typed; `/` too many and `.` are passed over.
    pub fn parse(text: &[u8]) -> Result<Self, ParsePathError> {
        let mut path = Self::home();
        for name in text.split(|byte| *byte == b'/') {
            match name {
                b"" | b"." => {}
                b".." => return Err(ParsePathError(text.to_vec())),
                name if name.contains(&0) => return Err(ParsePathError(text.to_vec())),
                name => path.push(name),
            }
        }
        Ok(path)
    }

    /// The path's bytes, without a `/` at either end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the home itself.
    pub fn is_home(&self) -> bool {
        self.0.is_empty()
    }

    /// The names on the way, from the home down.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
    }

    /// Goes down to `name`, which is one component.
    pub fn push(&mut self, name: &[u8]) {
        if !self.0.is_empty() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name);
    }

    /// Goes up; the home stays where it is.
    pub fn pop(&mut self) {
        let parent = self.0.iter().rposition(|byte| *byte == b'/');
        self.0.truncate(parent.unwrap_or(0));
    }

    /// This path with `name` below it.
    pub fn join(&self, name: &[u8]) -> Self {
        let mut path = self.clone();
        path.push(name);
        path
    }
}

impl fmt::Display for HomePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_home() {
            true => f.write_str("the home"),
            false => f.write_str(&String::from_utf8_lossy(&self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_loses_what_means_nothing() {
        for text in ["a/b", "/a/b", "a//b/", "./a/./b"] {
            assert_eq!(HomePath::parse(text.as_bytes()).unwrap().as_bytes(), b"a/b", "{text}");
        }
        assert!(HomePath::parse(b"/").unwrap().is_home());
        assert!(HomePath::parse(b"a/../b").is_err() && HomePath::parse(b"a\0").is_err());
    }

    #[test]
    fn a_path_grows_and_shrinks_by_one_name() {
        let mut path = HomePath::home().join(b"a").join(b"\xff");
        assert_eq!(path.components().collect::<Vec<_>>(), [&b"a"[..], b"\xff"]);
        path.pop();
        assert_eq!(path.as_bytes(), b"a");
        path.pop();
        path.pop();
        assert!(path.is_home());
    }
}
