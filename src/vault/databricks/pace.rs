//! How fast calls are made, and how patiently they are repeated. Knows time, and no call.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A little more than a second: a call that was made later may arrive earlier, and whoever counts them there counts
/// arrivals.
const SECOND: Duration = Duration::from_millis(1080);

/// How long calls are waited for and repeated.
#[derive(Debug, Clone)]
pub struct Patience {
    /// How long one operation may be repeated.
    pub budget: Duration,
    /// How long one call may take.
    pub call: Duration,
    /// The pause before the second try; before the third it is twice as long, and so on.
    pub step: Duration,
    /// No pause is longer, unless the workspace asks for it.
    pub longest_pause: Duration,
    /// How often an address is tried where nobody listens: a wrong name would cost the whole budget.
    pub tries_to_connect: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(300),
            call: Duration::from_secs(60),
            step: Duration::from_secs(1),
            longest_pause: Duration::from_secs(10),
            tries_to_connect: 4,
        }
    }
}

/// Lets calls of all threads through one after the other, evenly.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// So many calls in any second; not zero.
    pub fn new(calls_per_second: u32) -> Self {
        Self { gap: SECOND / calls_per_second.max(1), next: Mutex::new(None) }
    }

    /// Waits for this call's turn.
    pub fn wait(&self) {
        thread::sleep(self.reserve(Instant::now()));
    }

    /// Takes a turn; returns how far away it is.
    fn reserve(&self, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + self.gap);
        turn - now
    }

    /// No call of any thread before this long from now: the workspace asked for quiet.
    pub fn hold(&self, pause: Duration) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + pause;
        *next = Some(next.map_or(until, |next| next.max(until)));
    }
}

/// The tries of one operation.
#[derive(Debug)]
pub struct Tries<'a> {
    patience: &'a Patience,
    deadline: Instant,
    failed: u32,
    unconnected: u32,
}

impl<'a> Tries<'a> {
    /// The first is about to begin.
    pub fn new(patience: &'a Patience, now: Instant) -> Self {
        Self { patience, deadline: now + patience.budget, failed: 0, unconnected: 0 }
    }

    /// How long to wait before the next; none if that was the last. `asked_for` is what the workspace wants, `drawn` a
    /// random number.
    pub fn next(
        &mut self,
        now: Instant,
        asked_for: Option<Duration>,
        has_connected: bool,
        drawn: u32,
    ) -> Option<Duration> {
        self.failed += 1;
        self.unconnected = if has_connected { 0 } else { self.unconnected + 1 };
        if self.unconnected >= self.patience.tries_to_connect {
            return None;
        }
        let own = (self.patience.step * self.failed).min(self.patience.longest_pause);
        // Machines that were turned away together do not come back together.
        let jitter = own.mul_f64(f64::from(drawn % 1000) / 2000.0);
        let pause = asked_for.unwrap_or(own) + jitter;
        (now + pause < self.deadline).then_some(pause)
    }

    /// How often it failed.
    pub fn failed(&self) -> u32 {
        self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_calls_than_it_may() {
        let pace = Pace::new(15);
        let start = Instant::now();
        // Three calls come at once every 100 ms.
        let turns: Vec<_> = (0..300)
            .map(|n| {
                let now = start + Duration::from_millis(100) * (n / 3);
                now + pace.reserve(now)
            })
            .collect();
        for (n, turn) in turns.iter().enumerate().skip(15) {
            assert!(*turn - turns[n - 15] >= Duration::from_millis(999), "{n}");
        }
        let pace = Pace::new(15);
        assert_eq!(pace.reserve(start), Duration::ZERO);
        assert_eq!(
            pace.reserve(start + Duration::from_secs(9)),
            Duration::ZERO,
            "turns that nobody took are gone"
        );
    }

    #[test]
    fn quiet_is_kept_by_everybody() {
        let pace = Pace::new(15);
        pace.hold(Duration::from_secs(5));
        assert!(pace.reserve(Instant::now()) > Duration::from_secs(4));
        pace.hold(Duration::from_secs(1));
        assert!(pace.reserve(Instant::now()) > Duration::from_secs(4));
    }

    #[test]
    fn pauses_grow_until_the_budget_is_spent() {
        let patience = Patience { budget: Duration::from_secs(30), ..Patience::default() };
        let start = Instant::now();
        let mut tries = Tries::new(&patience, start);
        let mut now = start;
        let mut pauses = Vec::new();
        while let Some(pause) = tries.next(now, None, true, 0) {
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [1, 2, 3, 4, 5, 6, 7]);
        let mut tries = Tries::new(&patience, start);
        assert_eq!(tries.next(start, Some(Duration::from_secs(9)), true, 0), Some(Duration::from_secs(9)));
        assert_eq!(tries.next(start, Some(Duration::from_secs(31)), true, 0), None);
        let mut tries = Tries::new(&patience, start);
        let unconnected = (0..9).take_while(|_| tries.next(start, None, false, 0).is_some()).count();
        assert_eq!(unconnected, 3);
    }
}
