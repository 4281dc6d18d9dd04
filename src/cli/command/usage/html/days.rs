//! The charts of growth: what all homes held, and what was new.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::chart::{Chart, Shape, Value};
use super::growth::{Point, points};
use super::markup::Markup;
use super::{Sheet, exact, section};
use crate::cli::text;

/// What a chart is divided into at most.
const MOST_VALUES: usize = 240;
const MOST_COLUMNS: i64 = 90;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Writes them.
pub fn write(main: &mut Markup, sheet: &Sheet<'_>) {
    let points = points(sheet.snapshots);
    section(main, "Growth", |section| {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return section.words("p", &[("class", "quiet")], "There is no snapshot yet.");
        };
        if first.time_ms >= last.time_ms {
            let words = "There is one snapshot. Charts need a second one.";
            return section.words("p", &[("class", "quiet")], words);
        }
        section.element("div", &[("class", "columns wide")], |columns| {
            held(&points, first.time_ms, last.time_ms).write(columns);
            // The first snapshot has everything, and would hide what came later.
            new(&points[1..]).write(columns);
        });
    });
}

fn held(points: &[Point], first: i64, last: i64) -> Chart<'static> {
    let step = points.len().div_ceil(MOST_VALUES);
    let mut shown: Vec<&Point> = points.iter().rev().step_by(step).collect();
    shown.reverse();
    let place = |time: i64| (time - first) as f64 / (last - first) as f64;
    let value = |(at, point): (usize, &&Point)| Value {
        from: if at == 0 { 0.0 } else { place(point.time_ms) },
        to: shown.get(at + 1).map_or(1.0, |next| place(next.time_ms)),
        bytes: point.bytes,
        title: format!(
            "{}: {} ({})",
            text::local_time(time(point.time_ms)),
            text::size(point.bytes),
            exact(point.bytes)
        ),
    };
    Chart {
        caption: "All homes: bytes of their files",
        shape: Shape::Steps,
        values: shown.iter().enumerate().map(value).collect(),
        labels: labels(first, last),
    }
}

/// What was new, by days or as many days as fit.
fn new(points: &[Point]) -> Chart<'static> {
    let days: Vec<i64> = points.iter().map(|point| day_number(point.time_ms)).collect();
    let (first, last) = (days.iter().min().copied().unwrap_or(0), days.iter().max().copied().unwrap_or(0));
    let width = (last - first + 1).unsigned_abs().div_ceil(MOST_COLUMNS.unsigned_abs()).cast_signed();
    let mut columns = vec![0u64; ((last - first) / width + 1).unsigned_abs() as usize];
    for (point, day) in points.iter().zip(&days) {
        let column = &mut columns[((day - first) / width).unsigned_abs() as usize];
        *column = column.saturating_add(point.bytes_new);
    }
    let count = columns.len() as f64;
    let begins = |at: usize| day_of(first + at as i64 * width);
    let value = |(at, bytes): (usize, &u64)| Value {
        from: at as f64 / count,
        to: (at + 1) as f64 / count,
        bytes: *bytes,
        title: format!("{}{}: {} ({})", begins(at), span(width), text::size(*bytes), exact(*bytes)),
    };
    let values = columns.iter().enumerate().map(value).collect();
    let labels = [begins(0), String::new(), begins(columns.len() - 1)];
    let caption = match width {
        1 => "New data in a day, before compression, without the first snapshot",
        _ => "New data in several days, before compression, without the first snapshot",
    };
    Chart { caption, shape: Shape::Columns, values, labels }
}

fn span(days: i64) -> String {
    if days == 1 { String::new() } else { format!(" and {} days after it", days - 1) }
}

fn labels(first: i64, last: i64) -> [String; 3] {
    let format = if last - first < 4 * DAY_MS { "%m-%d %H:%M" } else { "%Y-%m-%d" };
    let label = |at: i64| time(at).to_zoned_datetime(TimeZone::system()).strftime(format).to_string();
    [first, first + (last - first) / 2, last].map(label)
}

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

/// Days since 1970, as they are counted here.
fn day_number(milliseconds: i64) -> i64 {
    let offset = TimeZone::system().to_offset(time(milliseconds)).seconds();
    (milliseconds + i64::from(offset) * 1000).div_euclid(DAY_MS)
}

fn day_of(number: i64) -> String {
    time(number.saturating_mul(DAY_MS)).to_zoned_datetime(TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(day: i64, bytes_new: u64) -> Point {
        Point { time_ms: day * DAY_MS + DAY_MS / 2, bytes: bytes_new, bytes_new }
    }

    #[test]
    fn what_is_new_is_added_up_by_days_and_by_several_days_over_years() {
        let bytes =
            |points: &[Point]| -> Vec<u64> { new(points).values.iter().map(|value| value.bytes).collect() };
        assert_eq!(bytes(&[point(1, 5), point(1, 6), point(3, 7)]), [11, 0, 7]);
        let years = bytes(&[point(0, 1), point(20_000, 2)]);
        assert!(years.len() <= 90 && years[0] == 1 && *years.last().unwrap() == 2, "{years:?}");
    }

    #[test]
    fn of_many_points_the_newest_is_always_shown() {
        let points: Vec<_> = (0..1000).map(|day| point(day, day as u64)).collect();
        let values = held(&points, points[0].time_ms, points[999].time_ms).values;
        assert!(values.len() <= MOST_VALUES, "{}", values.len());
        assert_eq!((values[0].from, values.last().unwrap().bytes), (0.0, 999));
    }
}
