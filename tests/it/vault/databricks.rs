//! The program with a Databricks workspace as its vault: what it asks, what it does when it is told no, and that everyone
//! comes back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use super::{KEY, summary, write};
use crate::databricks::script::Fault;
use crate::databricks::server::Server;
use crate::databricks::workspace::Rules;
use crate::support::let_times_settle;
use crate::support::program::{Ended, Program};

/// A program whose vault is the workspace; `more` goes into `[vault]`.
fn program(server: &Server, more: &str) -> Program {
    let mut program = super::world();
    configure(&mut program, server, more);
    program
}

fn configure(program: &mut Program, server: &Server, more: &str) {
    let config = program.path("homekeep.toml");
    fs::write(&config, format!("[vault]\nprovider = \"databricks\"\nscope = \"homekeep\"\n{more}\n"))
        .unwrap();
    program.set("HOMEKEEP_CONFIG", config.to_str().unwrap());
    server.variables().into_iter().for_each(|(name, value)| program.set(name, value));
}

fn backup(program: &Program) -> Ended {
    program.backup(&["--init", "--json"])
}

fn restore(program: &Program, name: &str) -> Ended {
    let target = program.path(name);
    program.run(&["restore", "--target", target.to_str().unwrap()])
}

/// How often each path was asked for.
fn calls(server: &Server) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for path in server.workspace().take_calls() {
        *counted.entry(path).or_default() += 1;
    }
    counted
}

#[test]
fn a_run_without_changes_asks_for_lists_only_and_a_change_for_one_document() {
    let server = Server::start();
    let program = program(&server, "");
    assert_eq!(summary(&backup(&program).expect(0))["vaults_written"], 2);
    let first = calls(&server);
    assert_eq!(first.get("put"), Some(&2), "{first:?}");
    assert_eq!(first.get("get"), None, "{first:?}");
    backup(&program).expect(0);
    let quiet = calls(&server);
    assert!(
        quiet.keys().all(|path| path.ends_with("list")) && quiet.values().sum::<usize>() == 2,
        "{quiet:?}"
    );
    write(&program.homes.join("bob/.netrc"), "machine h password CANARY-new\n", 0o600);
    backup(&program).expect(0);
    let changed = calls(&server);
    assert_eq!(changed.get("put"), Some(&1), "{changed:?}");
    assert_eq!(changed.get("get"), Some(&2), "read, and read back: {changed:?}");
    restore(&program, "back").expect(0);
    assert_eq!(fs::read_to_string(program.path("back/ann/.ssh/id_rsa")).unwrap(), KEY);
}

#[test]
fn no_secret_reaches_the_workspace_in_clear() {
    let server = Server::start();
    let program = program(&server, "");
    backup(&program).expect(0);
    let workspace = server.workspace();
    let values: Vec<_> = workspace.scopes.values().flat_map(|scope| scope.secrets.values()).collect();
    assert_eq!(values.len(), 2);
    for secret in values {
        assert!(!secret.value.windows(6).any(|window| window == b"CANARY"), "{}", secret.key);
        assert!(secret.value.starts_with(b"{\"format\":1,\"user\":\""), "it can be read what this is");
    }
}

#[test]
fn a_workspace_that_fails_costs_secrets_and_is_tried_again() {
    let server = Server::start();
    let program = program(&server, "");
    server.workspace().script.add(
        "/api/2.0/secrets/put",
        0,
        1000,
        Fault::coded(403, "PERMISSION_DENIED", "no"),
    );
    let ended = backup(&program).expect(3);
    assert!(ended.out.contains("\"code\":\"vault\""), "{}", ended.out);
    let snapshot = summary(&ended)["snapshot_id"].clone();
    assert!(snapshot.is_string(), "everything else is saved");
    *server.workspace() = crate::databricks::workspace::Workspace::new(Rules::default());
    assert_eq!(summary(&backup(&program).expect(0))["vaults_written"], 2);
    restore(&program, "back").expect(0);
    assert_eq!(fs::read_to_string(program.path("back/ann/.ssh/id_rsa")).unwrap(), KEY);
}

#[test]
fn a_document_beyond_the_limit_is_told_with_its_largest_items_and_others_are_unharmed() {
    let server = Server::start();
    let program = program(&server, "");
    let mut noise = vec![0; 120_000];
    getrandom::fill(&mut noise).unwrap();
    let mut large = b"-----BEGIN PRIVATE KEY-----\n".to_vec();
    large.extend_from_slice(&noise);
    fs::write(program.homes.join("ann/.pgpass"), &large).unwrap();
    let_times_settle();
    let ended = program.backup(&["--init"]).expect(3);
    let told = &ended.err;
    assert!(told.contains("ann:.pgpass: this secret is not in the vault"), "{told}");
    assert!(told.contains("128000 bytes") && told.contains("\".pgpass\" (16"), "{told}");
    restore(&program, "back").expect(3);
    assert_eq!(fs::read_to_string(program.path("back/ann/.ssh/id_rsa")).unwrap(), KEY);
    assert!(program.path("back/bob/.netrc").exists());
}

