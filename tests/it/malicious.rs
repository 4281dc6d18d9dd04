//! Repositories made by somebody who has the key and means harm. Whatever their trees say, a restore writes
//! nothing beside its target, asks for no memory or time without bound, and says what it did not do.

use std::collections::BTreeSet;
use std::fs;

use homekeep::codec::{ChunkId, SnapshotId};
use homekeep::engine::Meter;
use homekeep::engine::check::{CheckOptions, Subset, check};
use homekeep::engine::restore::RestoreTarget;
use homekeep::format::{
    Attributes, Content, Entry, EntryKind, Extent, Owner, Page, PageIndex, SnapshotRecord,
};
use homekeep::repo::{Snapshot, WriteTarget, WriterOptions};

use crate::support::{Site, contents, source_of, write_old};

/// Something that a restore must never touch.
const CANARY: &str = "nobody's business";

/// A site with one honest snapshot, from which others are forged.
struct Forger {
    site: Site,
}

impl Forger {
    fn new() -> Self {
        let site = Site::new();
        write_old(&site.home("ann").join("honest"), "honest");
        site.backup();
        Self { site }
    }

    fn options() -> WriterOptions {
        WriterOptions { level: 1, threads: 1, target: WriteTarget::Store }
    }

    /// A snapshot whose home is the last of these directories; each may name those before it.
    fn forge(&self, id: u8, make: impl FnOnce(&mut dyn FnMut(Vec<u8>) -> ChunkId) -> ChunkId) -> Snapshot {
        let mut repository = self.site.repository();
        let honest = repository.snapshots().unwrap().remove(0);
        let writer = repository.writer(&Self::options()).unwrap();
        let mut session = writer.session().unwrap();
        let tree = make(&mut |bytes| session.tree(&bytes).unwrap().id);
        session.flush().unwrap();
        let mut record = SnapshotRecord { id: SnapshotId([id; 16]), ..honest.record };
        record.homes[0].root.as_mut().unwrap().kind = EntryKind::Directory(tree);
        record.deps.push(honest.hash.short());
        let committed = repository.commit(writer.finish().unwrap(), record).unwrap();
        repository.snapshot(&committed.hash).unwrap().unwrap()
    }

    /// Restores it; says what was found in the target afterwards and how many problems were told.
    fn restore(&self, snapshot: &Snapshot) -> (BTreeSet<String>, usize) {
        let folder = tempfile::tempdir_in(self.site.path("")).unwrap();
        let canary = folder.path().join("canary");
        fs::write(&canary, CANARY).unwrap();
        let target = folder.path().join("target");
        let (_, source) = source_of(snapshot, "ann").unwrap();
        let to = RestoreTarget::Contents(target.clone());
        let problems = match self.site.try_restore(&[source], to, |_| {}) {
            Ok(restored) => restored.report.problems.len(),
            Err(_) => 1,
        };
        let beside: BTreeSet<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(beside.iter().all(|name| name == "canary" || name == "target"), "{beside:?}");
        assert_eq!(fs::read_to_string(&canary).unwrap(), CANARY);
        let found =
            if target.exists() { contents(&target).into_keys() } else { contents(folder.path()).into_keys() };
        (found.map(|path| path.display().to_string()).collect(), problems)
    }
}

fn entry(name: &str, kind: EntryKind) -> Entry {
    Entry {
        name: name.into(),
        kind,
        mode: 0o644,
        owner: Owner::default().into(),
        mtime_s: 0,
        mtime_ns: 0,
        attributes: Attributes::default(),
    }
}

fn page(entries: Vec<Entry>) -> Vec<u8> {
    Page { entries }.to_bytes()
}

fn file(name: &str) -> Entry {
    entry(name, EntryKind::File(Content { depth: 0, extents: vec![] }))
}

