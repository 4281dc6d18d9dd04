//! The folders are layers: what may import what, checked against the source. Knows paths and words only.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with all it may use. A new arrow is a decision: make it here and in docs/design.md.
const LAYERS: &[(&str, &[&str])] = &[
    ("codec", &[]),
    ("format", &["codec"]),
    ("store", &["codec", "format"]),
    ("keys", &["codec", "format"]),
    ("index", &["codec", "format"]),
    ("files", &["format"]),
    ("repo", &["codec", "format", "store", "keys", "index"]),
    ("vault", &["codec", "keys"]),
    ("engine", &["codec", "format", "store", "keys", "index", "files", "repo", "vault"]),
    ("cli", &["codec", "format", "store", "keys", "index", "files", "repo", "vault", "engine"]),
];

/// Crates that one layer owns.
const OWNED: &[(&str, &[&str])] = &[
    ("rusqlite", &["index", "files/live_sqlite"]),
    ("clap", &["cli"]),
    ("aes_gcm", &["codec"]),
    ("indicatif", &["cli"]),
    ("ureq", &["vault/databricks"]),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

/// The library's own code, without the tests at its end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_string()
}

fn is_test_file(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.contains("/tests") || name.ends_with("contract.rs") || name.ends_with("testing.rs")
}

#[test]
fn imports_point_down_only() {
    let mut wrong = BTreeSet::new();
    for (layer, allowed) in LAYERS {
        for path in rust_files(&source().join(layer)).iter().filter(|p| !is_test_file(p)) {
            for used in code(path).split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let is_layer = LAYERS.iter().any(|(name, _)| *name == used);
                if is_layer && used != *layer && !allowed.contains(&used.as_str()) {
                    wrong.insert(format!("{} uses {used}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_folder_of_the_source_is_a_layer() {
    let layers: BTreeSet<_> = LAYERS.iter().map(|(name, _)| (*name).to_string()).collect();
    let folders: BTreeSet<_> = fs::read_dir(source())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders, layers);
}

#[test]
fn some_crates_belong_to_one_layer() {
    for (name, owners) in OWNED {
        for path in rust_files(&source()) {
            let is_owner = owners.iter().any(|owner| path.starts_with(source().join(owner)))
                || owners.iter().any(|owner| path == source().join(owner).with_extension("rs"));
            let uses = code(&path).contains(&format!("{name}::"));
            assert!(is_owner || !uses, "{} uses {name}", path.display());
        }
    }
}

#[test]
fn every_file_says_first_what_it_is() {
    for path in rust_files(&source()) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with a sentence", path.display());
    }
}

#[test]
fn every_file_of_this_folder_is_part_of_the_one_test_binary() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        assert!(name == "main" || main.contains(&format!("mod {name};")), "{name} is not in main.rs");
    }
}
