//! Lets the store calls of several actors through one at a time, in an order that a seed decides. Knows nothing of
//! what the actors do.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::dice::Dice;

/// How the next actor is chosen.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    /// Any, at each call.
    Even,
    /// The same as before, four times out of five.
    Sticky,
    /// The first in an order; now and then, the one whose turn it is becomes the last.
    Ranked,
}

/// What goes wrong for an actor, or does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fate {
    /// It is killed when it is about to make this call.
    pub dies_at: Option<u64>,
    /// It is not let through from this call on until nobody else is left.
    pub sleeps_at: Option<u64>,
}

/// The turns of one schedule.
#[derive(Debug)]
pub struct Schedule {
    turns: Mutex<Turns>,
    changed: Condvar,
}

#[derive(Debug)]
struct Turns {
    actors: Vec<Actor>,
    /// Whose call is going on or may begin.
    granted: Option<usize>,
    log: Vec<String>,
}

#[derive(Debug)]
struct Actor {
    name: String,
    fate: Fate,
    /// Calls that wait; an actor may have several threads.
    waiting: usize,
    calls: u64,
    is_dead: bool,
    has_ended: bool,
}

/// The actor was killed: its process makes no more calls.
#[derive(Debug)]
pub struct Killed;

impl Schedule {
    pub fn new(actors: &[(String, Fate)]) -> Arc<Self> {
        let actor = |(name, fate): &(String, Fate)| Actor {
            name: name.clone(),
            fate: *fate,
            waiting: 0,
            calls: 0,
            is_dead: false,
            has_ended: false,
        };
        let turns = Turns { actors: actors.iter().map(actor).collect(), granted: None, log: Vec::new() };
        Arc::new(Self { turns: Mutex::new(turns), changed: Condvar::new() })
    }

    /// Waits for an actor's turn, makes the call and ends the turn.
    pub fn turn<T>(&self, actor: usize, what: &str, call: impl FnOnce() -> T) -> Result<T, Killed> {
        let mut turns = self.turns();
        turns.actors[actor].waiting += 1;
        self.changed.notify_all();
        while turns.granted != Some(actor) && !turns.actors[actor].is_dead {
            turns = self.changed.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
        turns.actors[actor].waiting -= 1;
        if turns.actors[actor].is_dead {
            return Err(Killed);
        }
        let line = format!("{}: {what}", turns.actors[actor].name);
        turns.log.push(line);
        // One call at a time: the lock is held while it goes on.
        let result = call();
        turns.granted = None;
        self.changed.notify_all();
        Ok(result)
    }

    /// The actor makes no more calls.
    pub fn end(&self, actor: usize) {
        self.turns().actors[actor].has_ended = true;
        self.changed.notify_all();
    }

    /// Gives turns until all actors have ended.
    pub fn run(&self, dice: &mut Dice) {
        let mut turns = self.turns();
        let mut ranks: Vec<usize> = (0..turns.actors.len()).collect();
        dice.shuffle(&mut ranks);
        let style = *dice.one_of(&[Style::Even, Style::Sticky, Style::Ranked, Style::Ranked]);
        let mut last = ranks[0];
        loop {
            while !turns.are_settled() {
                turns = self.changed.wait(turns).unwrap_or_else(PoisonError::into_inner);
            }
            let Some(next) = turns.choose(style, &mut ranks, last, dice) else { return };
            last = next;
            let actor = &mut turns.actors[next];
            actor.calls += 1;
            if actor.fate.dies_at == Some(actor.calls) {
                actor.is_dead = true;
                let line = format!("{} is killed", actor.name);
                turns.log.push(line);
            } else {
                turns.granted = Some(next);
            }
            self.changed.notify_all();
        }
    }

    /// What was called, in order.
    pub fn log(&self) -> Vec<String> {
        self.turns().log.clone()
    }

    /// Whether the actor was killed.
    pub fn is_dead(&self, actor: usize) -> bool {
        self.turns().actors[actor].is_dead
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turns {
    /// Whether everyone who is left waits for a turn.
    fn are_settled(&self) -> bool {
        let is_settled = |actor: &Actor| actor.has_ended || actor.waiting > 0 && !actor.is_dead;
        self.granted.is_none() && self.actors.iter().all(is_settled)
    }

    fn choose(&self, style: Style, ranks: &mut [usize], last: usize, dice: &mut Dice) -> Option<usize> {
        let left: Vec<usize> = ranks.iter().copied().filter(|n| !self.actors[*n].has_ended).collect();
        let sleeps = |actor: &Actor| actor.fate.sleeps_at.is_some_and(|call| actor.calls + 1 >= call);
        let awake: Vec<usize> = left.iter().copied().filter(|n| !sleeps(&self.actors[*n])).collect();
        let ready = if awake.is_empty() { left } else { awake };
        let first = *ready.first()?;
        Some(match style {
            Style::Even => *dice.one_of(&ready),
            Style::Sticky if ready.contains(&last) && dice.percent(80) => last,
            Style::Sticky => *dice.one_of(&ready),
            Style::Ranked => {
                if dice.percent(8) {
                    let at = ranks.iter().position(|n| *n == first).unwrap_or(0);
                    ranks[at..].rotate_left(1);
                }
                first
            }
        })
    }
}
