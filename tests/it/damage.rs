//! Repositories with damaged, missing, exchanged and foreign objects. Whatever is wrong, an operation
//! gives the right bytes or says which object is to blame, and what does not need that object goes on.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::sync::Arc;

use homekeep::engine::backup::HomeSelection;
use homekeep::engine::restore::{RestoreSource, RestoreTarget};
use homekeep::format::{Descriptor, FormatError, ObjectName};
use homekeep::keys::{Cost, KeyError, Secret};
use homekeep::repo::{RepoError, Repository};
use homekeep::store::{MemoryStore, Store};
use zeroize::Zeroizing;

use crate::support::{Contents, Site, contents, names, noise, secret, set_mtime, source_of, write_old};

/// Between two places that are damaged, one after the other.
const STEP: usize = 97;

/// A small repository with two snapshots: ann's home in one object, bob's in the other.
struct Small {
    site: Site,
    store: MemoryStore,
    expected: BTreeMap<String, Contents>,
}

impl Small {
    fn new() -> Self {
        let store = MemoryStore::new();
        let site = Site::on(Arc::new(store.clone()));
        let mut expected = BTreeMap::new();
        for (seed, user) in [(1, "ann"), (2, "bob")] {
            let home = site.home(user);
            fs::create_dir_all(home.join("a/b")).unwrap();
            write_old(&home.join("noise"), noise(seed, 6000));
            write_old(&home.join("a/text"), format!("{user} wrote this\n").repeat(500));
            write_old(&home.join("a/b/empty"), "");
            write_old(&home.join("a/b/large"), noise(seed + 10, 20_000));
            std::os::unix::fs::symlink("a/text", home.join("link")).unwrap();
            expected.insert(user.into(), contents(&home));
            site.backup();
        }
        Self { site, store, expected }
    }

    fn objects(&self) -> Vec<ObjectName> {
        names(&self.store, "")
    }

    fn snapshots(&self) -> Vec<ObjectName> {
        names(&self.store, "snapshots/")
    }

    /// The repository with one object changed, or without it.
    fn with(&self, name: &ObjectName, bytes: Option<Vec<u8>>) -> MemoryStore {
        let store = MemoryStore::new();
        for other in self.objects() {
            match (&bytes, &other == name) {
                (_, false) => store.put(&other, &self.store.get(&other).unwrap()).unwrap(),
                (Some(bytes), true) => store.put(&other, bytes).unwrap(),
                (None, true) => {}
            }
        }
        store
    }

    /// Uses a damaged repository as a new machine would: opens it, restores everything it lists, takes
    /// a snapshot of the same homes, and restores that. Gives what was complained of.
    fn examine(&self, store: MemoryStore, damaged: &ObjectName) -> Vec<String> {
        let site = Site::in_memory(Arc::new(store));
        let mut repository = match site.open() {
            Ok(repository) => repository,
            Err(error) => return vec![chain(&error)],
        };
        let synced = repository.sync(&mut |_, _| {}).unwrap();
        let mut complaints: Vec<_> = synced.damaged.iter().map(|error| chain(error)).collect();
        let snapshots = repository.snapshots().unwrap();
        assert!(snapshots.len() == 2 || !complaints.is_empty() || self.is_gone(&site, damaged));
        drop(repository);
        for snapshot in &snapshots {
            for user in self.expected.keys() {
                if let Some((_, source)) = source_of(snapshot, user) {
                    complaints.extend(self.restore(&site, source, user));
                }
            }
        }
        let mut options = site.backup_options();
        options.homes = HomeSelection::Under(self.site.homes());
        options.always = true;
        let report = site.try_backup(&options).unwrap();
        complaints.extend(report.damaged.iter().map(|error| chain(error)));
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        for user in self.expected.keys() {
            complaints.extend(self.restore(&site, site.source(user), user));
        }
        complaints
    }

    fn is_gone(&self, site: &Site, name: &ObjectName) -> bool {
        site.store().get(name).is_err()
    }

    /// Restores one home; everything in it is right, or not there and complained of.
    fn restore(&self, site: &Site, source: RestoreSource, user: &str) -> Vec<String> {
        let folder = tempfile::tempdir_in(site.path("")).unwrap();
        let target = RestoreTarget::Contents(folder.path().into());
        let restored = site.restore_to(&[source], target, |options| options.threads = 1);
        let (found, expected) = (contents(folder.path()), &self.expected[user]);
        for (path, bytes) in &found {
            assert!(expected.get(path) == Some(bytes), "{user}: {} has wrong bytes", path.display());
        }
        let problems = restored.report.problems;
        assert!(found.len() == expected.len() || !problems.is_empty(), "{user}: something is missing");
        problems.iter().map(|problem| problem.kind.to_string()).collect()
    }
}

