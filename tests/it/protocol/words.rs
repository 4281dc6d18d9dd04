//! A trace in words.

use super::set::Set;
use super::state::{Actor, Step};

/// Bulk segments in small letters and commits in capitals: `w0'` and `W0'` are of writer 0's second attempt, `r1` and
/// `R1` of the second who publishes again.
const NAMES: [&str; 15] =
    ["old", "spare", "FIRST", "w0", "W0", "w0'", "W0'", "w1", "W1", "w1'", "W1'", "r0", "R0", "r1", "R1"];

pub fn words(step: &Step) -> String {
    let who = match step.actor {
        Actor::Writer(n) => format!("writer {n}"),
        Actor::Prune(n) => format!("prune {n}"),
        Actor::Republisher(n) => format!("republisher {n}"),
        Actor::Forget => "forget".into(),
    };
    match step.which.is_empty() {
        true => format!("{who} {}", step.what),
        false => format!("{who} {}: {}", step.what, names(step.which)),
    }
}

pub fn names(segments: Set) -> String {
    let names: Vec<_> = segments.iter().map(|segment| NAMES[segment]).collect();
    format!("[{}]", names.join(" "))
}
