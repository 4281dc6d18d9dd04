//! What `check` says of a damaged repository, held against what the repository still gives.

use homekeep::codec::SnapshotId;
use homekeep::engine::check::{CheckError, CheckOptions, CheckReport, Subset, check};
use homekeep::engine::lookup::Located;
use homekeep::engine::ls::{Depth, ls};
use homekeep::engine::select::{Filter, states};
use homekeep::engine::{BrowseError, HomePath, Meter};
use homekeep::format::ObjectName;
use homekeep::repo::Repository;
use homekeep::store::MemoryStore;
use jiff::Timestamp;

use super::examine::{Machine, assert_modest, is_commit_gone, look};
use super::tiny::Tiny;
use crate::support::{Site, chain, names};

/// How much of what was saved comes back.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Back {
    /// Not every directory of every snapshot can be listed.
    NotAllNames,
    /// Some file cannot be read.
    NotAllBytes,
    /// Everything, as it was.
    All,
}

/// Checks the repository, first without reading data and then with it. The objects in `damaged` are not as they were. Where
/// the check finds no loss, there is none in what it looked at; where it finds one, it is that of these objects,
/// or really there; and who reads everything names each object that does not have the bytes of its name.
pub fn assert_checked(tiny: &Tiny, machine: Machine, store: MemoryStore, damaged: &[&ObjectName]) {
    let there = names(&store, "");
    let site = machine.site(tiny, store);
    for read in [None, Some(Subset::All)] {
        let case = format!("{damaged:?} on {machine:?}, reading {read:?}");
        let is_named = |told: &[String]| damaged.iter().any(|name| is_any_about(told, name));
        let (repository, report) = match checked(&site, read) {
            Ok(checked) => checked,
            Err(error) => {
                let is_gone = damaged.iter().any(|name| !there.contains(name));
                assert!(is_gone || is_named(&[chain(&error)]), "{case}: {error:?}");
                continue;
            }
        };
        let told: Vec<String> = report.findings.iter().map(|finding| chain(&finding.error)).collect();
        let back = back(tiny, machine, &repository);
        let looked_at = if read.is_some() { Back::All } else { Back::NotAllBytes };
        assert!(report.is_damaged() || back >= looked_at, "{case}: {back:?}, and nothing says so");
        assert!(!report.is_damaged() || is_named(&told) || back < Back::All, "{case}: {report:?}");
        for name in damaged.iter().filter(|name| read.is_some() && name.promised_hash().is_some()) {
            assert!(!there.contains(name) || is_any_about(&told, name), "{case}: {told:?}");
        }
        assert_modest();
    }
}

fn is_any_about(told: &[String], name: &ObjectName) -> bool {
    told.iter().any(|text| text.contains(name.as_str()))
}

fn checked(site: &Site, read: Option<Subset>) -> Result<(Repository, CheckReport), CheckError> {
    let options = CheckOptions { read, restore_sample: 0, scratch: site.path("scratch"), threads: 1 };
    let mut repository = site.open()?;
    let report = check(&mut repository, &options, &Meter::default())?;
    Ok((repository, report))
}

fn back(tiny: &Tiny, machine: Machine, repository: &Repository) -> Back {
    let snapshots = repository.snapshots().unwrap();
    let found = states(&snapshots, &Filter::default(), Timestamp::MAX);
    let mut reader = repository.reader().unwrap();
    let mut back = Back::All;
    for ((id, user), right) in &tiny.sights {
        let is_it = |snapshot: &SnapshotId, home: &[u8]| (snapshot, home) == (id, &user[..]);
        let state = found.iter().find(|state| is_it(&state.snapshot.record.id, &state.home.user));
        let one = match state {
            // Who never saw a snapshot cannot miss it.
            None if matches!(machine, Machine::New) && is_commit_gone(tiny, repository.store().as_ref()) => {
                continue;
            }
            None => Back::NotAllNames,
            Some(state) => {
                let start = Located { path: HomePath::home(), entry: state.root.clone() };
                let listed = ls::<BrowseError>(&mut reader, &start, Depth::Everything, &mut |_, _| Ok(()));
                match (listed, look(&mut reader, state)) {
                    (Err(_), _) => Back::NotAllNames,
                    (Ok(_), Err(_)) => Back::NotAllBytes,
                    (Ok(_), Ok(sight)) => {
                        assert_eq!(&sight, right);
                        Back::All
                    }
                }
            }
        };
        back = back.min(one);
    }
    back
}
