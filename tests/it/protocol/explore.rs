//! Every state that a configuration can come to, breadth first, and the shortest way to one that breaks
//! a promise.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{BuildHasherDefault, DefaultHasher};

use super::promise::broken_promise;
use super::set::Set;
use super::state::{Setup, State, Step};

/// What exploring came to.
pub enum Found {
    Holds { states: usize },
    Broken { states: usize, trace: String },
}

pub fn explore(setup: &Setup) -> Found {
    let start = State::new(setup);
    let mut states = vec![(start, u32::MAX)];
    let mut known: HashMap<State, (), BuildHasherDefault<DefaultHasher>> = HashMap::default();
    known.insert(start, ());
    let mut at = 0;
    while at < states.len() {
        let state = states[at].0;
        let first_new = states.len();
        state.successors(setup, &mut |_, next| {
            if known.insert(next, ()).is_none() {
                states.push((next, at as u32));
            }
        });
        for new in first_new..states.len() {
            if let Some(what) = broken_promise(&states[new].0, setup) {
                let trace = format!("{}{what}\n", trace(setup, &states, new));
                return Found::Broken { states: states.len(), trace };
            }
        }
        at += 1;
    }
    Found::Holds { states: states.len() }
}

fn trace(setup: &Setup, states: &[(State, u32)], last: usize) -> String {
    let mut way = vec![last];
    while states[way[way.len() - 1]].1 != u32::MAX {
        way.push(states[way[way.len() - 1]].1 as usize);
    }
    way.reverse();
    let mut text = String::new();
    for (n, pair) in way.windows(2).enumerate() {
        let (from, to) = (&states[pair[0]].0, &states[pair[1]].0);
        from.successors(setup, &mut |step, next| {
            if next == *to {
                let _ = writeln!(text, "{:3}. {}", n + 1, words(&step));
            }
        });
    }
    text
}

fn words(step: &Step) -> String {
    format!("{:?} {} {}", step.actor, step.what, names(step.which))
}

pub fn names(segments: Set) -> String {
    const NAMES: [&str; 15] =
        ["old", "spare", "FIRST", "w0", "W0", "w0'", "W0'", "w1", "W1", "w1'", "W1'", "r0", "R0", "r1", "R1"];
    let names: Vec<_> = segments.iter().map(|segment| NAMES[segment]).collect();
    format!("[{}]", names.join(" "))
}
