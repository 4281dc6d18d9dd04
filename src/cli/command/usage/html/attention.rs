//! What someone must look at: at the top of the page.

use super::markup::Markup;
use super::{Sheet, exact, section, whose};
use crate::cli::command::usage::users::used;
use crate::cli::text::{self, count};
use crate::engine::usage::UserUsage;
use crate::format::Attention;

/// More would hide the rest of the page; the table has all.
const MOST: usize = 10;

/// A remark on a home.
struct Remark<'a> {
    user: &'a UserUsage,
    words: String,
    title: Option<String>,
}

/// Writes it.
pub fn write(main: &mut Markup, sheet: &Sheet<'_>) {
    let groups = [
        ("Over quota", over(sheet)),
        ("Homes that are missing or have shrunk", changed(sheet)),
        ("Homes with files that could not be saved as they are", problems(sheet)),
    ];
    let damage = damage(sheet);
    section(main, "What needs attention", |section| {
        if damage.is_none() && groups.iter().all(|(_, remarks)| remarks.is_empty()) {
            return section.words(
                "p",
                &[("class", "good")],
                "Nothing does: no home is missing, has shrunk, has problems or is over its quota.",
            );
        }
        if let Some(damage) = damage {
            section.words("p", &[("class", "bad")], &damage);
        }
        section.element("div", &[("class", "columns")], |columns| {
            let groups = groups.iter().filter(|(_, remarks)| !remarks.is_empty());
            groups.for_each(|(title, remarks)| list(columns, sheet, title, remarks));
        });
    });
}

fn list(columns: &mut Markup, sheet: &Sheet<'_>, title: &str, remarks: &[Remark<'_>]) {
    columns.element("div", &[("class", "warn")], |group| {
        group.words("h3", &[], &format!("{title} ({})", remarks.len()));
        group.element("ul", &[], |list| {
            for Remark { user, words, title } in remarks.iter().take(MOST) {
                let title = title.as_deref().map(|title| ("title", title));
                list.element("li", title.as_slice(), |item| {
                    item.words("bdi", &[("class", "who")], &whose(sheet.users, user));
                    item.text(&format!(": {words}"));
                });
            }
            if let Some(more) = remarks.len().checked_sub(MOST).filter(|more| *more > 0) {
                list.words("li", &[], &format!("and {more} more"));
            }
        });
    });
}

fn over<'a>(sheet: &Sheet<'a>) -> Vec<Remark<'a>> {
    let mut over: Vec<_> = sheet
        .users
        .iter()
        .filter_map(|user| {
            let (used, limit) = (used(sheet.quota, user), sheet.quota.limit(&user.user)?);
            let by = used.checked_sub(limit).filter(|by| *by > 0)?;
            Some((by, used, limit, *user))
        })
        .collect();
    over.sort_by_key(|(by, ..)| std::cmp::Reverse(*by));
    let remark = |(_, used, limit, user)| Remark {
        user,
        words: format!("{} of {}", text::size(used), text::size(limit)),
        title: Some(format!("{} of {}", exact(used), exact(limit))),
    };
    over.into_iter().map(remark).collect()
}

fn changed<'a>(sheet: &Sheet<'a>) -> Vec<Remark<'a>> {
    let remark = |user: &&'a UserUsage| {
        let words = match user.attention {
            Attention::Shrunk => "has far fewer files than before",
            Attention::Missing => "is missing",
            Attention::Normal | Attention::Removed => return None,
        };
        Some(Remark { user, words: words.into(), title: None })
    };
    sheet.users.iter().filter_map(remark).collect()
}

fn problems<'a>(sheet: &Sheet<'a>) -> Vec<Remark<'a>> {
    let of = |user: &UserUsage| user.state.map_or(0, |state| state.problems);
    let mut users: Vec<&UserUsage> = sheet.users.iter().copied().filter(|user| of(user) > 0).collect();
    users.sort_by_key(|user| std::cmp::Reverse(of(user)));
    let remark = |user| Remark { user, words: count(of(user), "file", "files"), title: None };
    users.into_iter().map(remark).collect()
}

fn damage(sheet: &Sheet<'_>) -> Option<String> {
    let damage = sheet.report.damage;
    (!damage.is_none()).then(|| {
        format!(
            "The repository is damaged: {} missing and {} unreadable. Figures lack what hangs on them; homekeep \
             check says whose they are.",
            count(damage.lost, "chunk is", "chunks are"),
            count(damage.unreadable, "tree is", "trees are")
        )
    })
}
