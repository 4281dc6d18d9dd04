//! Copies of snapshots in another repository: what arrives there, what it costs, and what may go wrong.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use homekeep::codec::ChunkerParameters;
use homekeep::engine::Meter;
use homekeep::engine::copy::{CopyError, CopyOptions, CopyReport, Outcome, copy};
use homekeep::engine::restore::RestoreTarget;
use homekeep::format::{Attention, GcKind, GcRecord, ObjectName, ShortHash};
use homekeep::keys::Cost;
use homekeep::repo::{CreateOptions, Repository, Snapshot};
use homekeep::store::{Call, Fault, FaultStore, Listed, MemoryStore, RecordStore, Store, StoreError, Tail};

use crate::support::{
    Contents, Site, assert_same, contents, copy_tree, names, noise, plant, secret, source_of, write_old,
};

/// Other cuts than those of the sites' own repositories.
const OTHER_CHUNKER: ChunkerParameters = ChunkerParameters { min: 2 << 10, average: 8 << 10, max: 24 << 10 };

/// A site with an empty repository that has another key and other chunk sizes.
fn other_site(store: Arc<dyn Store>) -> Site {
    let site = Site::in_memory(Arc::clone(&store));
    let options = CreateOptions { chunker: OTHER_CHUNKER, block_len: 128 << 10, cost: Cost::FLOOR };
    Repository::create(store, &secret(), &site.cache(), &options).unwrap();
    site
}

fn options(snapshots: &[Snapshot]) -> CopyOptions {
    let snapshots = snapshots.iter().map(|s| s.record.id).collect();
    CopyOptions { snapshots, users: Vec::new(), level: 1, threads: 2, dry_run: false }
}

fn try_copy(from: &Site, to: &Site, change: impl FnOnce(&mut CopyOptions)) -> Result<CopyReport, CopyError> {
    let mut source = from.open().map_err(CopyError::Source)?;
    source.sync(&mut |_, _| {}).map_err(CopyError::Source)?;
    let mut target = to.open().map_err(CopyError::Target)?;
    let mut options = options(&source.snapshots().map_err(CopyError::Source)?);
    change(&mut options);
    copy(&mut source, &mut target, &options, &Meter::default(), &mut |_| {})
}

fn copy_all(from: &Site, to: &Site) -> CopyReport {
    let report = try_copy(from, to, |_| {}).unwrap();
    assert!(report.is_complete(), "{report:?}");
    report
}

fn outcomes(report: &CopyReport) -> Vec<Outcome> {
    report.snapshots.iter().map(|snapshot| snapshot.outcome).collect()
}

fn bytes_new(report: &CopyReport) -> u64 {
    let of = |outcome| if let Outcome::Copied { bytes_new, .. } = outcome { bytes_new } else { 0 };
    outcomes(report).into_iter().map(of).sum()
}

fn snapshots(site: &Site) -> Vec<Snapshot> {
    site.repository().snapshots().unwrap()
}

/// Restores a user's home of a snapshot; returns where.
fn restored(site: &Site, snapshot: &Snapshot, user: &str) -> PathBuf {
    let (_, source) = source_of(snapshot, user).unwrap();
    let target = site.path(format!("restored-{}-{user}", snapshot.record.id));
    let restored = site.restore_to(&[source], RestoreTarget::Contents(target.clone()), |_| {});
    assert!(restored.report.is_complete(), "{:?}", restored.report.problems);
    target
}

/// Two homes in three states, and a copy of each state on disk.
fn three_states(site: &Site) -> Vec<PathBuf> {
    let keep = |n: usize| {
        let kept = site.path(format!("state-{n}"));
        copy_tree(&site.homes(), &kept);
        kept
    };
    let [ann, bob] = ["ann", "bob"].map(|user| site.home(user));
    plant(&ann);
    write_old(&bob.join("same as ann's"), noise(1, 150_000));
    site.backup();
    let mut states = vec![keep(0)];
    write_old(&ann.join("work/deep/new"), noise(3, 40_000));
    fs::remove_file(ann.join("link")).unwrap();
    site.backup();
    states.push(keep(1));
    fs::rename(ann.join("work"), ann.join("moved")).unwrap();
    fs::hard_link(bob.join("same as ann's"), bob.join("another name")).unwrap();
    for n in 0..700 {
        write_old(&bob.join(format!("many-{n}")), n.to_string());
    }
    site.backup();
    states.push(keep(2));
    states
}

