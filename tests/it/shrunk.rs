//! Homes that are suddenly empty, small or gone: after a machine was made anew they are until they are
//! restored, and that is not what their users want back.

use std::fs;

use homekeep::engine::backup::{BackupReport, Outcome};
use homekeep::format::Attention;

use crate::support::{Site, assert_same, copy_tree, noise, report_of, write_old};

/// A site where the homes of ann and bob are saved.
fn saved() -> Site {
    let site = Site::new();
    for (seed, user) in [(100, "ann"), (200, "bob")] {
        for n in 0..20 {
            write_old(&site.home(user).join(n.to_string()), noise(seed + n, 2000));
        }
    }
    site.backup();
    copy_tree(&site.homes(), &site.path("pristine"));
    site
}

fn empty(site: &Site, user: &str) {
    fs::remove_dir_all(site.home(user)).unwrap();
    site.home(user);
}

fn attention(report: &BackupReport, user: &str) -> Attention {
    report_of(report, user).record.attention
}

fn confirm(site: &Site, user: &str) -> BackupReport {
    site.backup_with(|options| options.confirmed = vec![user.into()])
}

/// Whether restoring a user gives back what stood there in the beginning.
fn assert_state_is_still_the_first(site: &Site, user: &str) {
    assert_same(&site.path("pristine").join(user), &site.restore(&[user]).join(user));
}

#[test]
fn an_emptied_home_is_marked_and_its_last_state_is_still_the_users() {
    let site = saved();
    empty(&site, "ann");
    let report = site.backup_with(|_| {});
    assert_eq!(
        (attention(&report, "ann"), attention(&report, "bob")),
        (Attention::Shrunk, Attention::Normal)
    );
    assert!(!report.is_complete());
    assert!(matches!(report.outcome, Outcome::Saved { .. }));
    assert_state_is_still_the_first(&site, "ann");
    // Said once, it is no news, but still a problem.
    let report = site.backup_with(|_| {});
    assert!(matches!(report.outcome, Outcome::Unchanged { .. }), "{:?}", report.outcome);
    assert_eq!(attention(&report, "ann"), Attention::Shrunk);
    assert!(!report.is_complete());
}

#[test]
fn what_grows_in_an_emptied_home_is_saved_but_does_not_become_its_state() {
    let site = saved();
    empty(&site, "ann");
    for n in 0..5 {
        write_old(&site.home("ann").join(format!("new {n}")), "x");
        let report = site.backup_with(|_| {});
        assert_eq!(attention(&report, "ann"), Attention::Shrunk, "{n}");
    }
    assert_state_is_still_the_first(&site, "ann");
    let newest = site.repository().snapshots().unwrap().pop().unwrap();
    let (home, _) = crate::support::source_of(&newest, "ann").unwrap();
    assert_eq!(home.files, 5);
}

#[test]
fn a_confirmed_small_home_is_the_users_state() {
    let site = saved();
    empty(&site, "ann");
    write_old(&site.home("ann").join("all I need"), "x");
    site.backup_with(|_| {});
    let report = confirm(&site, "ann");
    assert_eq!(attention(&report, "ann"), Attention::Normal);
    assert!(site.has("ann", "all I need"));
    assert!(site.backup().is_complete());
}

#[test]
fn a_restored_home_is_normal_again() {
    let site = saved();
    empty(&site, "ann");
    site.backup_with(|_| {});
    fs::remove_dir(site.home("ann")).unwrap();
    copy_tree(&site.path("pristine/ann"), &site.home("ann"));
    let report = site.backup();
    assert_eq!((attention(&report, "ann"), report.bytes_new()), (Attention::Normal, 0));
    assert_state_is_still_the_first(&site, "ann");
}

#[test]
fn a_vanished_home_is_missing_until_somebody_confirms_that_it_is_gone() {
    let site = saved();
    fs::remove_dir_all(site.home("ann")).unwrap();
    for run in 0..2 {
        let report = site.backup_with(|_| {});
        assert_eq!(attention(&report, "ann"), Attention::Missing);
        assert!(!report.is_complete());
        assert_eq!(matches!(report.outcome, Outcome::Saved { .. }), run == 0);
    }
    assert_state_is_still_the_first(&site, "ann");
    let report = confirm(&site, "ann");
    assert_eq!(attention(&report, "ann"), Attention::Removed);
    assert!(report.is_complete());
    let report = site.backup();
    assert_eq!(report.homes.len(), 1, "what is gone for good is not mentioned again");
    assert!(matches!(report.outcome, Outcome::Unchanged { .. }), "{:?}", report.outcome);
}

#[test]
fn all_homes_empty_at_once_as_on_a_new_machine_change_nobodys_state() {
    let site = saved();
    for user in ["ann", "bob"] {
        empty(&site, user);
    }
    site.forget_cache();
    let report = site.backup_with(|_| {});
    for user in ["ann", "bob"] {
        assert_eq!(attention(&report, user), Attention::Shrunk);
        assert_state_is_still_the_first(&site, user);
    }
}

#[test]
fn a_home_with_few_files_or_with_as_many_bytes_has_not_shrunk() {
    let site = Site::new();
    for n in 0..7 {
        write_old(&site.home("few").join(n.to_string()), "x");
    }
    for n in 0..20 {
        write_old(&site.home("packed").join(n.to_string()), noise(n, 2000));
    }
    site.backup();
    empty(&site, "few");
    empty(&site, "packed");
    write_old(&site.home("packed").join("archive"), noise(1, 30_000));
    let report = site.backup();
    for user in ["few", "packed"] {
        assert_eq!(attention(&report, user), Attention::Normal, "{user}");
    }
}
