//! Repositories that earlier programs wrote, and that every later one has to read: each folder in
//! `tests/fixtures/format-1/` has a `repository`, what opens it (`key` or `passphrase`), and
//! `manifest.json`, which says what was in the homes.
//!
//! `cargo test --test it -- --ignored write_the_fixtures` makes those that are missing. Those that are
//! there are never made anew: what matters is that they are old.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use homekeep::codec::{ChunkId, SnapshotId};
use homekeep::engine::Meter;
use homekeep::engine::backup::{BackupReport, Outcome};
use homekeep::engine::prune::{MaxUnused, PruneOptions, prune};
use homekeep::format::{Entry, EntryKind, GcKind, GcRecord, Page, SnapshotRecord, TreeObject};
use homekeep::keys::{Cost, KeyFile, Secret};
use homekeep::repo::{CreateOptions, Repository, WriteTarget, WriterOptions};
use homekeep::store::LocalStore;
use serde_json::{Value, json};

use super::manifest;
use super::setup::{self, TINY, date, date_directories, file, mode, prose, xattr};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/format-1");
const NAMES: [&str; 5] = ["hints-and-marks", "key-file", "passphrase", "pruned", "tiny-chunks"];

/// A fixture, not opened yet.
pub struct Fixture {
    pub name: String,
    pub folder: PathBuf,
    pub snapshots: Vec<Expected>,
}

/// What a snapshot has to hold.
pub struct Expected {
    pub id: String,
    pub homes: Value,
}

impl Fixture {
    fn read(name: &str) -> Self {
        let folder = Path::new(FOLDER).join(name);
        let manifest: Value =
            serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
        let expected = |snapshot: &Value| Expected {
            id: snapshot["id"].as_str().unwrap().into(),
            homes: snapshot["homes"].clone(),
        };
        let snapshots = manifest["snapshots"].as_array().unwrap().iter().map(expected).collect();
        Self { name: name.into(), folder, snapshots }
    }

    /// What the independent reader is told to open it with.
    pub fn secret_arguments(&self) -> [OsString; 2] {
        let key = self.folder.join("key");
        match key.exists() {
            true => ["--key-file".into(), key.into()],
            false => ["--passphrase-file".into(), self.folder.join("passphrase").into()],
        }
    }

    fn secret(&self) -> Secret {
        match KeyFile::read(&self.folder.join("key")) {
            Ok(key) => Secret::KeyFile(key.secret),
            Err(_) => Secret::Passphrase(std::fs::read(self.folder.join("passphrase")).unwrap().into()),
        }
    }

    fn open(&self, cache: &Path) -> Repository {
        let store = Arc::new(LocalStore::open(&self.folder.join("repository")).unwrap());
        let mut repository = Repository::open(store, &self.secret(), cache).unwrap();
        let synced = repository.sync(&mut |_, _| {}).unwrap();
        assert!(synced.damaged.is_empty(), "{}: {:?}", self.name, synced.damaged);
        repository
    }
}

/// Every fixture.
pub fn all() -> Vec<Fixture> {
    NAMES.iter().map(|name| Fixture::read(name)).collect()
}

#[test]
fn no_fixture_is_forgotten() {
    let found: BTreeSet<_> =
        std::fs::read_dir(FOLDER).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, NAMES.map(String::from).into());
}

#[test]
fn every_fixture_holds_what_its_manifest_says() {
    for fixture in all() {
        let cache = tempfile::tempdir().unwrap();
        let repository = fixture.open(cache.path());
        let mut reader = repository.reader().unwrap();
        let snapshots = repository.snapshots().unwrap();
        let ids: Vec<_> = snapshots.iter().map(|s| s.record.id.to_hex()).collect();
        assert_eq!(
            ids,
            fixture.snapshots.iter().map(|s| s.id.clone()).collect::<Vec<_>>(),
            "{}",
            fixture.name
        );
        for (snapshot, expected) in snapshots.iter().zip(&fixture.snapshots) {
            let mut homes = json!({});
            for home in snapshot.record.homes.iter().filter(|home| home.root.is_some()) {
                let root = home.root.as_ref().unwrap();
                homes[String::from_utf8(home.user.clone()).unwrap()] =
                    manifest::of_tree(&mut reader, root).unwrap();
            }
            assert_eq!(homes, expected.homes, "{} {}", fixture.name, expected.id);
        }
    }
}

#[test]
fn the_fixture_of_tiny_chunks_has_a_page_index_and_lists_of_lists() {
    assert_eq!(depth_and_indexes("tiny-chunks"), (2, 1));
}

