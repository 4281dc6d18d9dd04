//! Which scope a user's secret is in, or will be. Knows names and numbers, and asks nobody.
//!
//! Scopes are `NAME`, `NAME-2`, `NAME-3` and so on. A new user goes into the first that has room, and stays there. That
//! two machines which meet the same new user agree, without a word between them, is because scopes fill up in order: as
//! long as nobody deletes, a scope that one of them found full is full for the other too, and in one that is not, both
//! write the same secret. If somebody does delete at that moment, one user may come to be in two scopes. Then the copy
//! that was put last counts, wherever it is: an older one never hides a newer.

use std::collections::{BTreeMap, HashMap};

use super::api::{ScopeListed, SecretListed};

/// How many secrets a scope has at most.
pub const SECRETS_PER_SCOPE: usize = 1000;

/// A vault's scopes: one name, and numbers behind it.
#[derive(Debug)]
pub struct Family {
    base: String,
}

impl Family {
    /// The longest name that leaves room for a number.
    const MAX_LEN: usize = 120;

    /// Refuses what no scope can be called, and what would be another vault's second scope.
    pub fn new(base: &str) -> Result<Self, String> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_@.".contains(&byte);
        if base.is_empty() || base.len() > Self::MAX_LEN || !base.bytes().all(is_known) {
            return Err(format!(
                "a scope's name has 1 to {} letters, digits, dashes, underscores, points and @, and {base:?} has not",
                Self::MAX_LEN
            ));
        }
        if base
            .rsplit_once('-')
            .is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(format!(
                "the scope {base} ends with a dash and a number; such names are for what no longer fits into the first scope"
            ));
        }
        Ok(Self { base: base.to_owned() })
    }

    /// The first scope's name.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A scope's name.
    pub fn name(&self, number: u32) -> String {
        if number == 1 { self.base.clone() } else { format!("{}-{number}", self.base) }
    }

    /// Which of the vault's scopes this is; none if it is another. Scopes that differ only in case are one.
    pub fn number(&self, scope: &str) -> Option<u32> {
        let (start, end) = scope.split_at_checked(self.base.len())?;
        if !start.eq_ignore_ascii_case(&self.base) {
            return None;
        }
        if end.is_empty() {
            return Some(1);
        }
        let number: u32 = end.strip_prefix('-')?.parse().ok()?;
        (number >= 2 && end == format!("-{number}")).then_some(number)
    }
}

/// One scope of the vault.
#[derive(Debug, Clone)]
struct Scope {
    name: String,
    is_read_only: bool,
    secrets: usize,
}

impl Scope {
    fn has_room(&self) -> bool {
        !self.is_read_only && self.secrets < SECRETS_PER_SCOPE
    }
}

/// Where a copy of a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The scope's name.
    pub scope: String,
    /// The scope's number.
    pub number: u32,
    /// When it was put, if it was listed.
    pub time_ms: Option<i64>,
}

/// What is known of all scopes.
#[derive(Debug, Default)]
pub struct Placement {
    scopes: BTreeMap<u32, Scope>,
    /// The copy that counts comes first.
    copies: HashMap<String, Vec<Copy>>,
    /// What this process puts or has put. A listing that is behind the times does not make it forget.
    own: HashMap<String, u32>,
}

impl Placement {
    /// Exchanges what is known for what was listed just now.
    pub fn replace(&mut self, listed: &BTreeMap<u32, (ScopeListed, Vec<SecretListed>)>) {
        self.scopes.clear();
        self.copies.clear();
        for (number, (scope, secrets)) in listed {
            self.add_scope(*number, scope.clone());
            for secret in secrets {
                self.add_copy(&secret.key, *number, secret.time_ms);
            }
        }
        for copies in self.copies.values_mut() {
            // Newest first; of two that are equally old, the one in the first scope.
            copies.sort_by_key(|copy| (std::cmp::Reverse(copy.time_ms), copy.number));
        }
        for (key, number) in self.own.clone() {
            if !self.copies.contains_key(&key) {
                self.add_copy(&key, number, None);
            }
        }
    }

    /// A scope that was just made, or found.
    pub fn add_scope(&mut self, number: u32, scope: ScopeListed) {
        let ScopeListed { name, is_read_only } = scope;
        self.scopes.entry(number).or_insert(Scope { name, is_read_only, secrets: 0 });
    }

    fn add_copy(&mut self, key: &str, number: u32, time_ms: Option<i64>) {
        if let Some(scope) = self.scopes.get_mut(&number) {
            scope.secrets += 1;
            let copy = Copy { scope: scope.name.clone(), number, time_ms };
            self.copies.entry(key.to_owned()).or_default().push(copy);
        }
    }

    /// Where a secret is, the copy that counts first; empty if nowhere.
    pub fn copies(&self, key: &str) -> &[Copy] {
        self.copies.get(key).map_or(&[], Vec::as_slice)
    }

