//! Whether the snapshots that others will build on name every segment they need: what no snapshot names, a prune
//! takes away.

use std::collections::{BTreeMap, HashSet};

use super::CheckError;
use super::report::CheckReport;
use crate::codec::Hash;
use crate::format::ShortHash;
use crate::index::{ListedSegment, SegmentRow, Summary};
use crate::repo::{Reached, RepoError, Repository, Snapshot};

/// Looks at the newest snapshot of each source, which has inherited what the older ones name: mostly it names all
/// that `reached` holds, which is what all snapshots reach. One that lacks a segment is passed over: what it needs
/// may have been stored again, where it cannot know.
pub fn check(
    repository: &Repository,
    snapshots: &[Summary],
    reached: &Reached,
    threads: usize,
    report: &mut CheckReport,
) -> Result<(), CheckError> {
    let newest: BTreeMap<&str, Hash> = snapshots.iter().map(|s| (&s.source[..], s.hash)).collect();
    let (segments, distrusted) = (repository.catalog().segments()?, repository.distrusted()?);
    let deleted = repository.gc().deleted();
    for snapshot in repository.read_snapshots(&newest.into_values().collect::<Vec<_>>())? {
        let named: HashSet<ShortHash> =
            snapshot.record.deps.iter().copied().chain([snapshot.hash.short()]).collect();
        let (there, avoid): (Vec<&ListedSegment>, Vec<_>) =
            segments.iter().partition(|segment| named.contains(&segment.hash.short()));
        let sound: HashSet<ShortHash> =
            there.iter().filter(|s| !distrusted.contains(&s.row)).map(|s| s.hash.short()).collect();
        if !named.iter().all(|segment| sound.contains(segment) || deleted.contains(segment)) {
            continue;
        }
        let avoid: HashSet<SegmentRow> = avoid.iter().map(|segment| segment.row).collect();
        if is_too_little(repository, reached, &snapshot, &avoid)? {
            let own = repository.reach(&[&snapshot.record], threads)?;
            if is_too_little(repository, &own, &snapshot, &avoid)? {
                report.add(RepoError::Unnamed(snapshot.name.clone()), true);
            }
        }
    }
    Ok(())
}

/// Whether something of what is reached, and not lost, lies only in segments of `avoid`.
fn is_too_little(
    repository: &Repository,
    reached: &Reached,
    snapshot: &Snapshot,
    avoid: &HashSet<SegmentRow>,
) -> Result<bool, CheckError> {
    let exact = reached.exact_deps(repository, &snapshot.record.deps, avoid)?;
    Ok(exact.lost.iter().any(|chunk| !reached.damage().contains_key(chunk)))
}
