//! Accounts for every object in the store: what it is by its name, and whether the index knows it as it lies there.

use std::collections::HashSet;

use super::CheckError;
use super::report::CheckReport;
use crate::codec::Hash;
use crate::format::{CommitName, ObjectName, ShortHash};
use crate::repo::{RepoError, Repository};
use crate::store::Listed;

/// What an object is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Descriptor,
    Slot,
    Segment,
    Commit,
    Image,
    Mark,
    Record,
    History,
    Foreign,
}

/// Takes stock after the index was brought up to date, which has found what is missing and what cannot be opened.
pub fn take(repository: &mut Repository, report: &mut CheckReport) -> Result<(), CheckError> {
    let objects = repository.store().list("").map_err(RepoError::from)?;
    report.objects = objects.len() as u64;
    report.bytes = objects.iter().map(|object| object.length).sum();
    for object in &objects {
        match role(&object.name) {
            Role::Foreign => report.foreign.push(object.name.to_string()),
            Role::Image => check_image(repository, object, report)?,
            _ => {}
        }
    }
    repository.damaged_slots()?.into_iter().for_each(|error| report.add(error, true));
    if let Err(error) = repository.require_known_gc() {
        report.add(error, true);
    }
    // What cannot be read of it tells an admin less; no snapshot needs it.
    repository.past()?.unreadable.into_iter().for_each(|error| report.add(error, false));
    count_orphans(repository, report)
}

fn role(name: &ObjectName) -> Role {
    let hash = name.promised_hash();
    let is = |expected: fn(&Hash) -> ObjectName| hash.is_some_and(|hash| expected(&hash) == *name);
    match name.as_str().split('/').next().unwrap_or_default() {
        _ if *name == ObjectName::descriptor() => Role::Descriptor,
        "keys" if is(ObjectName::key) => Role::Slot,
        "segments" if is(ObjectName::segment) => Role::Segment,
        "snapshots" if CommitName::parse(name).is_ok() => Role::Commit,
        "index" if hash.is_some() => Role::Image,
        "forgotten" if name.forgotten_snapshot().is_some() => Role::Mark,
        "gc" if name.gc_kind().is_some() => Role::Record,
        "history" if hash.is_some() => Role::History,
        _ => Role::Foreign,
    }
}

/// An image that cannot be used is passed over by those who begin with one, so this costs them time only.
fn check_image(repository: &Repository, image: &Listed, report: &mut CheckReport) -> Result<(), CheckError> {
    match repository.read_toc(&image.name, image.length) {
        Err(error) if error.is_absent() => {}
        Err(error) if error.is_damage() => report.add(error, false),
        read => drop(read?),
    }
    Ok(())
}

/// Segments that no commit names, not even one of a forgotten snapshot.
fn count_orphans(repository: &Repository, report: &mut CheckReport) -> Result<(), CheckError> {
    let mut named: HashSet<ShortHash> = HashSet::new();
    for (_, commit) in repository.catalog().commits()? {
        named.insert(commit.short());
        named.extend(repository.catalog().deps(&commit)?.unwrap_or_default());
    }
    for segment in repository.catalog().segments()? {
        if !named.contains(&segment.hash.short()) {
            report.orphans += 1;
            report.orphan_bytes += segment.length;
        }
    }
    Ok(())
}
