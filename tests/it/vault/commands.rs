//! `homekeep vault` from the command line.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use super::{KEY, backup, vault_folder, world, write};
use crate::support::program::{Ended, Program};

/// Runs the program with something to read.
fn feed(program: &Program, arguments: &[&str], input: &str) -> Ended {
    let mut command = program.command(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_token_that_is_in_no_file_is_set_shown_and_removed() {
    let program = world();
    backup(&program);
    feed(&program, &["vault", "set", "ann", "access_token"], "dapi-CANARY").expect(0);
    let listed = program.run(&["vault", "list", "ann"]).expect(0).out;
    assert!(listed.contains("access_token") && listed.contains("set by hand"), "{listed}");
    assert_eq!(program.run(&["vault", "get", "ann", "access_token", "--print"]).expect(0).out, "dapi-CANARY");
    feed(&program, &["vault", "set", "ann", "echoed"], "dapi-1\n").expect(0);
    assert_eq!(program.run(&["vault", "get", "ann", "echoed", "--print"]).expect(0).out, "dapi-1");
    feed(&program, &["vault", "set", "ann", "lines"], "a\nb\n").expect(0);
    assert_eq!(program.run(&["vault", "get", "ann", "lines", "--print"]).expect(0).out, "a\nb\n");
    feed(&program, &["vault", "set", "", "x"], "y").expect(2);
    // A backup leaves alone what no file has.
    write(&program.homes.join("ann/.netrc"), "machine x password y\n", 0o600);
    backup(&program);
    program.run(&["vault", "get", "ann", "access_token", "--print"]).expect(0);
    program.run(&["vault", "remove", "ann", "access_token"]).expect(0);
    let ended = program.run(&["vault", "get", "ann", "access_token", "--print"]).expect(1);
    assert!(ended.err.contains("has no secret \"access_token\" of \"ann\""), "{}", ended.err);
}

#[test]
fn a_value_goes_to_a_new_file_of_its_owner_and_to_no_other() {
    let program = world();
    backup(&program);
    let path = program.path("value");
    let path = path.to_str().unwrap();
    program.run(&["vault", "get", "ann", ".ssh/id_rsa"]).expect(2);
    program.run(&["vault", "get", "ann", ".ssh/id_rsa", "-o", path]).expect(0);
    assert_eq!(fs::read_to_string(path).unwrap(), KEY);
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    program.run(&["vault", "get", "ann", ".ssh/id_rsa", "-o", path]).expect(2);
}

#[test]
fn all_secrets_of_a_user_are_exported_to_files() {
    let program = world();
    backup(&program);
    // A name that leads out of the folder, as whoever can write the vault and has the key could make one.
    feed(&program, &["vault", "set", "ann", "../../escaped"], "x").expect(0);
    let target = program.path("export");
    let ended = program.run(&["vault", "export", "ann", "--target", target.to_str().unwrap()]).expect(3);
    assert!(ended.err.contains("../../escaped"), "{}", ended.err);
    assert_eq!(fs::read_to_string(target.join(".ssh/id_rsa")).unwrap(), KEY);
    assert_eq!(fs::metadata(target.join(".Renviron")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!program.path("escaped").exists());
}

#[test]
fn damage_in_the_vault_is_found_and_told_by_user() {
    let program = world();
    backup(&program);
    program.run(&["vault", "verify"]).expect(0);
    let file = fs::read_dir(vault_folder(&program))
        .unwrap()
        .map(|f| f.unwrap().path())
        .find(|path| fs::read_to_string(path).unwrap().contains("\"user\":\"bob\""));
    let file = file.unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let at = text.find("\"sealed\":\"").unwrap() + 60;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    fs::write(&file, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    let ended = program.run(&["vault", "verify"]).expect(14);
    assert!(ended.err.contains("\".netrc\" of bob"), "{}", ended.err);
    program.run(&["vault", "verify", "ann"]).expect(0);
}

#[test]
fn the_vaults_own_key_opens_it_when_the_repository_is_gone() {
    let program = world();
    backup(&program);
    let key = program.path("vault-key");
    program.run(&["vault", "key", key.to_str().unwrap()]).expect(0);
    fs::remove_dir_all(&program.repository).unwrap();
    program.run(&["vault", "list", "ann"]).expect(10);
    let config = program.path("homekeep.toml");
    fs::write(&config, format!("[vault]\nkey-file = {:?}\n", key.to_str().unwrap())).unwrap();
    let ended = program
        .run(&["vault", "get", "ann", ".ssh/id_rsa", "--print", "--config", config.to_str().unwrap()])
        .expect(0);
    assert_eq!(ended.out, KEY);
}

/// A second repository has another key: it opens what the first one sealed if it is told the first one's vault key, and a
/// rotation makes the secrets its own.
#[test]
fn another_repository_takes_the_secrets_over() {
    let program = world();
    backup(&program);
    let key = program.path("vault-key");
    program.run(&["vault", "key", key.to_str().unwrap()]).expect(0);
    let other = program.copied_without_repository();
    fs::remove_file(other.key()).unwrap();
    fs::remove_dir_all(&other.cache).unwrap();
    let config = other.path("homekeep.toml");
    let path = vault_folder(&program);
    fs::write(&config, format!("[vault]\npath = {path:?}\n")).unwrap();
    let config_path = config.to_str().unwrap();
    let ended = other.backup(&["--init", "--config", config_path]).expect(3);
    assert!(ended.err.contains("are sealed with another key"), "{}", ended.err);
    other.run(&["vault", "list", "ann", "--config", config_path]).expect(12);
    fs::write(&config, format!("[vault]\npath = {path:?}\nkey-file = {key:?}\n")).unwrap();
    other.backup(&["--config", config_path]).expect(0);
    other.run(&["vault", "rotate", "--config", config_path]).expect(0);
    fs::write(&config, format!("[vault]\npath = {path:?}\n")).unwrap();
    other.run(&["vault", "verify", "--config", config_path]).expect(0);
    let target = other.path("back");
    other.run(&["restore", "--target", target.to_str().unwrap(), "--config", config_path]).expect(0);
    assert_eq!(fs::read_to_string(target.join("ann/.ssh/id_rsa")).unwrap(), KEY);
}

#[test]
fn rules_are_shown_with_their_reasons() {
    let program = world();
    let config = program.path("homekeep.toml");
    fs::write(&config, "[vault]\nrules = [\"/.env\"]\n").unwrap();
    let shown = program.run(&["vault", "rules", "--config", config.to_str().unwrap()]).expect(0).out;
    assert!(
        shown.contains("/.ssh/id_*") && shown.contains("/.env") && shown.contains("private key"),
        "{shown}"
    );
    fs::write(&config, "[vault]\nrules = [\"[\"]\n").unwrap();
    program.run(&["vault", "rules", "--config", config.to_str().unwrap()]).expect(2);
}
