//! What a backup did, as values.

use std::sync::Arc;

use jiff::Timestamp;

use super::VaultReport;
use super::homes::FoundHome;
use super::scan::{Home, lock};
use crate::codec::SnapshotId;
use crate::engine::{Meter, Problem};
use crate::format::{Attention, HomeRecord};
use crate::repo::RepoError;

/// What came of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A snapshot stands.
    Saved {
        /// The snapshot.
        id: SnapshotId,
        /// Bytes of the objects it added to the store.
        bytes_stored: u64,
        /// How many they are.
        objects: u64,
    },
    /// No home changed, so nothing was written; this snapshot still says it all.
    Unchanged {
        /// The newest snapshot of the source.
        id: Option<SnapshotId>,
    },
    /// Nothing was written because nothing was to be.
    DryRun {
        /// Bytes of files that would have been stored.
        bytes_new: u64,
    },
}

/// One home's part of the report.
#[derive(Debug, Clone)]
pub struct HomeReport {
    /// What the snapshot says of it.
    pub record: HomeRecord,
    /// Files read because they were new or had changed.
    pub files_read: u64,
    /// Sockets, which cannot be saved.
    pub sockets: u64,
    /// Entries left out by rules.
    pub excluded: u64,
    /// Names that vanished during the run.
    pub vanished: u64,
    /// A restore of it runs, or was interrupted.
    pub is_half_restored: bool,
}

/// What a backup did.
#[derive(Debug)]
pub struct BackupReport {
    /// What came of it.
    pub outcome: Outcome,
    /// Each home, by user.
    pub homes: Vec<HomeReport>,
    /// What went wrong with single files.
    pub problems: Vec<Problem>,
    /// What was done with secrets.
    pub vault: VaultReport,
    /// Objects of the repository that could not be read. Snapshots that need them are damaged.
    pub damaged: Vec<RepoError>,
    /// Why an image of the index that was due could not be published; the snapshot is not affected.
    pub index_problem: Option<RepoError>,
    /// When the run began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
}

impl BackupReport {
    pub(super) fn new(
        walked: &[Arc<Home>],
        unopened: Vec<(FoundHome, Problem)>,
        records: &[HomeRecord],
        started: Timestamp,
        damaged: Vec<RepoError>,
    ) -> Self {
        let homes = records.iter().map(|record| home_report(record, walked)).collect();
        let mut problems: Vec<Problem> = unopened.into_iter().map(|(_, problem)| problem).collect();
        for home in walked {
            problems.extend(lock(&home.problems).iter().cloned());
        }
        problems.sort_by(|a, b| (&a.user, &a.path).cmp(&(&b.user, &b.path)));
        Self {
            outcome: Outcome::Unchanged { id: None },
            homes,
            problems,
            vault: VaultReport::default(),
            damaged,
            index_problem: None,
            started,
            finished: started,
        }
    }

    /// Bytes of files that the repository did not have.
    pub fn bytes_new(&self) -> u64 {
        self.homes.iter().map(|h| h.record.bytes_new).sum()
    }

    /// Whether everything that should be saved was: no file lost, every home where it was.
    pub fn is_complete(&self) -> bool {
        self.damaged.is_empty()
            && !self.problems.iter().any(|p| p.kind.is_loss())
            && self.vault.unavailable.is_none()
            && self.homes.iter().all(|h| matches!(h.record.attention, Attention::Normal | Attention::Removed))
    }
}

fn home_report(record: &HomeRecord, walked: &[Arc<Home>]) -> HomeReport {
    let mut report = HomeReport {
        record: record.clone(),
        files_read: 0,
        sockets: 0,
        excluded: 0,
        vanished: 0,
        is_half_restored: false,
    };
    if let Some(home) = walked.iter().find(|home| home.user == record.user) {
        report.files_read = Meter::read(&home.totals.files_read);
        report.sockets = Meter::read(&home.totals.sockets);
        report.excluded = Meter::read(&home.totals.excluded);
        report.vanished = Meter::read(&home.totals.vanished);
        report.is_half_restored = home.is_half_restored;
    }
    report
}
