//! `ls`, `find`, `diff` and `dump`: what they answer to people and to programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::restore::{assert_same_tree, world};
use super::{Answer, World};

/// Two snapshots, of which the second has a little of every change.
fn changed() -> World {
    let world = world();
    world.backup(&[]).expect(0);
    world.write("homes/ann/docs/thesis.tex", "\\begin{document} more");
    fs::set_permissions(world.path("homes/ann/0"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(world.path("homes/ann/1")).unwrap();
    fs::create_dir(world.path("homes/ann/1")).unwrap();
    fs::remove_file(world.path("homes/ann/2")).unwrap();
    world.write("homes/bob/esc\u{1b}ape", "new");
    world.backup(&[]).expect(0);
    world
}

fn lines(answer: &Answer) -> Vec<&str> {
    answer.out.lines().collect()
}

fn of<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|object| object["message_type"] == kind).collect()
}

#[test]
fn ls_lists_homes_directories_and_everything_below() {
    let world = changed();
    assert_eq!(lines(&world.run(["ls"]).expect(0)), ["ann", "bob"]);
    let table = world.run(["ls", "latest", "-l", "--user", "ann"]).expect(0).out;
    assert!(table.contains("files") && table.contains(&world.text("homes/ann")), "{table}");
    let docs = world.run(["ls", "latest:ann/docs"]).expect(0);
    assert_eq!(lines(&docs), ["again", "deep/", "thesis.tex"]);
    let below = world.run(["ls", "-R", "latest:ann/docs"]).expect(0);
    assert_eq!(lines(&below), ["again", "deep/", "deep/er/", "deep/er/x", "thesis.tex"]);
    let all = world.run(["ls", "-R"]).expect(0);
    for line in ["ann/docs/deep/er/x", "bob/new\\nline", "bob/\\xff\\xfe", "bob/esc\\u{1b}ape"] {
        assert!(lines(&all).contains(&line), "{}", all.out);
    }
    let long = world.run(["ls", "-l", "latest:ann"]).expect(0).out;
    assert!(long.lines().any(|l| l.starts_with("lrwxrwxrwx") && l.ends_with("dangling -> nowhere/at all")));
    assert!(long.lines().any(|l| l.starts_with("-rwxr-x---") && l.ends_with(" run.sh")), "{long}");
    assert_eq!(lines(&world.run(["ls", "latest:ann/docs/thesis.tex"]).expect(0)), ["docs/thesis.tex"]);
    let missing = world.run(["ls", "latest:ann/docs/deep/no/way"]).expect(1);
    assert!(missing.err.contains("nearest directory that exists is docs/deep"), "{}", missing.err);
}

#[test]
fn ls_in_json_has_names_byte_for_byte() {
    let world = changed();
    let objects = world.run(["ls", "latest:bob", "--json"]).expect(0).objects();
    assert_eq!(of(&objects, "home").len(), 1);
    let nodes = of(&objects, "node");
    assert_eq!(nodes.len(), 6);
    let odd = nodes.iter().find(|node| node["path_bytes"] == "fffe").unwrap();
    assert_eq!((&odd["path"], &odd["user"]), (&"\u{fffd}\u{fffd}".into(), &"bob".into()));
    let sparse = nodes.iter().find(|node| node["path"] == "sparse").unwrap();
    assert_eq!((&sparse["type"], &sparse["size"]), (&"file".into(), &(3 << 20).into()));
    assert!(nodes.iter().any(|node| node["path"] == "new\nline"));
}

