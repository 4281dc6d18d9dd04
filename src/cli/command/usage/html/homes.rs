//! The users: as bars, the largest of them, and as a table, all of them.

use super::bars::{self, Bar, Level, Part};
use super::markup::Markup;
use super::{Sheet, grouped, section, whose};
use crate::cli::command::usage::rows::{Cell, Column};
use crate::cli::table::Align;
use crate::cli::text::count;
use crate::engine::usage::UserUsage;

/// How many have a bar of their own.
const MOST: usize = 30;
/// What has more bytes may be cut, so that its title has it all.
const SHORT: usize = 16;
/// Columns that a narrow screen leaves out.
const MINOR: [&str; 7] =
    ["files", "shared_bytes", "growth_day", "growth_month", "growth_since", "vault_items", "source"];

/// Who takes most.
pub fn bars(main: &mut Markup, sheet: &Sheet<'_>) {
    section(main, "Who takes what in the store", |section| {
        bars::legend(section, &[("own", "only theirs"), ("fair", "fair part of what is shared")]);
        let users = sheet.users.iter().take(MOST);
        let mut bars: Vec<Bar> = users.map(|user| bar(whose(sheet.users, user), &[user])).collect();
        if let Some(others) = sheet.users.get(MOST..).filter(|others| !others.is_empty()) {
            bars.push(bar(count(others.len() as u64, "other user", "other users"), others));
        }
        bars::write(section, &bars);
    });
}

fn bar(name: String, users: &[&UserUsage]) -> Bar {
    let own = super::sum(users, |user| user.stored.own());
    let fair = super::sum(users, |user| user.stored.fair()) - own;
    let part = |class, what, bytes| Part { class, what, bytes };
    let parts = vec![part("own", "only theirs", own), part("fair", "fair part of what is shared", fair)];
    Bar { name, level: Level::First, parts, note: String::new() }
}

/// Everyone.
pub fn table(main: &mut Markup, sheet: &Sheet<'_>) {
    let columns: Vec<(usize, &Column)> =
        sheet.rows.columns.iter().enumerate().filter(|(_, column)| column.title.is_some()).collect();
    section(main, "All users", |section| {
        section.element("div", &[("class", "scroll")], |scroll| {
            scroll.element("table", &[], |table| {
                table.element("thead", &[], |head| {
                    head.element("tr", &[], |row| {
                        columns.iter().for_each(|(_, column)| heading(row, column))
                    });
                });
                table.element("tbody", &[], |body| {
                    for cells in &sheet.rows.rows {
                        body.element("tr", &[], |row| {
                            columns.iter().for_each(|(at, column)| cell(row, column, &cells[*at]));
                        });
                    }
                });
                table.element("tfoot", &[], |foot| {
                    foot.element("tr", &[], |row| {
                        columns.iter().for_each(|(at, column)| cell(row, column, &sheet.total[*at]));
                    });
                });
            });
        });
    });
}

fn heading(row: &mut Markup, column: &Column) {
    row.words("th", class(column).as_slice(), column.title.unwrap_or_default());
}

fn class(column: &Column) -> Option<(&'static str, &'static str)> {
    Some((
        "class",
        match (column.align, MINOR.contains(&column.key)) {
            (Align::Right, false) => return None,
            (Align::Right, true) => "m",
            (Align::Left, false) => "w",
            (Align::Left, true) => "w m",
        },
    ))
}

fn cell(row: &mut Markup, column: &Column, cell: &Cell) {
    let exact = match cell {
        Cell::Name(name) if name.len() > SHORT => Some(cell.shown()),
        cell => cell.exact(),
    };
    let mut attributes: Vec<(&'static str, &str)> = Vec::from_iter(class(column));
    attributes.extend(exact.as_deref().map(|exact| ("title", exact)));
    row.element("td", &attributes, |data| match cell {
        Cell::Name(_) => data.words("bdi", &[], &cell.shown()),
        Cell::Count(number) => data.text(&grouped(*number)),
        Cell::Growth(Some(0)) => data.text("0"),
        Cell::Time(Some(_)) => data.text(cell.shown().get(..16).unwrap_or_default()),
        cell => data.text(&cell.shown()),
    });
}
