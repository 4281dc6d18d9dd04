//! Turns what a run found into a snapshot's record: a home's part, whether it is the user's state, and what
//! the snapshot needs.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::history::History;
use super::homes::FoundHome;
use super::scan::{Home, lock};
use super::{ATTEMPT_SHIFT, Again, BackupOptions, HomeSelection, SHRINK_FILES};
use crate::codec::{Hash, SnapshotId};
use crate::engine::{Meter, Problem};
use crate::files::owner_cache::OwnerCache;
use crate::format::{Attention, Attributes, Entry, EntryKind, HomeRecord, SnapshotRecord};
use crate::keys::random_bytes;

/// One record for each home that was walked, could not be opened, or is missing.
pub fn home_records(
    walked: &[Arc<Home>],
    unopened: &[(FoundHome, Problem)],
    options: &BackupOptions,
    history: &History,
    owners: &OwnerCache,
) -> Vec<HomeRecord> {
    let mut records: Vec<_> =
        walked.iter().map(|home| walked_record(home, options, history, owners)).collect();
    let present: HashSet<Vec<u8>> = records.iter().map(|r| r.user.clone()).collect();
    for (home, _) in unopened {
        records.push(absent_record(home.user.clone(), path_bytes(&home.path), Attention::Missing, 1));
    }
    if let HomeSelection::Under(folder) = &options.homes
        && options.users.is_empty()
    {
        let unopened: HashSet<&[u8]> = unopened.iter().map(|(home, _)| &home.user[..]).collect();
        for (user, path) in history.users_under(folder) {
            if !present.contains(&user) && !unopened.contains(&user[..]) {
                let is_confirmed = options.confirmed.contains(&user);
                let attention = if is_confirmed { Attention::Removed } else { Attention::Missing };
                records.push(absent_record(user, path, attention, 0));
            }
        }
    }
    records.sort_by(|a, b| a.user.cmp(&b.user));
    records
}

fn path_bytes(path: &std::path::Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}

fn absent_record(user: Vec<u8>, path: Vec<u8>, attention: Attention, problems: u64) -> HomeRecord {
    HomeRecord {
        user,
        path,
        root: None,
        files: 0,
        directories: 0,
        bytes: 0,
        bytes_new: 0,
        problems,
        attention,
    }
}

fn walked_record(home: &Home, options: &BackupOptions, history: &History, owners: &OwnerCache) -> HomeRecord {
    let problems = lock(&home.problems).iter().filter(|p| p.kind.is_loss()).count() as u64;
    let path = path_bytes(&home.path);
    let outcome = lock(&home.outcome).clone();
    let Some(outcome) = outcome else {
        return absent_record(home.user.clone(), path, Attention::Missing, problems);
    };
    let read = |total| Meter::read(total);
    let totals = &home.totals;
    let (files, bytes) = (read(&totals.files), read(&totals.bytes));
    let root = Entry {
        name: home.user.clone(),
        kind: EntryKind::Directory(outcome.tree),
        mode: outcome.stat.mode,
        owner: owners.owner(outcome.stat.uid, outcome.stat.gid),
        mtime_s: outcome.stat.mtime.0,
        mtime_ns: outcome.stat.mtime.1,
        attributes: Attributes { xattrs: outcome.xattrs, ..Attributes::default() },
    };
    let has_shrunk = history.holding(&home.user).is_some_and(|(_, before)| {
        let less = |now: u64, before: u64| now * 100 < before * options.shrink_percent;
        before.files >= SHRINK_FILES && less(files, before.files) && less(bytes, before.bytes)
    });
    let is_half = home.is_half_restored && history.holding(&home.user).is_some();
    let is_shrunk = (has_shrunk || is_half) && !options.confirmed.contains(&home.user);
    HomeRecord {
        user: home.user.clone(),
        path,
        root: Some(root),
        files,
        directories: read(&totals.directories),
        bytes,
        bytes_new: read(&totals.bytes_new),
        problems,
        attention: if is_shrunk { Attention::Shrunk } else { Attention::Normal },
    }
}

pub fn snapshot_record(
    options: &BackupOptions,
    started: Timestamp,
    homes: Vec<HomeRecord>,
    walked: &[Arc<Home>],
    history: &History,
    gc_seen: Vec<String>,
    again: Option<Again>,
) -> SnapshotRecord {
    let parents: HashSet<Hash> =
        walked.iter().flat_map(|home| [home.seen_base, home.previous_base]).flatten().collect();
    let deps = history.deps_of(&parents);
    let mut parents: Vec<_> = parents.into_iter().collect();
    parents.sort();
    SnapshotRecord {
        id: again.map_or_else(|| new_id(started), |again| again.id),
        supersession: again.map_or(0, |again| again.attempt << ATTEMPT_SHIFT),
        time_ms: started.as_millisecond(),
        finished_ms: Timestamp::now().as_millisecond(),
        source: options.source.clone(),
        host: options.host.clone(),
        program: concat!("homekeep ", env!("CARGO_PKG_VERSION")).into(),
        tags: options.tags.clone(),
        homes,
        parents,
        gc_seen,
        deps: deps.into_iter().collect(),
        hints: Vec::new(),
    }
}

/// An id need not be secret, only its own.
pub fn new_id(started: Timestamp) -> SnapshotId {
    SnapshotId(random_bytes().unwrap_or_else(|_| {
        let hash = Hash::of(format!("{} {}", started, std::process::id()).as_bytes());
        *hash.as_bytes().first_chunk().expect("a hash is longer")
    }))
}
