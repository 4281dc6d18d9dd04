//! Finds out which users hold each chunk, going on from what was found out last time: trees that are new for a
//! user are walked, and users who lost a tree are taken out everywhere and walked anew. Nothing is counted up or
//! down, so nothing can drift.

use std::collections::HashSet;

use super::commits::Commits;
use super::groups::Groups;
use super::stock::Stock;
use super::walk::{Damage, Walk};
use super::{Meter, UsageError};
use crate::codec::ChunkId;
use crate::index::{ChunkKey, Holdings, HoldingsChange, HoldingsHead, IndexError, PartsChange};
use crate::repo::Repository;

/// Groups that no chunk has are dropped once they are so many more than those that one has.
const IDLE_GROUPS: usize = 4096;

/// Who holds what. The marks of the stock are the numbers of groups.
pub struct Holders {
    /// Groups of users.
    pub groups: Groups,
    /// What could not be found or read.
    pub damage: Damage,
}

impl Holders {
    /// Marks each chunk of the stock with the group of its holders.
    pub fn find(
        repository: &Repository,
        holdings: &Holdings,
        head: &HoldingsHead,
        commits: &Commits,
        stock: &mut Stock,
        meter: &Meter,
    ) -> Result<Self, UsageError> {
        let (before, now) = (&commits.roots_before, &commits.roots);
        let mut groups = Groups::new(head.groups.clone());
        let mut changed: HashSet<u32> = before.difference(now).map(|(holder, _)| *holder).collect();
        if !stock.is_resumed() {
            let orphaned = take_over(holdings, stock, groups.len())?;
            // A chunk is gone that someone who lost no tree held: who holds what hung on it is to be found out anew.
            let is_lost = |group: &u32| groups.members(*group).iter().any(|member| !changed.contains(member));
            if orphaned.iter().any(is_lost) {
                changed = (0..commits.users.len() as u32).collect();
            }
        }
        if !changed.is_empty() {
            let left = groups.without(&changed);
            for number in 0..stock.marks().len() {
                stock.set_mark(number, left[stock.marks()[number] as usize]);
            }
        }
        let is_new = |(holder, tree): &&(u32, ChunkId)| {
            changed.contains(holder) || !before.contains(&(*holder, *tree))
        };
        let mut new: Vec<(u32, ChunkId)> = now.iter().filter(is_new).copied().collect();
        new.sort_unstable();
        let new: Vec<(ChunkId, u32)> =
            new.into_iter().map(|(holder, tree)| (tree, groups.of(vec![holder]))).collect();
        let mut reader = repository.reader()?;
        let damage =
            Walk::new(&mut reader, stock, &mut |a, b| groups.union(a, b)).run(new.into_iter(), meter)?;
        Ok(Self { groups, damage })
    }

    /// Keeps it for the next time, unless somebody else has kept something meanwhile.
    pub fn save(
        &self,
        holdings: &mut Holdings,
        head: &HoldingsHead,
        commits: &Commits,
        stock: &Stock,
        vaulted: &[(ChunkKey, u32)],
    ) -> Result<(), IndexError> {
        let (parts, groups, numbers) = self.kept(stock);
        let head = HoldingsHead {
            generation: head.generation,
            division: head.division,
            is_exact: stock.is_exact,
            holders: commits.users.clone(),
            groups,
            segments: stock.segments.clone(),
            trees: commits.trees().to_vec(),
            names: commits.names().to_vec(),
        };
        holdings.save(HoldingsChange {
            head: &head,
            commits: &commits.all,
            counted: &commits.counted,
            new_commits: &commits.new,
            parts: &parts,
            places: &mut |division, part, visit| {
                stock.part(division, part, |mark| numbers.get(mark as usize).map_or(mark, |n| *n), visit);
            },
            vaulted,
        })?;
        Ok(())
    }

    /// Which parts are to be written, the groups, and the numbers that they get; none if they keep theirs.
    fn kept(&self, stock: &Stock) -> (PartsChange, Vec<Vec<u32>>, Vec<u32>) {
        let members = |group: usize| self.groups.members(group as u32).to_vec();
        let mut is_used = vec![false; self.groups.len()];
        stock.marks().iter().for_each(|mark| is_used[*mark as usize] = true);
        let used = is_used.iter().filter(|is_used| **is_used).count();
        match stock.changed_parts() {
            parts @ PartsChange::Some(_) if is_used.len() <= 2 * used + IDLE_GROUPS => {
                (parts, (0..is_used.len()).map(members).collect(), Vec::new())
            }
            parts => {
                let (mut numbers, mut groups) = (vec![0; is_used.len()], vec![Vec::new()]);
                for (group, _) in is_used.iter().enumerate().skip(1).filter(|(_, is_used)| **is_used) {
                    numbers[group] = groups.len() as u32;
                    groups.push(members(group));
                }
                (parts.all(stock.keys().len()), groups, numbers)
            }
        }
    }
}

/// Takes over who held what is still there. Returns the groups that held something that is gone.
fn take_over(holdings: &Holdings, stock: &mut Stock, groups: usize) -> Result<HashSet<u32>, IndexError> {
    let (mut at, mut orphaned, mut is_sound) = (0, HashSet::new(), true);
    holdings.scan_places(|held| {
        is_sound &= (held.group as usize) < groups;
        if !is_sound {
            return;
        }
        while stock.keys().get(at).is_some_and(|key| *key < held.key) {
            at += 1;
        }
        match stock.keys().get(at) {
            Some(here) if *here == held.key => stock.set_mark(at, held.group),
            _ if held.group != Groups::NOBODY => drop(orphaned.insert(held.group)),
            _ => {}
        }
    })?;
    match is_sound {
        true => Ok(orphaned),
        false => Err(IndexError::Damaged("the holders of chunks")),
    }
}
