//! Whether the snapshots that others will build on name every segment they need: what no snapshot names, a prune
//! takes away.

use std::collections::{BTreeMap, HashSet};

use super::CheckError;
use super::report::CheckReport;
use crate::format::ShortHash;
use crate::index::{ListedSegment, SegmentRow};
use crate::repo::{RepoError, Repository, Snapshot};

/// Looks at the newest snapshot of each source, which has inherited what the older ones name. One that lacks
/// a segment is passed over: what it needs may have been stored again, where it cannot know.
pub fn check(
    repository: &Repository,
    snapshots: &[Snapshot],
    threads: usize,
    report: &mut CheckReport,
) -> Result<(), CheckError> {
    let newest: BTreeMap<&str, &Snapshot> = snapshots.iter().map(|s| (&s.record.source[..], s)).collect();
    let (segments, distrusted) = (repository.catalog().segments()?, repository.distrusted()?);
    let deleted = repository.gc().deleted();
    for snapshot in newest.into_values() {
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
        let reached = repository.reach(&[&snapshot.record], threads)?;
        let exact = reached.exact_deps(repository, &snapshot.record.deps, &avoid)?;
        if exact.lost.iter().any(|chunk| !reached.damage().contains_key(chunk)) {
            report.add(RepoError::Unnamed(snapshot.name.clone()), true);
        }
    }
    Ok(())
}
