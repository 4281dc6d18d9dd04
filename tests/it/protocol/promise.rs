//! What must hold in every state.

use super::state::{Reader, Setup, State};
use super::store::{CONDEMNED, Comparison, IDS};
use super::words::names;

/// What is broken, if something is.
pub fn broken_promise(state: &State, setup: &Setup) -> Option<String> {
    let store = &state.store;
    let there = store.records.named(store.records.standing - CONDEMNED).and(store.present);
    if !there.is_empty() {
        return Some(format!("{} recorded as deleted, and there", names(there)));
    }
    let unnamed = store.ever - store.present - store.recorded();
    if !unnamed.is_empty() {
        return Some(format!("{} deleted, and named in no record", names(unnamed)));
    }
    for id in (0..IDS as u8).filter(|id| state.promised >> id & 1 == 1) {
        let listed = store.commits_present();
        let highest = store.commits_of(id, listed).next();
        let passes = |commit: &usize, comparison| store.passes(*commit, store.recorded(), comparison);
        let mut commits = store.commits_of(id, listed);
        let picked = match setup.reader {
            Reader::PassingOrWhole => commits.find(|c| passes(c, Comparison::Exact) || store.is_whole(*c)),
            Reader::Passing(comparison) => commits.find(|commit| passes(commit, comparison)).or(highest),
            Reader::Highest => highest,
        };
        let Some(picked) = picked.filter(|commit| store.is_whole(*commit)) else {
            return Some(format!(
                "snapshot {id} cannot be read; its commits: {:?}",
                store.commits_of(id, listed).collect::<Vec<_>>()
            ));
        };
        if store.needs(picked) != state.saved[id as usize] {
            return Some(format!("snapshot {id} is read as {picked}, with other contents than were saved"));
        }
    }
    None
}
