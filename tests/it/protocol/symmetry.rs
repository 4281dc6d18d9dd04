//! Actors that are alike may change places: of the states that differ in no more, one is explored. The
//! segments that writers put, and the records that prunes put, change places with them.
//!
//! Which of two equal copies of a chunk is used is left to the lowest number, so exchanging writers is a choice
//! among what real writers may do, not a loss of any promise's breach.

use super::set::Set;
use super::state::{Setup, State};
use super::store::{Names, deleted_by, written_by};

/// The least of the states that `state` becomes when actors that are alike change places.
pub fn canonical(state: State, setup: &Setup) -> State {
    let mut least = of_prunes(state, setup.prunes);
    if setup.writers.len() == 2 && setup.writers[0] == setup.writers[1] {
        least = least.min(of_prunes(writers_exchanged(state), setup.prunes));
    }
    least
}

fn of_prunes(state: State, prunes: usize) -> State {
    let mut least = state;
    match prunes {
        2 => least = least.min(prunes_exchanged(state, 0, 1)),
        3 => {
            for (a, b) in [(0, 1), (1, 2), (0, 2)] {
                least = least.min(prunes_exchanged(state, a, b));
            }
            for (a, b) in [(0, 1), (0, 2)] {
                least = least.min(prunes_exchanged(prunes_exchanged(state, a, b), 1, 2));
            }
        }
        _ => {}
    }
    least
}

fn prunes_exchanged(mut state: State, a: usize, b: usize) -> State {
    let exchange = |names: Names| names.exchange(a, b, 1).exchange(deleted_by(a), deleted_by(b), 1);
    state.prunes.swap(a, b);
    for prune in &mut state.prunes {
        prune.exchange_records(exchange);
    }
    for writer in &mut state.writers {
        writer.exchange_records(exchange);
    }
    for republisher in &mut state.republishers {
        republisher.exchange_records(exchange);
    }
    state.store.records.exchange(a, b, exchange);
    state
}

fn writers_exchanged(mut state: State) -> State {
    let (a, b) = (written_by(0, 0), written_by(1, 0));
    let segments = |set: Set| set.exchange(a, b, b - a);
    let ids = |ids: u8| ids & !0b110 | (ids & 0b010) << 1 | (ids & 0b100) >> 1;
    state.writers.swap(0, 1);
    state.saved.swap(1, 2);
    state.saved.iter_mut().for_each(|set| *set = segments(*set));
    state.promised = ids(state.promised);
    state.forgettable = ids(state.forgettable);
    for prune in &mut state.prunes {
        prune.exchange_segments(segments, ids);
    }
    state.store.exchange_writers(segments, ids, a, b);
    state
}
