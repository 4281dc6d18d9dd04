//! The programs themselves, simulated: real backups, prunes, undos and forgets run beside each other on one store, and
//! a seed decides whose store call is let through next, who is killed and who sleeps. After each schedule, every
//! snapshot that was reported as saved must be there, bit for bit; the next backup must succeed; and a prune
//! must leave it all as it was. `protocol` explores the rules; this shows that the programs follow them.
//!
//! A failure tells its seed. `HOMEKEEP_SEED=17 cargo test --test it simulated -- --nocapture` repeats that schedule
//! some times: choices are the same, but object names are random, and with them the order of some calls.
//! `HOMEKEEP_SCHEDULES=100000` runs so many.

mod between;
mod dice;
mod homes;
mod schedule;
mod store;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use homekeep::repo::Repository;
use tempfile::TempDir;

use self::between::BetweenStore;
use self::dice::Dice;
use self::homes::Homes;
use self::schedule::{Fate, Schedule};
use self::store::ScheduledStore;
use self::world::{Done, Failure, Task, World, copy_cache, perform};
use crate::support::{let_times_settle, secret};

const SCHEDULES: u64 = 600;
const PASTS: u64 = 24;
/// How often one seed is repeated.
const REPEATS: u64 = 50;
/// Two cores have something to do while others wait for a turn.
const THREADS: u64 = 3;

/// What all schedules share.
struct Stage {
    folder: TempDir,
    homes: Homes,
    pasts: Vec<World>,
}

/// What one actor is, and what came of it.
struct Act {
    task: Task,
    cache: Option<usize>,
    fate: Fate,
}

#[test]
fn whatever_the_order_of_calls_nothing_that_was_saved_is_lost() {
    let stage = Stage::new();
    let outcomes = Mutex::new(BTreeMap::new());
    if let Some(seed) = number("HOMEKEEP_SEED") {
        (0..REPEATS).for_each(|_| stage.run(seed, &outcomes));
        return;
    }
    let schedules = number("HOMEKEEP_SCHEDULES").unwrap_or(SCHEDULES);
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= schedules {
                        return;
                    }
                    stage.run(seed, &outcomes);
                }
            });
        }
    });
    for (outcome, times) in outcomes.into_inner().unwrap() {
        println!("{times:8} {outcome}");
    }
}

/// A repack has put its segment and is about to publish, when another prune takes the segment for an orphan. The repack's look
/// fails; its commit stays, above the one that still counts, and must not make anyone lose sight of what only that one
/// names: a segment of an earlier repack.
#[test]
fn a_repack_whose_segment_is_taken_away_costs_nothing() {
    let stage = Stage::new();
    let scratch = tempfile::tempdir_in(stage.folder.path()).unwrap();
    let machine = scratch.path().join("machine");
    let mut world = World::new(&scratch.path().join("world"));
    let mut act = |task| {
        let done = perform(&mut world.open(&machine), task, &stage.homes).unwrap();
        world.note(task, Some(done));
        done
    };
    let saved = [4, 3, 1].map(|home| match act(Task::Backup { home, source: home }) {
        Done::Saved(id) => id,
        other => panic!("{other:?}"),
    });
    act(Task::Forget(saved[0]));
    assert!(matches!(act(Task::Prune { repacks: true }), Done::Repacked));
    act(Task::Forget(saved[2]));

    let other = scratch.path().join("other");
    let (inner, homes) = (world.store.clone(), stage.homes.clone());
    let prune_first = move || {
        let mut repository = Repository::open(Arc::new(inner), &secret(), &other).unwrap();
        perform(&mut repository, Task::Prune { repacks: false }, &homes).unwrap();
    };
    let store = Arc::new(BetweenStore::new(world.store.clone(), "snapshots/", prune_first));
    let mut repository = Repository::open(store.clone(), &secret(), &machine).unwrap();
    perform(&mut repository, Task::Prune { repacks: true }, &stage.homes).unwrap();
    assert!(store.has_happened(), "nothing was repacked");
    drop(repository);
    world.assert_whole(&scratch.path().join("fresh"), &stage.homes);
    for n in 0..3 {
        perform(&mut world.open(&machine), Task::Prune { repacks: true }, &stage.homes).unwrap();
        world.assert_whole(&scratch.path().join(format!("fresh{n}")), &stage.homes);
    }
}

