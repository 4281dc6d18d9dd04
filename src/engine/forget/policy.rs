//! What a policy keeps of the snapshots of one group. Pure: knows times and tags, and neither other groups
//! nor what protects a snapshot whatever the policy says.

use std::collections::HashSet;

use jiff::ZonedDateTime;

use super::rule::Stretch;
use super::{Reason, Rule, Within};
use crate::index::Summary;

/// What is kept. A snapshot stays if any of it says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// How many snapshots each rule keeps.
    pub rules: Vec<(Rule, u32)>,
    /// All snapshots that are at most so much older than the newest of the group.
    pub within: Option<Within>,
    /// All snapshots with all tags of one of these lists.
    pub tags: Vec<Vec<String>>,
}

impl Policy {
    /// Whether it keeps nothing at all.
    pub fn is_empty(&self) -> bool {
        self.rules.iter().all(|(_, count)| *count == 0) && self.within.is_none() && self.tags.is_empty()
    }

    /// Tells `note` the places of the members of a group that stay, and why. The members come newest first.
    pub(super) fn keep(&self, members: &[Member<'_>], note: &mut impl FnMut(usize, Reason)) {
        for (rule, count) in &self.rules {
            keep_by_rule(*rule, *count, members, note);
        }
        let within = self.within.map_or(0, |within| count_within(within, members));
        members[..within].iter().for_each(|member| note(member.place, Reason::Within));
        for member in members {
            let has_all = |tags: &&Vec<String>| tags.iter().all(|tag| member.summary.tags.contains(tag));
            if let Some(tags) = self.tags.iter().find(has_all) {
                note(member.place, Reason::Tags(tags.clone()));
            }
        }
    }
}

/// A snapshot as a policy sees it.
#[derive(Clone, Copy)]
pub(super) struct Member<'d> {
    pub place: usize,
    pub summary: &'d Summary,
    pub dates: &'d Dates,
}

/// When a snapshot was taken, and which stretch of each rule that is.
pub(super) struct Dates {
    time: ZonedDateTime,
    stretches: [Stretch; Rule::ALL.len()],
}

impl Dates {
    pub fn new(place: usize, time: ZonedDateTime) -> Self {
        let stretches = Rule::ALL.map(|rule| rule.stretch(place, &time));
        Self { time, stretches }
    }
}

/// Of each stretch the newest, until there are enough; and the oldest of all while there are not, so that
/// the history reaches as far back as it can.
fn keep_by_rule(rule: Rule, count: u32, members: &[Member<'_>], note: &mut impl FnMut(usize, Reason)) {
    let mut left = count;
    // All of them, not the last one: with clocks that disagree, a day may come again.
    let mut taken = HashSet::new();
    for (n, member) in members.iter().enumerate() {
        if left == 0 {
            break;
        }
        let is_first = taken.insert(member.dates.stretches[rule as usize]);
        let is_oldest = n + 1 == members.len();
        if is_first || is_oldest {
            note(member.place, Reason::Rule { rule, is_oldest: !is_first });
            left -= 1;
        }
    }
}

/// How many of the newest members are within. One that was dated too early lies among those that are
/// newer than the oldest that is within, and is kept with them.
fn count_within(within: Within, members: &[Member<'_>]) -> usize {
    let Some(newest) = members.first() else { return 0 };
    let start = within.before(&newest.dates.time);
    members.iter().rposition(|member| member.dates.time.timestamp() >= start).map_or(0, |oldest| oldest + 1)
}
