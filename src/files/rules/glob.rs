//! Globs for one name: `*`, `?`, `[a-z]`, `{a,b}` and `\` on bytes. Knows no path and no file system.
//!
//! Patterns come from files that any user may write, and are tried on every name of every home. So
//! nothing here compiles, allocates or caches while matching, the work is bounded by the length of
//! the pattern times that of the name, and a name need not be UTF-8: `?` and classes take a whole
//! character where there is one, and a single byte where there is none.

/// Longest pattern, in bytes: no path that a system call accepts is longer.
pub(super) const MAX_PATTERN_LEN: usize = 4096;
/// What a pattern with `{…}` may come to; nested groups multiply.
pub(super) const MAX_ALTERNATIVES: usize = 64;
/// Bytes that belong to no character stand behind all characters, so that no range holds them.
const STRAY_BYTES: u32 = char::MAX as u32 + 1;

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing is left of it.
    #[error("it is empty")]
    Empty,
    /// It has `//`, `.` or `..` in it.
    #[error("an empty component, `.` or `..` matches nothing; write it relative to where it applies")]
    Component,
    /// `[` without `]`.
    #[error("`[` has no `]` before the next `/`; write `\\[` for the character itself")]
    UnclosedClass,
    /// `[z-a]`.
    #[error("a range in `[…]` ends before it begins")]
    BackwardRange,
    /// `{` without `}`, or the other way round.
    #[error("`{{` and `}}` do not pair; write `\\{{` or `\\}}` for the character itself")]
    UnpairedBrace,
    /// `\` at the end of the pattern or of a component.
    #[error("`\\` has nothing to escape")]
    DanglingEscape,
    /// More than fits a path.
    #[error("it is longer than {MAX_PATTERN_LEN} bytes")]
    TooLong,
    /// `{a,b}{c,d}…` without end.
    #[error("its braces come to more than {MAX_ALTERNATIVES} patterns")]
    TooManyAlternatives,
}

/// A glob for the name of one entry, in the shape that is cheapest to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NameGlob {
    /// This name.
    Literal(Box<[u8]>),
    /// One `*`, with these bytes before and after it.
    Affixes(Box<[u8]>, Box<[u8]>),
    /// Anything else.
    Tokens(Box<[Token]>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Byte(u8),
    /// `?`
    One,
    /// `*`
    Many,
    Class(Class),
}

impl NameGlob {
    /// Reads a glob without `/` whose braces are resolved.
    pub(super) fn parse(text: &[u8]) -> Result<Self, PatternError> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(&first) = rest.first() {
            let length = item_len(rest)?;
            match first {
                b'*' if tokens.last() == Some(&Token::Many) => {}
                b'*' => tokens.push(Token::Many),
                b'?' => tokens.push(Token::One),
                b'[' => tokens.push(Token::Class(Class::parse(&rest[1..length - 1])?)),
                b'\\' => tokens.push(Token::Byte(rest[1])),
                byte => tokens.push(Token::Byte(byte)),
            }
            rest = &rest[length..];
        }
        Ok(Self::simplest(tokens))
    }

    fn simplest(tokens: Vec<Token>) -> Self {
        let literal = |tokens: &[Token]| -> Option<Box<[u8]>> {
            tokens.iter().map(|token| if let Token::Byte(b) = token { Some(*b) } else { None }).collect()
        };
        let simple = match tokens.iter().position(|token| *token == Token::Many) {
            None => literal(&tokens).map(Self::Literal),
            Some(star) => literal(&tokens[..star])
                .zip(literal(&tokens[star + 1..]))
                .map(|(prefix, suffix)| Self::Affixes(prefix, suffix)),
        };
        simple.unwrap_or_else(|| Self::Tokens(tokens.into()))
    }

    /// Whether the glob covers the whole name.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Literal(literal) => **literal == *name,
            Self::Affixes(prefix, suffix) => {
                // Byte by byte from the ends: most names differ in the first, and a call would cost more.
                name.len() >= prefix.len() + suffix.len()
                    && prefix.iter().zip(name).all(|(a, b)| a == b)
                    && suffix.iter().rev().zip(name.iter().rev()).all(|(a, b)| a == b)
            }
            Self::Tokens(tokens) => tokens_match(tokens, name),
        }
    }
}

