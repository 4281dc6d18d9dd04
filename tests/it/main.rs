//! The integration tests: one binary, a module for each subject.

mod changing;
mod cheap;
mod damage;
mod hostile;
mod killed;
mod live_sqlite;
mod restoring;
mod roundtrip;
mod shrunk;
mod support;
mod trees;

/// A file that nobody includes is a test that nobody runs.
#[test]
fn every_file_beside_this_one_is_a_module() {
    let main = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        let is_included = main.lines().any(|line| line == format!("mod {module};"));
        assert!(is_included || module == "main", "{name} is not in main.rs");
    }
}
