//! Taking back a forgetting that dies or fails at each of its calls: what undo reported as back stays, other snapshots
//! lose nothing, and the next undo succeeds.

use std::sync::Arc;
use std::time::Duration;

use homekeep::engine::prune::PruneOptions;
use homekeep::engine::undo::{UndoOptions, Undone, undo};
use homekeep::repo::RepoError;
use homekeep::store::{MemoryStore, Store};

use super::at_each_call;
use super::checked::assert_checks_clean;
use super::pruning::{Pruned, forget, prune_on, remove_torn, repacking};
use crate::pruning::prune_options;
use crate::support::Site;

/// All snapshots, of which the first is forgotten.
fn forgotten() -> Pruned {
    let pruned = Pruned::new();
    forget(Arc::new(pruned.store.clone()), pruned.first).unwrap();
    pruned
}

fn undo_on(pruned: &Pruned, store: Arc<dyn Store>) -> Result<Undone, RepoError> {
    let site = Site::in_memory(store);
    undo(&mut site.open()?, pruned.first, &UndoOptions { level: 1, threads: 1 })
}

fn is_listed(pruned: &Pruned, store: &MemoryStore) -> bool {
    let snapshots = Site::in_memory(Arc::new(store.clone())).repository().snapshots().unwrap();
    snapshots.iter().any(|snapshot| snapshot.record.id == pruned.first)
}

/// Undoes with each fault at each call of it. Nothing that the snapshot needs is deleted meanwhile, so once it is
/// listed it is whole, also after a prune; and undoing it again is never too late.
fn assert_survives(pruned: &Pruned, is_expected: impl Fn(&Undone) -> bool) -> u64 {
    let others = pruned.without_first();
    at_each_call(
        &pruned.store,
        |store| undo_on(pruned, store),
        |undone, store| {
            assert!(undone.is_err() || is_listed(pruned, &store), "success was reported without a snapshot");
            assert!(undone.as_ref().is_err() || undone.as_ref().is_ok_and(&is_expected), "{undone:?}");
            let expected = if is_listed(pruned, &store) { &pruned.expected } else { &others };
            Pruned::assert_holds(&store, expected);
            assert_checks_clean(&store);
            remove_torn(&store, &prune_options(), None);
            if undone.is_ok() {
                prune_on(Arc::new(store.clone()), &prune_options()).unwrap();
                Pruned::assert_holds(&store, expected);
            }
            let again = undo_on(pruned, Arc::new(store.clone())).unwrap();
            assert!(!matches!(again, Undone::TooLate(_)), "{again:?}");
            for _ in 0..3 {
                prune_on(Arc::new(store.clone()), &prune_options()).unwrap();
                pruned.assert_whole(&store);
            }
            assert_checks_clean(&store);
        },
    )
}

#[test]
fn an_undo_can_die_or_fail_at_any_call() {
    let calls = assert_survives(&forgotten(), |undone| matches!(undone, Undone::Back));
    assert!(calls >= 8, "{calls} calls only");
}

#[test]
fn an_undo_that_stores_again_what_is_condemned_can_die_or_fail_at_any_call() {
    let pruned = forgotten();
    let condemn = PruneOptions { grace: Duration::from_secs(24 * 3600), ..repacking() };
    let report = prune_on(Arc::new(pruned.store.clone()), &condemn).unwrap();
    assert!(report.waiting.bytes > 50_000, "{report:?}");
    let calls = assert_survives(&pruned, |undone| matches!(undone, Undone::StoredAgain));
    assert!(calls >= 12, "{calls} calls only");
}
