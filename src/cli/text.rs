//! Turns values into words for people: names, sizes, times, counts. Knows no terminal.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// A name as it may stand on a terminal: one line, nothing that moves the cursor or reorders text,
/// and unambiguous, so that two names never look alike.
pub fn name(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => shown.push_str("\\\\"),
                character => push_safe(&mut shown, character),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// A message that may contain names, made safe for a terminal.
pub fn safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|character| push_safe(&mut shown, character));
    shown.into()
}

fn push_safe(to: &mut String, character: char) {
    if is_unsafe(character) {
        to.extend(character.escape_default());
    } else {
        to.push(character);
    }
}

/// Control characters, and those that reorder or hide what stands beside them.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// A path below a user's home, as `user:path`.
pub fn place(user: &[u8], path: &[u8]) -> String {
    match path {
        [] => name(user),
        path => format!("{}:{}", name(user), name(path)),
    }
}

/// A number of bytes in binary units.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = None;
    for next in UNITS {
        // 1023.95 would be shown as 1024.0.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = Some(next);
    }
    match unit {
        None => format!("{bytes} B"),
        Some(unit) => format!("{value:.1} {unit}"),
    }
}

/// A span of time.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        _ => format!("{}:{:02} h", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A count of things; `many` is the word for any number but one.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A point in time, in the zone of whoever reads it.
pub fn local_time(time: Timestamp) -> String {
    time.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// An error with what caused it, each part once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_harmless_line_and_never_look_alike() {
        let cases: [(&[u8], &str); 8] = [
            (b"plain name", "plain name"),
            ("Äpfel 日本".as_bytes(), "Äpfel 日本"),
            (b"a\nb\tc", "a\\nb\\tc"),
            (b"a\\nb", "a\\\\nb"),
            (b"\x1b[31m", "\\u{1b}[31m"),
            (b"\xff\xc3", "\\xff\\xc3"),
            ("\u{202e}gpj.exe".as_bytes(), "\\u{202e}gpj.exe"),
            ("\u{9b}1A".as_bytes(), "\\u{9b}1A"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(name(bytes), shown);
        }
    }

    #[test]
    fn messages_keep_their_backslashes_and_lose_their_control_characters() {
        assert_eq!(safe("C:\\x"), "C:\\x");
        assert_eq!(safe("a\r\u{7}b"), "a\\r\\u{7}b");
    }

    #[test]
    fn sizes_are_in_binary_units() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn spans_of_time_are_as_exact_as_they_need_to_be() {
        let cases =
            [(0.25, "0.2 s"), (9.94, "9.9 s"), (59.9, "59 s"), (61.0, "1:01 min"), (7260.0, "2:01 h")];
        for (seconds, shown) in cases {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), shown);
        }
    }

    #[test]
    fn a_chain_names_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(chain(&Outer(std::io::Error::other("inner"))), "outer: inner");
    }
}
