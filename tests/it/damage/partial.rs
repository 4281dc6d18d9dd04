//! Damage costs what needs the damaged bytes, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use homekeep::engine::backup::HomeSelection;
use homekeep::engine::restore::{RestoreSource, RestoreTarget};
use homekeep::format::ObjectName;
use homekeep::store::{MemoryStore, Store};

use super::with;
use crate::support::program::Program;
use crate::support::{Contents, Site, chain, contents, names, noise, set_mtime, write_old};

/// A small repository with two snapshots: ann's home in one object, bob's in the other.
pub struct Small {
    pub site: Site,
    pub store: MemoryStore,
    expected: BTreeMap<String, Contents>,
}

impl Small {
    pub fn new() -> Self {
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

    fn snapshots(&self) -> Vec<ObjectName> {
        names(&self.store, "snapshots/")
    }

    /// The repository with one object changed, or without it.
    pub fn with(&self, name: &ObjectName, bytes: Option<Vec<u8>>) -> MemoryStore {
        with(&self.store, &[(name, bytes.as_deref())])
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

#[test]
fn a_lost_snapshot_costs_no_other() {
    let small = Small::new();
    for name in small.snapshots() {
        let site = Site::beside(Arc::new(small.with(&name, None)));
        let synced = site.open().unwrap().sync(&mut |_, _| {}).unwrap();
        assert_eq!(synced.commits_added, 1);
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
    for name in names(&stranger.store, "").iter().filter(|name| **name != ObjectName::descriptor()) {
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

/// What README says first: bring the object back from a copy.
#[test]
fn an_object_that_was_cut_and_is_brought_back_is_whole_again() {
    let program = Program::new();
    let home = program.home("ann");
    program.run(&["init"]).expect(0);
    for (name, length) in [("big", 100_000), ("small", 100)] {
        write_old(&home.join(name), noise(length as u64, length));
        program.backup(&[]).expect(0);
    }
    let first = program.snapshots().remove(0);
    let objects = walkdir::WalkDir::new(program.repository.join("snapshots")).sort_by_file_name();
    let mut objects =
        objects.into_iter().map(|entry| entry.unwrap().into_path()).filter(|path| path.is_file());
    let commit = objects.find(|path| path.to_str().unwrap().contains(&first)).unwrap();
    let bytes = fs::read(&commit).unwrap();
    for look in [&["check"][..], &["check", "--read-data"], &["prune", "--dry-run"], &["usage"], &["backup"]]
    {
        fs::write(&commit, &bytes[..bytes.len() - 1]).unwrap();
        match look {
            ["backup"] => drop(program.backup(&["--dry-run"])),
            look => drop(program.run(look)),
        }
        assert_eq!(program.run(&["check"]).code, Some(14), "{look:?}");
        fs::write(&commit, &bytes).unwrap();
        program.run(&["check", "--read-data"]).expect(0);
        program.run(&["usage"]).expect(0);
        let target = tempfile::tempdir().unwrap();
        let arguments = ["restore", &first, "--target", target.path().to_str().unwrap()];
        program.run(&arguments).expect(0);
        assert!(fs::read(target.path().join("ann/big")).unwrap() == noise(100_000, 100_000), "{look:?}");
    }
}
