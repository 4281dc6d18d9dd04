//! Times as people write them after `@`. What is left out counts to its end: a day to midnight, a
//! minute to its last second, so that a time copied from a listing finds the snapshot it stood at.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ZonedDateTime};

/// The last instant of what `text` says, as seen at `now` and in its time zone.
pub(super) fn parse(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    match text.trim() {
        "now" => Some(now.timestamp()),
        "today" => end_of_day(now.date(), now.time_zone()),
        "yesterday" => end_of_day(now.date().yesterday().ok()?, now.time_zone()),
        text if is_date(text) => end_of_day(text.parse().ok()?, now.time_zone()),
        text => point(text, now.time_zone()).or_else(|| ago(text, now)),
    }
}

fn is_date(text: &str) -> bool {
    text.len() == "2026-11-20".len() && text.parse::<Date>().is_ok()
}

fn end_of_day(day: Date, zone: &TimeZone) -> Option<Timestamp> {
    let midnight = day.tomorrow().ok()?.to_zoned_datetime(zone.clone()).ok()?;
    midnight.timestamp().checked_sub(SignedDuration::from_nanos(1)).ok()
}

/// A date with a time of day, in the time zone it names or in `zone`.
fn point(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let (_, time) = text.split_once(['T', 't', ' '])?;
    let zone_start = time.find(['Z', 'z', '+', '-', '[']).unwrap_or(time.len());
    let (clock, its_zone) = time.split_at(zone_start);
    let start = match its_zone {
        "" => text.parse::<DateTime>().ok()?.to_zoned_datetime(zone.clone()).ok()?.timestamp(),
        named if named.contains('[') => text.parse::<ZonedDateTime>().ok()?.timestamp(),
        _ => text.parse::<Timestamp>().ok()?,
    };
    start.checked_add(unit_of(clock)).ok()?.checked_sub(SignedDuration::from_nanos(1)).ok()
}

/// How long the least part of a time of day lasts; a fraction of a second is meant exactly.
fn unit_of(clock: &str) -> SignedDuration {
    match (clock.contains(['.', ',']), clock.matches(':').count()) {
        (true, _) => SignedDuration::from_nanos(1),
        (false, 0) => SignedDuration::from_hours(1),
        (false, 1) => SignedDuration::from_mins(1),
        (false, _) => SignedDuration::from_secs(1),
    }
}

/// `2h ago`, `1 day 3h ago`, `-2h`. Without either mark it could mean the future, so it means nothing.
fn ago(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    let span: Span = text.parse().ok()?;
    if !span.is_negative() {
        return None;
    }
    now.checked_add(span).ok().map(|time| time.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<String> {
        let now: ZonedDateTime = "2026-11-24T09:30:00+01:00[Europe/Berlin]".parse().unwrap();
        parse(text, &now).map(|time| time.to_string())
    }

    #[test]
    fn what_is_left_out_counts_to_its_end() {
        let cases = [
            ("now", "2026-11-24T08:30:00Z"),
            ("today", "2026-11-24T22:59:59.999999999Z"),
            ("yesterday", "2026-11-23T22:59:59.999999999Z"),
            ("2026-11-20", "2026-11-20T22:59:59.999999999Z"),
            ("2026-11-20T10", "2026-11-20T09:59:59.999999999Z"),
            ("2026-11-20T10:00", "2026-11-20T09:00:59.999999999Z"),
            ("2026-11-20 10:00:05", "2026-11-20T09:00:05.999999999Z"),
            ("2026-11-20T10:00:05.25", "2026-11-20T09:00:05.25Z"),
            ("2026-11-20T10:00Z", "2026-11-20T10:00:59.999999999Z"),
            ("2026-11-20T10:00-05:00", "2026-11-20T15:00:59.999999999Z"),
            ("2026-11-20T10:00[America/New_York]", "2026-11-20T15:00:59.999999999Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(at(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_span_goes_back_from_now_by_the_calendar() {
        assert_eq!(at("2h ago").as_deref(), Some("2026-11-24T06:30:00Z"));
        assert_eq!(at("-2h"), at("2h ago"));
        assert_eq!(at("2 hours ago"), at("2h ago"));
        // Across the end of summer time, a month ago is the same time of day.
        assert_eq!(at("1 month ago").as_deref(), Some("2026-10-24T07:30:00Z"));
    }

    #[test]
    fn what_is_no_past_time_is_none() {
        for text in ["", "2h", "tomorrow", "2026-13-01", "2026-11-20T25:00", "10:00", "x ago"] {
            assert_eq!(at(text), None, "{text:?}");
        }
    }
}
