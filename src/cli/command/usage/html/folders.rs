//! What the largest homes are made of, two levels deep.

use super::bars::{self, Bar, Level};
use super::markup::Markup;
use super::{section, whose};
use crate::cli::text::{self, count};
use crate::engine::usage::{PathUsage, UserUsage};

/// What is shown of a home and of a folder in it.
const MOST_IN_HOME: usize = 8;
const MOST_IN_FOLDER: usize = 4;

/// Writes it.
pub fn write(main: &mut Markup, folders: &[(&UserUsage, Vec<PathUsage>)]) {
    if folders.is_empty() {
        return;
    }
    let users: Vec<&UserUsage> = folders.iter().map(|(user, _)| *user).collect();
    section(main, "What the largest homes are made of", |section| {
        let words = "Bytes in the store for the newest state, whether or not others need them too. What stands in several places \
                     counts at the first of them.";
        section.words("p", &[("class", "quiet")], words);
        section.element("div", &[("class", "columns wide")], |columns| {
            for (user, found) in folders {
                columns.element("div", &[("class", "home")], |home| {
                    home.element("h3", &[], |title| title.words("bdi", &[], &whose(&users, user)));
                    bars::write(home, &bars_of(found));
                });
            }
        });
    });
}

fn bars_of(found: &[PathUsage]) -> Vec<Bar> {
    let depth = |usage: &PathUsage| usage.path.components().count();
    let mut bars = Vec::new();
    let of_home = largest(found.iter().filter(|usage| depth(usage) == 1));
    for usage in of_home.iter().take(MOST_IN_HOME) {
        bars.push(bar(usage, Level::First));
        let is_below = |other: &&PathUsage| {
            depth(other) == 2 && other.path.components().next() == usage.path.components().next()
        };
        let inside = largest(found.iter().filter(is_below));
        inside.iter().take(MOST_IN_FOLDER).for_each(|usage| bars.push(bar(usage, Level::Second)));
        bars.extend(rest(inside.get(MOST_IN_FOLDER..), Level::Second));
    }
    bars.extend(rest(of_home.get(MOST_IN_HOME..), Level::First));
    bars
}

fn largest<'a>(found: impl Iterator<Item = &'a PathUsage>) -> Vec<&'a PathUsage> {
    let mut found: Vec<_> = found.filter(|usage| usage.sum.stored > 0).collect();
    found.sort_by(|a, b| b.sum.stored.cmp(&a.sum.stored).then(a.path.cmp(&b.path)));
    found
}

fn bar(usage: &PathUsage, level: Level) -> Bar {
    let name = usage.path.components().last().map_or(String::new(), text::name);
    let end = if usage.is_directory { "/" } else { "" };
    Bar::plain(format!("{name}{end}"), level, usage.sum.stored)
}

/// What is left out, as one bar.
fn rest(left_out: Option<&[&PathUsage]>, level: Level) -> Option<Bar> {
    let left_out = left_out.filter(|left_out| !left_out.is_empty())?;
    let bytes = left_out.iter().map(|usage| usage.sum.stored).fold(0, u64::saturating_add);
    let mut bar = Bar::plain(count(left_out.len() as u64, "other", "others"), level, bytes);
    bar.parts[0].class = "rest";
    Some(bar)
}
