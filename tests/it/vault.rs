//! Secrets, with the real program: they go to the vault and nowhere else, come back as they were, in the version of the
//! snapshot, and nothing prints them.

mod canaries;
mod commands;
mod databricks;
mod together;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::support::let_times_settle;
use crate::support::program::{Ended, Program};

/// A private key as far as anyone can tell from its beginning.
pub const KEY: &str =
    "-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY-ssh-key\n-----END OPENSSH PRIVATE KEY-----\n";

/// Writes a file with a mode, and the folders above it.
pub fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A home with secrets of each kind, and ordinary files beside them.
pub fn world() -> Program {
    let program = Program::new();
    let ann = program.home("ann");
    write(&ann.join(".ssh/id_rsa"), KEY, 0o600);
    fs::set_permissions(ann.join(".ssh"), fs::Permissions::from_mode(0o700)).unwrap();
    write(&ann.join(".ssh/id_rsa.pub"), "ssh-rsa AAAA ann@here\n", 0o644);
    write(&ann.join(".Renviron"), "DATABRICKS_TOKEN=CANARY-token\n", 0o640);
    write(&ann.join("project/.Renviron"), "GITHUB_PAT=CANARY-pat\n", 0o600);
    write(&ann.join("project/deploy"), &KEY.replace("ssh-key", "by-content"), 0o400);
    write(&ann.join("project/model.R"), "fit <- lm(y ~ x)\n", 0o644);
    write(&program.home("bob").join(".netrc"), "machine h password CANARY-bob\n", 0o600);
    let_times_settle();
    program
}

pub fn vault_folder(program: &Program) -> PathBuf {
    let mut name = program.repository.clone().into_os_string();
    name.push(".vault");
    name.into()
}

fn summary(ended: &Ended) -> serde_json::Value {
    serde_json::from_str(ended.out.lines().last().unwrap()).unwrap()
}

fn backup(program: &Program) -> serde_json::Value {
    summary(&program.backup(&["--init", "--json"]).expect(0))
}

