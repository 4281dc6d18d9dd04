//! Restores files chosen at random, as a person would, and compares their bytes with what the snapshots say.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::report::{SampleFailure, SampleReport};
use super::scratch::Scratch;
use super::{CheckError, CheckOptions};
use crate::codec::Hash;
use crate::engine::restore::{
    Overwrite, RestoreError, RestoreOptions, RestoreSource, RestoreTarget, restore,
};
use crate::engine::tree_walk::{Step, TreeWalk};
use crate::engine::{BrowseError, HomePath, Meter};
use crate::files::metadata::SetuidPolicy;
use crate::files::owners::{OwnerMap, OwnerMatch};
use crate::format::{Entry, EntryKind, HomeRecord, flags};
use crate::index::Summary;
use crate::keys::random_bytes;
use crate::repo::{Reader, Repository};

/// Restores as many files as the options say, or all if there are fewer.
pub fn restore_sample(
    repository: &Repository,
    snapshots: &[Summary],
    options: &CheckOptions,
    meter: &Meter,
) -> Result<SampleReport, CheckError> {
    let scratch = Scratch::create(&options.scratch)?;
    let (mut reader, mut report) = (repository.reader()?, SampleReport::default());
    let total = snapshots.iter().map(|snapshot| snapshot.totals.files).sum();
    let chosen = choose(total, options.restore_sample, &random_bytes()?);
    Meter::add(&meter.files_expected, chosen.len() as u64);
    let mut number = 0;
    for (snapshot, home, wanted) in homes_of(repository, snapshots, chosen)? {
        for (path, entry) in find_files(&mut reader, &home, &wanted)? {
            number += 1;
            let target = scratch.folder(number)?;
            let source = source(&snapshot, &home, &path, entry);
            let outcome = restore_file(repository, &source, &target, options, meter)?;
            std::fs::remove_dir_all(&target)
                .map_err(|source| CheckError::Scratch { path: target, source })?;
            match outcome {
                None => {
                    report.files += 1;
                    report.bytes += source.entry.size();
                }
                Some(reason) => report.failures.push(SampleFailure {
                    user: home.user.clone(),
                    path,
                    snapshot: snapshot.id,
                    reason,
                }),
            }
        }
    }
    Ok(report)
}

/// The homes that have files with these numbers, which count through all homes of all snapshots, and which files of each
/// home they are.
fn homes_of(
    repository: &Repository,
    snapshots: &[Summary],
    chosen: Vec<u64>,
) -> Result<Vec<(Summary, HomeRecord, Vec<u64>)>, CheckError> {
    let (mut chosen, mut homes, mut before) = (chosen.into_iter().peekable(), Vec::new(), 0);
    for summary in snapshots {
        let end = before + summary.totals.files;
        if chosen.peek().is_none_or(|file| *file >= end) {
            before = end;
            continue;
        }
        let homes_there =
            repository.read_snapshots(&[summary.hash])?.into_iter().flat_map(|s| s.record.homes);
        for home in homes_there {
            let end = before + home.files;
            let wanted: Vec<u64> = std::iter::from_fn(|| chosen.next_if(|file| *file < end)).collect();
            let wanted: Vec<u64> = wanted.into_iter().map(|file| file - before).collect();
            before = end;
            if !wanted.is_empty() {
                homes.push((summary.clone(), home, wanted));
            }
        }
    }
    Ok(homes)
}

/// Numbers of files below `total`, in ascending order and each once.
fn choose(total: u64, count: u64, seed: &[u8; 32]) -> Vec<u64> {
    if count >= total {
        return (0..total).collect();
    }
    let mut chosen = std::collections::BTreeSet::new();
    let mut draws: u64 = 0;
    while (chosen.len() as u64) < count {
        let hash = Hash::of(&[&seed[..], &draws.to_le_bytes()].concat());
        chosen.insert(u64::from_le_bytes(hash.short()) % total);
        draws += 1;
    }
    chosen.into_iter().collect()
}

/// The files with these numbers, as they are met in the home; nothing that the snapshot has no bytes of, and nothing
/// in directories that cannot be read: the walk has told of these.
fn find_files(
    reader: &mut Reader,
    home: &HomeRecord,
    wanted: &[u64],
) -> Result<Vec<(HomePath, Entry)>, CheckError> {
    let mut found = Vec::new();
    let tree = match home.root.as_ref().map(|root| &root.kind) {
        Some(EntryKind::Directory(tree)) if !wanted.is_empty() => *tree,
        _ => return Ok(found),
    };
    let mut wanted = wanted.iter().peekable();
    let Some(mut walk) = passing_damage(TreeWalk::new(reader, HomePath::home(), tree))? else {
        return Ok(found);
    };
    let mut number = 0;
    while wanted.peek().is_some() {
        let Some(Some(step)) = passing_damage(walk.next(reader))? else { break };
        let Step::Entry(entry) = step else { continue };
        if let EntryKind::Directory(tree) = entry.kind {
            passing_damage(walk.enter(reader, tree))?;
        } else if matches!(entry.kind, EntryKind::File(_)) {
            if wanted.next_if(|wanted| **wanted == number).is_some() && has_content(&entry) {
                found.push((walk.path().clone(), entry));
            }
            number += 1;
        }
    }
    Ok(found)
}

fn passing_damage<T>(result: Result<T, BrowseError>) -> Result<Option<T>, CheckError> {
    match result {
        Err(BrowseError::Read { source, .. }) if source.is_damage() => Ok(None),
        result => Ok(Some(result?)),
    }
}

fn has_content(entry: &Entry) -> bool {
    entry.attributes.flags & flags::FOREIGN_LINK == 0 && entry.attributes.vault.is_none()
}

fn source(snapshot: &Summary, home: &HomeRecord, path: &HomePath, entry: Entry) -> RestoreSource {
    RestoreSource {
        user: home.user.clone(),
        path: path.as_bytes().to_vec(),
        home: home.root.clone().unwrap_or_else(|| entry.clone()),
        entry,
        home_path: Path::new(OsStr::from_bytes(&home.path)).into(),
        commit: snapshot.hash,
        time_ms: snapshot.time_ms,
    }
}

/// Restores one file and reads it back; why it is not what it should be, if it is not.
fn restore_file(
    repository: &Repository,
    source: &RestoreSource,
    target: &Path,
    options: &CheckOptions,
    meter: &Meter,
) -> Result<Option<String>, CheckError> {
    let options = RestoreOptions {
        vault: None,
        secrets: crate::engine::restore::SecretsWanted::default(),
        target: RestoreTarget::Contents(target.into()),
        overwrite: Overwrite::default(),
        delete: false,
        dry_run: false,
        verify: true,
        includes: Vec::new(),
        excludes: Vec::new(),
        owner_map: OwnerMap::default(),
        owner_match: OwnerMatch::default(),
        owners: false,
        setuid: SetuidPolicy::default(),
        devices: false,
        source: String::new(),
        threads: options.threads,
    };
    let report = match restore(repository, std::slice::from_ref(source), &options, meter, &mut |_| {}) {
        Err(RestoreError::Interrupted) => return Err(CheckError::Interrupted),
        report => report.map_err(CheckError::Restore)?,
    };
    let problem = report.problems.iter().find(|problem| problem.kind.is_loss());
    Ok(match (problem, report.verified) {
        (Some(problem), _) => Some(problem.kind.to_string()),
        (None, 1) => None,
        (None, _) => Some("it was not written".into()),
    })
}
