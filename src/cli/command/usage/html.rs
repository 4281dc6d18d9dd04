//! `usage --html`: the account as one page that can be mailed: nothing in it is fetched, nothing in it is run. What is on
//! it, from the top; the parts are in the files beside this one.

mod attention;
mod bars;
mod chart;
mod days;
mod folders;
mod homes;
mod markup;
mod store;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::markup::Markup;
use super::rows::{Cell, Rows};
use crate::cli::quota::QuotaConfig;
use crate::cli::report_file::Kind;
use crate::cli::text::{self, count};
use crate::engine::usage::{Contents, Grown, PathUsage, UsageReport, UserUsage};
use crate::index::Summary;

/// The file.
pub const PAGE: Kind = Kind { name: "report on usage", mark: MARK, mode: 0o600 };

const MARK: &str = "<!DOCTYPE html>\n<!-- homekeep usage -->\n";
/// Nothing is loaded and nothing is run, whatever gets into the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
const STYLE: &str = include_str!("html/page.css");

/// All that the page is made of.
pub struct Sheet<'a> {
    /// Where the repository is.
    pub place: String,
    /// The account.
    pub report: &'a UsageReport,
    /// Who of it is wanted, those with the largest fair share first.
    pub users: &'a [&'a UserUsage],
    /// What they should use at most.
    pub quota: &'a QuotaConfig,
    /// The snapshots, oldest first.
    pub snapshots: &'a [&'a Summary],
    /// How all homes and the store grew.
    pub grown: Grown,
    /// What the snapshots hold.
    pub contents: Contents,
    /// What is in some of the homes.
    pub folders: &'a [(&'a UserUsage, Vec<PathUsage>)],
    /// A row for each user.
    pub rows: &'a Rows,
    /// Their sums.
    pub total: &'a [Cell],
}

/// The page.
pub fn page(sheet: &Sheet<'_>) -> String {
    let mut page = Markup::default();
    page.raw(MARK);
    page.element("html", &[("lang", "en")], |html| {
        html.element("head", &[], |head| head_of(head, sheet));
        html.element("body", &[], |body| {
            body.element("header", &[], |header| header_of(header, sheet));
            body.element("main", &[], |main| {
                attention::write(main, sheet);
                days::write(main, sheet);
                store::savings(main, sheet);
                homes::bars(main, sheet);
                folders::write(main, sheet.folders);
                homes::table(main, sheet);
                store::write(main, &sheet.report.store);
            });
            body.element("footer", &[], footer_of);
        });
    });
    page.raw("\n");
    page.finish()
}

fn head_of(head: &mut Markup, sheet: &Sheet<'_>) {
    head.void("meta", &[("charset", "utf-8")]);
    head.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
    head.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    head.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    head.words("title", &[], &format!("Usage of {}", sheet.place));
    head.element("style", &[], |style| style.raw(STYLE));
}

fn header_of(header: &mut Markup, sheet: &Sheet<'_>) {
    header.element("h1", &[], |title| {
        title.text("Usage of ");
        title.words("bdi", &[], &sheet.place);
    });
    let taken = Timestamp::from_millisecond(sheet.report.taken_ms).unwrap_or_default();
    let taken = taken.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M %Z").to_string();
    let since = sheet
        .snapshots
        .first()
        .map_or(String::new(), |first| format!(", the oldest of {}", day(first.time())));
    let snapshots = count(sheet.snapshots.len() as u64, "snapshot", "snapshots");
    header.words("p", &[("class", "sub")], &format!("As of {taken}. {snapshots}{since}."));
    header.element("dl", &[("class", "tiles")], |tiles| {
        let bytes = sum(sheet.users, |user| user.state.map_or(0, |state| state.bytes));
        let files = sum(sheet.users, |user| user.state.map_or(0, |state| state.files));
        let stored = sheet.report.store.bytes;
        tile(tiles, "homes", &grouped(sheet.users.len() as u64), None);
        tile(tiles, "in them", &text::size(bytes), Some(&exact(bytes)));
        tile(tiles, "files", &grouped(files), None);
        tile(tiles, "in the store", &text::size(stored), Some(&exact(stored)));
    });
}

fn tile(tiles: &mut Markup, what: &str, value: &str, title: Option<&str>) {
    tiles.element("div", &[], |tile| {
        tile.words("dt", &[], what);
        let title = title.map(|title| ("title", title));
        tile.words("dd", title.as_slice(), value);
    });
}

fn footer_of(footer: &mut Markup) {
    const WORDS: [&str; 3] = [
        "Size is the newest state of a home, as a restore would write it. Only theirs is what the store would lose with the user and all \
         snapshots of the home. Shared is what others need as well, and the fair share is a user's own bytes and an equal part of each \
         shared byte: fair shares add up to all that users need.",
        "Sizes are in binary units; the exact number of bytes shows where the pointer rests.",
        concat!("Made by homekeep ", env!("CARGO_PKG_VERSION"), "."),
    ];
    WORDS.iter().for_each(|words| footer.words("p", &[], words));
}

/// A part of the page under a title.
fn section(main: &mut Markup, title: &str, inner: impl FnOnce(&mut Markup)) {
    main.element("section", &[], |section| {
        section.words("h2", &[], title);
        inner(section);
    });
}

fn sum(users: &[&UserUsage], of: impl Fn(&UserUsage) -> u64) -> u64 {
    users.iter().map(|user| of(user)).fold(0, u64::saturating_add)
}

fn exact(bytes: u64) -> String {
    format!("{bytes} bytes")
}

fn day(time: Timestamp) -> String {
    time.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d").to_string()
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            // A narrow space at which no line ends.
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

/// Whose a home is; with its source where there are several.
fn whose(users: &[&UserUsage], user: &UserUsage) -> String {
    let name = text::name(&user.user);
    match users.iter().any(|other| other.source != user.source) {
        true => format!("{name} on {}", text::name(user.source.as_bytes())),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_groups_of_three_digits() {
        let cases = [(0, "0"), (999, "999"), (1000, "1\u{202f}000"), (1_234_567, "1\u{202f}234\u{202f}567")];
        for (number, shown) in cases {
            assert_eq!(grouped(number), shown);
        }
    }
}