#[test]
fn every_copied_snapshot_restores_as_its_homes_were() {
    let (from, to) = (Site::new(), other_site(Arc::new(MemoryStore::new())));
    let states = three_states(&from);
    let report = copy_all(&from, &to);
    assert!(outcomes(&report).iter().all(|outcome| matches!(outcome, Outcome::Copied { .. })));
    let (originals, copies) = (snapshots(&from), snapshots(&to));
    assert_eq!((originals.len(), copies.len()), (3, 3));
    for ((original, copied), state) in originals.iter().zip(&copies).zip(&states) {
        for user in ["ann", "bob"] {
            assert_same(&state.join(user), &restored(&to, copied, user));
        }
        let (record, copy) = (&original.record, &copied.record);
        assert_eq!(
            (record.id, record.time_ms, record.finished_ms),
            (copy.id, copy.time_ms, copy.finished_ms)
        );
        assert_eq!((&record.source, &record.host, &record.tags), (&copy.source, &copy.host, &copy.tags));
        for (home, copied) in record.homes.iter().zip(&copy.homes) {
            assert_eq!((&home.user, &home.path, home.files), (&copied.user, &copied.path, copied.files));
            assert_eq!((home.bytes, home.problems, home.attention), (copied.bytes, 0, copied.attention));
        }
        assert_eq!((copy.lost(), copy.supersession), (0, 0));
    }
    // Each names the one before, by the commits of its own repository.
    assert_eq!(copies[2].record.parents, [copies[1].hash]);
}

#[test]
fn the_copies_are_a_whole_repository_to_another_machine() {
    let (from, store) = (Site::new(), MemoryStore::new());
    let to = other_site(Arc::new(store.clone()));
    let states = three_states(&from);
    copy_all(&from, &to);
    let other = Site::beside(Arc::new(store));
    for (snapshot, state) in snapshots(&other).iter().zip(&states) {
        assert_same(&state.join("ann"), &restored(&other, snapshot, "ann"));
    }
}

#[test]
fn a_copy_shares_chunks_with_the_backups_of_its_repository() {
    let (from, to) = (Site::new(), other_site(Arc::new(MemoryStore::new())));
    three_states(&from);
    to.backup_with(|options| {
        options.homes = from.backup_options().homes;
        options.source = "another".into();
    });
    let newest = snapshots(&from)[2].record.id;
    let report = try_copy(&from, &to, |options| options.snapshots = HashSet::from([newest])).unwrap();
    assert_eq!((outcomes(&report).len(), bytes_new(&report)), (1, 0));
}

/// The two sites of a copy, whose stores tell what was asked of them.
struct Watched {
    from: Site,
    to: Site,
    source: Arc<RecordStore<MemoryStore>>,
    target: Arc<RecordStore<MemoryStore>>,
}

impl Watched {
    fn new() -> Self {
        let [source, target] = [0, 1].map(|_| Arc::new(RecordStore::new(MemoryStore::new())));
        Self { from: Site::on(source.clone()), to: other_site(target.clone()), source, target }
    }

    /// Copies all; returns the calls of both stores.
    fn copy(&self) -> (CopyReport, [Vec<Call>; 2]) {
        self.source.take_calls();
        self.target.take_calls();
        let report = copy_all(&self.from, &self.to);
        (report, [self.source.take_calls(), self.target.take_calls()])
    }
}

fn blocks_read(calls: &[Call]) -> usize {
    calls.iter().filter(|call| matches!(call, Call::GetRange { .. })).count()
}

fn puts(calls: &[Call]) -> usize {
    calls.iter().filter(|call| matches!(call, Call::Put { .. })).count()
}

#[test]
fn a_second_copy_reads_no_block_and_writes_nothing() {
    let watched = Watched::new();
    three_states(&watched.from);
    let (_, [read, _]) = watched.copy();
    assert!(blocks_read(&read) > 0);
    let (report, [source, target]) = watched.copy();
    assert_eq!(outcomes(&report), [Outcome::Present; 3]);
    assert_eq!((blocks_read(&source), blocks_read(&target), puts(&target)), (0, 0, 0));
}

