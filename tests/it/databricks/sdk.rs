//! The workspace of these tests and the provider, seen by the official client, which neither of them knows.
//!
//! Runs with `HOMEKEEP_TEST_SDK=1`, which installs the client into a virtual environment below `target/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::script::Fault;
use super::server::Server;
use super::workspace::Rules;
use super::{provider, put};
use crate::vault_providers::contract::document;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/databricks/sdk.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/databricks/sdk-requirements.txt");

#[test]
fn the_official_client_finds_in_our_workspace_what_its_own_has() {
    let Some(python) = python() else { return };
    let server = Server::with(Rules { max_secrets: 2, ..Rules::default() });
    server.workspace().script.add("scopes/list", 0, 1, Fault::throttled());
    run(&python, "exercise", &server.variables());
    assert!(server.workspace().script.is_played());
}

#[test]
fn the_official_client_reads_what_the_provider_wrote() {
    let Some(python) = python() else { return };
    for expires_as_text in [false, true] {
        let server =
            Server::with(Rules { expires_as_text, times_as_text: expires_as_text, ..Rules::default() });
        let provider = provider(&server);
        server.workspace().fill("another", 1);
        for user in ["ann@example.org", "Ann@Example.org", "zoë"] {
            put(&provider, user, "\u{1f511} \"x\" \n");
        }
        // As an application, so that its way of buying tokens is gone too.
        let output = run(&python, "dump", &server.client_variables());
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let ours = |key: &str, user: &str| {
            let expected = String::from_utf8(document(user, "\u{1f511} \"x\" \n", 0)).unwrap();
            assert_eq!(found[format!("homekeep/{key}")], expected, "{found}");
        };
        ours("ann_40example.org", "ann@example.org");
        ours("_41nn_40_45xample.org", "Ann@Example.org");
        ours("zo_c3_ab", "zoë");
        assert_eq!(found.as_object().unwrap().len(), 4);
        assert_eq!(server.workspace().tokens_sold, 1);
    }
}

fn run(python: &Path, verb: &str, variables: &[(&str, String)]) -> Output {
    let mut command = Command::new(python);
    command.args([PROGRAM, verb]).env_clear().env("HOME", "/nonexistent");
    let output = command.envs(variables.iter().map(|(name, value)| (name, value))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A Python with the client; none when the test is to be skipped. Tests run in parallel, and one of them installs.
fn python() -> Option<PathBuf> {
    if std::env::var_os("HOMEKEEP_TEST_SDK").is_none_or(|value| value != "1") {
        eprintln!("skipped: HOMEKEEP_TEST_SDK=1 installs the official client below target/");
        return None;
    }
    static ENVIRONMENT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let install = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("databricks-sdk-venv");
        let python = folder.join("bin/python");
        if !python.exists() {
            assert!(Command::new("python3").args(["-m", "venv"]).arg(&folder).status().unwrap().success());
        }
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]);
        assert!(pip.status().unwrap().success(), "the official client cannot be installed");
        python
    };
    Some(ENVIRONMENT.get_or_init(install).clone())
}
