//! Bars under each other, each with a name before it and a value behind it.

use super::exact;
use super::markup::Markup;
use crate::cli::text;

/// A bar.
pub struct Bar {
    /// Its name.
    pub name: String,
    /// How far the name is moved in.
    pub level: Level,
    /// From left to right.
    pub parts: Vec<Part>,
    /// What stands behind it, after the sum of its parts.
    pub note: String,
}

/// How deep something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// At the top.
    First,
    /// Below something else.
    Second,
}

/// A part of a bar.
pub struct Part {
    /// Its colour, a class of the style sheet.
    pub class: &'static str,
    /// What it is; nothing if that goes without saying.
    pub what: &'static str,
    /// How much.
    pub bytes: u64,
}

impl Bar {
    /// A bar of one part.
    pub fn plain(name: impl Into<String>, level: Level, bytes: u64) -> Self {
        let part = Part { class: "own", what: "", bytes };
        Self { name: name.into(), level, parts: vec![part], note: String::new() }
    }

    fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).fold(0, u64::saturating_add)
    }
}

/// Bars to one scale, on which the longest fills the width.
pub fn write(markup: &mut Markup, bars: &[Bar]) {
    let longest = bars.iter().map(Bar::bytes).max().unwrap_or(0).max(1);
    let class = if bars.iter().any(|bar| !bar.note.is_empty()) { "wordy" } else { "bars" };
    markup.element("div", &[("class", class)], |rows| bars.iter().for_each(|bar| row(rows, bar, longest)));
}

fn row(rows: &mut Markup, bar: &Bar, longest: u64) {
    let class = match bar.level {
        Level::First => "bar",
        Level::Second => "bar deep",
    };
    rows.element("div", &[("class", class)], |row| {
        row.words("bdi", &[("class", "name"), ("title", &bar.name)], &bar.name);
        row.element("span", &[("class", "track")], |track| {
            for part in bar.parts.iter().filter(|part| part.bytes > 0) {
                let width = format!("width:{:.2}%", part.bytes as f64 / longest as f64 * 100.0);
                let title = titled(part);
                track.element("i", &[("class", part.class), ("style", &width), ("title", &title)], |_| {});
            }
        });
        let bytes = bar.bytes();
        row.element("span", &[("class", "value"), ("title", &exact(bytes))], |value| {
            value.text(&text::size(bytes));
            value.text(&bar.note);
        });
    });
}

fn titled(part: &Part) -> String {
    match part.what {
        "" => exact(part.bytes),
        what => format!("{what}: {} ({})", text::size(part.bytes), exact(part.bytes)),
    }
}

/// What the colours mean.
pub fn legend(markup: &mut Markup, entries: &[(&'static str, &'static str)]) {
    markup.element("p", &[("class", "legend")], |legend| {
        for (class, what) in entries {
            legend.element("span", &[], |entry| {
                entry.element("i", &[("class", class)], |_| {});
                entry.text(what);
            });
        }
    });
}
