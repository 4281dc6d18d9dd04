//! Operations of several machines in any order, with calls that fail in passing, against a map: what was put last is what
//! everybody gets, and with deletions in between, at least what somebody can still find.

use std::collections::BTreeMap;

use homekeep::vault::Provider;

use super::script::Fault;
use super::server::Server;
use super::workspace::Rules;
use super::{provider, users};
use crate::vault_providers::contract::document;

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end) as usize
    }

    fn fault(&mut self) -> (&'static str, Fault) {
        let calls =
            ["scopes/list", "scopes/create", "secrets/list", "secrets/put", "secrets/get", "secrets/delete"];
        let call = calls[self.below(6)];
        let fault = match self.below(4) {
            0 => Fault::Drop,
            1 => Fault::DropAfter,
            2 => Fault::Instead(503, &[], String::new()),
            _ => Fault::After(504, String::new()),
        };
        (call, fault)
    }
}

/// Three machines in a workspace whose scopes are full with three secrets, which nobody told them.
fn play(seed: u64, with_deletions: bool) {
    let server = Server::with(Rules { max_secrets: 3, ..Rules::default() });
    let machines = [(); 3].map(|()| provider(&server));
    let mut dice = Dice(seed);
    let mut last: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for step in 0..60 {
        let machine = &machines[dice.below(3)];
        let user = ["a", "A", "b", "c@x", "d", "e", "f", "g"][dice.below(8)];
        if dice.below(3) == 0 {
            let (call, fault) = dice.fault();
            server.workspace().script.add(call, 0, 1, fault);
        }
        match dice.below(if with_deletions { 6 } else { 5 }) {
            0 => drop(users(machine)),
            1 if !with_deletions => {
                assert_eq!(machine.get(user).unwrap(), last.get(user).cloned(), "seed {seed}, step {step}");
            }
            1..=4 => {
                let new = document(user, &step.to_string(), 0);
                machine.put(user, &new).unwrap();
                last.insert(user.into(), new);
            }
            _ => {
                machine.delete(user).unwrap();
                last.remove(user);
            }
        }
    }
    let fresh = provider(&server);
    assert_eq!(users(&fresh), last.keys().cloned().collect::<Vec<_>>(), "seed {seed}");
    for (user, expected) in last {
        let counts = fresh.get(&user).unwrap().unwrap();
        if with_deletions {
            let others = fresh.older_copies(&user).unwrap();
            assert!(counts == expected || others.contains(&expected), "seed {seed}: {user} is lost");
        } else {
            assert_eq!(counts, expected, "seed {seed}: {user}");
            assert!(fresh.older_copies(&user).unwrap().is_empty(), "seed {seed}: {user} was placed twice");
        }
    }
}

#[test]
fn what_was_put_last_is_what_everybody_gets() {
    (0..60).for_each(|seed| play(seed, false));
}

#[test]
fn nothing_is_lost_when_others_delete_in_between() {
    (0..60).for_each(|seed| play(seed, true));
}
