//! Rules that keep one snapshot for each stretch of time: what a stretch is. Knows clocks and calendars,
//! no snapshot.

use jiff::ZonedDateTime;
use jiff::civil::Date;

/// A rule that keeps a number of snapshots, each from another stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every snapshot is a stretch of its own.
    Last,
    /// A minute.
    Minutely,
    /// An hour.
    Hourly,
    /// A day.
    Daily,
    /// A week from Monday, as ISO 8601 counts them.
    Weekly,
    /// A month.
    Monthly,
    /// A year.
    Yearly,
}

/// Equal for two snapshots if a rule takes only one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stretch {
    number: i64,
    /// Of an hour that comes twice when clocks are set back, each is an hour.
    offset_s: i32,
}

impl Rule {
    /// All of them, as they are written down.
    pub const ALL: [Self; 7] =
        [Self::Last, Self::Minutely, Self::Hourly, Self::Daily, Self::Weekly, Self::Monthly, Self::Yearly];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Minutely => "minutely",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        }
    }

    /// The stretch that a snapshot of `time` belongs to, in the calendar of that time's zone; `place` is
    /// the snapshot's own number.
    pub(super) fn stretch(self, place: usize, time: &ZonedDateTime) -> Stretch {
        let (year, month) = (i64::from(time.year()), i64::from(time.month()));
        let hour = |time: &ZonedDateTime| day(time) * 24 + i64::from(time.hour());
        let offset_s = time.offset().seconds();
        let (number, offset_s) = match self {
            Self::Last => (place as i64, 0),
            Self::Minutely => (hour(time) * 60 + i64::from(time.minute()), offset_s),
            Self::Hourly => (hour(time), offset_s),
            Self::Daily => (day(time), 0),
            Self::Weekly => (day(time) - i64::from(time.weekday().to_monday_zero_offset()), 0),
            Self::Monthly => (year * 12 + month, 0),
            Self::Yearly => (year, 0),
        };
        Stretch { number, offset_s }
    }
}

/// Days since 1970.
fn day(time: &ZonedDateTime) -> i64 {
    time.date().duration_since(Date::constant(1970, 1, 1)).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_same(rule: Rule, one: &str, other: &str) -> bool {
        let stretch = |text: &str| {
            let text = format!("{text}[Europe/Berlin]");
            rule.stretch(0, &text.parse().unwrap())
        };
        stretch(one) == stretch(other)
    }

    #[test]
    fn a_stretch_ends_where_the_calendar_says() {
        let cases = [
            (Rule::Minutely, "2026-11-24T10:00:00", "2026-11-24T10:00:59", "2026-11-24T10:01:00"),
            (Rule::Hourly, "2026-11-24T10:00:00", "2026-11-24T10:59:59", "2026-11-25T10:00:00"),
            (Rule::Daily, "2026-11-24T00:00:00", "2026-11-24T23:59:59", "2026-11-25T00:00:00"),
            // A Monday and the Sunday before and after it, across the end of a year.
            (Rule::Weekly, "2025-12-29T00:00:00", "2026-01-04T23:59:59", "2025-12-28T23:59:59"),
            (Rule::Monthly, "2026-11-01T00:00:00", "2026-11-30T23:59:59", "2025-11-01T00:00:00"),
            (Rule::Monthly, "2026-11-01T00:00:00", "2026-11-30T23:59:59", "2025-12-01T00:00:00"),
            (Rule::Monthly, "2184-11-01T00:00:00", "2184-11-30T23:59:59", "2002-12-01T00:00:00"),
            (Rule::Yearly, "2026-01-01T00:00:00", "2026-12-31T23:59:59", "2025-12-31T23:59:59"),
        ];
        for (rule, one, same, other) in cases {
            assert!(is_same(rule, one, same), "{rule:?}");
            assert!(!is_same(rule, one, other), "{rule:?}");
        }
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_hours_of_one_day() {
        let (summer, winter) = ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00");
        assert!(!is_same(Rule::Hourly, summer, winter) && !is_same(Rule::Minutely, summer, winter));
        assert!(is_same(Rule::Hourly, summer, "2026-10-25T02:59:00+02:00"));
        assert!(is_same(Rule::Daily, "2026-10-25T00:00:00+02:00", "2026-10-25T23:59:00+01:00"));
        // 23 hours in spring.
        assert!(is_same(Rule::Daily, "2026-03-29T00:00:00+01:00", "2026-03-29T23:59:00+02:00"));
        assert!(!is_same(Rule::Daily, "2026-03-29T23:59:00+02:00", "2026-03-30T00:00:00+02:00"));
    }
}
