//! What is said: to people, safely; to programs, as objects with stable fields.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::{World, mode};

#[track_caller]
fn has_fields(object: &Value, fields: &str) {
    for field in fields.split_whitespace() {
        assert!(object.get(field).is_some(), "{field} is missing in {object}");
    }
}

#[test]
fn objects_have_their_documented_fields() {
    let world = World::with_repository();
    let answer = world.backup(&["--json", "--tag", "a"]).expect(0);
    assert_eq!(answer.err, "");
    let summary = answer.summary();
    has_fields(
        &summary,
        "outcome dry_run snapshot_id homes total_files_processed total_directories_processed \
         total_bytes_processed files_read data_added data_added_packed objects_added excluded sockets vanished \
         problems damaged_objects homes_missing homes_shrunk secrets vaults_written backup_start backup_end total_duration",
    );
    assert_eq!((&summary["outcome"], &summary["objects_added"]), (&"saved".into(), &1.into()));
    let objects = answer.objects();
    let homes: Vec<_> = objects.iter().filter(|object| object["message_type"] == "home").collect();
    assert_eq!(homes.len(), 2);
    let home = "user path files directories bytes bytes_new problems attention tree";
    has_fields(homes[0], home);
    has_fields(homes[0], "files_read excluded sockets vanished");

    let snapshot = &world.snapshots(&[])[0];
    has_fields(
        snapshot,
        "id short_id time finished source host program tags files bytes bytes_new problems homes",
    );
    has_fields(&snapshot["homes"][0], home);
    assert_eq!(snapshot["id"], summary["snapshot_id"]);
    assert!(snapshot["id"].as_str().unwrap().starts_with(snapshot["short_id"].as_str().unwrap()));
    assert!(snapshot["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());

    let unchanged = world.run(["backup", "--homes", "homes", "--json", "--quiet"]).expect(0);
    assert_eq!(unchanged.objects().len(), 1, "quiet: only the summary");
    assert_eq!(unchanged.summary()["outcome"], "unchanged");
}

#[test]
fn errors_are_objects_too() {
    let world = World::new();
    let answer = world.run(["snapshots", "--json"]).expect(10);
    let error: Value = serde_json::from_str(answer.err.trim()).unwrap();
    has_fields(&error, "message_type code message");
    assert_eq!((&error["message_type"], &error["code"]), (&"exit_error".into(), &10.into()));
    assert_eq!(answer.out, "");
}

#[test]
fn problems_are_objects_that_keep_every_byte_of_a_name() {
    let world = World::of_somebody();
    world.run(["init"]).expect(0);
    let name = Path::new("homes/bob").join(OsStr::from_bytes(b"a\xff\n"));
    fs::write(world.path(&name), "x").unwrap();
    fs::set_permissions(world.path(&name), fs::Permissions::from_mode(0o000)).unwrap();
    world.give_away(&name);
    let objects = world.backup(&["--json"]).expect(3).objects();
    let problem = objects.iter().find(|object| object["message_type"] == "error").unwrap();
    has_fields(problem, "user path path_bytes code message");
    assert_eq!((&problem["path"], &problem["path_bytes"]), (&"a\u{fffd}\n".into(), &"61ff0a".into()));
    assert_eq!(problem["code"], "unreadable");
}

#[test]
fn nothing_in_a_name_reaches_the_terminal_raw() {
    let mut world = World::of_somebody();
    world.run(["init"]).expect(0);
    let evil = OsStr::from_bytes(b"\x1b[2J\n\xff\\");
    fs::rename(world.path("homes/bob"), world.path("homes").join(evil)).unwrap();
    let secret = world.path("homes").join(evil).join(OsStr::from_bytes(b"\x1b]0;x\x07"));
    fs::write(&secret, "x").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    world.give_away(Path::new("homes"));
    world.set("HOMEKEEP_SOURCE", "evil\u{9b}2J");
    let backup = world.backup(&["-v", "--tag", "\x1b[1mbold"]).expect(3);
    assert!(
        backup.err.contains("\\u{1b}[2J\\n\\xff\\\\:\\u{1b}]0;x\\u{7}: cannot be read"),
        "{}",
        backup.err
    );
    let missing = world.run(["snapshots", "\x1b[1m"]).expect(2);
    let shown = [backup.out, backup.err, world.run(["snapshots"]).expect(0).out, missing.err].concat();
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
}

#[test]
fn only_so_many_problems_are_printed_unless_all_are_asked_for() {
    let world = World::of_somebody();
    world.run(["init"]).expect(0);
    for n in 0..25 {
        let path = world.path(format!("homes/bob/{n}"));
        fs::write(&path, "x").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
    world.give_away(Path::new("homes"));
    let few = world.backup(&[]).expect(3);
    assert_eq!(few.err.lines().count(), 21);
    assert!(few.err.ends_with("and 5 more; --verbose shows all\n"), "{}", few.err);
    assert_eq!(world.backup(&["--verbose"]).expect(3).err.lines().count(), 25);
}

#[test]
fn the_last_line_says_what_was_saved_what_is_new_and_what_it_cost() {
    let world = World::with_repository();
    let _socket = std::os::unix::net::UnixListener::bind(world.path("homes/bob/socket")).unwrap();
    let answer = world.backup(&[]).expect(0);
    let line = answer.out.lines().last().unwrap();
    assert_eq!(answer.err, "");
    assert!(line.contains(": 2 homes, 11 files, 75 B; 11 files read, 75 B new; stored "), "{line}");
    assert!(line.contains(" in 1 object, ") && line.ends_with("; left out: 1 socket"), "{line}");
    let quiet = world.run(["backup", "--homes", "homes", "--always", "-q"]).expect(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
}

#[test]
fn objects_of_the_repository_can_be_looked_at() {
    let world = World::with_repository();
    world.backup(&[]).expect(0);
    let cat = |arguments: &[&str]| -> Value {
        let answer = world.run(["cat"].iter().chain(arguments)).expect(0);
        serde_json::from_str(&answer.out).unwrap()
    };
    has_fields(&cat(&["format"]), "version repository_id chunker block_len features");
    let snapshot = cat(&["snapshot", world.snapshots(&[])[0]["short_id"].as_str().unwrap()]);
    has_fields(&snapshot, "id homes parents deps gc_seen supersession object");
    let hash = snapshot["object"].as_str().unwrap().rsplit('-').next().unwrap();
    let segment = cat(&["segment", &hash[..12]]);
    assert_eq!((&segment["kind"], &segment["snapshot"]), (&"commit".into(), &snapshot["id"]));
    let tree = cat(&["tree", snapshot["homes"][1]["tree"].as_str().unwrap()]);
    assert_eq!(tree["entries"][0]["name"], "work");
    let chunk = tree["entries"][0]["content"]["extents"][0]["id"].as_str().unwrap();
    assert_eq!(world.run(["cat", "chunk", chunk]).expect(0).out, "bob's");
    world.run(["cat", "chunk", &"0".repeat(64)]).expect(14);
}

#[test]
fn completions_and_manual_pages_are_made() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(world.run_bare(["completions", shell]).expect(0).out.contains("exclude-if-present"));
    }
    let page = world.run_bare(["man"]).expect(0).out;
    assert!(page.contains(".TH homekeep 1") && page.contains("130"), "{page}");
    world.run_bare(["man", "--out", "pages"]).expect(0);
    for page in ["homekeep.1", "homekeep-backup.1", "homekeep-key-add.1"] {
        assert_eq!(mode(&world.path("pages").join(page)), 0o644, "{page}");
    }
    assert!(world.run_bare(["--version"]).expect(0).out.starts_with("homekeep "));
}
