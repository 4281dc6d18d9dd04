//! What people are told of a home's state that was chosen for them: that it is older than the newest
//! snapshot, and why, or that it is not whole. Knows no command.

use super::output::Output;
use super::text;
use crate::engine::select::{AbsentHome, HomeState, StateNote};
use crate::format::Attention;
use crate::repo::Snapshot;

/// Tells what there is to know of a state.
pub fn tell(output: &Output, state: &HomeState<'_>) {
    let user = text::name(&state.home.user);
    match state.note {
        None => {}
        Some(StateNote::Behind { newest, attention }) => output.note(&format!(
            "the home of {user} is taken from snapshot {}: in the newest, {}, it {}",
            named(state.snapshot),
            named(newest),
            why(attention)
        )),
        Some(StateNote::Shrunk) => output.warn(&format!(
            "the home of {user} had far fewer files than before in snapshot {}; an older one may have more",
            named(state.snapshot)
        )),
    }
}

/// Tells of a home that has no state.
pub fn tell_absent(output: &Output, absent: &AbsentHome<'_>) {
    let (user, snapshot) = (text::name(&absent.home.user), named(absent.snapshot));
    match absent.home.attention {
        Attention::Removed => output.note(&format!(
            "the home of {user} was confirmed to be gone in snapshot {snapshot}; an older snapshot's id still \
             leads to it"
        )),
        attention => {
            output.warn(&format!("there is no home of {user}: in snapshot {snapshot} it {}", why(attention)));
        }
    }
}

fn named(snapshot: &Snapshot) -> String {
    format!("{} of {}", snapshot.record.id.short_hex(), text::local_time(snapshot.time()))
}

fn why(attention: Attention) -> &'static str {
    match attention {
        Attention::Normal => "was as usual",
        Attention::Shrunk => "had far fewer files than before",
        Attention::Missing => "was missing",
        Attention::Removed => "was confirmed to be gone",
    }
}
