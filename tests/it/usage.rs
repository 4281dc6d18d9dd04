//! Who uses what: the figures against a recomputation that knows no groups, no shortcuts and no memory, on random
//! histories of users who share and diverge, forget, prune, repack, lose their index and meet damage.

mod brute;
mod commands;
mod example;
mod histories;
mod past;
mod scale;

use std::fs;

use homekeep::engine::Meter;
use homekeep::engine::usage::{UsageOptions, UsageReport, UserUsage, usage};
use homekeep::repo::Repository;
use jiff::{SignedDuration, Timestamp};

use crate::support::{Site, noise, write_old};

/// The figures as of now.
pub fn figures(repository: &Repository) -> UsageReport {
    let options = UsageOptions { now: Timestamp::now(), since: None };
    usage(repository, &options, &Meter::default()).unwrap()
}

fn of<'r>(report: &'r UsageReport, user: &str) -> &'r UserUsage {
    report.users.iter().find(|found| found.user == user.as_bytes()).unwrap()
}

#[test]
fn what_one_user_needs_and_what_several_do_is_told_apart() {
    let site = Site::new();
    let common = noise(1, 200_000);
    for user in ["ann", "bob"] {
        write_old(&site.home(user).join("common"), &common);
        write_old(&site.home(user).join("own"), noise(user.len() as u64 + user.as_bytes()[0] as u64, 60_000));
    }
    write_old(&site.home("cem").join("own"), noise(9, 30_000));
    site.backup();
    let report = figures(&site.repository());
    let [ann, bob, cem] = ["ann", "bob", "cem"].map(|user| of(&report, user).stored);
    assert!((60_000..62_000).contains(&ann.data_own), "{ann:?}");
    assert!((200_000..202_000).contains(&ann.data_shared), "{ann:?}");
    assert_eq!(ann.data_shared, bob.data_shared);
    assert_eq!(ann.data_fair + bob.data_fair, ann.data_shared);
    assert!(ann.data_fair.abs_diff(bob.data_fair) <= 1);
    assert_eq!((cem.shared(), cem.fair()), (0, cem.own()));
    assert_eq!(report.store.data_shared, ann.data_shared);
    assert_eq!(of(&report, "ann").state.unwrap().bytes, 260_000);
}

#[test]
fn figures_that_still_hold_are_read_and_a_change_costs_what_it_changed() {
    let site = Site::new();
    for n in 0..60 {
        let folder = site.home("ann").join(format!("d{n}"));
        fs::create_dir(&folder).unwrap();
        write_old(&folder.join("f"), noise(n, 2000));
    }
    site.backup();
    assert!(figures(&site.repository()).trees_read >= 61);
    assert_eq!(figures(&site.repository()).trees_read, 0);
    write_old(&site.home("ann").join("d3/g"), "more");
    site.backup();
    let report = figures(&site.repository());
    assert_eq!(report.trees_read, 2, "the root and the directory that changed");
    site.forget_cache();
    assert_eq!(figures(&site.repository()).store, report.store);
}

#[test]
fn growth_is_told_for_as_long_as_something_is_known() {
    let site = Site::new();
    write_old(&site.home("ann").join("f"), noise(1, 5000));
    site.backup();
    write_old(&site.home("ann").join("g"), noise(2, 3000));
    site.backup();
    let repository = site.repository();
    let first = repository.snapshots().unwrap()[0].time();
    let at = |now: Timestamp, since: Option<Timestamp>| {
        let report = usage(&repository, &UsageOptions { now, since }, &Meter::default()).unwrap();
        of(&report, "ann").growth
    };
    let later = |hours: i64| first.checked_add(SignedDuration::from_hours(hours)).unwrap();
    let now = at(later(1), Some(first));
    assert_eq!((now.day, now.week, now.since), (None, None, Some(3000)));
    let tomorrow = at(later(30), None);
    assert_eq!((tomorrow.day, tomorrow.week), (Some(0), None));
    assert_eq!(at(later(24 * 40), None).month, Some(0));
}