#[test]
fn find_shows_each_state_once_with_the_snapshots_that_have_it() {
    let world = changed();
    let ids: Vec<String> =
        world.snapshots(&[]).iter().map(|s| s["short_id"].as_str().unwrap().to_owned()).collect();
    let found = world.run(["find", "*.tex"]).expect(0);
    let rows = lines(&found);
    assert_eq!(rows.len(), 3, "{}", found.out);
    assert!(rows[1].starts_with(&format!("{} ", ids[1])) && rows[1].ends_with("  ann:docs/thesis.tex"));
    assert!(rows[2].starts_with(&format!("{} ", ids[0])));
    let both = world.run(["find", "run.sh"]).expect(0);
    assert!(lines(&both)[1].starts_with(&format!("{}, {}", ids[1], ids[0])), "{}", both.out);

    let count = |arguments: &[&str]| {
        let answer = world.run(["find", "--json"].iter().chain(arguments)).expect(0);
        of(&answer.objects(), "match").len()
    };
    assert_eq!(count(&["*.TEX"]), 0);
    assert_eq!(count(&["*.TEX", "-i"]), 2);
    assert_eq!(count(&["--iname", "*.TEX", "--snapshot", "latest"]), 1);
    assert_eq!(count(&["x", "--below", "docs/deep"]), 1);
    assert_eq!(count(&["x", "--path", "nowhere"]), 0);
    assert_eq!(count(&["--type", "l"]), 1);
    assert_eq!(count(&["--larger", "1M"]), 1);
    assert_eq!(count(&["*", "--type", "f", "--newer", "2h", "--snapshot", "latest"]), 2);
    assert_eq!(count(&["work", "--older", "2h", "--user", "bob"]), 1);
    world.run(["find"]).expect(2);
    world.run(["find", "x", "--newer", "soon"]).expect(2);
    world.run(["find", "a", "--user", "carl"]).expect(1);
}

#[test]
fn find_in_json_names_all_snapshots_newest_first() {
    let world = changed();
    let snapshots = world.snapshots(&[]);
    let objects = world.run(["find", "run.sh", "--json"]).expect(0).objects();
    let found = of(&objects, "match");
    assert_eq!(found[0]["snapshots"][0], snapshots[1]["id"]);
    assert_eq!(found[0]["snapshots"][1], snapshots[0]["id"]);
    let summary = objects.last().unwrap();
    assert_eq!((&summary["matches"], &summary["hits"]), (&1.into(), &2.into()));
}

#[test]
fn the_history_of_a_path_is_its_versions() {
    let world = changed();
    let table = world.run(["find", "--history", "ann/docs/thesis.tex"]).expect(0);
    let rows = lines(&table);
    assert_eq!(rows.len(), 3);
    assert!(rows[1].starts_with("content ") && rows[2].starts_with("first "), "{}", table.out);
    let objects = world.run(["find", "--json", "--history", "ann/2"]).expect(0).objects();
    assert_eq!(objects.len(), 2);
    assert_eq!((&objects[0]["change"], &objects[0]["node"]), (&"removed".into(), &Value::Null));
    assert_eq!((&objects[1]["change"], &objects[1]["node"]["path"]), (&Value::Null, &"2".into()));
    let absolute = format!("{}/docs", world.text("homes/ann"));
    world.run(["find", "--history", &absolute]).expect(0);
    let never = world.run(["find", "--history", "ann/docs/never"]).expect(1);
    assert!(never.err.contains("nearest directory that exists is docs"), "{}", never.err);
}

#[test]
fn diff_marks_what_happened_to_each_path_and_adds_it_up() {
    let world = changed();
    let diff = world.run(["diff", "latest~1", "latest"]).expect(0);
    let expected = ["T    ann:1/", "-    ann:2", "M    ann:docs/thesis.tex", "+    bob:esc\\u{1b}ape"];
    let rows = lines(&diff);
    assert_eq!(rows[..4], expected, "{}", diff.out);
    assert!(rows[4].starts_with("added 1 file, 0 directories, 0 others; removed 1 file,"), "{}", rows[4]);
    let metadata = world.run(["diff", "latest~1", "latest", "--metadata"]).expect(0);
    assert!(lines(&metadata).contains(&"U    ann:0 (mode)"), "{}", metadata.out);
    let part = world.run(["diff", "latest~1:ann/docs", "latest"]).expect(0);
    assert_eq!(lines(&part)[0], "M    ann:docs/thesis.tex");
    assert_eq!(lines(&part).len(), 2);
    let added = world.run(["diff", "latest~1", "latest:bob/esc\u{1b}ape"]).expect(0);
    assert_eq!(lines(&added)[0], "+    bob:esc\\u{1b}ape");
    world.run(["diff", "latest:ann/never", "latest"]).expect(1);
    world.run(["diff", "latest"]).expect(2);
}

