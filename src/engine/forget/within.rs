//! A length of time as people write it for `keep-within`: as restic has it, `2y5m7d3h`, or in words.

use std::fmt;
use std::str::FromStr;

use jiff::fmt::friendly::{Designator, SpanPrinter};
use jiff::{Span, SpanFieldwise, Timestamp, ZonedDateTime};

/// A length of time that goes by the calendar: a month is as long as that month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within(SpanFieldwise);

/// What was written is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseWithinError {
    /// It cannot be read.
    #[error("{0:?} is no length of time: write 2y5m7d3h (years, months, days, hours), or 90min, 2weeks")]
    Unreadable(String),
    /// `m` is months, but seems to be meant for minutes.
    #[error("{0:?}: m stands for months and comes before d and h; minutes are min")]
    Minutes(String),
    /// Nothing would be within.
    #[error("{0:?} is no time at all")]
    Zero(String),
}

impl Within {
    /// Where a stretch of this length begins that ends at `end`.
    pub(super) fn before(&self, end: &ZonedDateTime) -> Timestamp {
        // Before the beginning of the calendar: everything is within.
        end.checked_sub(self.0.0).map_or(Timestamp::MIN, |start| start.timestamp())
    }
}

impl FromStr for Within {
    type Err = ParseWithinError;

    fn from_str(text: &str) -> Result<Self, ParseWithinError> {
        let compact: String = text.split_whitespace().collect();
        let unreadable = || ParseWithinError::Unreadable(text.into());
        let span = match units_of(&compact) {
            Some(units) if is_falling(&units) => span_of(&units).ok_or_else(unreadable)?,
            None if !has_bare_m(&compact) => compact.parse::<Span>().map_err(|_| unreadable())?,
            _ => return Err(ParseWithinError::Minutes(text.into())),
        };
        if span.is_negative() {
            return Err(unreadable());
        }
        if span.is_zero() {
            return Err(ParseWithinError::Zero(text.into()));
        }
        Ok(Self(span.fieldwise()))
    }
}

/// The units of what is written as restic has it: numbers, each with one of its letters.
fn units_of(text: &str) -> Option<Vec<(i64, char)>> {
    let mut units = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(|c: char| !c.is_ascii_digit()) {
        let unit = rest[end..].chars().next().filter(|unit| "ymdh".contains(*unit))?;
        units.push((rest[..end].parse().ok()?, unit));
        rest = &rest[end + 1..];
    }
    (rest.is_empty() && !units.is_empty()).then_some(units)
}

/// Whether each unit is smaller than the one before.
fn is_falling(units: &[(i64, char)]) -> bool {
    let place = |unit: char| "ymdh".find(unit);
    units.is_sorted_by(|(_, a), (_, b)| place(*a) < place(*b))
}

/// None where a number is larger than any calendar has.
fn span_of(units: &[(i64, char)]) -> Option<Span> {
    units.iter().try_fold(Span::new(), |span, (number, unit)| match unit {
        'y' => span.try_years(*number).ok(),
        'm' => span.try_months(*number).ok(),
        'd' => span.try_days(*number).ok(),
        _ => span.try_hours(*number).ok(),
    })
}

/// Whether a number is followed by an `m` with which no longer word begins.
fn has_bare_m(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_bare = |n: usize| n > 0 && bytes[n - 1].is_ascii_digit();
    let is_end = |n: usize| bytes.get(n + 1).is_none_or(|next| !next.is_ascii_alphabetic());
    (0..bytes.len()).any(|n| bytes[n] == b'm' && is_bare(n) && is_end(n))
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printer = SpanPrinter::new().designator(Designator::Short);
        f.write_str(&printer.span_to_string(&self.0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(text: &str) -> String {
        let end = "2026-05-31T12:00:00+02:00[Europe/Berlin]".parse().unwrap();
        text.parse::<Within>().unwrap().before(&end).to_string()
    }

    #[test]
    fn restics_letters_and_jiffs_words_are_read() {
        let cases = [
            ("2h", "2026-05-31T08:00:00Z"),
            ("7d3h", "2026-05-24T07:00:00Z"),
            ("1m", "2026-04-30T10:00:00Z"),
            // Before the clocks were set forward.
            ("3m", "2026-02-28T11:00:00Z"),
            ("2y5m7d3h", "2023-12-24T08:00:00Z"),
            ("2y 5m", "2023-12-31T11:00:00Z"),
            ("90min", "2026-05-31T08:30:00Z"),
            ("2weeks", "2026-05-17T10:00:00Z"),
            ("1 day 12 hours", "2026-05-29T22:00:00Z"),
            ("19000y", "-009999-01-02T01:59:59Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(before(text), expected, "{text}");
        }
    }

    #[test]
    fn what_could_be_minutes_is_not_taken_for_months() {
        let parse = |text: &str| text.parse::<Within>();
        for text in ["2h30m", "2h 30m", "1d5m", "1w 5m", "5m5m"] {
            assert_eq!(parse(text), Err(ParseWithinError::Minutes(text.into())), "{text}");
        }
        for text in ["", "x", "5", "d", "m", "mins", "99999999y", "5x", "2h ago", "-2h"] {
            assert_eq!(parse(text), Err(ParseWithinError::Unreadable(text.into())), "{text}");
        }
        assert_eq!(parse("0d"), Err(ParseWithinError::Zero("0d".into())));
    }

    #[test]
    fn it_is_shown_as_it_can_be_written() {
        for text in ["2y5m7d3h", "90min", "2weeks"] {
            let within: Within = text.parse().unwrap();
            assert_eq!(within.to_string().parse(), Ok(within), "{within}");
        }
    }
}