/// Goes forward; where that fails, the last `*` takes one character more. An earlier `*` never has
/// to be tried again: what it could take, the last one can.
fn tokens_match(tokens: &[Token], name: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    loop {
        let taken = match tokens.get(token) {
            None if at == name.len() => return true,
            None => None,
            Some(Token::Many) => {
                last_star = Some((token + 1, at));
                Some(0)
            }
            Some(other) => other.take(&name[at..]),
        };
        if let Some(length) = taken {
            (token, at) = (token + 1, at + length);
            continue;
        }
        match &mut last_star {
            Some((after, from)) if *from < name.len() => {
                *from += first_unit(&name[*from..]).1;
                (token, at) = (*after, *from);
            }
            _ => return false,
        }
    }
}

impl Token {
    /// How many bytes at the start of `rest` the token covers, if it covers any.
    fn take(&self, rest: &[u8]) -> Option<usize> {
        let &first = rest.first()?;
        match self {
            Self::Byte(byte) => (*byte == first).then_some(1),
            Self::One => Some(first_unit(rest).1),
            Self::Class(class) => {
                let (unit, length) = first_unit(rest);
                class.contains(unit).then_some(length)
            }
            Self::Many => None,
        }
    }
}

/// What stands between `[` and `]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Class {
    negated: bool,
    ranges: Box<[(u32, u32)]>,
}

impl Class {
    fn parse(inside: &[u8]) -> Result<Self, PatternError> {
        let negated = matches!(inside.first(), Some(b'!' | b'^'));
        let mut rest = &inside[usize::from(negated)..];
        let mut ranges = Vec::new();
        while !rest.is_empty() {
            let first = take_class_unit(&mut rest);
            let mut range = (first, first);
            if rest.len() > 1 && rest[0] == b'-' {
                rest = &rest[1..];
                range.1 = take_class_unit(&mut rest);
            }
            if range.1 < range.0 {
                return Err(PatternError::BackwardRange);
            }
            ranges.push(range);
        }
        Ok(Self { negated, ranges: ranges.into() })
    }

    fn contains(&self, unit: u32) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&unit)) != self.negated
    }
}

/// The next character of a class, escaped or not.
fn take_class_unit(rest: &mut &[u8]) -> u32 {
    if rest.len() > 1 && rest[0] == b'\\' {
        *rest = &rest[1..];
    }
    let (unit, length) = first_unit(rest);
    *rest = &rest[length..];
    unit
}