#[test]
fn diff_in_json_is_changes_and_statistics() {
    let world = changed();
    let objects = world.run(["diff", "latest~1", "latest", "--json", "--metadata"]).expect(0).objects();
    let changes = of(&objects, "change");
    let of_path = |path: &str| *changes.iter().find(|change| change["path"] == path).unwrap();
    assert_eq!(of_path("esc\u{1b}ape")["modifier"], "+");
    assert_eq!(of_path("0")["attributes"], serde_json::json!(["mode"]));
    assert_eq!(of_path("1")["type_after"], "dir");
    let statistics = objects.last().unwrap();
    assert_eq!(statistics["message_type"], "statistics");
    assert_eq!((&statistics["added"]["files"], &statistics["removed"]["files"]), (&1.into(), &1.into()));
    assert_eq!(statistics["target_snapshot"], world.snapshots(&[])[1]["id"]);
}

#[test]
fn dump_gives_the_bytes_of_a_file_and_a_directory_as_an_archive() {
    let world = world();
    let bytes: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    fs::write(world.path("homes/bob/binary"), &bytes).unwrap();
    world.backup(&[]).expect(0);
    let output = world.command().args(["dump", "latest:bob/binary"]).output().unwrap();
    assert!(output.status.success() && output.stdout == bytes);
    let archive = world.path("bob.tar");
    world.run(["dump", "latest:bob", "-o", "bob.tar"]).expect(0);
    let tar = Command::new("tar").arg("-xpf").arg(&archive).arg("-C").arg(world.folder.path()).status();
    assert!(tar.unwrap().success());
    assert_same_tree(&world.path("homes/bob"), &world.path("bob"));
    let exists = world.run(["dump", "latest:bob", "-o", "bob.tar"]).expect(1);
    assert!(exists.err.contains("hint: --force writes over it"), "{}", exists.err);
    world.run(["dump", "latest:bob/work", "--archive", "tar", "-f", "-o", "bob.tar"]).expect(0);
    world.run(["dump", "latest"]).expect(2);
    world.run(["dump", "latest:bob/never", "-o", "never"]).expect(1);
    assert!(!world.path("never").exists());
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    let world = world();
    let bytes: Vec<u8> = (0..2_000_000u32).flat_map(u32::to_le_bytes).collect();
    fs::write(world.path("homes/bob/binary"), &bytes).unwrap();
    fs::create_dir(world.path("homes/bob/many")).unwrap();
    for n in 0..2_000 {
        fs::write(world.path(format!("homes/bob/many/{n:0200}")), "").unwrap();
    }
    world.backup(&[]).expect(0);
    let stop_early = |arguments: &[&str]| {
        let mut command = world.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(stop_early(&["dump", "latest:bob/binary"]), (141, String::new()));
    assert_eq!(stop_early(&["dump", "latest:bob"]), (141, String::new()));
    assert_eq!(stop_early(&["ls", "-R", "latest:bob"]), (0, String::new()));
}

#[test]
fn a_terminal_gets_text_only() {
    let world = world();
    world.backup(&[]).expect(0);
    let on_terminal = |arguments: &[&str]| {
        let run = "import os,pty,sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let program = world.command();
        let mut python = Command::new("python3");
        python.args(["-c", run]).arg(program.get_program()).args(program.get_args()).args(arguments);
        let output = python.stdin(Stdio::null()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, shown) = on_terminal(&["dump", "latest:ann"]);
    assert!(code == 2 && shown.contains("hint: name a file with -o, or use --force"), "{code} {shown}");
    let (code, shown) = on_terminal(&["dump", "latest:bob/sparse"]);
    assert!(code == 2 && !shown.contains('\0'), "{code}");
    let (code, shown) = on_terminal(&["dump", "latest:ann/docs/thesis.tex"]);
    assert_eq!((code, shown.as_str()), (0, "\\begin{document}"));
}