    /// Every key with the copy that counts.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &Copy)> {
        self.copies.iter().filter_map(|(key, copies)| Some((key.as_str(), copies.first()?)))
    }

    /// Whether a scope can be read only.
    pub fn is_read_only(&self, number: u32) -> bool {
        self.scopes.get(&number).is_some_and(|scope| scope.is_read_only)
    }

    /// A scope that can be read only, where there is none that can be written to.
    pub fn only_read_only(&self) -> Option<&str> {
        let mut scopes = self.scopes.values();
        if self.scopes.values().any(|scope| !scope.is_read_only) {
            return None;
        }
        scopes.next().map(|scope| scope.name.as_str())
    }

    /// Whether a new secret has a place.
    pub fn has_room(&self) -> bool {
        self.scopes.values().any(Scope::has_room)
    }

    /// Takes a place for a new secret in the first scope with room; none if there is no such scope.
    pub fn reserve(&mut self, key: &str) -> Option<Copy> {
        let (number, _) = self.scopes.iter().find(|(_, scope)| scope.has_room())?;
        let number = *number;
        self.own.insert(key.to_owned(), number);
        self.add_copy(key, number, None);
        self.copies(key).first().cloned()
    }

    /// The scope had no room after all: nobody gets a place in it until the next listing.
    pub fn found_full(&mut self, key: &str, number: u32) {
        self.forget(key, number);
        if let Some(scope) = self.scopes.get_mut(&number) {
            scope.secrets = scope.secrets.max(SECRETS_PER_SCOPE);
        }
    }

    /// A secret was put there.
    pub fn was_put(&mut self, key: &str, number: u32) {
        self.own.insert(key.to_owned(), number);
    }

    /// A secret is not there, or no longer.
    pub fn forget(&mut self, key: &str, number: u32) {
        if self.own.get(key) == Some(&number) {
            self.own.remove(key);
        }
        let Some(copies) = self.copies.get_mut(key) else { return };
        let before = copies.len();
        copies.retain(|copy| copy.number != number);
        let gone = before - copies.len();
        if copies.is_empty() {
            self.copies.remove(key);
        }
        if let Some(scope) = self.scopes.get_mut(&number) {
            scope.secrets = scope.secrets.saturating_sub(gone);
        }
    }

    /// The number of the next scope to make: the first that is free.
    pub fn next_number(&self) -> u32 {
        (1..).find(|number| !self.scopes.contains_key(number)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(counts: &[(u32, usize)]) -> BTreeMap<u32, (ScopeListed, Vec<SecretListed>)> {
        let family = Family::new("v").unwrap();
        let scope = |(number, count): &(u32, usize)| {
            let secrets = (0..*count).map(|n| secret(&format!("s{number}-{n}"), 1)).collect();
            (*number, (ScopeListed { name: family.name(*number), is_read_only: false }, secrets))
        };
        counts.iter().map(scope).collect()
    }

    fn secret(key: &str, time_ms: i64) -> SecretListed {
        SecretListed { key: key.into(), time_ms: Some(time_ms) }
    }

    fn scopes(placement: &Placement, key: &str) -> Vec<u32> {
        placement.copies(key).iter().map(|copy| copy.number).collect()
    }

    #[test]
    fn a_vaults_scopes_are_known_by_their_names() {
        let family = Family::new("homekeep").unwrap();
        for (scope, number) in [
            ("homekeep", Some(1)),
            ("HomeKeep-2", Some(2)),
            ("homekeep-1000", Some(1000)),
            ("homekeep-1", None),
            ("homekeep-02", None),
            ("homekeep-+2", None),
            ("homekeep2", None),
            ("homekeep-x", None),
            ("homekee", None),
            ("ö", None),
        ] {
            assert_eq!(family.number(scope), number, "{scope}");
        }
        for wrong in ["", "a b", "a/b", "homekeep-2", &"x".repeat(121)] {
            assert!(Family::new(wrong).is_err(), "{wrong}");
        }
        assert!(Family::new("home-").is_ok() && Family::new("2").is_ok() && Family::new("a-b@c.d_e").is_ok());
    }

    #[test]
    fn new_users_go_into_the_first_scope_with_room() {
        let mut placement = Placement::default();
        placement.replace(&listed(&[(1, 999), (2, 3)]));
        assert_eq!(placement.reserve("ann").unwrap().number, 1);
        assert_eq!(placement.reserve("bob").unwrap().scope, "v-2");
        placement.found_full("bob", 2);
        assert_eq!(placement.reserve("eve"), None);
        assert_eq!(placement.next_number(), 3);
        placement.replace(&listed(&[(1, 1000), (3, 1000)]));
        assert_eq!(placement.next_number(), 2);
    }

    #[test]
    fn of_two_copies_the_one_put_last_counts_wherever_it_is() {
        for (times, expected) in [([1, 2], [2, 1]), ([2, 1], [1, 2]), ([1, 1], [1, 2])] {
            let mut both = listed(&[(1, 1000), (2, 1)]);
            for (number, time) in [1, 2].into_iter().zip(times) {
                both.get_mut(&number).unwrap().1.push(secret("ann", time));
            }
            let mut placement = Placement::default();
            placement.replace(&both);
            assert_eq!(scopes(&placement, "ann"), expected, "{times:?}");
        }
    }

    #[test]
    fn a_listing_behind_the_times_moves_nobody() {
        let mut placement = Placement::default();
        placement.replace(&listed(&[(1, 1000), (2, 0)]));
        assert_eq!(placement.reserve("ann").unwrap().number, 2);
        // Somebody left the first scope; what was put into the second is not listed yet.
        placement.replace(&listed(&[(1, 999), (2, 0)]));
        assert_eq!(scopes(&placement, "ann"), [2]);
        placement.forget("ann", 2);
        assert_eq!(placement.reserve("ann").unwrap().number, 1);
    }

    #[test]
    fn a_scope_that_can_only_be_read_gets_nobody() {
        let mut placement = Placement::default();
        let mut only = listed(&[(1, 1)]);
        only.get_mut(&1).unwrap().0.is_read_only = true;
        placement.replace(&only);
        assert_eq!(placement.reserve("ann"), None);
        assert_eq!(placement.only_read_only(), Some("v"));
        assert!(placement.is_read_only(1));
        let mut both = listed(&[(1, 1), (2, 1)]);
        both.get_mut(&1).unwrap().0.is_read_only = true;
        placement.replace(&both);
        assert_eq!(placement.only_read_only(), None);
        assert_eq!(placement.reserve("ann").unwrap().number, 2);
    }
}