#[test]
fn the_workspace_being_away_costs_no_home_and_no_secret_that_did_not_change() {
    let server = Server::start();
    let mut program = program(&server, "");
    backup(&program).expect(0);
    // Nobody listens there.
    program.set("DATABRICKS_HOST", "http://127.0.0.1:9");
    fs::write(program.homes.join("ann/project/new.R"), "1\n").unwrap();
    let ended = backup(&program).expect(3);
    assert!(ended.err.contains("does not answer"), "{}", ended.err);
    assert_eq!(summary(&ended)["outcome"], "saved");
    program.set("DATABRICKS_HOST", server.url());
    write(&program.homes.join("bob/.netrc"), "machine h password CANARY-new\n", 0o600);
    assert_eq!(summary(&backup(&program).expect(0))["vaults_written"], 1);
}

#[test]
fn verify_says_who_may_read_the_scopes() {
    let server = Server::start();
    let program = program(&server, "");
    backup(&program).expect(0);
    let told = program.run(&["vault", "verify"]).expect(0).out;
    assert!(told.contains("MANAGE"), "{told}");
}

/// What the issue of a whole company comes to. The rate limit of the service is kept by waiting, so this takes a minute:
/// `cargo test --release --test it -- --ignored --nocapture a_thousand_users`.
#[test]
#[ignore = "takes minutes; measures"]
fn a_thousand_users_with_two_keys_each() {
    let users = 1000;
    let server = Server::with(Rules { max_calls: Some(15), ..Rules::default() });
    let mut program = Program::new();
    configure(&mut program, &server, "");
    for user in 0..users {
        let home = program.home(&format!("user{user:04}@example.org"));
        for name in ["id_rsa", "id_ed25519"] {
            let mut noise = [0; 800];
            getrandom::fill(&mut noise).unwrap();
            let body: String = noise.iter().map(|byte| format!("{byte:02x}")).collect();
            write(
                &home.join(".ssh").join(name),
                &format!("-----BEGIN PRIVATE KEY-----\n{user} {name} {body}\n"),
                0o600,
            );
        }
        write(&home.join("notes.txt"), "x\n", 0o644);
    }
    let_times_settle();
    let timed = |what: &str, run: &mut dyn FnMut() -> Ended| {
        let began = Instant::now();
        let ended = run().expect(0);
        let calls = calls(&server);
        println!(
            "{what}: {:.1} s, {} calls {calls:?}",
            began.elapsed().as_secs_f64(),
            calls.values().sum::<usize>()
        );
        (ended, calls)
    };
    let (_, first) = timed("first routing", &mut || backup(&program));
    assert!(first.values().sum::<usize>() <= users * 12 / 10, "{first:?}");
    let (_, quiet) = timed("a run without changes", &mut || backup(&program));
    assert!(quiet.keys().all(|path| path.ends_with("list")), "{quiet:?}");
    timed("restore", &mut || restore(&program, "back"));
    let same = |path: &Path, back: &Path| fs::read(path).unwrap() == fs::read(back).unwrap();
    for user in 0..users {
        let user = format!("user{user:04}@example.org");
        for name in ["id_rsa", "id_ed25519"] {
            let below = Path::new(&user).join(".ssh").join(name);
            let back = program.path("back").join(&below);
            assert!(same(&program.homes.join(&below), &back), "{}", below.display());
            assert_eq!(fs::metadata(&back).unwrap().permissions().mode() & 0o7777, 0o600);
        }
    }
}

/// A job that lost its token still saves every home, and says which secrets it could not keep.
#[test]
fn a_vault_that_is_not_configured_costs_the_secrets_and_no_home() {
    let program = super::world();
    let config = program.path("homekeep.toml");
    fs::write(&config, "[vault]\nprovider = \"databricks\"\nscope = \"homekeep\"\n").unwrap();
    let config = config.to_str().unwrap();
    let ended = program.backup(&["--init", "--config", config]).expect(3);
    assert!(ended.err.contains("DATABRICKS_HOST") && ended.out.contains("saved snapshot"), "{ended:?}");
    program.run(&["vault", "list", "--config", config]).expect(2);
    let target = program.path("back");
    let ended = program.run(&["restore", "--target", target.to_str().unwrap(), "--config", config]).expect(3);
    assert!(target.join("ann/project/model.R").exists(), "{ended:?}");
}
