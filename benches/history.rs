//! What a long history costs: ten thousand snapshots of a thousand small homes. Two are backups; the others are
//! published directly, each with some homes as the one has them and some as the other.
//! Making it takes some minutes and 3 GB below `TMPDIR`; `HOMEKEEP_BENCH_SNAPSHOTS` and
//! `HOMEKEEP_BENCH_HOMES` ask for less, and `HOMEKEEP_BENCH_KEEP` names a folder to leave it in, for measuring
//! single commands. `cargo bench --bench history -- --save-baseline before`, then `-- --baseline before`.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use homekeep::codec::{Hash, SnapshotId};
use homekeep::engine::Meter;
use homekeep::engine::backup::{BackupOptions, HomeSelection, Outcome, backup};
use homekeep::engine::forget::{Choice, ForgetOptions, Policy, Rule, plan};
use homekeep::engine::select::{Filter, SnapshotSpec, find, newest_first};
use homekeep::files::live_sqlite::OWN_PROGRAM;
use homekeep::files::rules::{RuleOptions, SecretOptions};
use homekeep::format::{Attention, HomeRecord, SegmentKind, SegmentWriter, SnapshotRecord};
use homekeep::keys::{KeyFile, Secret};
use homekeep::repo::{CreateOptions, Finished, Repository, Snapshot};
use homekeep::store::{LocalStore, Store};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How long before the backups the first snapshot was made, for each of them.
const INTERVAL_MS: i64 = 600_000;
/// A home changes after so many snapshots.
const CHANGES_EVERY: usize = 50;
/// Every so often a home's node is new and empty, so that lists of homes differ.
const ALARM_EVERY: usize = 7;