/// The first character of `bytes`, which are not empty, or their first byte if it begins none; and its length.
fn first_unit(bytes: &[u8]) -> (u32, usize) {
    let first = bytes[0];
    let length = match first {
        ..0x80 => return (u32::from(first), 1),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let text = bytes.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
    match text.and_then(|text| text.chars().next()) {
        Some(character) => (u32::from(character), length),
        None => (STRAY_BYTES + u32::from(first), 1),
    }
}

/// The length of what stands first in `text`, which is not empty: an escaped byte, a class, or a byte.
fn item_len(text: &[u8]) -> Result<usize, PatternError> {
    match text[0] {
        b'\\' if text.len() == 1 => Err(PatternError::DanglingEscape),
        b'\\' => Ok(2),
        b'[' => class_len(text),
        _ => Ok(1),
    }
}

/// A `]` right after `[` or `[!` stands for itself.
fn class_len(text: &[u8]) -> Result<usize, PatternError> {
    let mut at = 1 + usize::from(matches!(text.get(1), Some(b'!' | b'^')));
    let start = at;
    while let Some(byte) = text.get(at) {
        match byte {
            b']' if at > start => return Ok(at + 1),
            b'/' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    Err(PatternError::UnclosedClass)
}

/// A pattern's braces resolved: `a{b,c}d` is `abd` and `acd`. Groups may nest, an alternative may be empty.
pub(super) fn alternatives(text: &[u8]) -> Result<Vec<Vec<u8>>, PatternError> {
    let mut pending = vec![text.to_vec()];
    let mut resolved = Vec::new();
    // `{a}{a}{a}` has one alternative and many groups: the rounds are bounded, not only the results.
    for _ in 0..2 * MAX_ALTERNATIVES {
        let Some(next) = pending.pop() else { return Ok(resolved) };
        match first_group(&next)? {
            None => resolved.push(next),
            Some(group) => {
                pending.extend(
                    group.options.iter().rev().map(|option| {
                        [&next[..group.start], &next[option.clone()], &next[group.end..]].concat()
                    }),
                )
            }
        }
        if pending.len() + resolved.len() > MAX_ALTERNATIVES {
            break;
        }
    }
    if pending.is_empty() { Ok(resolved) } else { Err(PatternError::TooManyAlternatives) }
}

/// Where `{a,b}` stands in a pattern, and its alternatives.
struct Group {
    start: usize,
    end: usize,
    options: Vec<std::ops::Range<usize>>,
}

fn first_group(text: &[u8]) -> Result<Option<Group>, PatternError> {
    let mut group = Group { start: 0, end: 0, options: Vec::new() };
    let (mut at, mut depth, mut option_start) = (0, 0usize, 0);
    while at < text.len() {
        let length = item_len(&text[at..])?;
        match text[at] {
            b'{' => {
                depth += 1;
                if depth == 1 {
                    (group.start, option_start) = (at, at + 1);
                }
            }
            b'}' if depth == 0 => return Err(PatternError::UnpairedBrace),
            b',' | b'}' if depth == 1 => {
                group.options.push(option_start..at);
                option_start = at + 1;
                if text[at] == b'}' {
                    group.end = at + 1;
                    return Ok(Some(group));
                }
            }
            b'}' => depth -= 1,
            _ => {}
        }
        at += length;
    }
    if depth == 0 { Ok(None) } else { Err(PatternError::UnpairedBrace) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, name: impl AsRef<[u8]>) -> bool {
        NameGlob::parse(glob.as_bytes()).unwrap().matches(name.as_ref())
    }

    #[test]
    fn a_glob_covers_the_whole_name() {
        let cases = [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*.o", ".o", true),
            ("*.o", "x.o.c", false),
            ("a*a", "a", false),
            ("a*b*c", "aXbXbXc", true),
            ("*a*b", "aabab", true),
            ("*a*b", "ba", false),
            ("?", "", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[]x]", "]", true),
            ("[a-]", "-", true),
            ("[a\\]]", "]", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("**", "anything", true),
        ];
        for (glob, name, expected) in cases {
            assert_eq!(matches(glob, name), expected, "{glob} {name}");
        }
    }

    #[test]
    fn a_character_is_one_and_so_is_a_byte_that_belongs_to_none() {
        assert!(matches("?", "é") && matches("*?", "é") && !matches("??", "é"));
        assert!(matches("[é-ü]", "ê") && !matches("[é-ü]", "e"));
        assert!(matches("?b", b"\xffb") && matches("*b", b"\xc3b") && matches("[!a]b", b"\xffb"));
        assert!(!matches("[a-z]b", b"\xffb") && !matches("[\u{80}-\u{10ffff}]", b"\xff"));
    }

    #[test]
    fn braces_nest_multiply_and_end() {
        let expand = |text: &str| {
            alternatives(text.as_bytes()).map(|all| {
                all.into_iter().map(|one| String::from_utf8(one).unwrap()).collect::<Vec<_>>().join(" ")
            })
        };
        assert_eq!(expand("a{b,c{d,e}}f").unwrap(), "abf acdf acef");
        assert_eq!(expand("{a,b}{c,}").unwrap(), "ac a bc b");
        assert_eq!(expand("[{]\\{x").unwrap(), "[{]\\{x");
        assert_eq!(expand("a}"), Err(PatternError::UnpairedBrace));
        assert_eq!(expand("{a,b"), Err(PatternError::UnpairedBrace));
        assert_eq!(expand(&"{a,b}".repeat(7)), Err(PatternError::TooManyAlternatives));
        assert_eq!(expand(&"{a}".repeat(800)), Err(PatternError::TooManyAlternatives));
        assert_eq!(expand(&"{a,b}".repeat(6)).unwrap().split(' ').count(), 64);
    }

    #[test]
    fn a_glob_that_cannot_be_meant_is_refused() {
        let error = |text: &str| NameGlob::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error("[a"), PatternError::UnclosedClass);
        assert_eq!(error("[]"), PatternError::UnclosedClass);
        assert_eq!(error("[a\\"), PatternError::UnclosedClass);
        assert_eq!(error("[z-a]"), PatternError::BackwardRange);
        assert_eq!(error("a\\"), PatternError::DanglingEscape);
    }
}
