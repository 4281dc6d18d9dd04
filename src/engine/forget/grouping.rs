//! Which snapshots a policy looks at together. Knows what a group is made by, and no rule.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::index::Summary;

/// What the snapshots of a group have in common; with nothing, all are one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    /// The source.
    pub source: bool,
    /// The host.
    pub host: bool,
    /// All tags.
    pub tags: bool,
    /// A user. A snapshot is in the group of everyone whose home it has, and stays if one of them keeps it.
    pub user: bool,
}

impl Default for Grouping {
    fn default() -> Self {
        Self { source: true, host: false, tags: false, user: false }
    }
}

/// A word that nothing is grouped by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("snapshots are grouped by source, host, tags and user, and not by {0:?}")]
pub struct ParseGroupingError(pub String);

impl FromStr for Grouping {
    type Err = ParseGroupingError;

    fn from_str(text: &str) -> Result<Self, ParseGroupingError> {
        let mut grouping = Self { source: false, host: false, tags: false, user: false };
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "source" => grouping.source = true,
                "host" => grouping.host = true,
                "tag" | "tags" => grouping.tags = true,
                "user" => grouping.user = true,
                _ => return Err(ParseGroupingError(word.into())),
            }
        }
        Ok(grouping)
    }
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.source, "source"), (self.host, "host"), (self.tags, "tags"), (self.user, "user")];
        let words: Vec<_> = words.iter().filter(|(is_set, _)| *is_set).map(|(_, word)| *word).collect();
        f.write_str(&words.join(","))
    }
}

impl Grouping {
    /// The groups that snapshots fall into, by their places, in the order in which they are given.
    pub(super) fn groups<'s>(
        &self,
        snapshots: impl Iterator<Item = (usize, &'s Summary)>,
    ) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<_, Vec<(usize, &Summary)>> = BTreeMap::new();
        for (place, summary) in snapshots {
            let mut tags: Vec<&str> = summary.tags.iter().map(String::as_str).filter(|_| self.tags).collect();
            tags.sort_unstable();
            tags.dedup();
            let source = self.source.then_some(&summary.source);
            let host = self.host.then_some(&summary.host);
            groups.entry((source, host, tags)).or_default().push((place, summary));
        }
        match self.user {
            true => groups.into_values().flat_map(|members| by_user(&members)).collect(),
            false => groups
                .into_values()
                .map(|members| members.into_iter().map(|(place, _)| place).collect())
                .collect(),
        }
    }
}

/// One group for everyone whose home is there.
fn by_user(members: &[(usize, &Summary)]) -> Vec<Vec<usize>> {
    let users = members.first().map_or(0, |(_, summary)| summary.homes.users().len());
    // Numbers of users count from 1.
    let mut groups = vec![Vec::new(); users + 1];
    for (place, summary) in members {
        for mention in summary.homes.iter().filter(|mention| mention.is_present()) {
            groups[mention.user as usize].push(*place);
        }
    }
    groups.retain(|group| !group.is_empty());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grouping_is_read_and_shown() {
        let cases =
            [("source", "source"), ("user, source", "source,user"), ("tag,host", "host,tags"), ("", "")];
        for (text, shown) in cases {
            assert_eq!(text.parse::<Grouping>().unwrap().to_string(), shown);
        }
        assert_eq!("paths".parse::<Grouping>(), Err(ParseGroupingError("paths".into())));
        assert_eq!(Grouping::default().to_string(), "source");
    }
}
