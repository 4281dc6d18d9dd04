//! What a long history costs: ten thousand snapshots of a thousand homes, made directly, without data.
//! Making it takes a minute or two and 1.5 GB below `TMPDIR`; `HOMEKEEP_BENCH_SNAPSHOTS` and
//! `HOMEKEEP_BENCH_HOMES` ask for less. `cargo bench --bench history -- --save-baseline before`, then
//! `-- --baseline before`.

use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use homekeep::codec::{ChunkId, Hash, SnapshotId};
use homekeep::engine::forget::{Choice, ForgetOptions, Policy, Rule, plan};
use homekeep::engine::select::{Filter, SnapshotSpec, find, newest_first};
use homekeep::format::{
    Attention, Attributes, Entry, EntryKind, HomeRecord, Owner, SegmentKind, SegmentWriter, SnapshotRecord,
};
use homekeep::keys::{KeyFile, Secret};
use homekeep::repo::{CreateOptions, Finished, Repository};
use homekeep::store::{LocalStore, Store};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The first snapshot; then one every ten minutes.
const FIRST_MS: i64 = 1_760_000_000_000;
const INTERVAL_MS: i64 = 600_000;
/// Every so often a home's node is new and empty, so that lists of homes differ.
const ALARM_EVERY: usize = 7;

fn wanted(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn now() -> Timestamp {
    Timestamp::from_millisecond(FIRST_MS + INTERVAL_MS * 1_000_000).expect("a date")
}

fn secret() -> Secret {
    Secret::KeyFile([1; 32].into())
}

/// A repository with its cache and key file.
struct History {
    folder: tempfile::TempDir,
    homes: usize,
}

impl History {
    fn new(snapshots: usize, homes: usize) -> Self {
        let history = Self { folder: tempfile::tempdir().expect("a temporary folder"), homes };
        let store: Arc<dyn Store> =
            Arc::new(LocalStore::create(&history.place("store")).expect("a new store"));
        let options = CreateOptions::default();
        let mut repository = Repository::create(store, &secret(), &history.place("cache"), &options)
            .expect("a new repository");
        let mut parents = Vec::new();
        for number in 0..snapshots {
            parents = vec![history.commit(&mut repository, number, parents)];
        }
        KeyFile::create(&history.place("key"), &[1; 32]).expect("a new file");
        history
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn commit(&self, repository: &mut Repository, number: usize, parents: Vec<Hash>) -> Hash {
        let residual = SegmentWriter::new(SegmentKind::Bulk);
        let nothing = Finished { residual, segments: Default::default(), bytes_stored: 0, objects: 0 };
        let time_ms = FIRST_MS + INTERVAL_MS * number as i64;
        let record = SnapshotRecord {
            id: SnapshotId(*blake3::hash(&number.to_le_bytes()).as_bytes().first_chunk().expect("32 bytes")),
            supersession: 0,
            time_ms,
            finished_ms: time_ms + 1000,
            source: "bench".into(),
            host: "bench".into(),
            program: "bench".into(),
            tags: vec!["hourly".into()],
            homes: (0..self.homes).map(|home| self.home(home, number)).collect(),
            parents,
            gc_seen: Vec::new(),
            deps: (0..1000_u64).map(u64::to_be_bytes).collect(),
            hints: Vec::new(),
        };
        repository.commit(nothing, record).expect("a writable store").hash
    }

    fn home(&self, home: usize, number: usize) -> HomeRecord {
        let user = format!("user{home:05}").into_bytes();
        let is_new = number % ALARM_EVERY == 1 && home == number % self.homes;
        let root = Entry {
            name: user.clone(),
            kind: EntryKind::Directory(ChunkId(*blake3::hash(&number.to_le_bytes()).as_bytes())),
            mode: 0o700,
            owner: Owner { uid: 1000, gid: 1000, user: "user".into(), group: "users".into() }.into(),
            mtime_s: 1_760_000_000,
            mtime_ns: 0,
            attributes: Attributes::default(),
        };
        HomeRecord {
            path: [b"/home/", &user[..]].concat(),
            user,
            root: Some(root),
            files: 6_000,
            directories: 800,
            bytes: 160_000_000,
            bytes_new: 40_000,
            problems: 0,
            attention: if is_new { Attention::Shrunk } else { Attention::Normal },
        }
    }

    fn open(&self) -> Repository {
        let store = Arc::new(LocalStore::open(&self.place("store")).expect("there"));
        Repository::open(store, &secret(), &self.place("cache")).expect("a sound repository")
    }

    fn run(&self, arguments: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_homekeep"));
        command.arg("--repo").arg(self.place("store")).arg("--key-file").arg(self.place("key"));
        command.arg("--cache-dir").arg(self.place("cache")).args(arguments).stdout(Stdio::null());
        assert!(command.status().expect("a program").success(), "{arguments:?}");
    }
}

fn policy(grouping: &str) -> ForgetOptions {
    let rules =
        [(Rule::Last, 12), (Rule::Hourly, 48), (Rule::Daily, 14), (Rule::Weekly, 8), (Rule::Monthly, 12)];
    let policy = Policy { rules: rules.into(), within: "2d".parse().ok(), tags: vec![vec!["keep".into()]] };
    let grouping = grouping.parse().expect("words that are known");
    ForgetOptions {
        choice: Choice::Policy { policy, grouping },
        filter: Filter::default(),
        force: false,
        allow_everything: false,
    }
}

fn history(c: &mut Criterion) {
    let (snapshots, homes) =
        (wanted("HOMEKEEP_BENCH_SNAPSHOTS", 10_000), wanted("HOMEKEEP_BENCH_HOMES", 1_000));
    let history = History::new(snapshots, homes);
    let mut repository = history.open();
    repository.sync(&mut |_, _| {}).expect("a sound repository");
    let mut group = c.benchmark_group(format!("{snapshots} snapshots of {homes} homes"));
    group.sample_size(10);
    group.bench_function("sync without news", |b| {
        b.iter(|| repository.sync(&mut |_, _| {}).expect("a sound repository"));
    });
    group.bench_function("read all summaries", |b| {
        b.iter(|| black_box(repository.summaries().expect("a sound index")));
    });
    let summaries = repository.summaries().expect("a sound index");
    group.bench_function("put summaries in order", |b| b.iter(|| black_box(newest_first(&summaries, now()))));
    group.bench_function("read the newest record", |b| {
        b.iter(|| {
            let latest = SnapshotSpec::Latest { back: 0 };
            let newest = find(&summaries, &latest, now()).expect("a snapshot");
            repository.snapshot(&newest.hash).expect("a sound index").expect("there")
        });
    });
    for grouping in ["source", "source,user"] {
        let options = policy(grouping);
        group.bench_function(format!("plan what to forget, by {grouping}"), |b| {
            b.iter(|| black_box(plan(&summaries, &options, &now().to_zoned_datetime(TimeZone::UTC))));
        });
    }
    group.bench_function("homekeep forget --dry-run", |b| {
        b.iter(|| history.run(&["forget", "--dry-run", "--keep-last", "12", "--keep-daily", "7", "--quiet"]));
    });
    group.bench_function("homekeep snapshots", |b| b.iter(|| history.run(&["snapshots"])));
    group.bench_function("homekeep snapshots --json --compact", |b| {
        b.iter(|| history.run(&["snapshots", "--json", "--compact"]));
    });
    group.finish();
}

criterion_group!(all, history);
criterion_main!(all);
