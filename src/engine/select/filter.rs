//! Which snapshots count. Knows their records only.

use crate::repo::Snapshot;

/// What a snapshot must have to count. An empty list asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// One of these sources.
    pub sources: Vec<String>,
    /// One of these hosts.
    pub hosts: Vec<String>,
    /// A word on the home of one of these users; other homes are left out.
    pub users: Vec<Vec<u8>>,
    /// All tags of one of these lists.
    pub tags: Vec<Vec<String>>,
}

impl Filter {
    /// Whether a snapshot counts.
    pub fn accepts(&self, snapshot: &Snapshot) -> bool {
        let record = &snapshot.record;
        let has_all = |tags: &Vec<String>| tags.iter().all(|tag| record.tags.contains(tag));
        is_in(&self.sources, &record.source)
            && is_in(&self.hosts, &record.host)
            && (self.tags.is_empty() || self.tags.iter().any(has_all))
            && (self.users.is_empty() || record.homes.iter().any(|home| self.users.contains(&home.user)))
    }

    /// Whether a user's home counts.
    pub fn accepts_user(&self, user: &[u8]) -> bool {
        self.users.is_empty() || self.users.iter().any(|u| u == user)
    }
}

fn is_in(wanted: &[String], found: &String) -> bool {
    wanted.is_empty() || wanted.contains(found)
}
