//! Nothing that homekeep writes or prints has a secret in clear: values that can be recognised are planted, everything is
//! done with them, and then every byte is looked through.

use std::fs;
use std::path::Path;

use super::{restored, vault_folder, world, write};
use crate::support::let_times_settle;
use crate::support::program::Program;

const CANARY: &[u8] = b"CANARY";

fn files_below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

/// Fails if a canary is in any file below the folder.
fn assert_clean(folder: &Path) {
    let mut files = Vec::new();
    files_below(folder, &mut files);
    assert!(!files.is_empty(), "{} has no files", folder.display());
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let is_clean = !bytes.windows(CANARY.len()).any(|window| window == CANARY);
        assert!(is_clean, "{} has a secret in clear", file.display());
    }
}

fn assert_unsaid(program: &Program, arguments: &[&str]) {
    let ended = program.run(arguments);
    assert!(!ended.out.contains("CANARY") && !ended.err.contains("CANARY"), "{arguments:?}: {ended:?}");
}

#[test]
fn no_secret_is_written_or_printed_in_clear() {
    let program = world();
    let homes = program.homes.to_str().unwrap().to_owned();
    for flags in [&["--init"][..], &["-v"], &["--json"], &["--verify-unchanged", "-v"]] {
        assert_unsaid(&program, &[&["backup", "--homes", &homes], flags].concat());
        write(&program.homes.join("ann/.Renviron"), &format!("T=CANARY-{}\n", flags.len()), 0o600);
        let_times_settle();
    }
    for arguments in [
        &["vault", "rules"][..],
        &["vault", "list"],
        &["vault", "list", "ann", "--json"],
        &["vault", "show", "ann", ".Renviron"],
        &["vault", "verify"],
        &["vault", "rotate"],
        &["snapshots", "--json"],
        &["ls", "latest:ann", "-l"],
        &["ls", "latest:ann", "--json"],
        &["find", "id_rsa"],
        &["diff", "latest~1", "latest"],
        &["dump", "latest:ann/.ssh/id_rsa"],
        &["dump", "latest:ann", "--force"],
        &["check", "--read-data"],
        &["vault", "get", "ann", ".ssh/id_rsa"],
        &["vault", "get", "ann", "nothing", "--print"],
        &["vault", "remove", "ann", ".Renviron"],
    ] {
        assert_unsaid(&program, arguments);
    }
    assert_clean(&program.repository);
    assert_clean(&program.cache);
    assert_clean(&vault_folder(&program));
    // The canaries are where they belong, so that the search above could have found them.
    let (target, _) = restored(&program, &["--only-secrets"]);
    assert!(fs::read_to_string(target.join("ann/.ssh/id_rsa")).unwrap().contains("CANARY"));
}

/// A program that crashes with secrets in its memory leaves no image of that behind, although it was allowed to.
#[test]
fn a_crash_leaves_no_core() {
    let program = world();
    program.run(&["init"]).expect(0);
    let folder = program.path("crash");
    fs::create_dir(&folder).unwrap();
    let crash = "ulimit -c unlimited; exec strace -f -o /dev/null -e inject=renameat,renameat2:signal=SEGV:when=1 \"$@\"";
    let homes = program.homes.to_str().unwrap();
    let mut command = program.command_under(&["sh", "-c", crash, "sh"], &["backup", "--homes", homes]);
    let ended = crate::support::program::ended(command.current_dir(&folder));
    assert_ne!(ended.code, Some(0), "it did not crash: {ended:?}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "a core was written");
}

/// Whoever damages the documents gets no secret printed either.
#[test]
fn no_error_quotes_a_document() {
    let program = world();
    program.backup(&["--init"]).expect(0);
    let mut files = Vec::new();
    files_below(&vault_folder(&program), &mut files);
    for file in &files {
        fs::write(file, "{\"private_key\":\"CANARY\"").unwrap();
    }
    for arguments in
        [&["vault", "list", "ann"][..], &["vault", "verify"], &["restore", "--target", "/nonexistent/x"]]
    {
        assert_unsaid(&program, arguments);
    }
    let (_, ended) = restored(&program, &[]);
    let ended = ended.expect(3);
    assert!(!ended.err.contains("CANARY") && ended.err.contains("ann"), "{}", ended.err);
    let ended = program.backup(&[]);
    assert!(!ended.err.contains("CANARY"), "{}", ended.err);
    for file in &files {
        assert_eq!(
            fs::read_to_string(file).unwrap(),
            "{\"private_key\":\"CANARY\"",
            "nobody's bytes are written over"
        );
    }
}
