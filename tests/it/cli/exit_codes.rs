//! Each class of trouble has a message and an exit code of its own.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use super::World;

fn spoil(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn key_slot(world: &World) -> PathBuf {
    fs::read_dir(world.path("repo/keys")).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn help_shows_the_table() {
    let help = World::new().run_bare(["--help"]).expect(0);
    for code in [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 130] {
        assert!(help.out.contains(&format!("\n{code:>5}  ")), "{code}: {}", help.out);
    }
}

#[test]
fn usage_is_2() {
    let world = World::new();
    for line in [&["frobnicate"][..], &["backup", "--frobnicate"], &[], &["cat", "chunk", "xyz"]] {
        world.run_bare(line).expect(2);
    }
    world.run(["snapshots", "--password-file", "x"]).expect(2);
    let answer = world.run_bare(["backup", "--json", "--frobnicate"]).expect(2);
    let error: serde_json::Value = serde_json::from_str(answer.err.trim()).unwrap();
    assert_eq!((&error["message_type"], &error["code"]), (&"exit_error".into(), &2.into()));
}

#[test]
fn a_file_that_cannot_be_read_is_3_and_the_rest_is_saved() {
    let world = World::of_somebody();
    world.run(["init"]).expect(0);
    world.write("homes/bob/secret", "x");
    fs::set_permissions(world.path("homes/bob/secret"), fs::Permissions::from_mode(0o000)).unwrap();
    let answer = world.backup(&[]).expect(3);
    assert!(answer.err.contains("bob:secret: cannot be read: "), "{}", answer.err);
    assert!(answer.out.contains("1 problem"), "{}", answer.out);
    assert_eq!(world.snapshots(&[])[0]["files"], 11);
}

#[test]
fn no_repository_is_10() {
    let world = World::new();
    let answer = world.run(["snapshots"]).expect(10);
    assert!(answer.err.contains("no repository in"), "{}", answer.err);
    fs::write(world.path("repo"), "a file").unwrap();
    world.run(["snapshots"]).expect(10);
}

#[test]
fn busy_is_11() {
    let world = World::with_repository();
    world.backup(&[]).expect(0);
    let caches = fs::read_dir(world.path("cache")).unwrap();
    let cache = caches.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let lock = File::open(cache.join("backup.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let answer = world.backup(&[]).expect(11);
    assert!(answer.err.contains("another backup"), "{}", answer.err);
    world.run(["snapshots"]).expect(0);
    drop(lock);
    world.backup(&[]).expect(0);
}

#[test]
fn a_wrong_key_is_12_and_a_missing_or_damaged_one_13() {
    let world = World::with_repository();
    world.run(["init", "--repo", "other", "--key-file", "other-key"]).expect(0);
    let answer = world.run(["snapshots", "--repo", "other"]).expect(12);
    assert!(answer.err.contains("wrong passphrase or key file"), "{}", answer.err);
    // Of a flag that is given twice, the last counts.
    world.run(["snapshots", "--key-file", "nowhere"]).expect(13);
    fs::rename(world.path("key"), world.path("moved")).unwrap();
    let answer = world.run(["snapshots"]).expect(13);
    assert!(answer.err.contains("does not exist"), "{}", answer.err);
    fs::copy(world.path("moved"), world.path("key")).unwrap();
    spoil(&world.path("key"), |bytes| {
        let at = bytes.len() - 9;
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    });
    let answer = world.run(["snapshots"]).expect(13);
    assert!(answer.err.contains("damaged"), "{}", answer.err);
}

#[test]
fn a_damaged_object_is_14() {
    let world = World::with_repository();
    world.backup(&[]).expect(0);
    let id = world.snapshots(&[])[0]["id"].as_str().unwrap().to_owned();
    let commit = world.commits().remove(0);
    spoil(&commit, |bytes| {
        let at = bytes.len() - 100;
        bytes[at] ^= 1;
    });
    let hash = commit.to_str().unwrap().rsplit('-').next().unwrap().to_owned();
    world.run(["cat", "segment", &hash[..8]]).expect(14);
    // A list that lacks a snapshot says so, once the index does not know better.
    fs::remove_dir_all(world.path("cache")).unwrap();
    let answer = world.run(["snapshots"]).expect(3);
    assert!(answer.err.contains("cannot be read"), "{}", answer.err);
    world.run(["cat", "snapshot", &id]).expect(1);
}

#[test]
fn remains_of_a_repository_are_14_and_are_not_written_over() {
    let world = World::with_repository();
    world.backup(&[]).expect(0);
    fs::remove_file(world.path("repo/format")).unwrap();
    for line in [&["snapshots"][..], &["init"], &["backup", "--init"]] {
        world.run(line).expect(14);
    }
    let world = World::with_repository();
    fs::remove_file(key_slot(&world)).unwrap();
    world.run(["snapshots"]).expect(14);
}

#[test]
fn anothers_repository_is_15() {
    let world = World::with_repository();
    world.run(["init", "--repo", "other"]).expect(0);
    let own = fs::read(world.path("repo/format")).unwrap();
    fs::copy(world.path("other/format"), world.path("repo/format")).unwrap();
    let answer = world.run(["snapshots"]).expect(15);
    assert!(answer.err.contains("not written with this repository's key"), "{}", answer.err);
    fs::write(world.path("repo/format"), [b"SOMETHIN", &own[8..]].concat()).unwrap();
    world.run(["snapshots"]).expect(15);
}

#[test]
fn a_newer_format_is_16() {
    let world = World::with_repository();
    spoil(&world.path("repo/format"), |bytes| bytes[9] = 2);
    let answer = world.run(["snapshots"]).expect(16);
    assert!(answer.err.contains("version 2") && answer.err.contains("newer homekeep"), "{}", answer.err);
}

#[test]
fn a_signal_is_130_and_leaves_the_repository_whole() {
    let world = World::with_repository();
    let mut noise = vec![0; 48 << 20];
    File::open("/dev/urandom").unwrap().read_exact(&mut noise).unwrap();
    fs::write(world.path("homes/ann/noise"), noise).unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = world.command().args(["backup", "--homes", "homes"]).spawn().unwrap();
        wait_for(|| is_locked(&world));
        kill(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(world.commits().is_empty());
    }
    fs::remove_file(world.path("homes/ann/noise")).unwrap();
    world.backup(&[]).expect(0);
}

#[test]
fn a_signal_ends_a_program_that_waits_for_a_passphrase() {
    let world = World::with_repository();
    world.write("wait", "");
    let command = "touch asked; while test -e wait; do sleep 0.05; done";
    let (repo, cache) = (world.text("repo"), world.text("cache"));
    let line = ["-r", &repo, "--cache-dir", &cache, "snapshots", "--password-command", command];
    let mut child = world.bare().args(line).spawn().unwrap();
    wait_for(|| world.path("asked").exists());
    kill(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    fs::remove_file(world.path("wait")).unwrap();
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is() {
    let world = World::with_repository();
    world.backup(&[]).expect(0);
    for line in [&["snapshots", "--json"][..], &["man"], &["completions", "bash"]] {
        let mut child =
            world.command().args(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{line:?}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = world.command().arg("snapshots").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let mut shown = Vec::new();
    shown.write_all(&output.stderr).unwrap();
    assert!(String::from_utf8(shown).unwrap().contains("cannot write the output"));
}

fn kill(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
}

/// Whether a backup holds the lock: from then on it has work for a while.
fn is_locked(world: &World) -> bool {
    let Ok(caches) = fs::read_dir(world.path("cache")) else { return false };
    caches
        .flatten()
        .filter_map(|cache| File::open(cache.path().join("backup.lock")).ok())
        .any(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err())
}

/// Waits until it is so; a test that waits forever is stopped by whoever runs it.
fn wait_for(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        std::thread::sleep(Duration::from_millis(2));
    }
}