#[test]
fn what_did_not_change_since_the_last_copy_is_not_read_again_even_on_another_machine() {
    let watched = Watched::new();
    let home = watched.from.home("ann");
    for n in 0..40 {
        fs::create_dir_all(home.join(format!("{n}/in"))).unwrap();
        write_old(&home.join(format!("{n}/in/file")), noise(n, 60_000));
    }
    watched.from.backup();
    let (_, [first, _]) = watched.copy();
    write_old(&home.join("7/in/new"), noise(100, 5000));
    watched.from.backup();
    watched.from.forget_cache();
    watched.to.forget_cache();
    let (report, [source, target]) = watched.copy();
    assert!(matches!(
        outcomes(&report)[..],
        [Outcome::Present, Outcome::Copied { bytes_new: 5000, objects: 1, .. }]
    ));
    // The changed directories and the new file, and each worker may read the same block; the first copy read all.
    let read = [blocks_read(&first), blocks_read(&source), blocks_read(&target)];
    assert!(read[0] > 30 && read[1] <= 12 && read[2] <= 12, "{read:?}");
    assert_eq!(puts(&target), 1);
}

#[test]
fn homes_can_be_copied_one_after_the_other() {
    let (from, to) = (Site::new(), other_site(Arc::new(MemoryStore::new())));
    let states = three_states(&from);
    let only = |user: &str| try_copy(&from, &to, |options| options.users = vec![user.into()]).unwrap();
    let users =
        |n: usize| snapshots(&to)[n].record.homes.iter().map(|home| home.user.clone()).collect::<Vec<_>>();
    assert_eq!(only("bob").snapshots[0].homes, 1);
    assert_eq!(users(0), [b"bob"]);
    assert_eq!(outcomes(&only("bob")), [Outcome::Present; 3]);
    copy_all(&from, &to);
    assert_eq!(users(2), [b"ann", b"bob"]);
    let copies = snapshots(&to);
    assert_eq!((copies.len(), copies[2].record.supersession), (3, 1));
    for user in ["ann", "bob"] {
        assert_same(&states[2].join(user), &restored(&to, &copies[2], user));
    }
    assert_eq!(outcomes(&copy_all(&from, &to)), [Outcome::Present; 3]);
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let watched = Watched::new();
    three_states(&watched.from);
    watched.target.take_calls();
    let report = try_copy(&watched.from, &watched.to, |options| options.dry_run = true).unwrap();
    assert_eq!(outcomes(&report), [Outcome::Planned; 3]);
    assert_eq!(puts(&watched.target.take_calls()), 0);
}

#[test]
fn a_repository_is_not_copied_into_itself_nor_into_a_plain_copy_of_it() {
    let from = Site::new();
    from.home("ann");
    from.backup();
    let plain = MemoryStore::new();
    for name in names(from.store(), "") {
        plain.put(&name, &from.store().get(&name).unwrap()).unwrap();
    }
    let beside = Site::beside(Arc::new(plain));
    for to in [&from, &beside] {
        assert!(matches!(try_copy(&from, to, |_| {}), Err(CopyError::SameRepository)));
    }
}

#[test]
fn what_was_forgotten_in_the_target_does_not_come_back() {
    let (from, to) = (Site::new(), other_site(Arc::new(MemoryStore::new())));
    three_states(&from);
    copy_all(&from, &to);
    let second = snapshots(&to)[1].record.id;
    to.store().put(&format!("forgotten/{second}").parse().unwrap(), b"").unwrap();
    let expected = [Outcome::Present, Outcome::Forgotten, Outcome::Present];
    assert_eq!(outcomes(&copy_all(&from, &to)), expected);
    assert_eq!(snapshots(&to).len(), 2);
}

#[test]
fn what_the_target_lost_is_copied_again() {
    let (from, store) = (Site::new(), MemoryStore::new());
    let to = other_site(Arc::new(store.clone()));
    let home = from.home("ann");
    write_old(&home.join("large"), noise(1, 9 << 20));
    from.backup();
    write_old(&home.join("small"), "small");
    from.backup();
    copy_all(&from, &to);
    let [segment] = &names(&store, "segments/")[..] else { panic!("one segment") };
    store.delete(segment).unwrap();
    to.forget_cache();
    let report = try_copy(&from, &to, |_| {}).unwrap();
    assert!(
        matches!(outcomes(&report)[..], [Outcome::Copied { bytes_new, .. }, Outcome::Copied { .. }] if bytes_new > 8 << 20)
    );
    let copies = snapshots(&to);
    assert_eq!((copies.len(), copies[1].record.supersession), (2, 1));
    assert_eq!(contents(&restored(&to, &copies[1], "ann")), contents(&home));
    assert_eq!(outcomes(&copy_all(&from, &to)), [Outcome::Present; 2]);
}

/// A store in which another machine condemns every segment just before a snapshot is published, once.
#[derive(Debug)]
struct Condemning {
    inner: MemoryStore,
    is_armed: AtomicBool,
}

