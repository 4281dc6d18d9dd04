//! Every state that a configuration can come to, breadth first, and the shortest way to one that breaks
//! a promise. Of a state that was seen, 64 bits of a hash are kept: of ten million states, two have the same
//! with a probability below one in a hundred thousand.

use std::collections::HashSet;
use std::collections::VecDeque;
use std::fmt::Write;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::promise::broken_promise;
use super::state::{Setup, State};
use super::symmetry::canonical;
use super::words::words;

/// What exploring came to.
pub enum Found {
    Holds { states: usize },
    Broken { states: usize, trace: String },
}

/// Which step of which state first led to a state.
#[derive(Clone, Copy)]
struct Way {
    from: u32,
    step: u16,
}

pub fn explore(setup: &Setup) -> Found {
    let start = State::new(setup);
    let mut ways = vec![Way { from: 0, step: 0 }];
    let mut seen: HashSet<u64, BuildHasherDefault<Identity>> = HashSet::default();
    seen.insert(digest(&start));
    let mut waiting = VecDeque::from([start]);
    let mut at = 0;
    while let Some(state) = waiting.pop_front() {
        let mut step = 0;
        let mut broken = None;
        state.successors(setup, &mut |_, next| {
            let next = canonical(next, setup);
            if seen.insert(digest(&next)) {
                if broken.is_none() {
                    broken = broken_promise(&next, setup).map(|what| (ways.len(), what));
                }
                ways.push(Way { from: at, step });
                waiting.push_back(next);
            }
            step += 1;
        });
        if let Some((last, what)) = broken {
            let trace = format!("{}     {what}\n", trace(setup, start, &ways, last));
            return Found::Broken { states: ways.len(), trace };
        }
        at += 1;
    }
    Found::Holds { states: ways.len() }
}

/// Goes the way to a state once more, and says each step.
fn trace(setup: &Setup, start: State, ways: &[Way], last: usize) -> String {
    let mut steps = Vec::new();
    let mut at = last;
    while at != 0 {
        steps.push(ways[at].step);
        at = ways[at].from as usize;
    }
    let (mut text, mut state) = (String::new(), start);
    for (n, wanted) in steps.iter().rev().enumerate() {
        let mut step_number = 0;
        let mut taken = state;
        state.successors(setup, &mut |step, next| {
            if step_number == *wanted {
                let _ = writeln!(text, "{:3}. {}", n + 1, words(&step));
                taken = canonical(next, setup);
            }
            step_number += 1;
        });
        state = taken;
    }
    text
}

fn digest(state: &State) -> u64 {
    let mut hasher = Mixer::default();
    state.hash(&mut hasher);
    hasher.finish()
}

/// Two lanes of multiplications: a state is some 200 bytes, and is hashed several times for each that is new.
#[derive(Default)]
struct Mixer {
    low: u64,
    high: u64,
}

impl Mixer {
    fn mix(&mut self, value: u64) {
        self.low = (self.low.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.high = (self.high.rotate_left(41) ^ value).wrapping_mul(0xd6e8_feb8_6659_fd93);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }
    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }
    fn write_u16(&mut self, value: u16) {
        self.mix(u64::from(value));
    }
    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
    fn finish(&self) -> u64 {
        let mut mixed = self.low ^ self.high.rotate_left(32);
        mixed = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ mixed >> 29
    }
}

/// For what is a hash already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only digests are hashed");
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}
