//! The charts of growth: what all homes held, what was new, and what the store came to.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::chart::{Chart, Shape, Value};
use super::markup::Markup;
use super::{Sheet, exact, section};
use crate::cli::text;
use crate::engine::usage::GrowthPoint;

/// What a chart is divided into at most.
const MOST_VALUES: usize = 240;
const MOST_COLUMNS: i64 = 90;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Writes them.
pub fn write(main: &mut Markup, sheet: &Sheet<'_>) {
    let points = &sheet.grown.homes;
    section(main, "Growth", |section| {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return section.words("p", &[("class", "quiet")], "There is no snapshot yet.");
        };
        if first.time_ms >= last.time_ms {
            let words = "There is one snapshot. Charts need a second one.";
            return section.words("p", &[("class", "quiet")], words);
        }
        section.element("div", &[("class", "columns wide")], |columns| {
            let sizes: Vec<_> = points.iter().map(|point| (point.time_ms, point.bytes)).collect();
            steps("All homes: bytes of their files", &sizes).write(columns);
            // The first snapshot has everything, and would hide what came later.
            if points[1..].iter().any(|point| point.bytes_new.is_some()) {
                new(&points[1..]).write(columns);
            }
            let store = store(sheet);
            if store.len() > 2 {
                steps("The store: bytes of all objects now, and after prunes", &store).write(columns);
            }
        });
    });
}

/// What the store came to after each prune that deleted something, and what it comes to now.
fn store(sheet: &Sheet<'_>) -> Vec<(i64, u64)> {
    let kept = sheet.grown.store.iter().map(|point| (point.time_ms, point.bytes));
    kept.chain([(sheet.report.taken_ms, sheet.report.store.bytes)]).collect()
}

/// Sizes, each of which holds until the next. There are at least two moments.
fn steps(caption: &'static str, sizes: &[(i64, u64)]) -> Chart<'static> {
    let (first, last) = (sizes[0].0, sizes[sizes.len() - 1].0);
    let step = sizes.len().div_ceil(MOST_VALUES);
    let mut shown: Vec<(i64, u64)> = sizes.iter().rev().step_by(step).copied().collect();
    shown.reverse();
    let place = |time: i64| (time - first) as f64 / (last - first).max(1) as f64;
    let value = |(at, (moment, bytes)): (usize, &(i64, u64))| Value {
        from: if at == 0 { 0.0 } else { place(*moment) },
        to: shown.get(at + 1).map_or(1.0, |next| place(next.0)),
        bytes: *bytes,
        title: format!("{}: {} ({})", text::local_time(time(*moment)), text::size(*bytes), exact(*bytes)),
    };
    Chart {
        caption,
        shape: Shape::Steps,
        values: shown.iter().enumerate().map(value).collect(),
        labels: labels(first, last),
    }
}

/// What was new, by days or as many days as fit.
fn new(points: &[GrowthPoint]) -> Chart<'static> {
    let known = points.iter().filter_map(|point| Some((point.time_ms, point.bytes_new?)));
    let known: Vec<_> = known.map(|(time_ms, bytes_new)| (day_number(time_ms), bytes_new)).collect();
    let days = known.iter().map(|(day, _)| *day);
    let (first, last) = (days.clone().min().unwrap_or(0), days.max().unwrap_or(0));
    let width = (last - first + 1).unsigned_abs().div_ceil(MOST_COLUMNS.unsigned_abs()).cast_signed();
    let mut columns = vec![0u64; ((last - first) / width + 1).unsigned_abs() as usize];
    for (day, bytes_new) in known {
        let column = &mut columns[((day - first) / width).unsigned_abs() as usize];
        *column = column.saturating_add(bytes_new);
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

    fn point(day: i64, bytes_new: u64) -> GrowthPoint {
        GrowthPoint { time_ms: day * DAY_MS + DAY_MS / 2, bytes: bytes_new, bytes_new: Some(bytes_new) }
    }

    #[test]
    fn what_is_new_is_added_up_by_days_and_by_several_days_over_years() {
        let bytes = |points: &[GrowthPoint]| -> Vec<u64> {
            new(points).values.iter().map(|value| value.bytes).collect()
        };
        assert_eq!(bytes(&[point(1, 5), point(1, 6), point(3, 7)]), [11, 0, 7]);
        let years = bytes(&[point(0, 1), point(20_000, 2)]);
        assert!(years.len() <= 90 && years[0] == 1 && *years.last().unwrap() == 2, "{years:?}");
    }

    #[test]
    fn of_many_points_the_newest_is_always_shown() {
        let sizes: Vec<_> = (0..1000).map(|day| (day, day as u64)).collect();
        let values = steps("", &sizes).values;
        assert!(values.len() <= MOST_VALUES, "{}", values.len());
        assert_eq!((values[0].from, values.last().unwrap().bytes), (0.0, 999));
    }
}