/// A prune has listed the marks and is about to delete the commit of a snapshot of which every chunk lies in other
/// segments too, when the forgetting is undone. That the chunks are safe does not make the commit safe.
#[test]
fn an_undo_does_not_rely_on_a_commit_that_is_condemned() {
    let stage = Stage::new();
    let scratch = tempfile::tempdir_in(stage.folder.path()).unwrap();
    let machine = scratch.path().join("machine");
    let mut world = World::new(&scratch.path().join("world"));
    let backup = Task::Backup { home: 1, source: 0 };
    let [_, id] = [0, 1].map(|_| {
        let done = perform(&mut world.open(&machine), backup, &stage.homes).unwrap();
        world.note(backup, Some(done));
        let Done::Saved(id) = done else { panic!("{done:?}") };
        id
    });
    let forgotten = perform(&mut world.open(&machine), Task::Forget(id), &stage.homes).unwrap();
    world.note(Task::Forget(id), Some(forgotten));

    let (inner, homes, other) = (world.store.clone(), stage.homes.clone(), scratch.path().join("other"));
    let undo_first = move || {
        let mut repository = Repository::open(Arc::new(inner), &secret(), &other).unwrap();
        let undone = perform(&mut repository, Task::Undo(id), &homes).unwrap();
        assert!(matches!(undone, Done::Back), "{undone:?}");
    };
    let store = Arc::new(BetweenStore::new(world.store.clone(), "snapshots/", undo_first));
    let mut repository = Repository::open(store.clone(), &secret(), &machine).unwrap();
    perform(&mut repository, Task::Prune { repacks: false }, &stage.homes).unwrap();
    assert!(store.has_happened(), "nothing was deleted");
    world.note(Task::Undo(id), Some(Done::Back));
    world.assert_whole(&scratch.path().join("fresh"), &stage.homes);
}