fn wanted(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn secret() -> Secret {
    Secret::KeyFile([1; 32].into())
}

/// A repository with its cache and key file, and the homes that are in it.
struct History {
    folder: PathBuf,
    homes: usize,
    now: Timestamp,
    _temporary: Option<tempfile::TempDir>,
}

impl History {
    fn new(snapshots: usize, homes: usize) -> Self {
        let kept = std::env::var_os("HOMEKEEP_BENCH_KEEP").map(PathBuf::from);
        let temporary = kept.is_none().then(|| tempfile::tempdir().expect("a temporary folder"));
        let folder = temporary.as_ref().map_or_else(|| kept.unwrap_or_default(), |t| t.path().into());
        let history = Self { folder, homes, now: Timestamp::now(), _temporary: temporary };
        let store: Arc<dyn Store> =
            Arc::new(LocalStore::create(&history.place("store")).expect("a new store"));
        let options = CreateOptions::default();
        let mut repository = Repository::create(store, &secret(), &history.place("cache"), &options)
            .expect("a new repository");
        let backups = ["first", "second"].map(|text| history.back_up(&mut repository, text));
        let mut parents = Vec::new();
        for number in 2..snapshots {
            parents = vec![history.publish(&mut repository, number, snapshots, &backups, parents)];
        }
        KeyFile::create(&history.place("key"), &[1; 32]).expect("a new file");
        history
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Saves all homes, each with a file that says this.
    fn back_up(&self, repository: &mut Repository, text: &str) -> Snapshot {
        for home in 0..self.homes {
            let folder = self.place("homes").join(format!("user{home:05}"));
            std::fs::create_dir_all(folder.join("work")).expect("a new folder");
            std::fs::write(folder.join("notes"), format!("{text} of {home}")).expect("a writable file");
            std::fs::write(folder.join("work/same"), "the same").expect("a writable file");
        }
        let options = BackupOptions {
            homes: HomeSelection::Under(self.place("homes")),
            users: Vec::new(),
            source: "bench".into(),
            host: "bench".into(),
            tags: Vec::new(),
            rules: RuleOptions::default(),
            secrets: SecretOptions::default(),
            vault: None,
            level: 3,
            threads: 2,
            always: false,
            dry_run: false,
            cross_file_systems: false,
            verify_unchanged: false,
            sqlite_copies: false,
            sqlite_program: OWN_PROGRAM.into(),
            confirmed: Vec::new(),
            shrink_percent: 25,
            is_privileged: false,
            never: Vec::new(),
        };
        let report = backup(repository, &options, &Meter::default()).expect("a snapshot");
        let Outcome::Saved { id, .. } = report.outcome else { panic!("nothing was saved") };
        let snapshots = repository.snapshots().expect("a sound index");
        snapshots.into_iter().find(|snapshot| snapshot.record.id == id).expect("it was saved")
    }

    fn publish(
        &self,
        repository: &mut Repository,
        number: usize,
        snapshots: usize,
        backups: &[Snapshot; 2],
        parents: Vec<Hash>,
    ) -> Hash {
        let residual = SegmentWriter::new(SegmentKind::Bulk);
        let nothing = Finished { residual, segments: Default::default(), bytes_stored: 0, objects: 0 };
        let time_ms = self.now.as_millisecond() - INTERVAL_MS * (snapshots - number) as i64;
        let named = backups.iter().flat_map(|b| b.record.deps.iter().copied().chain([b.hash.short()]));
        let deps: BTreeSet<_> = named.collect();
        let record = SnapshotRecord {
            id: SnapshotId(*blake3::hash(&number.to_le_bytes()).as_bytes().first_chunk().expect("32 bytes")),
            time_ms,
            finished_ms: time_ms + 1000,
            tags: vec!["hourly".into()],
            homes: (0..self.homes).map(|home| self.home(home, number, backups)).collect(),
            parents,
            deps: deps.into_iter().collect(),
            ..backups[0].record.clone()
        };
        repository.commit(nothing, record).expect("a writable store").hash
    }

    fn home(&self, home: usize, number: usize, backups: &[Snapshot; 2]) -> HomeRecord {
        let is_new = number % ALARM_EVERY == 1 && home == number % self.homes;
        let version = (number + 7 * home) / CHANGES_EVERY % 2;
        let attention = if is_new { Attention::Shrunk } else { Attention::Normal };
        HomeRecord { attention, ..backups[version].record.homes[home].clone() }
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
    group.bench_function("put summaries in order", |b| {
        b.iter(|| black_box(newest_first(&summaries, history.now)))
    });
    group.bench_function("read the newest record", |b| {
        b.iter(|| {
            let latest = SnapshotSpec::Latest { back: 0 };
            let newest = find(&summaries, &latest, history.now).expect("a snapshot");
            repository.snapshot(&newest.hash).expect("a sound index").expect("there")
        });
    });
    for grouping in ["source", "source,user"] {
        let options = policy(grouping);
        group.bench_function(format!("plan what to forget, by {grouping}"), |b| {
            b.iter(|| black_box(plan(&summaries, &options, &history.now.to_zoned_datetime(TimeZone::UTC))));
        });
    }
    group.bench_function("homekeep forget --dry-run", |b| {
        b.iter(|| history.run(&["forget", "--dry-run", "--keep-last", "12", "--keep-daily", "7", "--quiet"]));
    });
    let homes = history.place("homes").to_string_lossy().into_owned();
    group.bench_function("homekeep backup, nothing changed", |b| {
        b.iter(|| history.run(&["backup", "--homes", &homes, "--source", "bench", "--quiet"]));
    });
    group.bench_function("homekeep ls latest", |b| b.iter(|| history.run(&["ls", "latest"])));
    group.bench_function("homekeep prune --dry-run", |b| {
        b.iter(|| history.run(&["prune", "--dry-run", "--quiet"]));
    });
    group.bench_function("homekeep snapshots", |b| b.iter(|| history.run(&["snapshots"])));
    group.bench_function("homekeep snapshots --json --compact", |b| {
        b.iter(|| history.run(&["snapshots", "--json", "--compact"]));
    });
    group.finish();
}

criterion_group!(all, history);
criterion_main!(all);