/// Restores everything into a new folder.
fn restored(program: &Program, arguments: &[&str]) -> (PathBuf, Ended) {
    let target = tempfile::tempdir_in(program.path("")).unwrap().keep();
    let ended = program.run(&[&["restore", "--target", target.to_str().unwrap()], arguments].concat());
    (target, ended)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn secrets_come_back_from_the_vault_readable_by_their_owner_alone() {
    let program = world();
    let summary = backup(&program);
    assert_eq!((&summary["secrets"], &summary["vaults_written"]), (&5.into(), &2.into()));
    let (target, ended) = restored(&program, &[]);
    ended.expect(0);
    for path in [
        ".ssh/id_rsa",
        ".ssh/id_rsa.pub",
        ".Renviron",
        "project/.Renviron",
        "project/deploy",
        "project/model.R",
    ] {
        let (was, is) = (program.homes.join("ann").join(path), target.join("ann").join(path));
        assert_eq!(fs::read(&was).unwrap(), fs::read(&is).unwrap(), "{path}");
        assert_eq!(fs::metadata(&was).unwrap().mtime(), fs::metadata(&is).unwrap().mtime(), "{path}");
    }
    assert_eq!(mode(&target.join("ann/.ssh")), 0o700);
    assert_eq!(mode(&target.join("ann/.ssh/id_rsa")), 0o600);
    assert_eq!(mode(&target.join("ann/project/deploy")), 0o400);
    assert_eq!(mode(&target.join("ann/.Renviron")), 0o600, "what others could read, they cannot any more");
    assert_eq!(mode(&target.join("ann/project/model.R")), 0o644);
    assert_eq!(mode(&vault_folder(&program)), 0o700);
}

#[test]
fn a_run_in_which_no_secret_changed_writes_and_reads_none() {
    let program = world();
    backup(&program);
    let documents = || -> Vec<_> {
        let files = fs::read_dir(vault_folder(&program)).unwrap().map(|file| file.unwrap().path());
        files.map(|path| (path.clone(), fs::metadata(&path).unwrap().ino())).collect()
    };
    let before = documents();
    write(&program.homes.join("ann/project/new.R"), "1\n", 0o644);
    let summary = backup(&program);
    assert_eq!((&summary["outcome"], &summary["vaults_written"]), (&"saved".into(), &0.into()));
    assert_eq!(documents(), before);
    let summary = backup(&program);
    assert_eq!((&summary["outcome"], &summary["secrets"]), (&"unchanged".into(), &5.into()));
}

#[test]
fn an_old_snapshot_brings_the_key_of_its_day() {
    let program = world();
    let first = backup(&program)["snapshot_id"].as_str().unwrap().to_owned();
    write(&program.homes.join("ann/.ssh/id_rsa"), &KEY.replace("ssh-key", "another"), 0o600);
    let_times_settle();
    backup(&program);
    let key = |target: &Path| fs::read_to_string(target.join("ann/.ssh/id_rsa")).unwrap();
    let (target, ended) = restored(&program, &[&first]);
    ended.expect(0);
    assert_eq!(key(&target), KEY);
    let (target, _) = restored(&program, &["latest"]);
    assert_eq!(key(&target), KEY.replace("ssh-key", "another"));
}

#[test]
fn a_version_that_the_vault_no_longer_has_is_replaced_by_the_newest_with_a_word() {
    let program = world();
    let first = backup(&program)["snapshot_id"].as_str().unwrap().to_owned();
    program.run(&["vault", "remove", "ann", ".ssh/id_rsa"]).expect(0);
    write(&program.homes.join("ann/.ssh/id_rsa"), &KEY.replace("ssh-key", "another"), 0o600);
    backup(&program);
    let (target, ended) = restored(&program, &[&first]);
    let ended = ended.expect(0);
    assert!(ended.err.contains("the vault no longer has the version of this snapshot"), "{}", ended.err);
    assert!(fs::read_to_string(target.join("ann/.ssh/id_rsa")).unwrap().contains("another"));
    program.run(&["vault", "remove", "ann", ".ssh/id_rsa"]).expect(0);
    let (target, ended) = restored(&program, &[&first]);
    let ended = ended.expect(3);
    assert!(ended.err.contains("has no item \".ssh/id_rsa\" of ann"), "{}", ended.err);
    assert!(!target.join("ann/.ssh/id_rsa").exists());
    assert!(target.join("ann/project/model.R").exists());
}

#[test]
fn what_the_vault_lost_is_put_there_again_though_no_file_changed() {
    let program = world();
    backup(&program);
    fs::remove_dir_all(vault_folder(&program)).unwrap();
    assert_eq!(backup(&program)["vaults_written"], 2);
    let (target, ended) = restored(&program, &[]);
    ended.expect(0);
    assert_eq!(
        fs::read_to_string(target.join("ann/project/deploy")).unwrap(),
        KEY.replace("ssh-key", "by-content")
    );
}

#[test]
fn another_machines_change_is_noticed_and_nothing_of_it_is_lost() {
    let mut program = world();
    backup(&program);
    program.run(&["vault", "remove", "ann", ".Renviron"]).expect(0);
    let mut set = program.command(&["vault", "set", "ann", "access token"]);
    set.stdin(fs::File::open(program.homes.join("bob/.netrc")).unwrap());
    crate::support::program::ended(&mut set).expect(0);
    backup(&program);
    let listed = program.run(&["vault", "list", "ann"]).expect(0).out;
    assert!(listed.contains(".Renviron") && listed.contains("access token"), "{listed}");
    // A machine with another name and its own key, and without an index.
    write(&program.homes.join("ann/.ssh/id_rsa"), &KEY.replace("ssh-key", "there"), 0o600);
    let_times_settle();
    fs::remove_dir_all(&program.cache).unwrap();
    program.set("HOMEKEEP_SOURCE", "there");
    backup(&program);
    let listed = program.run(&["vault", "show", "ann", ".ssh/id_rsa"]).expect(0).out;
    assert_eq!(listed.lines().count(), 3, "{listed}");
}

#[test]
fn secrets_can_be_left_out_of_a_restore_or_be_all_of_it() {
    let program = world();
    backup(&program);
    let (target, ended) = restored(&program, &["--without-secrets"]);
    ended.expect(0);
    assert!(!target.join("ann/.ssh/id_rsa").exists() && target.join("ann/.ssh/id_rsa.pub").exists());
    let (target, ended) = restored(&program, &["--only-secrets"]);
    ended.expect(0);
    assert!(target.join("ann/.ssh/id_rsa").exists() && !target.join("ann/.ssh/id_rsa.pub").exists());
    assert!(target.join("ann/project/deploy").exists() && !target.join("ann/project/model.R").exists());
}

#[test]
fn a_rule_that_is_turned_off_is_told_once_for_each_file() {
    let program = world();
    let config = program.path("homekeep.toml");
    fs::write(&config, "[vault]\nrules = [\"!.Renviron\"]\nlook-at-content = false\n").unwrap();
    let config = config.to_str().unwrap();
    let ended = program.backup(&["--init", "--config", config]).expect(0);
    for path in ["ann:.Renviron", "ann:project/.Renviron", "ann:project/deploy"] {
        assert_eq!(
            ended.err.matches(&format!("{path}: looks like a secret")).count(),
            1,
            "{path}: {}",
            ended.err
        );
    }
    assert!(!ended.err.contains("id_rsa: looks"), "{}", ended.err);
    let again = program.backup(&["--config", config]).expect(0);
    assert!(!again.err.contains("looks like a secret"), "{}", again.err);
    // The rules are as they are by default again: what was stored in the open goes to the vault.
    assert_eq!(summary(&program.backup(&["--json", "--verify-unchanged"]).expect(0))["secrets"], 5);
}

#[test]
fn without_a_vault_secrets_are_ordinary_data_and_each_is_named() {
    let program = world();
    let config = program.path("homekeep.toml");
    fs::write(&config, "[vault]\nprovider = \"none\"\n").unwrap();
    let ended = program.backup(&["--init", "--config", config.to_str().unwrap()]).expect(0);
    assert_eq!(ended.err.matches("looks like a secret").count(), 5, "{}", ended.err);
    assert!(!vault_folder(&program).exists());
    let (target, ended) = restored(&program, &["--config", config.to_str().unwrap()]);
    ended.expect(0);
    assert_eq!(fs::read_to_string(target.join("ann/.ssh/id_rsa")).unwrap(), KEY);
}

#[test]
fn a_vault_that_cannot_be_written_costs_the_secrets_and_nothing_else() {
    let program = world();
    fs::write(vault_folder(&program), "in the way").unwrap();
    let ended = program.backup(&["--init"]).expect(3);
    assert!(ended.err.contains("ann:.ssh/id_rsa: this secret is not in the vault"), "{}", ended.err);
    let (target, ended) = restored(&program, &[]);
    ended.expect(3);
    assert!(target.join("ann/project/model.R").exists());
    fs::remove_file(vault_folder(&program)).unwrap();
    assert_eq!(backup(&program)["vaults_written"], 2);
    let (_, ended) = restored(&program, &[]);
    ended.expect(0);
}

#[test]
fn a_secret_that_no_vault_would_keep_is_a_problem_and_is_not_stored_elsewhere() {
    let program = world();
    write(&program.homes.join("ann/.pgpass"), &"CANARY-large ".repeat(100_000), 0o600);
    let ended = program.backup(&["--init"]).expect(3);
    assert!(
        ended.err.contains("ann:.pgpass: this secret is not in the vault: it has 1300000 bytes"),
        "{}",
        ended.err
    );
    let (target, ended) = restored(&program, &[]);
    ended.expect(0);
    assert!(!target.join("ann/.pgpass").exists());
}

#[test]
fn a_dry_run_asks_and_writes_nothing() {
    let program = world();
    program.backup(&["--init"]).expect(0);
    fs::remove_dir_all(vault_folder(&program)).unwrap();
    program.backup(&["--dry-run"]).expect(0);
    assert!(!vault_folder(&program).exists());
}
