//! Which snapshots count. Knows their records only.

use super::SnapshotHead;

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
    pub fn accepts(&self, snapshot: &impl SnapshotHead) -> bool {
        let has_all = |tags: &Vec<String>| tags.iter().all(|tag| snapshot.tags().contains(tag));
        is_in(&self.sources, snapshot.source())
            && is_in(&self.hosts, snapshot.host())
            && (self.tags.is_empty() || self.tags.iter().any(has_all))
            && (self.users.is_empty() || snapshot.mentions(&self.users))
    }

    /// Whether a user's home counts.
    pub fn accepts_user(&self, user: &[u8]) -> bool {
        self.users.is_empty() || self.users.iter().any(|u| u == user)
    }
}

fn is_in(wanted: &[String], found: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted == found)
}