impl Condemning {
    fn condemn(&self) {
        let other = Site::beside(Arc::new(self.inner.clone()));
        let mut repository = other.repository();
        let mut segments: Vec<ShortHash> = names(&self.inner, "segments/")
            .iter()
            .map(|name| name.promised_hash().unwrap().short())
            .collect();
        segments.sort_unstable();
        let (kind, host) = (GcKind::Condemned, "other".into());
        repository.put_gc_record(GcRecord { kind, time_ms: 0, host, segments, commits: vec![] }).unwrap();
    }
}

impl Store for Condemning {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        if name.as_str().starts_with("snapshots/") && self.is_armed.swap(false, Ordering::SeqCst) {
            self.condemn();
        }
        self.inner.put(name, bytes)
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, StoreError> {
        self.inner.get(name)
    }

    fn get_range(&self, name: &ObjectName, start: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.inner.get_range(name, start, length)
    }

    fn get_tail(&self, name: &ObjectName, length: usize) -> Result<Tail, StoreError> {
        self.inner.get_tail(name, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.inner.list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.inner.delete(name)
    }

    fn persist(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.inner.persist(name)
    }

    fn location(&self) -> String {
        self.inner.location()
    }

    fn clean_up(&self, older_than: Duration) -> Result<usize, StoreError> {
        self.inner.clean_up(older_than)
    }

    fn list_delay(&self) -> Duration {
        self.inner.list_delay()
    }
}

#[test]
fn a_copy_that_a_prune_of_the_target_undermined_is_made_again() {
    let (from, inner) = (Site::new(), MemoryStore::new());
    write_old(&from.home("ann").join("large"), noise(1, 9 << 20));
    from.backup();
    other_site(Arc::new(inner.clone()));
    let to = Site::in_memory(Arc::new(Condemning { inner: inner.clone(), is_armed: AtomicBool::new(true) }));
    let condemned = || names(&inner, "segments/");
    copy_all(&from, &to);
    assert_eq!(condemned().len(), 2);
    let copies = snapshots(&to);
    assert_eq!((copies.len(), copies[0].record.supersession), (1, 1));
    // What the record names can go now.
    let needed = |name: &ObjectName| copies[0].record.deps.contains(&name.promised_hash().unwrap().short());
    condemned().iter().filter(|name| !needed(name)).for_each(|name| inner.delete(name).unwrap());
    assert_eq!(condemned().len(), 1);
    let other = Site::beside(Arc::new(inner));
    assert_eq!(contents(&restored(&other, &copies[0], "ann")), contents(&from.home("ann")));
}

/// A small source with two snapshots, and what its home was then.
struct Small {
    from: Site,
    store: MemoryStore,
    states: [Contents; 2],
}

impl Small {
    fn new() -> Self {
        let store = MemoryStore::new();
        let from = Site::on(Arc::new(store.clone()));
        let home = from.home("ann");
        fs::create_dir_all(home.join("a/b")).unwrap();
        write_old(&home.join("a/text"), "a few words\n".repeat(400));
        write_old(&home.join("a/b/noise"), noise(1, 30_000));
        from.backup();
        let first = contents(&home);
        write_old(&home.join("a/b/more"), noise(2, 9000));
        write_old(&home.join("top"), "top");
        from.backup();
        Self { from, store, states: [first, contents(&home)] }
    }

    /// What any machine finds in the target: none of the snapshots, or the oldest, or all, each whole.
    fn assert_copies_are_whole(&self, store: Arc<dyn Store>) -> usize {
        let site = Site::in_memory(store);
        let found = snapshots(&site);
        for (snapshot, state) in found.iter().zip(&self.states) {
            assert!(contents(&restored(&site, snapshot, "ann")) == *state, "{} differs", snapshot.name);
        }
        found.len()
    }

