//! Adds up: for each user and for the store as a whole, from who holds what and what lies where.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::commits::Commits;
use super::groups::Groups;
use super::holders::Holders;
use super::objects;
use super::report::{DamageCount, StoreUsage, Stored};
use super::scene::Scene;
use super::stock::Stock;
use crate::repo::Repository;

/// What rests on nothing but the scene, and is kept as long as that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What each user's homes take, by source and name.
    pub users: Vec<(String, Vec<u8>, Stored)>,
    /// Every byte of the store.
    pub store: StoreUsage,
    /// What could not be taken into account.
    pub damage: DamageCount,
}

/// Stored bytes of a group.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    data: u64,
    trees: u64,
}

impl Account {
    /// Adds up.
    pub fn of(
        repository: &Repository,
        scene: &Scene,
        commits: &Commits,
        stock: &Stock,
        holders: &Holders,
    ) -> Self {
        let is_named = stock.named(&commits.named);
        let mut held = vec![Held::default(); holders.groups.len()];
        let mut needed = vec![None; stock.segments.len()];
        for (number, mark) in stock.marks().iter().enumerate().filter(|(_, mark)| **mark != Groups::NOBODY) {
            for place in stock.counted(number, &is_named) {
                let bytes = u64::from(place.bytes);
                let sum = &mut held[*mark as usize];
                *(if place.is_tree() { &mut sum.trees } else { &mut sum.data }) += bytes;
                *needed[place.segment()].get_or_insert(0) += bytes;
            }
        }
        let damage = holders.damage.count();
        let mut store =
            objects::classify(repository, scene, commits, stock, &needed, &is_named, !damage.is_none());
        for (group, sum) in held.iter().enumerate() {
            let is_shared = holders.groups.members(group as u32).len() > 1;
            *(if is_shared { &mut store.data_shared } else { &mut store.data_own }) += sum.data;
            *(if is_shared { &mut store.trees_shared } else { &mut store.trees_own }) += sum.trees;
        }
        Self { users: users(&commits.users, &holders.groups, &held), store, damage }
    }

    /// By source and name.
    pub fn by_name(&self) -> HashMap<(&str, &[u8]), Stored> {
        self.users.iter().map(|(source, user, stored)| ((&source[..], &user[..]), *stored)).collect()
    }
}

fn users(names: &[(String, Vec<u8>)], groups: &Groups, held: &[Held]) -> Vec<(String, Vec<u8>, Stored)> {
    let mut stored = vec![Stored::default(); names.len()];
    for (group, sum) in held.iter().enumerate() {
        match groups.members(group as u32) {
            [] => {}
            [only] => {
                stored[*only as usize].data_own += sum.data;
                stored[*only as usize].trees_own += sum.trees;
            }
            several => share(several, sum, names, &mut stored),
        }
    }
    let mut users: Vec<_> =
        names.iter().cloned().zip(stored).map(|((source, user), stored)| (source, user, stored)).collect();
    users.sort_unstable_by(|(a, b, _), (c, d, _)| (a, b).cmp(&(c, d)));
    users
}

/// Divides what a group shares equally; bytes that are left over go one each to the first by source and name.
fn share(members: &[u32], sum: &Held, names: &[(String, Vec<u8>)], stored: &mut [Stored]) {
    let mut members = members.to_vec();
    members.sort_unstable_by_key(|member| &names[*member as usize]);
    let count = members.len() as u64;
    let part = |sum: u64, place: u64| sum / count + u64::from(place < sum % count);
    for (place, member) in members.iter().enumerate() {
        let stored = &mut stored[*member as usize];
        stored.data_shared += sum.data;
        stored.trees_shared += sum.trees;
        stored.data_fair += part(sum.data, place as u64);
        stored.trees_fair += part(sum.trees, place as u64);
    }
}
