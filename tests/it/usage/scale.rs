//! Figures of a large repository, made directly: a thousand homes, ten million chunks, a thousand snapshots, or as
//! many as `HOMEKEEP_SCALE_HOMES`, `HOMEKEEP_SCALE_FOLDERS` (of a hundred files of one chunk) and `HOMEKEEP_SCALE_SNAPSHOTS` say.
//! It takes minutes and two GB below `TMPDIR`: run it with `--ignored --nocapture`, and read the times.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use homekeep::codec::{ChunkId, Hash, SnapshotId};
use homekeep::format::{
    Attention, Attributes, Content, Entry, EntryKind, Extent, HomeRecord, Owner, Page, SnapshotRecord,
};
use homekeep::repo::{Repository, WriteSession, WriteTarget, WriterOptions};
use homekeep::store::LocalStore;
use rustix::time::{ClockId, clock_gettime};

use super::figures;
use crate::support::Site;

const FILES: u64 = 100;
/// One folder in so many is the same in ten homes.
const SHARED: u64 = 5;
/// Homes in a commit, while they are made, if `HOMEKEEP_SCALE_PORTION` does not say how many.
const PORTION: u64 = 20;

fn wanted(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn entry(name: String, kind: EntryKind) -> Entry {
    let owner = Owner { uid: 1000, gid: 1000, user: "user".into(), group: "users".into() };
    let attributes = Attributes::default();
    Entry {
        name: name.into(),
        kind,
        mode: 0o644,
        owner: owner.into(),
        mtime_s: 1_700_000_000,
        mtime_ns: 0,
        attributes,
    }
}

/// A folder of files whose contents follow from `seed`.
fn folder(session: &mut WriteSession, seed: u64) -> ChunkId {
    let entries = (0..FILES).map(|file| {
        let bytes = (u128::from(seed) << 64 | u128::from(file)).to_le_bytes();
        let id = session.data(&bytes).unwrap().id;
        let extents = vec![Extent::Data { id, length: 16 }];
        entry(format!("file{file:03}"), EntryKind::File(Content { depth: 0, extents }))
    });
    let page = Page { entries: entries.collect() };
    session.tree(&page.to_bytes()).unwrap().id
}

struct Made {
    repository: Repository,
    homes: u64,
    folders: u64,
    /// The folders of each home.
    trees: Vec<Vec<ChunkId>>,
    roots: Vec<ChunkId>,
    previous: Option<Hash>,
    /// The most bytes that the index's write-ahead log ever had.
    log: u64,
}

impl Made {
    fn root(session: &mut WriteSession, folders: &[ChunkId]) -> ChunkId {
        let entries = folders.iter().enumerate();
        let entries = entries.map(|(n, tree)| entry(format!("folder{n:04}"), EntryKind::Directory(*tree)));
        session.tree(&Page { entries: entries.collect() }.to_bytes()).unwrap().id
    }

    /// Saves what `change` makes of the homes.
    fn commit(&mut self, number: u64, change: impl FnOnce(&mut Self, &mut WriteSession)) {
        let options = WriterOptions { level: 1, threads: 2, target: WriteTarget::Store };
        let writer = self.repository.writer(&options).unwrap();
        let mut session = writer.session().unwrap();
        change(self, &mut session);
        session.flush().unwrap();
        let home = |(home, root): (u64, &ChunkId)| HomeRecord {
            user: format!("user{home:05}").into(),
            path: format!("/home/user{home:05}").into(),
            root: Some(entry(format!("user{home:05}"), EntryKind::Directory(*root))),
            files: self.folders * FILES,
            directories: self.folders + 1,
            bytes: self.folders * FILES * 16,
            bytes_new: 0,
            problems: 0,
            attention: Attention::Normal,
        };
        let time_ms = 1_760_000_000_000 + 600_000 * number as i64;
        let previous = self.previous.map(|hash| self.repository.snapshot(&hash).unwrap().unwrap());
        let deps = previous.iter().flat_map(|s| s.record.deps.iter().copied().chain([s.hash.short()]));
        let mut deps: Vec<_> = deps.collect();
        deps.sort_unstable();
        let record = SnapshotRecord {
            id: SnapshotId(u128::from(number + 1).to_be_bytes()),
            supersession: 0,
            time_ms,
            finished_ms: time_ms,
            source: "scale".into(),
            host: "scale".into(),
            program: "scale".into(),
            tags: vec![],
            homes: (0..).zip(&self.roots).map(home).collect(),
            parents: previous.iter().map(|s| s.hash).collect(),
            gc_seen: vec![],
            deps,
            hints: vec![],
        };
        self.previous = Some(self.repository.commit(writer.finish().unwrap(), record).unwrap().hash);
    }

    /// Some homes more.
    fn more(&mut self, session: &mut WriteSession, homes: Range<u64>) {
        for home in homes {
            let seed = |n: u64| if n.is_multiple_of(SHARED) { home / 10 * 10 } else { home } << 32 | n;
            let folders: Vec<ChunkId> = (0..self.folders).map(|n| folder(session, seed(n))).collect();
            self.roots.push(Self::root(session, &folders));
            self.trees.push(folders);
            let log = std::fs::metadata(self.repository.cache().join("index.sqlite-wal"));
            self.log = self.log.max(log.map_or(0, |log| log.len()));
        }
    }

    fn next(&mut self, session: &mut WriteSession, number: u64) {
        let home = (number % self.homes) as usize;
        self.trees[home][1] = folder(session, 1 << 60 | number);
        self.roots[home] = Self::root(session, &self.trees[home]);
    }
}

/// The most memory that the process ever had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
#[ignore = "takes minutes and gigabytes"]
fn figures_of_a_thousand_homes() {
    let homes = wanted("HOMEKEEP_SCALE_HOMES", 1000);
    let folders = wanted("HOMEKEEP_SCALE_FOLDERS", 120);
    let snapshots = wanted("HOMEKEEP_SCALE_SNAPSHOTS", 1000);
    let place = tempfile::tempdir().unwrap();
    let site = Site::on(Arc::new(LocalStore::create(&place.path().join("store")).unwrap()));
    let mut made = Made {
        repository: site.repository(),
        homes,
        folders,
        trees: Vec::new(),
        roots: Vec::new(),
        previous: None,
        log: 0,
    };
    let began = Instant::now();
    let size = wanted("HOMEKEEP_SCALE_PORTION", PORTION);
    let portions = homes.div_ceil(size);
    for portion in 0..portions {
        let more = portion * size..homes.min((portion + 1) * size);
        made.commit(portion, |made, session| made.more(session, more));
    }
    let log = made.log >> 20;
    eprintln!("all homes made in {:?}, peak {} MiB, the index's log {log} MiB", began.elapsed(), peak());
    for number in portions..snapshots {
        made.commit(number, |made, session| made.next(session, number));
    }
    eprintln!("{snapshots} snapshots made in {:?}, peak {} MiB", began.elapsed(), peak());
    let told = |what: &str, repository: &Repository| {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let cpu = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap();
        let (began, cpu_before) = (Instant::now(), cpu());
        let report = figures(repository);
        let (elapsed, cpu) = (began.elapsed(), cpu() - cpu_before);
        eprintln!(
            "{what}: {elapsed:?} ({cpu:?} CPU), {} directories read, peak {} MiB",
            report.trees_read,
            peak()
        );
        report
    };
    let cold = told("from nothing", &made.repository);
    let warm = told("nothing changed", &made.repository);
    assert_eq!((warm.store, warm.trees_read), (cold.store, 0));
    made.commit(snapshots, |made, session| made.next(session, snapshots));
    let after = told("after a small backup", &made.repository);
    assert_eq!(after.trees_read, 2);
    // Every home that changed since loses a tree, and is walked anew.
    for number in 1..=u128::from(portions) {
        made.repository.forget(SnapshotId(number.to_be_bytes())).unwrap();
    }
    let forgotten = told("after a forget", &made.repository);
    let sum = |report: &homekeep::engine::usage::UsageReport| {
        report.users.iter().map(|user| user.stored.fair()).sum::<u64>()
    };
    for report in [&cold, &warm, &after, &forgotten] {
        assert_eq!(sum(report), report.store.needed());
        assert_eq!(report.users.len() as u64, homes);
        let all =
            report.store.needed() + report.store.garbage() + report.store.upkeep() + report.store.unknown();
        assert_eq!(all, report.store.bytes);
    }
}