#[test]
fn the_fixture_of_hints_and_marks_has_hints_everywhere_and_a_forgotten_snapshot() {
    let cache = tempfile::tempdir().unwrap();
    let repository = Fixture::read("hints-and-marks").open(cache.path());
    let snapshots = repository.snapshots().unwrap();
    assert_eq!(repository.catalog().snapshots().unwrap().len(), snapshots.len() + 1);
    let record = &snapshots.last().unwrap().record;
    assert_eq!(record.hints, [(1, b"of a later program".to_vec())]);
    let mut reader = repository.reader().unwrap();
    let EntryKind::Directory(home) = record.homes[0].root.clone().unwrap().kind else { panic!("a home") };
    for entry in reader.listing(&home).unwrap() {
        assert_eq!((entry.attributes.flags, entry.attributes.hints.len()), (1 << 33, 1));
    }
}

#[test]
fn the_pruned_fixture_has_records_of_both_kinds_and_a_snapshot_that_was_published_again() {
    let cache = tempfile::tempdir().unwrap();
    let repository = Fixture::read("pruned").open(cache.path());
    let kinds: Vec<GcKind> = repository.gc().iter().map(|(_, record)| record.kind).collect();
    assert_eq!(kinds, [GcKind::Condemned, GcKind::Deleted]);
    let snapshots = repository.snapshots().unwrap();
    assert_eq!(snapshots[0].record.supersession, 1);
    assert!(repository.commits().unwrap().len() > snapshots.len());
}

/// The depth of the deepest file in a fixture's first home, and how many directories have an index.
fn depth_and_indexes(name: &str) -> (u8, usize) {
    let cache = tempfile::tempdir().unwrap();
    let repository = Fixture::read(name).open(cache.path());
    let mut reader = repository.reader().unwrap();
    let snapshots = repository.snapshots().unwrap();
    let root = snapshots[0].record.homes[0].root.clone().unwrap();
    let EntryKind::Directory(root) = root.kind else { panic!("a home is a directory") };
    let entries = reader.listing(&root).unwrap();
    let (mut deepest, mut indexes) = (0, 0);
    for entry in entries {
        match entry.kind {
            EntryKind::File(content) => deepest = deepest.max(content.depth),
            EntryKind::Directory(id) => {
                indexes += usize::from(matches!(reader.tree(&id), Ok(TreeObject::Index(_))));
            }
            _ => {}
        }
    }
    (deepest, indexes)
}

#[test]
#[ignore = "writes what is missing of tests/fixtures/format-1"]
fn write_the_fixtures() {
    write("key-file", &CreateOptions::default(), &everyday_homes, &|homes| {
        file(&homes.join("ann/notes.txt"), b"changed since\n");
        file(&homes.join("bob/new"), b"new in the second snapshot\n");
        std::fs::remove_file(homes.join("ann/old")).unwrap();
    });
    let cheap = CreateOptions { cost: Cost::FLOOR, ..CreateOptions::default() };
    write("passphrase", &cheap, &everyday_homes, &|homes| {
        std::fs::remove_dir_all(homes.join("bob")).unwrap();
    });
    let insert = |homes: &Path| {
        let mut bytes = std::fs::read(homes.join("ann/repeats")).unwrap();
        bytes.splice(2_000_000..2_000_000, *b"inserted");
        file(&homes.join("ann/repeats"), &bytes);
    };
    write("tiny-chunks", &TINY, &intricate_home, &insert);
    // Whether lists end depends on the key.
    while depth_and_indexes("tiny-chunks") != (2, 1) {
        std::fs::remove_dir_all(Path::new(FOLDER).join("tiny-chunks")).unwrap();
        write("tiny-chunks", &TINY, &intricate_home, &insert);
    }
    write_hints_and_marks();
    write_pruned();
}