fn check_options(forger: &Forger, read: Option<Subset>) -> CheckOptions {
    CheckOptions { read, restore_sample: 0, scratch: forger.site.path(""), threads: 2 }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let forger = Forger::new();
    let names = ["..", ".", "", "/etc/passwd", "a/b", "../canary", "x\0y"];
    for (id, name) in (1..).zip(names) {
        let snapshot = forger.forge(id, |store| store(page(vec![file(name)])));
        let (found, problems) = forger.restore(&snapshot);
        assert!(
            found.iter().all(|path| !path.contains("passwd") && !path.contains("..")),
            "{name:?}: {found:?}"
        );
        assert!(problems > 0, "{name:?}");
    }
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    // A link and a directory of one name: what lies in the directory would be written through the link.
    let forger = Forger::new();
    let snapshot = forger.forge(1, |store| {
        let below = store(page(vec![file("planted")]));
        store(page(vec![
            entry("way", EntryKind::Symlink(b"..".into())),
            entry("way", EntryKind::Directory(below)),
        ]))
    });
    assert!(forger.restore(&snapshot).1 > 0);
}

#[test]
fn a_name_that_stands_in_two_pages_is_a_problem() {
    let forger = Forger::new();
    let kinds = [EntryKind::Symlink(b"..".into()), EntryKind::File(Content { depth: 0, extents: vec![] })];
    for (id, first) in (1..).zip(kinds) {
        let snapshot = forger.forge(id, |store| {
            let below = store(page(vec![file("planted")]));
            let pages = [first, EntryKind::Directory(below)].map(|kind| page(vec![entry("way", kind)]));
            let pages = pages.map(|page| (store(page), 1)).to_vec();
            store(PageIndex { pages }.to_bytes())
        });
        let (found, problems) = forger.restore(&snapshot);
        assert!(problems > 0, "{found:?}");
    }
}

#[test]
fn a_directory_whose_tree_nobody_has_costs_what_is_in_it_alone() {
    let forger = Forger::new();
    let snapshot = forger.forge(1, |store| {
        let gone = EntryKind::Directory(ChunkId([9; 32]));
        store(page(vec![file("before"), entry("gone", gone), file("kept")]))
    });
    let (found, problems) = forger.restore(&snapshot);
    assert_eq!(problems, 1);
    let wanted = ["before", "kept"].map(String::from);
    assert!(wanted.iter().all(|name| found.contains(name)), "{found:?}");
}

#[test]
fn a_file_that_is_larger_than_its_chunks_or_than_any_disk_is_a_problem() {
    let forger = Forger::new();
    let lies = [
        Extent::Data { id: ChunkId([9; 32]), length: 1 << 62 },
        Extent::Data { id: ChunkId([9; 32]), length: 5 },
        Extent::Hole { length: 1 << 62 },
    ];
    for (id, lie) in (1..).zip(lies) {
        let content = Content { depth: 0, extents: vec![lie] };
        let snapshot = forger.forge(id, |store| store(page(vec![entry("lie", EntryKind::File(content))])));
        assert!(forger.restore(&snapshot).1 > 0, "{lie:?}");
    }
}

#[test]
fn a_very_deep_tree_comes_back() {
    let forger = Forger::new();
    let snapshot = forger.forge(1, |store| {
        let mut below = store(page(vec![file("bottom")]));
        for _ in 0..1500 {
            below = store(page(vec![entry("d", EntryKind::Directory(below))]));
        }
        below
    });
    let (found, problems) = forger.restore(&snapshot);
    assert!(problems > 0 || found.len() > 1000, "{problems} {}", found.len());
    let options = check_options(&forger, Some(Subset::All));
    let report = check(&mut forger.site.repository(), &options, &Meter::default()).unwrap();
    assert!(!report.is_damaged());
}

#[test]
fn a_directory_shared_by_endlessly_many_paths_is_checked_in_time() {
    let forger = Forger::new();
    forger.forge(1, |store| {
        let mut below = store(page(vec![file("bottom")]));
        for _ in 0..60 {
            below = store(page(vec![
                entry("a", EntryKind::Directory(below)),
                entry("b", EntryKind::Directory(below)),
            ]));
        }
        below
    });
    let options = check_options(&forger, None);
    check(&mut forger.site.repository(), &options, &Meter::default()).unwrap();
}
