//! Whole backups and restores of a small seeded set of homes, through a folder.
//! `cargo bench --bench whole -- --save-baseline before`, then `-- --baseline before`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use homekeep::engine::Meter;
use homekeep::engine::backup::{BackupOptions, HomeSelection, backup};
use homekeep::engine::check::{CheckOptions, Subset, check};
use homekeep::engine::restore::{Overwrite, RestoreOptions, RestoreSource, RestoreTarget, restore};
use homekeep::files::rules::RuleOptions;
use homekeep::keys::Secret;
use homekeep::repo::{CreateOptions, Repository};
use homekeep::store::LocalStore;

const HOMES: usize = 4;
const FILES: usize = 500;
const FILE_LEN: usize = 16 << 10;

/// Homes that share half of their files.
fn make_homes(folder: &Path) {
    for home in 0..HOMES {
        for file in 0..FILES {
            let path = folder.join(format!("user{home}/dir{}/file{file}", file % 20));
            std::fs::create_dir_all(path.parent().expect("has one")).expect("a new folder");
            let seed = if file % 2 == 0 { file } else { file + home * FILES };
            let mut bytes = vec![0; FILE_LEN];
            blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes[..FILE_LEN / 2]);
            std::fs::write(path, bytes).expect("a new file");
        }
    }
}

fn options(homes: &Path) -> BackupOptions {
    BackupOptions {
        sqlite_program: homekeep::files::live_sqlite::OWN_PROGRAM.into(),
        homes: HomeSelection::Under(homes.into()),
        users: Vec::new(),
        source: "bench".into(),
        host: "bench".into(),
        tags: Vec::new(),
        rules: RuleOptions::default(),
        secrets: homekeep::files::rules::SecretOptions::default(),
        vault: None,
        level: 3,
        threads: 2,
        always: false,
        dry_run: false,
        cross_file_systems: false,
        verify_unchanged: false,
        sqlite_copies: false,
        confirmed: Vec::new(),
        shrink_percent: 25,
        is_privileged: false,
        never: Vec::new(),
    }
}

/// A new repository in its own folders.
fn repository() -> (tempfile::TempDir, Repository) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Arc::new(LocalStore::create(&folder.path().join("store")).expect("a new store"));
    let secret = Secret::KeyFile([1; 32].into());
    let cache = folder.path().join("cache");
    let repository = Repository::create(store, &secret, &cache, &CreateOptions::default());
    (folder, repository.expect("a new repository"))
}

fn sources(repository: &Repository) -> Vec<RestoreSource> {
    let snapshot = repository.snapshots().expect("a sound index").pop().expect("a snapshot");
    let source = |home: &homekeep::format::HomeRecord| {
        let root = home.root.clone().expect("a home that is there");
        RestoreSource {
            user: home.user.clone(),
            path: Vec::new(),
            entry: root.clone(),
            home: root,
            home_path: PathBuf::from("/nowhere"),
            commit: snapshot.hash,
            time_ms: snapshot.record.time_ms,
        }
    };
    snapshot.record.homes.iter().map(source).collect()
}

fn restore_options(target: &Path) -> RestoreOptions {
    RestoreOptions {
        vault: None,
        secrets: homekeep::engine::restore::SecretsWanted::default(),
        target: RestoreTarget::PerUser(target.into()),
        overwrite: Overwrite::default(),
        delete: false,
        dry_run: false,
        verify: false,
        includes: Vec::new(),
        excludes: Vec::new(),
        owner_map: Default::default(),
        owner_match: Default::default(),
        owners: false,
        setuid: Default::default(),
        devices: false,
        source: "another".into(),
        threads: 2,
    }
}

fn whole(c: &mut Criterion) {
    let homes = tempfile::tempdir().expect("a temporary folder");
    make_homes(homes.path());
    let options = options(homes.path());
    let run =
        |repository: &mut Repository| backup(repository, &options, &Meter::default()).expect("a snapshot");
    let mut group = c.benchmark_group("whole");
    group.throughput(Throughput::Bytes((HOMES * FILES * FILE_LEN) as u64)).sample_size(10);
    group.bench_function("first backup", |b| {
        b.iter_batched(repository, |(_folder, mut repository)| run(&mut repository), BatchSize::PerIteration);
    });
    let (_folder, mut repository) = repository();
    run(&mut repository);
    group.bench_function("nothing changed", |b| b.iter(|| run(&mut repository)));
    let snapshots = repository.snapshots().expect("a sound index");
    let records: Vec<_> = snapshots.iter().map(|snapshot| &snapshot.record).collect();
    group.bench_function("walk everything", |b| {
        b.iter(|| repository.reach(&records, 2).expect("a sound repository"));
    });
    let looking = CheckOptions {
        read: Some(Subset::All),
        restore_sample: 0,
        scratch: repository.cache().into(),
        threads: 2,
    };
    group.bench_function("check every byte", |b| {
        b.iter(|| check(&mut repository, &looking, &Meter::default()).expect("a sound repository"));
    });
    let sources = sources(&repository);
    group.bench_function("restore", |b| {
        b.iter_batched(
            || tempfile::tempdir().expect("a temporary folder"),
            |target| {
                let options = restore_options(target.path());
                restore(&repository, &sources, &options, &Meter::default(), &mut |_| {}).expect("restored")
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, whole);
criterion_main!(benches);