fn chain(error: &dyn Error) -> String {
    let sources = std::iter::successors(Some(error), |error: &&dyn Error| (*error).source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Damages every object of the repository in every way that `damages` gives for its bytes.
fn assert_survives(damages: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    let small = Small::new();
    for name in small.objects() {
        for bytes in damages(&small.store.get(&name).unwrap()) {
            let complaints = small.examine(small.with(&name, Some(bytes)), &name);
            // What is wrong need not matter, such as a byte of padding. If it does, it has a name.
            let is_named = |text: &String| text.contains(name.as_str()) || text.contains("chunk ");
            assert!(complaints.is_empty() || complaints.iter().any(is_named), "{name}: {complaints:?}");
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_gives_right_bytes_or_a_complaint() {
    assert_survives(|bytes| {
        let flip = |at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1 << (at % 8);
            bytes
        };
        (0..bytes.len()).step_by(STEP.min(bytes.len() / 8)).map(flip).collect()
    });
}

#[test]
fn an_object_cut_short_anywhere_gives_right_bytes_or_a_complaint() {
    assert_survives(|bytes| {
        let length = bytes.len();
        let lengths = [0, 1, 8, 79, 80, length / 3, length / 2, length - 33, length - 32, length - 1];
        lengths.into_iter().filter(|at| *at < length).map(|at| bytes[..at].to_vec()).collect()
    });
}

#[test]
fn an_object_with_zeroed_or_added_bytes_gives_right_bytes_or_a_complaint() {
    assert_survives(|bytes| {
        let zeroed = |start: usize| {
            let mut bytes = bytes.to_vec();
            let end = bytes.len().min(start + 4096);
            bytes[start..end].fill(0);
            bytes
        };
        let mut damages: Vec<_> = (0..bytes.len()).step_by(4 << 10).map(zeroed).collect();
        damages.push([bytes, &[0]].concat());
        damages.push([bytes, bytes].concat());
        damages
    });
}

#[test]
fn a_missing_object_costs_only_what_is_in_it() {
    let small = Small::new();
    for name in small.objects() {
        small.examine(small.with(&name, None), &name);
    }
    for name in small.snapshots() {
        let site = Site::beside(Arc::new(small.with(&name, None)));
        let synced = site.open().unwrap().sync(&mut |_, _| {}).unwrap();
        assert_eq!(synced.commits_added, 1);
    }
}

#[test]
fn objects_under_each_others_names_are_not_taken_for_each_other() {
    let small = Small::new();
    let all = small.objects();
    for name in &all {
        for other in all.iter().filter(|other| *other != name) {
            let store = small.with(name, Some(small.store.get(other).unwrap()));
            small.examine(store, name);
        }
    }
}

/// Only ann's home is in the first object; the second has only bob's, and of ann's no more than a tree's name.
#[test]
fn a_home_whose_blocks_are_whole_comes_back_though_another_is_damaged() {
    let small = Small::new();
    let [first, _] = &small.snapshots()[..] else { panic!("two snapshots") };
    let mut bytes = small.store.get(first).unwrap();
    bytes[80..15_000].fill(0x55);
    let site = Site::beside(Arc::new(small.with(first, Some(bytes))));
    let sources = ["ann", "bob"].map(|user| site.source(user));
    let target = site.path("target");
    let restored = site.restore_to(&sources, RestoreTarget::PerUser(target.clone()), |options| {
        options.verify = true;
    });
    assert!(!restored.report.is_complete());
    assert!(restored.report.problems.iter().all(|problem| problem.user == b"ann"));
    assert_eq!(contents(&target.join("bob")), small.expected["bob"]);
}

#[test]
fn objects_of_another_repository_are_named_and_passed_over() {
    let (small, stranger) = (Small::new(), Small::new());
    for name in stranger.objects().iter().filter(|name| **name != ObjectName::descriptor()) {
        small.store.put(name, &stranger.store.get(name).unwrap()).unwrap();
    }
    let site = Site::beside(Arc::new(small.store.clone()));
    let synced = site.open().unwrap().sync(&mut |_, _| {}).unwrap();
    let complaints: Vec<_> = synced.damaged.iter().map(|error| chain(error)).collect();
    let foreign = stranger.snapshots();
    assert_eq!(complaints.len(), foreign.len(), "{complaints:?}");
    assert!(foreign.iter().all(|name| complaints.iter().any(|text| text.contains(name.as_str()))));
    for user in ["ann", "bob"] {
        assert_eq!(small.restore(&site, site.source(user), user), [""; 0]);
    }
}

fn open(store: &MemoryStore, secret: &Secret) -> Result<Repository, RepoError> {
    let cache = tempfile::tempdir().unwrap();
    Repository::open(Arc::new(store.clone()), secret, cache.path())
}

fn refusal(store: &MemoryStore, secret: &Secret) -> RepoError {
    match open(store, secret) {
        Err(error) => error,
        Ok(_) => panic!("it opened"),
    }
}

#[test]
fn each_way_not_to_open_a_repository_is_an_error_of_its_own() {
    let small = Small::new();
    let other_key = Secret::KeyFile(Zeroizing::new([8; 32]));
    let passphrase = Secret::Passphrase(Zeroizing::new(b"guess".to_vec()));
    for wrong in [&other_key, &passphrase] {
        assert!(matches!(refusal(&small.store, wrong), RepoError::Key(KeyError::Wrong)));
    }
    assert!(matches!(refusal(&MemoryStore::new(), &secret()), RepoError::Absent(_)));
    let key = &names(&small.store, "keys/")[0];
    assert!(matches!(refusal(&small.with(key, None), &secret()), RepoError::NoSlots));
    let format = ObjectName::descriptor();
    assert!(matches!(refusal(&small.with(&format, None), &secret()), RepoError::Absent(_)));
    let foreign = Small::new().store.get(&format).unwrap();
    assert!(matches!(refusal(&small.with(&format, Some(foreign)), &secret()), RepoError::Forged(_)));
}

#[test]
fn a_newer_format_is_refused_by_its_version_or_its_feature() {
    let small = Small::new();
    let format = ObjectName::descriptor();
    let bytes = small.store.get(&format).unwrap();
    let mut newer = bytes.clone();
    assert_eq!(newer[9], 1, "the version stands behind magic and array head");
    newer[9] = 2;
    let error = refusal(&small.with(&format, Some(newer)), &secret());
    let RepoError::Format { source: FormatError::Version { found: 2, .. }, .. } = error else {
        panic!("{error:?}")
    };
    let repository = small.site.repository();
    let features = vec!["vault".to_string()];
    let with_feature = Descriptor { features, ..repository.descriptor().clone() };
    let bytes = with_feature.to_bytes(repository.keys());
    let error = refusal(&small.with(&format, Some(bytes)), &secret());
    assert!(matches!(error, RepoError::Format { source: FormatError::Feature(_), .. }), "{error:?}");
}

#[test]
fn no_bit_of_the_descriptor_can_be_changed_unnoticed() {
    let small = Small::new();
    let format = ObjectName::descriptor();
    let bytes = small.store.get(&format).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        refusal(&small.with(&format, Some(bytes)), &secret());
    }
}

#[test]
fn a_damaged_key_slot_locks_out_only_those_who_have_no_other() {
    let small = Small::new();
    let [key] = &names(&small.store, "keys/")[..] else { panic!("one slot") };
    let mut bytes = small.store.get(key).unwrap();
    bytes[40] ^= 1;
    let error = refusal(&small.with(key, Some(bytes.clone())), &secret());
    assert!(chain(&error).contains(key.as_str()), "{error:?}");
    let other = Secret::KeyFile(Zeroizing::new([9; 32]));
    small.site.repository().add_slot(&other, Cost::FLOOR, "second").unwrap();
    let store = small.with(key, Some(bytes));
    assert!(matches!(refusal(&store, &secret()), RepoError::Key(KeyError::Wrong)));
    assert!(open(&store, &other).is_ok());
}

#[test]
fn a_backup_goes_on_when_the_last_snapshots_trees_cannot_be_read() {
    let small = Small::new();
    for name in small.snapshots() {
        let mut bytes = small.store.get(&name).unwrap();
        let middle = bytes.len() / 2;
        bytes[80..middle].fill(0x55);
        let site = Site::beside(Arc::new(small.with(&name, Some(bytes))));
        let mut options = site.backup_options();
        options.homes = HomeSelection::Under(small.site.homes());
        write_old(&small.site.home("ann").join("new"), noise(77, 5000));
        set_mtime(&small.site.home("ann").join("new"), 1, 0);
        let report = site.try_backup(&options).unwrap();
        assert_eq!(report.problems, []);
        assert!(site.has("ann", "new") || !report.damaged.is_empty(), "{:?}", report.damaged);
    }
}