fn number(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().expect("a number"))
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let homes = Homes::new(&folder.path().join("homes"));
        // What was written just now is not taken as unchanged by a backup.
        let_times_settle();
        let past =
            |n: u64| World::with_past(&folder.path().join(format!("past{n}")), &homes, &mut Dice::new(n));
        let pasts = (0..PASTS).map(past).collect();
        Self { folder, homes, pasts }
    }

    fn run(&self, seed: u64, outcomes: &Mutex<BTreeMap<String, u64>>) {
        let scratch = tempfile::tempdir_in(self.folder.path()).unwrap();
        let mut log = Vec::new();
        let run = catch_unwind(AssertUnwindSafe(|| self.play(seed, scratch.path(), outcomes, &mut log)));
        if let Err(panic) = run {
            eprintln!("HOMEKEEP_SEED={seed}\n{}", log.join("\n"));
            std::panic::resume_unwind(panic);
        }
    }

    /// Two waves of actors, and then a backup and a prune by themselves.
    fn play(
        &self,
        seed: u64,
        scratch: &Path,
        outcomes: &Mutex<BTreeMap<String, u64>>,
        log: &mut Vec<String>,
    ) {
        let mut dice = Dice::new(seed);
        let mut world = dice.one_of(&self.pasts).copy();
        for wave in 0..1 + dice.below(2) {
            self.wave(&mut world, &scratch.join(format!("wave{wave}")), &mut dice, outcomes, log);
            world.assert_whole(&scratch.join(format!("checker{wave}")), &self.homes);
        }
        let cache = scratch.join("after");
        if dice.percent(50) && !world.caches.is_empty() {
            copy_cache(dice.one_of::<std::path::PathBuf>(&world.caches), &cache);
        }
        for task in [world.any_backup(&self.homes, &mut dice), Task::Prune { repacks: dice.percent(50) }] {
            log.push(format!("afterwards {task:?}"));
            let done = perform(&mut world.open(&cache), task, &self.homes).unwrap();
            world.note(task, Some(done));
        }
        world.assert_whole(&scratch.join("last"), &self.homes);
        world.assert_whole(&cache, &self.homes);
    }

    fn wave(
        &self,
        world: &mut World,
        scratch: &Path,
        dice: &mut Dice,
        outcomes: &Mutex<BTreeMap<String, u64>>,
        log: &mut Vec<String>,
    ) {
        let acts = self.acts(world, dice);
        let names: Vec<_> = acts.iter().enumerate().map(|(n, act)| (format!("{n}"), act.fate)).collect();
        for (n, act) in acts.iter().enumerate() {
            log.push(format!("{n} is {:?} {:?} cache {:?}", act.task, act.fate, act.cache));
        }
        let schedule = Schedule::new(&names);
        let done: Vec<_> = thread::scope(|scope| {
            let mut running = Vec::new();
            for (n, act) in acts.iter().enumerate() {
                let cache = scratch.join(format!("cache{n}"));
                if let Some(kept) = act.cache {
                    copy_cache(&world.caches[kept], &cache);
                }
                let dice = Dice::new(dice.below(usize::MAX) as u64);
                let store =
                    Arc::new(ScheduledStore::new(world.store.clone(), Arc::clone(&schedule), n, dice));
                let mut repository = Repository::open(store.clone(), &secret(), &cache).unwrap();
                let schedule = Arc::clone(&schedule);
                running.push(scope.spawn(move || {
                    let _end = End(&schedule, n);
                    store.begin();
                    perform(&mut repository, act.task, &self.homes)
                }));
            }
            schedule.run(dice);
            running.into_iter().map(|actor| actor.join().unwrap()).collect()
        });
        log.extend(schedule.log());
        for (n, (act, done)) in acts.iter().zip(done).enumerate() {
            let kind = match act.task {
                Task::Backup { .. } => "backup",
                Task::Forget(_) => "forget",
                Task::Undo(_) => "undo",
                Task::Prune { .. } => "prune",
            };
            let text = match &done {
                Ok(Done::Saved(_)) => "Saved".into(),
                Ok(done) => format!("{done:?}"),
                Err(_) if schedule.is_dead(n) => "was killed".into(),
                Err(failure) => failure.text.clone(),
            };
            let may_fail = |failure: &Failure| schedule.is_dead(n) || failure.is_refusal;
            assert!(done.as_ref().err().is_none_or(may_fail), "{kind}: {text}");
            log.push(format!("{n} {kind}: {text}"));
            *outcomes.lock().unwrap().entry(format!("{kind}: {text}")).or_default() += 1;
            world.note(act.task, done.ok());
        }
    }

    /// Two to four actors. No two of them are about the same snapshot.
    fn acts(&self, world: &World, dice: &mut Dice) -> Vec<Act> {
        let mut acts: Vec<Act> = Vec::new();
        let wanted = 2 + dice.below(3);
        while acts.len() < wanted {
            let task = match acts.len() {
                0 => Task::Prune { repacks: dice.percent(50) },
                _ => world.any_task(&self.homes, dice),
            };
            let about = |task: &Task| match task {
                Task::Forget(id) | Task::Undo(id) => Some(*id),
                _ => None,
            };
            if about(&task).is_some() && acts.iter().any(|act| about(&act.task) == about(&task)) {
                continue;
            }
            let fate = Fate {
                dies_at: dice.percent(20).then(|| 1 + dice.below(60) as u64),
                sleeps_at: dice.percent(30).then(|| 1 + dice.below(40) as u64),
            };
            let cache =
                (dice.percent(70) && !world.caches.is_empty()).then(|| dice.below(world.caches.len()));
            acts.push(Act { task, cache, fate });
        }
        acts
    }
}

/// Whatever becomes of an actor's thread, the others get their turns.
struct End<'s>(&'s Schedule, usize);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}