/// A snapshot that was forgotten and is gone, one that is forgotten and still there, one that was published again because its
/// data moved, and records of what was deleted and of what is condemned.
fn write_pruned() {
    let name = "pruned";
    let folder = Path::new(FOLDER).join(name);
    if folder.exists() {
        return;
    }
    let cheap = CreateOptions { cost: Cost::FLOOR, ..CreateOptions::default() };
    let homes = |homes: &Path| {
        everyday_homes(homes);
        file(&homes.join("ann/large"), &prose(9, 20_000));
    };
    write(name, &cheap, &homes, &|homes| std::fs::remove_file(homes.join("ann/large")).unwrap());
    let fixture = Fixture::read(name);
    let cache = tempfile::tempdir().unwrap();
    let mut repository = fixture.open(cache.path());
    let [first, second] = [0, 1].map(|n: usize| repository.snapshots().unwrap()[n].clone());
    let options = PruneOptions {
        host: "node".into(),
        grace: Duration::ZERO,
        min_age: Duration::ZERO,
        max_unused: MaxUnused::Bytes(0),
        max_repack: u64::MAX,
        level: 3,
        threads: 1,
        dry_run: false,
        force: false,
    };
    repository.forget(first.record.id).unwrap();
    prune(&mut repository, &options, &Meter::default()).unwrap();
    let later = commit_with_hints(&mut repository, &second.record.id.to_hex());
    let last = commit_with_hints_as(&mut repository, &later.to_hex(), SnapshotId([0x2d; 16]));
    repository.sync(&mut |_, _| {}).unwrap();
    repository.forget(later).unwrap();
    // As of a prune that waits: the commit that is hidden, and needed by the last one.
    let hidden = repository.commits().unwrap().into_iter().find(|commit| commit.record.id == later).unwrap();
    let (kind, host, commits) = (GcKind::Condemned, "node".into(), vec![]);
    let segments = vec![hidden.hash.short()];
    let record = GcRecord { kind, time_ms: hidden.record.time_ms, host, segments, commits };
    repository.put_gc_record(record).unwrap();
    let described = |id: SnapshotId| json!({ "id": id.to_hex(), "homes": fixture.snapshots[1].homes });
    let text = render(&[described(second.record.id), described(last)]);
    std::fs::write(folder.join("manifest.json"), text).unwrap();
}

/// What a later program may leave behind: hints in entries and in a record, and a mark that hides
/// the snapshot between the first and the last.
fn write_hints_and_marks() {
    let name = "hints-and-marks";
    let folder = Path::new(FOLDER).join(name);
    if folder.exists() {
        return;
    }
    let cheap = CreateOptions { cost: Cost::FLOOR, ..CreateOptions::default() };
    write(name, &cheap, &everyday_homes, &|homes| file(&homes.join("ann/hidden"), b"hidden\n"));
    let fixture = Fixture::read(name);
    let cache = tempfile::tempdir().unwrap();
    let [first, forgotten] = [0, 1].map(|n: usize| &fixture.snapshots[n]);
    let id = commit_with_hints(&mut fixture.open(cache.path()), &first.id);
    let mark = folder.join("repository/forgotten").join(format!("{}-{}", forgotten.id, "cd".repeat(32)));
    std::fs::create_dir(mark.parent().unwrap()).unwrap();
    std::fs::write(mark, b"what a later program writes").unwrap();
    let described = |id: &str| json!({ "id": id, "homes": first.homes });
    let text = render(&[described(&first.id), described(&id.to_hex())]);
    std::fs::write(folder.join("manifest.json"), text).unwrap();
}

/// Commits what a snapshot has once more, with a hint wherever one can be.
fn commit_with_hints(repository: &mut Repository, id: &str) -> SnapshotId {
    commit_with_hints_as(repository, id, SnapshotId([0x1d; 16]))
}

fn commit_with_hints_as(repository: &mut Repository, id: &str, new: SnapshotId) -> SnapshotId {
    let snapshots = repository.snapshots().unwrap();
    let from = snapshots.into_iter().find(|snapshot| snapshot.record.id.to_hex() == id).unwrap();
    let mut record = SnapshotRecord {
        id: new,
        supersession: 0,
        time_ms: from.record.time_ms + 1000,
        parents: vec![from.hash],
        hints: vec![(1, b"of a later program".to_vec())],
        ..from.record
    };
    record.deps.push(from.hash.short());
    let options = WriterOptions { level: 3, threads: 1, target: WriteTarget::Store };
    let writer = repository.writer(&options).unwrap();
    let (mut session, mut reader) = (writer.session().unwrap(), repository.reader().unwrap());
    for root in record.homes.iter_mut().filter_map(|home| home.root.as_mut()) {
        let EntryKind::Directory(tree) = root.kind else { panic!("a home is a directory") };
        let mut entries = reader.listing(&tree).unwrap();
        entries.iter_mut().for_each(add_hints);
        let tree: ChunkId = session.tree(&Page { entries }.to_bytes()).unwrap().id;
        root.kind = EntryKind::Directory(tree);
        add_hints(root);
    }
    session.flush().unwrap();
    repository.commit(writer.finish().unwrap(), record).unwrap();
    new
}

