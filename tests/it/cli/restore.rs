//! `restore`: what comes back where, and what becomes of what stands there.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::{Answer, World};

/// Names that are no harmless UTF-8.
const ODD: [&[u8]; 3] = [b"new\nline", b"\xff\xfe", b"\x1b[31mred\\"];

/// Homes with some of everything, older than the machine's clock by far.
pub fn world() -> World {
    let world = World::new();
    fs::create_dir_all(world.path("homes/ann/docs/deep/er")).unwrap();
    world.write("homes/ann/docs/thesis.tex", "\\begin{document}");
    world.write("homes/ann/docs/deep/er/x", "x");
    world.write("homes/ann/run.sh", "#!/bin/sh\n");
    fs::set_permissions(world.path("homes/ann/run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::hard_link(world.path("homes/ann/run.sh"), world.path("homes/ann/docs/again")).unwrap();
    symlink("nowhere/at all", world.path("homes/ann/dangling")).unwrap();
    for name in ODD {
        fs::write(world.path("homes/bob").join(OsStr::from_bytes(name)), name).unwrap();
    }
    File::create(world.path("homes/bob/sparse")).unwrap().set_len(3 << 20).unwrap();
    age(&world.path("homes"));
    world.run(["init"]).expect(0);
    world
}

/// Makes everything below a directory a day old.
fn age(folder: &Path) {
    for entry in walkdir::WalkDir::new(folder).contents_first(true) {
        let entry = entry.unwrap();
        if !entry.path_is_symlink() {
            touch(entry.path(), Duration::from_secs(86_400));
        }
    }
}

/// Sets a file's modification time to so long ago.
fn touch(path: &Path, ago: Duration) {
    File::open(path).unwrap().set_modified(SystemTime::now() - ago).unwrap();
}

/// Compares two trees with a tool that knows nothing of this one.
#[track_caller]
pub fn assert_same_tree(one: &Path, other: &Path) {
    let slash = |path: &Path| format!("{}/", path.display());
    let mut rsync = Command::new("rsync");
    rsync.args(["-aHAXn", "--checksum", "--delete", "--itemize-changes"]).args([slash(one), slash(other)]);
    let output = rsync.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

fn lines(answer: &Answer) -> Vec<&str> {
    answer.out.lines().collect()
}

#[test]
fn a_snapshot_comes_back_below_a_directory_user_by_user() {
    let world = world();
    world.backup(&[]).expect(0);
    let answer = world.run(["restore", "--target", "out", "--verify"]).expect(0);
    assert!(answer.out.starts_with("restored from snapshot "), "{}", answer.out);
    assert_eq!(answer.out.lines().count(), 1);
    for user in ["ann", "bob"] {
        assert_same_tree(&world.path("homes").join(user), &world.path("out").join(user));
    }
    // The same on a machine that has never seen the repository.
    world.run(["restore", "--cache-dir", "new-cache", "latest", "--target", "again", "-q"]).expect(0);
    for user in ["ann", "bob"] {
        assert_same_tree(&world.path("homes").join(user), &world.path("again").join(user));
    }
}

#[test]
fn a_part_comes_back_into_the_directory_itself() {
    let world = world();
    world.backup(&[]).expect(0);
    let id = world.snapshots(&[])[0]["id"].as_str().unwrap().to_owned();
    let absolute = format!("{id}:{}/docs", world.text("homes/ann"));
    let cases = [
        ("latest:ann".to_owned(), "homes/ann"),
        (format!("{}:ann", &id[..6]), "homes/ann"),
        ("@now:bob".into(), "homes/bob"),
        (format!("{id}:ann/docs"), "homes/ann/docs"),
        (absolute, "homes/ann/docs"),
    ];
    for (number, (spec, source)) in cases.into_iter().enumerate() {
        let target = format!("out/{number}");
        world.run(["restore", &spec, "--target", &target]).expect(0);
        assert_same_tree(&world.path(source), &world.path(target));
    }
    world.run(["restore", "latest:ann/docs/thesis.tex", "--target", "file"]).expect(0);
    assert_eq!(fs::read_to_string(world.path("file/thesis.tex")).unwrap(), "\\begin{document}");
    world.run(["restore", "--user", "bob", "--target", "users"]).expect(0);
    assert!(world.path("users/bob/work").exists() && !world.path("users/ann").exists());
}

#[test]
fn exactly_one_place_is_named() {
    let world = world();
    world.backup(&[]).expect(0);
    let neither = world.run(["restore", "latest"]).expect(2);
    assert!(neither.err.contains("--target <DIR>|--in-place"), "{}", neither.err);
    world.run(["restore", "latest", "--target", "x", "--in-place"]).expect(2);
    world.run(["restore", "latest:ann", "--user", "bob", "--target", "x"]).expect(2);
    world.run(["restore", "--owner-map", "ann", "--target", "x"]).expect(2);
    assert!(!world.path("x").exists());
}

#[test]
fn what_was_modified_since_is_kept_unless_it_is_to_be_replaced() {
    let world = world();
    world.write("homes/bob/was-newer", "of the snapshot");
    touch(&world.path("homes/bob/was-newer"), Duration::from_secs(60));
    world.backup(&[]).expect(0);
    let reset = || {
        world.write("homes/bob/work", "modified since");
        touch(&world.path("homes/bob/work"), Duration::ZERO);
        world.write("homes/bob/was-newer", "older");
        touch(&world.path("homes/bob/was-newer"), Duration::from_secs(9_000));
    };
    let cases = [
        (None, "modified since", "of the snapshot"),
        (Some("never"), "modified since", "older"),
        (Some("if-newer"), "modified since", "of the snapshot"),
        (Some("if-changed"), "bob's", "of the snapshot"),
        (Some("always"), "bob's", "of the snapshot"),
    ];
    for (overwrite, work, was_newer) in cases {
        reset();
        let mut arguments = vec!["restore", "--in-place"];
        arguments.extend(overwrite.into_iter().flat_map(|mode| ["--overwrite", mode]));
        let answer = world.run(arguments).expect(0);
        assert_eq!(fs::read_to_string(world.path("homes/bob/work")).unwrap(), work, "{overwrite:?}");
        assert_eq!(
            fs::read_to_string(world.path("homes/bob/was-newer")).unwrap(),
            was_newer,
            "{overwrite:?}"
        );
        let is_told = answer.out.contains("1 kept because modified after the snapshot");
        assert_eq!(is_told, overwrite.is_none(), "{}", answer.out);
    }
}

#[test]
fn a_dry_run_prints_what_would_change_and_changes_nothing() {
    let world = world();
    world.backup(&[]).expect(0);
    fs::remove_dir_all(world.path("homes/ann/docs/deep")).unwrap();
    world.write("homes/ann/0", "shorter");
    touch(&world.path("homes/ann/0"), Duration::from_secs(3_600));
    world.write("homes/ann/extra", "new");
    world.write("homes/bob/work", "modified since, surely");
    touch(&world.path("homes/bob/work"), Duration::ZERO);
    let arguments = ["restore", "--in-place", "--delete", "--dry-run"];
    let dry = world.run(arguments).expect(0);
    let mut told = lines(&dry);
    let summary = told.pop().unwrap();
    told.sort_unstable();
    let expected = [
        "+ ann:docs/deep/",
        "+ ann:docs/deep/er/",
        "+ ann:docs/deep/er/x",
        "- ann:extra",
        "= bob:work (kept, newer)",
    ];
    let expected: Vec<_> = expected.into_iter().chain(["~ ann:0"]).collect();
    assert_eq!(told, expected);
    assert!(summary.starts_with("would restore from snapshot "), "{summary}");
    assert!(world.path("homes/ann/extra").exists() && !world.path("homes/ann/docs/deep").exists());
    assert!(dry.err.contains("would come back to"), "{}", dry.err);

    world.run(["restore", "--in-place", "--delete"]).expect(0);
    assert!(!world.path("homes/ann/extra").exists());
    assert_eq!(fs::read_to_string(world.path("homes/ann/0")).unwrap(), "ann's 0");
    assert_eq!(fs::read_to_string(world.path("homes/bob/work")).unwrap(), "modified since, surely");
    let again = world.run(arguments).expect(0);
    assert_eq!(lines(&again)[..again.out.lines().count() - 1], ["= bob:work (kept, newer)"]);
}

#[test]
fn nothing_is_deleted_without_being_asked() {
    let world = world();
    world.backup(&[]).expect(0);
    world.write("homes/ann/extra", "new");
    world.run(["restore", "--in-place", "--overwrite", "always"]).expect(0);
    assert!(world.path("homes/ann/extra").exists());
}

#[test]
fn the_first_backup_after_a_restore_in_place_reads_nothing() {
    let world = world();
    world.backup(&[]).expect(0);
    for home in ["homes/ann", "homes/bob"] {
        fs::remove_dir_all(world.path(home)).unwrap();
    }
    world.run(["restore", "--cache-dir", "new", "--in-place"]).expect(0);
    let summary = world.backup(&["--cache-dir", "new", "--json"]).expect(0).summary();
    assert_eq!((&summary["files_read"], &summary["outcome"]), (&0.into(), &"unchanged".into()));
}

#[test]
fn patterns_choose_what_comes_back() {
    let world = world();
    world.backup(&[]).expect(0);
    world.run(["restore", "latest:ann", "--target", "tex", "--include", "*.tex"]).expect(0);
    assert!(world.path("tex/docs/thesis.tex").exists() && !world.path("tex/docs/deep").exists());
    world.run(["restore", "latest:ann", "--target", "rest", "-e", "/docs"]).expect(0);
    assert!(world.path("rest/run.sh").exists() && !world.path("rest/docs").exists());
}

#[test]
fn a_file_that_cannot_come_back_is_a_problem_and_the_rest_goes_on() {
    let world = world();
    world.backup(&[]).expect(0);
    fs::create_dir_all(world.path("out/docs/thesis.tex/in the way")).unwrap();
    let answer = world.run(["restore", "latest:ann", "--target", "out"]).expect(3);
    assert!(answer.err.contains("homekeep: ann:docs/thesis.tex: not restored: "), "{}", answer.err);
    assert!(answer.out.contains("1 problem"), "{}", answer.out);
    assert!(world.path("out/run.sh").exists());
    let objects = world.run(["restore", "latest:ann", "--target", "out", "--json"]).expect(3).objects();
    let problem = objects.iter().find(|object| object["message_type"] == "error").unwrap();
    assert_eq!((&problem["path"], &problem["code"]), (&"docs/thesis.tex".into(), &"unrestored".into()));
}

#[test]
fn a_restore_in_json_is_objects_to_the_last_line() {
    let world = world();
    world.backup(&[]).expect(0);
    let answer = world.run(["restore", "--target", "out", "--dry-run", "--json"]).expect(0);
    let objects = answer.objects();
    let of = |kind: &str| objects.iter().filter(|o| o["message_type"] == kind).collect::<Vec<_>>();
    assert_eq!(of("home").len(), 2);
    let changes = of("verbose_status");
    let odd = |field: &str, value: &str| changes.iter().find(|o| o[field] == value).copied().unwrap();
    assert_eq!(odd("item", "new\nline")["action"], "restored");
    assert_eq!(odd("item_bytes", "fffe")["item"], "\u{fffd}\u{fffd}");
    assert!(odd("item", "\u{1b}[31mred\\").get("item_bytes").is_none());
    let summary = objects.last().unwrap();
    assert_eq!(summary["message_type"], "summary");
    assert_eq!((&summary["dry_run"], &summary["problems"]), (&true.into(), &0.into()));
    assert_eq!(summary["snapshot_ids"][0], world.snapshots(&[])[0]["id"]);
    assert!(!world.path("out").exists());

    let summary = world.run(["restore", "--target", "out", "--verify", "--json"]).expect(0).summary();
    assert_eq!(summary["files_restored"], changes.iter().filter(|o| o["type"] == "file").count());
    assert!(summary["verified"].as_u64().unwrap() > 10, "{summary}");
}

#[test]
fn names_are_harmless_on_a_terminal() {
    let world = world();
    world.backup(&[]).expect(0);
    let answer = world.run(["restore", "latest:bob", "--target", "out", "-v"]).expect(0);
    for shown in ["+ bob:new\\nline", "+ bob:\\xff\\xfe", "+ bob:\\u{1b}[31mred\\\\"] {
        assert!(lines(&answer).contains(&shown), "{}", answer.out);
    }
}

#[test]
fn owners_can_be_mapped_by_those_who_may() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = world();
    world.backup(&[]).expect(0);
    let uid = |path: &str| fs::metadata(world.path(path)).unwrap().uid();
    world.run(["restore", "latest:bob", "--target", "mapped", "--owner-map", "root=4242"]).expect(0);
    assert_eq!(uid("mapped/work"), 4242);
    std::os::unix::fs::chown(world.path("homes/bob/work"), Some(4343), None).unwrap();
    world.backup(&[]).expect(0);
    world.run(["restore", "latest:bob", "--target", "kept"]).expect(0);
    world.run(["restore", "latest:bob", "--target", "mine", "--no-owner"]).expect(0);
    assert_eq!((uid("kept/work"), uid("mine/work")), (4343, 0));
}

#[test]
fn the_repository_is_no_place_to_restore_into() {
    let world = world();
    world.backup(&[]).expect(0);
    for target in ["repo", "repo/segments", "repo/new/deep"] {
        world.run(["restore", "--target", target]).expect(2);
    }
    world.run(["restore", "--target", ".", "--delete"]).expect(2);
    assert!(world.path("repo/format").exists());
}

#[test]
fn what_a_killed_restore_left_is_taken_away_and_whole_files_come_back() {
    let world = world();
    world.backup(&[]).expect(0);
    fs::create_dir_all(world.path("out/ann")).unwrap();
    let part = world.path("out/ann/.homekeep-0123456789abcdef.part");
    fs::write(&part, "half a file").unwrap();
    world.run(["restore", "--target", "out"]).expect(0);
    assert!(!part.exists());
    assert_same_tree(&world.path("homes/ann"), &world.path("out/ann"));
}

#[test]
fn what_a_lost_commit_had_is_stored_again_by_the_next_backup() {
    let world = world();
    world.backup(&[]).expect(0);
    let first = world.commits().remove(0);
    fs::write(world.path("homes/ann/new"), "new").unwrap();
    world.backup(&[]).expect(0);
    fs::remove_file(first).unwrap();
    // Said once, and healed: nothing is taken over from a snapshot that lacks a segment.
    let told = world.backup(&[]).expect(3);
    assert!(told.out.starts_with("saved snapshot "), "{}{}", told.out, told.err);
    world.backup(&[]).expect(0);
    fs::remove_dir_all(world.path("cache")).ok();
    world.run(["restore", "latest", "--target", "out", "--verify"]).expect(0);
    for user in ["ann", "bob"] {
        assert_same_tree(&world.path("homes").join(user), &world.path("out").join(user));
    }
}
