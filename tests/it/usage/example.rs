//! The worked example of docs/usage.md comes out as it stands there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{figures, of};
use crate::support::{Site, noise, write_old};

/// The rows of the table below a heading: a name, and numbers.
fn table(heading: &str) -> BTreeMap<String, Vec<u64>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/usage.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once(heading).unwrap_or_else(|| panic!("no {heading:?}"));
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(2);
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let name = cells.next().unwrap().to_owned();
        (name, cells.map(|cell| cell.replace(' ', "").parse().unwrap()).collect())
    })
    .collect()
}

#[test]
fn the_worked_example_comes_out_as_it_is_written() {
    let table = table("## A worked example");
    let site = Site::new();
    let home = |user: &str, name: &str, seed: u64, length: usize| {
        write_old(&site.home(user).join(name), noise(seed, length));
    };
    for user in ["ann", "bob", "cem"] {
        home(user, "handbook.pdf", 1, 1_000);
    }
    for user in ["ann", "bob"] {
        home(user, "survey.csv", 2, 3_000);
    }
    home("ann", "thesis.pdf", 3, 5_000);
    home("cem", "photo.jpg", 4, 2_000);
    site.backup();
    fs::remove_file(site.home("ann").join("thesis.pdf")).unwrap();
    site.backup();
    let report = figures(&site.repository());
    for user in ["ann", "bob", "cem"] {
        let row = of(&report, user);
        let stored = row.stored;
        let found = [row.state.unwrap().bytes, stored.data_own, stored.data_shared, stored.data_fair];
        assert_eq!(found[..3], table[user][..3], "{user}");
        assert_eq!(stored.data_own + stored.data_fair, table[user][3], "{user}");
    }
    let sum: u64 = ["ann", "bob", "cem"].iter().map(|user| table[*user][3]).sum();
    assert_eq!(sum, report.store.data_own + report.store.data_shared);
    assert_eq!(table["all"][3], sum);
}
