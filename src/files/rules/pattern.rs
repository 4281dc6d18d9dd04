//! One line of an exclude list, read. Knows globs, not where the line came from.

use std::borrow::Cow;

use super::glob::{self, MAX_PATTERN_LEN, NameGlob, PatternError};

/// A pattern as gitignore understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// `!`: what it matches is kept.
    pub(super) negated: bool,
    /// It ends in `/`.
    pub(super) directories_only: bool,
    /// It begins with `/`.
    pub(super) anchored: bool,
    /// Any of them may match; braces make several.
    pub(super) shapes: Vec<Shape>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// The name of an entry, at any depth.
    Name(NameGlob),
    /// The way to an entry. [`Component::AnyDepth`] is never last and never follows itself.
    Path(Box<[Component]>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Component {
    /// `**`: no directory, or any number of them.
    AnyDepth,
    /// One entry.
    Name(NameGlob),
}

/// Whether upper and lower case differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Sensitive,
    Ignored,
}

impl Case {
    /// `bytes` as they are compared: pattern and name go through the same.
    pub(super) fn fold(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        let is_folded = |byte: &u8| byte.is_ascii() && !byte.is_ascii_uppercase();
        if self == Self::Sensitive || bytes.iter().all(is_folded) {
            return Cow::Borrowed(bytes);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => text.to_lowercase().into_bytes().into(),
            Err(_) => bytes.to_ascii_lowercase().into(),
        }
    }
}

impl Pattern {
    /// Reads a pattern that is no comment.
    pub(super) fn parse(text: &[u8], case: Case) -> Result<Self, PatternError> {
        if text.len() > MAX_PATTERN_LEN {
            return Err(PatternError::TooLong);
        }
        let (negated, text) = strip(text, |text| text.strip_prefix(b"!"));
        let (anchored, text) = strip(text, |text| text.strip_prefix(b"/"));
        let (directories_only, text) = strip(text, |text| text.strip_suffix(b"/"));
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let is_path = anchored || text.contains(&b'/');
        let read = |one: &Vec<u8>| if is_path { path(one) } else { name(one).map(Shape::Name) };
        let shapes = glob::alternatives(&case.fold(text))?.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { negated, directories_only, anchored, shapes })
    }
}

/// What `by` leaves of the text, and whether it took anything off.
fn strip(text: &[u8], by: impl Fn(&[u8]) -> Option<&[u8]>) -> (bool, &[u8]) {
    by(text).map_or((false, text), |rest| (true, rest))
}

fn name(text: &[u8]) -> Result<NameGlob, PatternError> {
    match text {
        b"" | b"." | b".." => Err(PatternError::Component),
        text => NameGlob::parse(text),
    }
}

fn path(text: &[u8]) -> Result<Shape, PatternError> {
    let mut components = Vec::new();
    for part in text.split(|byte| *byte == b'/') {
        match part {
            b"**" if components.last() == Some(&Component::AnyDepth) => {}
            b"**" => components.push(Component::AnyDepth),
            part => components.push(Component::Name(name(part)?)),
        }
    }
    if components.last() == Some(&Component::AnyDepth) {
        components.push(Component::Name(NameGlob::parse(b"*")?));
    }
    // `**/name` is the name at any depth, and names are cheaper to look for.
    match <[Component; 2]>::try_from(components) {
        Ok([Component::AnyDepth, Component::Name(name)]) => Ok(Shape::Name(name)),
        Ok(other) => Ok(Shape::Path(other.into())),
        Err(components) => Ok(Shape::Path(components.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Pattern, PatternError> {
        Pattern::parse(text.as_bytes(), Case::Sensitive)
    }

    #[test]
    fn the_marks_around_a_pattern_are_told_from_it() {
        let pattern = parse("!/a/").unwrap();
        assert!(pattern.negated && pattern.anchored && pattern.directories_only);
        let pattern = parse("\\!a").unwrap();
        assert_eq!(pattern.shapes, [Shape::Name(NameGlob::Literal((*b"!a").into()))]);
        assert!(!pattern.negated && !pattern.anchored && !pattern.directories_only);
    }

    #[test]
    fn a_name_at_any_depth_is_the_same_with_and_without_stars_before_it() {
        assert_eq!(parse("**/a").unwrap().shapes, parse("a").unwrap().shapes);
        assert_ne!(parse("/a").unwrap().shapes, parse("a").unwrap().shapes);
        assert_eq!(parse("a/**").unwrap().shapes, parse("a/**/**/*").unwrap().shapes);
    }

    #[test]
    fn what_can_never_match_is_refused() {
        for text in ["a//b", "./a", "a/../b", "//a", ".", "{a,}"] {
            assert_eq!(parse(text), Err(PatternError::Component), "{text}");
        }
        for text in ["", "!", "/", "!/"] {
            assert_eq!(parse(text), Err(PatternError::Empty), "{text}");
        }
        assert_eq!(parse("[a/b]"), Err(PatternError::UnclosedClass));
        assert_eq!(parse(&"a".repeat(5000)), Err(PatternError::TooLong));
    }

    #[test]
    fn case_is_ignored_beyond_ascii_and_without_harm_to_other_bytes() {
        assert_eq!(Case::Ignored.fold("ÀB".as_bytes()), "àb".as_bytes());
        assert_eq!(*Case::Ignored.fold(b"A\xff"), *b"a\xff");
        assert!(matches!(Case::Ignored.fold(b"ab"), Cow::Borrowed(_)));
        assert!(matches!(Case::Sensitive.fold(b"AB"), Cow::Borrowed(_)));
    }
}
