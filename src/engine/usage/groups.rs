//! Groups of users who hold the same chunks, by number: however many chunks there are, groups are few. Knows
//! numbers only.

use std::collections::{HashMap, HashSet};

/// Every group that was ever asked for.
pub struct Groups {
    members: Vec<Vec<u32>>,
    numbers: HashMap<Vec<u32>, u32>,
    unions: HashMap<(u32, u32), u32>,
}

impl Groups {
    /// The group without members.
    pub const NOBODY: u32 = 0;

    /// Groups whose numbers are their places; members are in ascending order, and the first group is nobody.
    pub fn new(members: Vec<Vec<u32>>) -> Self {
        let members = if members.is_empty() { vec![Vec::new()] } else { members };
        let numbers = members.iter().enumerate().map(|(n, group)| (group.clone(), n as u32)).collect();
        Self { members, numbers, unions: HashMap::new() }
    }

    /// Who is in a group, in ascending order.
    pub fn members(&self, group: u32) -> &[u32] {
        &self.members[group as usize]
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// The group of these, who are in ascending order.
    pub fn of(&mut self, members: Vec<u32>) -> u32 {
        if let Some(number) = self.numbers.get(&members) {
            return *number;
        }
        let number = self.members.len() as u32;
        self.numbers.insert(members.clone(), number);
        self.members.push(members);
        number
    }

    /// All who are in either.
    pub fn union(&mut self, a: u32, b: u32) -> u32 {
        if a == b || b == Self::NOBODY {
            return a;
        }
        if a == Self::NOBODY {
            return b;
        }
        let pair = (a.min(b), a.max(b));
        if let Some(known) = self.unions.get(&pair) {
            return *known;
        }
        let mut both = [self.members(a), self.members(b)].concat();
        both.sort_unstable();
        both.dedup();
        let union = self.of(both);
        self.unions.insert(pair, union);
        union
    }

    /// For each group, the one without these.
    pub fn without(&mut self, gone: &HashSet<u32>) -> Vec<u32> {
        let all = 0..self.len() as u32;
        all.map(|group| {
            let left: Vec<u32> =
                self.members(group).iter().filter(|member| !gone.contains(member)).copied().collect();
            self.of(left)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_members_are_the_same_group() {
        let mut groups = Groups::new(Vec::new());
        let [a, b, c] = [5, 2, 9].map(|member| groups.of(vec![member]));
        let ab = groups.union(a, b);
        assert_eq!(groups.members(ab), [2, 5]);
        assert_eq!((groups.union(b, a), groups.union(ab, a), groups.union(ab, ab)), (ab, ab, ab));
        assert_eq!((groups.union(Groups::NOBODY, c), groups.union(c, Groups::NOBODY)), (c, c));
        let bc = groups.union(b, c);
        let (one, other) = (groups.union(ab, c), groups.union(a, bc));
        assert_eq!(one, other);
        let left = groups.without(&[2].into());
        assert_eq!((left[ab as usize], left[b as usize], left[c as usize]), (a, Groups::NOBODY, c));
        assert_eq!(groups.members(left[one as usize]), [5, 9]);
    }
}
