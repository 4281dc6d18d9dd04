//! Repairs segments: moves what can be read out of damaged ones, and tells the snapshots that need it.

use super::salvage::salvage;
use super::snapshots::renew;
use super::{RepairError, RepairOptions, SegmentsReport};
use crate::engine::Meter;
use crate::engine::target::Target;
use crate::format::SnapshotRecord;
use crate::repo::{Repository, Snapshot};

/// Moves everything that snapshots need and that can be read out of the segments that are known to be damaged.
/// Snapshots that lack nothing are published again and no longer name these; the next prune removes them when no
/// other snapshot does.
pub fn repair_segments(
    repository: &mut Repository,
    options: &RepairOptions,
    meter: &Meter,
) -> Result<SegmentsReport, RepairError> {
    let mut report =
        SegmentsReport { damaged: repository.sync_all(&mut |_, _| {})?.damaged, ..SegmentsReport::default() };
    let snapshots: Vec<Snapshot> = repository.snapshots()?;
    let records: Vec<&SnapshotRecord> = snapshots.iter().map(|s| &s.record).collect();
    let reached = repository.reach(&records, options.threads)?;
    report.salvaged = salvage(repository, &reached, options, meter)?;
    let mut target = Target::new(repository)?;
    for (place, snapshot) in snapshots.iter().enumerate() {
        if meter.is_interrupted() {
            return Err(RepairError::Interrupted);
        }
        if !reached.is_complete(place) {
            report.incomplete.push(snapshot.record.id);
        } else if renew(&mut target, snapshot, options)? {
            report.renewed.push(snapshot.record.id);
        }
    }
    Ok(report)
}
