//! Random histories. After every step the figures are those of brute force, and add up to what lies in the store.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use homekeep::engine::Meter;
use homekeep::engine::check::{CheckOptions, check};
use homekeep::engine::prune::{MaxUnused, prune};
use homekeep::engine::usage::{StoreUsage, UsageReport};
use homekeep::store::{MemoryStore, Store};

use super::{brute, figures};
use crate::pruning::prune_options;
use crate::support::{Site, noise, write_old};

const USERS: [&str; 4] = ["ann", "bob", "cem", "dan"];

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Two machines that save into one repository.
struct World {
    sites: [Site; 2],
    dice: Dice,
}

impl World {
    fn new(seed: u64) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let sites = [Site::on(Arc::clone(&store)), Site::beside(store)];
        Self { sites, dice: Dice(seed * 0x9e37_79b9 + 1) }
    }

    /// Writes, copies and removes files in some homes of a machine.
    fn change(&mut self, site: usize) {
        for _ in 0..4 {
            let user = USERS[self.dice.roll(4) as usize];
            let folder = self.sites[site].home(user).join(format!("d{}", self.dice.roll(3)));
            fs::create_dir_all(&folder).unwrap();
            let file = folder.join(format!("f{}", self.dice.roll(4)));
            match self.dice.roll(5) {
                0 => drop(fs::remove_file(file)),
                // Few contents: users come to have the same ones.
                1 | 2 => write_old(&file, noise(self.dice.roll(6), 40_000)),
                3 => write_old(&file, noise(self.dice.roll(1 << 40), 9000)),
                _ => write_old(&file, noise(self.dice.roll(3), 300_000)),
            }
        }
    }

    fn backup(&mut self, site: usize) {
        let source = ["one", "two"][site];
        self.sites[site].backup_with(|options| {
            options.source = source.into();
            options.shrink_percent = 1;
        });
    }

    fn forget(&mut self, site: usize) {
        let mut repository = self.sites[site].repository();
        let snapshots = repository.snapshots().unwrap();
        if snapshots.len() > 1 {
            let doomed = &snapshots[self.dice.roll(snapshots.len() as u64) as usize];
            repository.forget(doomed.record.id).unwrap();
        }
    }

    fn prune(&mut self, site: usize) {
        let mut options = prune_options();
        if self.dice.roll(2) == 0 {
            options.max_unused = MaxUnused::Bytes(0);
        }
        // What is condemned waits, and is stored again by who needs it: then it lies there twice.
        if self.dice.roll(2) == 0 {
            options.grace = Duration::from_secs(24 * 3600);
        }
        prune(&mut self.sites[site].open().unwrap(), &options, &Meter::default()).unwrap();
    }

    fn step(&mut self) {
        let site = self.dice.roll(2) as usize;
        match self.dice.roll(8) {
            0..=3 => {
                self.change(site);
                self.backup(site);
            }
            4 | 5 => self.forget(site),
            6 => self.prune(site),
            _ => self.sites[site].forget_cache(),
        }
    }

    /// On either machine, or one of them: the other then has more to catch up with.
    fn verify(&mut self, what: &str) {
        let site = self.dice.roll(2) as usize;
        verify(&self.sites[site], what);
    }
}

/// Compares with brute force.
fn verify(site: &Site, what: &str) -> UsageReport {
    let repository = site.repository();
    let report = figures(&repository);
    let expected = brute::figures(&repository);
    for user in &report.users {
        let name = (user.source.clone(), user.user.clone());
        assert_eq!(user.stored, expected.users[&name], "{what}: {name:?}");
    }
    assert_eq!(report.users.len(), expected.users.len(), "{what}");
    assert_eq!(brute::Figures::of_store(&report.store), expected.sums(), "{what}");
    assert_eq!(
        (report.damage.lost, report.damage.unreadable),
        (expected.lost, expected.unreadable),
        "{what}"
    );
    let fair: u64 = report.users.iter().map(|user| user.stored.fair()).sum();
    assert_eq!(fair, report.store.needed(), "{what}");
    assert_sums(site, &report.store, what);
    assert_eq!(figures(&repository).store, report.store, "{what}: kept");
    report
}

fn assert_sums(site: &Site, store: &StoreUsage, what: &str) {
    let listed = site.store().list("").unwrap();
    assert_eq!(store.bytes, listed.iter().map(|l| l.length).sum::<u64>(), "{what}");
    assert_eq!(store.objects, listed.len() as u64, "{what}");
    let all = store.needed() + store.garbage() + store.upkeep() + store.unknown();
    assert_eq!(all, store.bytes, "{what}: {store:?}");
}

#[test]
fn figures_are_those_of_brute_force_whatever_happened() {
    for seed in 0..12 {
        let mut world = World::new(seed);
        world.change(0);
        world.backup(0);
        for step in 0..14 {
            world.step();
            if world.dice.roll(3) > 0 {
                world.verify(&format!("seed {seed}, step {step}"));
            }
        }
        for site in &world.sites {
            let here = verify(site, &format!("seed {seed}"));
            let elsewhere = Site::beside(site.shared_store());
            assert_eq!(figures(&elsewhere.repository()).store, here.store, "seed {seed}: on a new machine");
        }
    }
}

#[test]
fn after_damage_what_is_uncertain_is_called_so_and_sums_still_hold() {
    for seed in 0..10 {
        let mut world = World::new(100 + seed);
        for _ in 0..3 {
            world.change(0);
            world.backup(0);
        }
        let what = format!("seed {seed}");
        let site = &world.sites[0];
        // Half of the time there are figures from before.
        if seed % 2 == 0 {
            verify(site, &what);
        }
        let segments = site.store().list("segments/").unwrap();
        let commits = site.store().list("snapshots/").unwrap();
        let victims = if seed % 3 == 0 && !segments.is_empty() { &segments } else { &commits };
        let victim = &victims[world.dice.roll(victims.len() as u64) as usize];
        let mut bytes = site.store().get(&victim.name).unwrap();
        site.store().delete(&victim.name).unwrap();
        if seed % 5 != 4 {
            // In the blocks: an index still finds everything, and reading fails.
            let middle = 100 + world.dice.roll(bytes.len() as u64 / 2) as usize;
            bytes[middle] ^= 1;
            site.store().put(&victim.name, &bytes).unwrap();
        }
        verify(site, &what);
        let options = CheckOptions {
            read: Some("100%".parse().unwrap()),
            restore_sample: 0,
            scratch: site.path("scratch"),
            threads: 1,
        };
        check(&mut site.open().unwrap(), &options, &Meter::default()).unwrap();
        verify(site, &format!("{what}, checked"));
        world.change(0);
        world.backup(0);
        verify(&world.sites[0], &format!("{what}, saved again"));
    }
}
