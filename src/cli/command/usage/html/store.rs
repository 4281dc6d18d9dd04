//! The store: what deduplication and compression save, and what every byte is for.

use super::bars::{self, Bar, Level, Part};
use super::markup::Markup;
use super::{Sheet, exact, grouped, section, sum};
use crate::cli::command::usage::users::store_lines;
use crate::cli::text;
use crate::engine::usage::StoreUsage;

/// From all snapshots, as if each were restored, to what is stored.
pub fn savings(main: &mut Markup, sheet: &Sheet<'_>) {
    let all = sheet.snapshots.iter().map(|summary| summary.totals.bytes).fold(0, u64::saturating_add);
    let newest = sum(sheet.users, |user| user.state.map_or(0, |state| state.bytes));
    let contents = sheet.contents;
    section(main, "Deduplication and compression", |section| {
        let mut bars = vec![
            Bar::plain("all snapshots, each with all its files", Level::First, all),
            Bar::plain("the newest states", Level::First, newest),
            Bar::plain("what differs in all of them, once", Level::First, contents.bytes),
            Bar::plain("the same, compressed", Level::First, contents.stored),
        ];
        bars[0].parts[0].class = "rest";
        bars[1].parts[0].class = "rest";
        bars[2].parts[0].class = "fair";
        bars[2].note = times(all, contents.bytes);
        bars[3].note = times(contents.bytes, contents.stored);
        bars::write(section, &bars);
        if contents.stored > 0 && all > 0 {
            let ratio = all as f64 / contents.stored as f64;
            let words = format!("Together, a byte in the store stands for {ratio:.1} bytes in snapshots.");
            section.words("p", &[("class", "quiet")], &words);
        }
    });
}

fn times(before: u64, after: u64) -> String {
    if before == 0 || after == 0 {
        return String::new();
    }
    format!(" (1/{:.1})", before as f64 / after as f64)
}

/// Every byte.
pub fn write(main: &mut Markup, store: &StoreUsage) {
    let part = |class, what, bytes| Part { class, what, bytes };
    let parts = vec![
        part("own", "one user needs it", store.data_own + store.trees_own),
        part("fair", "several users need it", store.data_shared + store.trees_shared),
        part("upkeep", "upkeep", store.upkeep()),
        part("rest", "not needed", store.garbage()),
        part("lost", "unknown, because of damage", store.unknown()),
    ];
    section(main, "Every byte of the store", |section| {
        let shown: Vec<_> =
            parts.iter().filter(|part| part.bytes > 0).map(|part| (part.class, part.what)).collect();
        bars::legend(section, &shown);
        bars::write(
            section,
            &[Bar { name: "the store".into(), level: Level::First, parts, note: String::new() }],
        );
        section.element("div", &[("class", "scroll")], |scroll| {
            scroll.element("table", &[("class", "store")], |table| lines(table, store));
        });
    });
}

fn lines(table: &mut Markup, store: &StoreUsage) {
    table.element("thead", &[], |head| {
        head.element("tr", &[], |row| {
            row.words("th", &[("class", "w")], "what");
            ["size", "bytes", "objects"].iter().for_each(|title| row.words("th", &[], title));
        });
    });
    table.element("tbody", &[], |body| {
        for shown in store_lines(store).iter().filter(|shown| shown.is_any()) {
            line(body, shown.what, shown.bytes, shown.objects);
        }
    });
    table.element("tfoot", &[], |foot| line(foot, "all of the store", store.bytes, Some(store.objects)));
}

fn line(rows: &mut Markup, what: &str, bytes: u64, objects: Option<u64>) {
    rows.element("tr", &[], |row| {
        row.words("td", &[("class", "w")], what);
        row.words("td", &[("title", &exact(bytes))], &text::size(bytes));
        row.words("td", &[], &grouped(bytes));
        row.words("td", &[], &objects.map_or(String::new(), grouped));
    });
}