    /// The source with objects changed.
    fn damaged(&self, spoil: impl Fn(&ObjectName, &mut Vec<u8>)) -> Site {
        let store = MemoryStore::new();
        for name in names(&self.store, "") {
            let mut bytes = self.store.get(&name).unwrap();
            spoil(&name, &mut bytes);
            store.put(&name, &bytes).unwrap();
        }
        Site::in_memory(Arc::new(store))
    }
}

/// The target as it was created, each time anew: creating it again would give it another key.
fn fresh_copy(store: &MemoryStore) -> MemoryStore {
    let copy = MemoryStore::new();
    for name in names(store, "") {
        copy.put(&name, &store.get(&name).unwrap()).unwrap();
    }
    copy
}

#[test]
fn a_copy_can_die_or_meet_an_error_at_any_call_of_the_target() {
    let small = Small::new();
    let empty = MemoryStore::new();
    other_site(Arc::new(empty.clone()));
    for fault in [Fault::Freeze, Fault::FailBefore, Fault::FailAfter, Fault::Torn] {
        for nth in 1.. {
            let store = fresh_copy(&empty);
            let faulty = Arc::new(FaultStore::at_call(store.clone(), fault, nth));
            let to = Site::in_memory(faulty.clone());
            let result = try_copy(&small.from, &to, |_| {});
            assert!(result.is_ok() || faulty.fired(), "{fault:?} {nth}: {:?}", result.err());
            let found = small.assert_copies_are_whole(Arc::new(store.clone()));
            assert!(result.is_err() || found == 2, "{fault:?} {nth}: success was reported without copies");
            // What was torn is damage that is told, and costs nothing.
            let again = to.reopened(Arc::new(store.clone()));
            try_copy(&small.from, &again, |_| {}).unwrap();
            assert_eq!(small.assert_copies_are_whole(Arc::new(store)), 2, "{fault:?} {nth}");
            if !faulty.fired() {
                assert!(nth > 8, "{fault:?} met {nth} calls only");
                break;
            }
        }
    }
}

#[test]
fn a_copy_can_lose_its_source_at_any_call() {
    let small = Small::new();
    let empty = MemoryStore::new();
    other_site(Arc::new(empty.clone()));
    for fault in [Fault::Freeze, Fault::FailBefore] {
        for nth in 1.. {
            let store = fresh_copy(&empty);
            let faulty = Arc::new(FaultStore::at_call(small.store.clone(), fault, nth));
            let (from, to) = (Site::in_memory(faulty.clone()), Site::in_memory(Arc::new(store.clone())));
            let result = try_copy(&from, &to, |_| {});
            // A published index that cannot be listed is done without.
            let may_end_well = !faulty.fired() || fault == Fault::FailBefore;
            assert!(result.is_err() || may_end_well, "{fault:?} {nth} went unnoticed");
            assert!(result.is_ok() || faulty.fired(), "{fault:?} {nth}: {:?}", result.err());
            assert!(!result.is_ok_and(|report| !report.is_complete()), "{fault:?} {nth}: taken for damage");
            small.assert_copies_are_whole(Arc::new(store.clone()));
            copy_all(&small.from, &to);
            assert_eq!(small.assert_copies_are_whole(Arc::new(store)), 2, "{fault:?} {nth}");
            if !faulty.fired() {
                break;
            }
        }
    }
}

#[test]
fn damage_of_the_source_costs_what_it_is_about_and_is_told() {
    let small = Small::new();
    let objects = names(&small.store, "snapshots/");
    for object in &objects {
        let length = small.store.get(object).unwrap().len();
        for at in (80..length).step_by(997) {
            let from = small.damaged(|name, bytes| {
                if name == object {
                    bytes[at] ^= 4;
                }
            });
            let store = MemoryStore::new();
            let to = other_site(Arc::new(store.clone()));
            let readable = snapshots(&from).len();
            let report = try_copy(&from, &to, |_| {}).unwrap();
            let copies = snapshots(&to);
            let lost = report.snapshots.iter().filter(|s| s.outcome == Outcome::Lost).count();
            assert_eq!(copies.len() + lost, readable, "{object} {at}");
            for copied in &copies {
                assert_is_honest(&small, &to, copied, &report);
            }
            // What the source has again is copied again.
            copy_all(&small.from, &to);
            assert_eq!(small.assert_copies_are_whole(Arc::new(store)), 2, "{object} {at}");
            assert!(snapshots(&to).iter().all(|copied| copied.record.lost() == 0));
        }
    }
}

/// What is in a copy is right; what is not is counted and named.
fn assert_is_honest(small: &Small, to: &Site, copied: &Snapshot, report: &CopyReport) {
    let told = report.snapshots.iter().find(|s| s.id == copied.record.id).unwrap();
    let problems = told.problems.len() as u64;
    assert_eq!(copied.record.lost(), problems);
    let home = &copied.record.homes[0];
    assert_eq!((home.problems, home.attention), (problems, Attention::Normal));
    let originals = snapshots(&small.from);
    let state = originals.iter().position(|s| s.record.id == copied.record.id).unwrap();
    let found = contents(&restored(to, copied, "ann"));
    for (path, bytes) in &found {
        assert!(small.states[state].get(path) == Some(bytes), "{} is wrong", path.display());
    }
    assert_eq!(found.len() == small.states[state].len(), problems == 0);
}