fn add_hints(entry: &mut Entry) {
    entry.attributes.flags |= 1 << 33;
    entry.attributes.hints = vec![(200, b"of a later program".to_vec())];
}

/// Makes a fixture of two snapshots, with `change` between them.
fn write(name: &str, options: &CreateOptions, homes: &dyn Fn(&Path), change: &dyn Fn(&Path)) {
    let folder = Path::new(FOLDER).join(name);
    if folder.exists() {
        return;
    }
    std::fs::create_dir_all(&folder).unwrap();
    let work = tempfile::tempdir().unwrap();
    let source = work.path().join("homes");
    homes(&source);
    date_directories(&source);
    let secret = new_secret(&folder, name);
    let mut repository =
        setup::create(&folder.join("repository"), &secret, &work.path().join("cache"), options);
    let mut snapshots = vec![describe(&setup::save(&mut repository, &source), &source)];
    change(&source);
    date_directories(&source);
    snapshots.push(describe(&setup::save(&mut repository, &source), &source));
    let text = render(&snapshots);
    std::fs::write(folder.join("manifest.json"), text).unwrap();
}

fn new_secret(folder: &Path, name: &str) -> Secret {
    if name == "passphrase" {
        let passphrase = "correct horse battery staple";
        std::fs::write(folder.join("passphrase"), passphrase).unwrap();
        return Secret::Passphrase(passphrase.as_bytes().to_vec().into());
    }
    let key = folder.join("key");
    KeyFile::create(&key, &homekeep::keys::random_bytes().unwrap()).unwrap();
    Secret::KeyFile(KeyFile::read(&key).unwrap().secret)
}

fn describe(report: &BackupReport, homes: &Path) -> Value {
    let Outcome::Saved { id, .. } = report.outcome else { panic!("nothing was saved") };
    let mut described = json!({});
    for home in std::fs::read_dir(homes).unwrap() {
        let home = home.unwrap();
        described[home.file_name().into_string().unwrap()] = manifest::of_directory(&home.path());
    }
    json!({ "id": id.to_hex(), "homes": described })
}

/// JSON with a line for each entry.
fn render(snapshots: &[Value]) -> String {
    let entries = |home: &Value| {
        let lines = home.as_object().unwrap().iter().map(|(path, entry)| format!("{}: {entry}", json!(path)));
        lines.collect::<Vec<_>>().join(",\n")
    };
    let homes = |snapshot: &Value| {
        let homes = snapshot["homes"].as_object().unwrap().iter();
        homes
            .map(|(user, home)| format!("{}: {{\n{}\n}}", json!(user), entries(home)))
            .collect::<Vec<_>>()
            .join(",\n")
    };
    let render =
        |snapshot: &Value| format!("{{\"id\": {}, \"homes\": {{\n{}\n}}}}", snapshot["id"], homes(snapshot));
    format!("{{\"snapshots\": [\n{}\n]}}\n", snapshots.iter().map(render).collect::<Vec<_>>().join(",\n"))
}

/// A little of everything that homes have.
fn everyday_homes(homes: &Path) {
    let ann = homes.join("ann");
    file(&ann.join("notes.txt"), b"to do\n");
    file(&ann.join("old"), b"gone in the second snapshot\n");
    file(&ann.join("empty"), b"");
    file(&ann.join("project/src/main.R"), &prose(1, 3000));
    file(&ann.join("project/run.sh"), b"#!/bin/sh\nexit 0\n");
    mode(&ann.join("project/run.sh"), 0o755);
    mode(&ann.join("notes.txt"), 0o600);
    xattr(&ann.join("notes.txt"), "user.comment", b"mine");
    std::fs::hard_link(ann.join("notes.txt"), ann.join("project/linked")).unwrap();
    symlink("project/run.sh", ann.join("run")).unwrap();
    date(&ann.join("run"), 1, 2);
    file(&homes.join("bob/sparse"), b"");
    std::fs::File::options().write(true).open(homes.join("bob/sparse")).unwrap().set_len(1 << 20).unwrap();
    date(&homes.join("bob/sparse"), -1, 5);
    file(&homes.join("bob/t\u{e4}glich \u{1f600}"), b"a name of more than ASCII\n");
}

/// A directory long enough for an index of pages, a file long enough for lists of lists.
fn intricate_home(homes: &Path) {
    for n in 0..600 {
        file(&homes.join(format!("ann/many/{n:03}")), b"");
    }
    file(&homes.join("ann/repeats"), &prose(1, 30_000).repeat(160));
    file(&homes.join("ann/prose"), &prose(7, 100_000));
}
