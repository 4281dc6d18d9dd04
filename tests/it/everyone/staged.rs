//! Homes that wait, where only root may enter, for their users to have an account.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Machine, owner};
use crate::support::{
    LONG_AGO, assert_same, copy_tree, is_root, noise, set_acl, set_mtime, write_old, write_sparse,
};

impl Machine {
    /// The folder of staged homes.
    fn staging(&self) -> PathBuf {
        self.home(".homekeep-staged")
    }

    /// The one staged state of a user.
    fn staged(&self, user: &str) -> PathBuf {
        let states: Vec<_> =
            fs::read_dir(self.staging().join(user)).unwrap().map(|state| state.unwrap().path()).collect();
        assert_eq!(states.len(), 1, "{states:?}");
        states[0].clone()
    }
}

#[test]
fn a_home_waits_for_its_user_and_is_moved_when_there_is_one() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001), ("bob", 2002)]);
    machine.add("ann", 2001);
    machine.add("eve", 2002);
    let told = machine.restore(&["--stage-users", "--json"]).expect(3);
    assert_eq!(machine.result(&told, "bob")["outcome"], "staged");
    machine.assert_back("ann", 2001);
    assert!(!machine.home("bob").exists());
    let metadata = fs::metadata(machine.staging()).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid()), (0o700, 0));
    let notes = machine.staged("bob").join("work/notes");
    assert_eq!(fs::read_to_string(&notes).unwrap(), "bob's notes");
    assert_eq!(owner(&notes), (0, 0));
    // It is nobody's home, and no backup takes it for one.
    machine.run(&["backup", "--homes", machine.program.homes.to_str().unwrap(), "--source", "other"]);
    let users = machine.run(&["ls", "latest", "--source", "other", "--json"]);
    assert!(!users.out.contains("homekeep-staged"), "{}", users.out);

    let inode = fs::metadata(&notes).unwrap().ino();
    // Still without an account: it stays.
    machine.restore(&["--stage-users", "--source", "cluster"]).expect(3);
    assert_eq!(fs::metadata(&notes).unwrap().ino(), inode);
    machine.add("bob", 3002);
    machine.restore(&["--source", "cluster"]).expect(0);
    machine.assert_back("bob", 3002);
    // Moved, and not written again.
    assert_eq!(fs::metadata(machine.home("bob").join("work/notes")).unwrap().ino(), inode);
    assert!(!machine.staging().exists());
}

#[test]
fn links_rights_and_attributes_are_given_when_the_owner_is_known() {
    if !is_root() {
        return;
    }
    let machine = Machine::new();
    machine.add("bob", 2002);
    machine.plant("bob", 2002);
    let home = machine.home("bob");
    write_old(&home.join("tool"), "#!/bin/sh\n");
    chown(home.join("tool"), Some(2002), Some(2002)).unwrap();
    fs::set_permissions(home.join("tool"), PermissionsExt::from_mode(0o4755)).unwrap();
    fs::hard_link(home.join("tool"), home.join("work/again")).unwrap();
    symlink("nowhere", home.join("link")).unwrap();
    write_sparse(&home.join("sparse"));
    set_acl(&home.join("sparse"), &["-m", "u:12345:rx"]);
    for path in ["link", "work", ""] {
        set_mtime(&home.join(path), LONG_AGO, 7);
    }
    machine.program.run(&["init"]).expect(0);
    machine.save();
    let copy = machine.program.path("copy");
    copy_tree(&home, &copy);
    machine.lose();
    machine.restore(&["--stage-users"]).expect(3);
    let staged = machine.staged("bob").join("tool");
    assert_eq!(fs::metadata(&staged).unwrap().mode() & 0o7777, 0o755);
    let inode = fs::metadata(&staged).unwrap().ino();
    machine.add("bob", 2002);
    machine.restore(&["--verify"]).expect(0);
    assert_same(&copy, &home);
    assert_eq!(fs::metadata(home.join("work/again")).unwrap().ino(), inode);
}

#[test]
fn what_was_staged_of_an_older_state_or_is_not_whole_is_not_taken() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("bob", 2002)]);
    machine.restore(&["--stage-users"]).expect(3);
    let staged = machine.staged("bob");
    // As a run leaves it that was killed, or a disk that lost something.
    fs::remove_file(staged.join(".bashrc")).unwrap();
    fs::write(staged.join("work/notes"), "half").unwrap();
    fs::write(staged.join(".homekeep-0123456789abcdef.part"), "half").unwrap();
    let older = machine.staging().join("bob").join("0".repeat(64));
    fs::create_dir(&older).unwrap();
    write_old(&older.join(".bashrc"), "# eve's own");
    machine.add("bob", 3002);
    machine.restore(&[]).expect(0);
    machine.assert_back("bob", 3002);
    assert!(!machine.staging().exists());
}

#[test]
fn what_was_made_at_the_first_login_stands_when_a_staged_home_comes() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("bob", 2002)]);
    machine.restore(&["--stage-users"]).expect(3);
    machine.add("bob", 3002);
    fs::create_dir(machine.home("bob")).unwrap();
    fs::write(machine.home("bob").join(".bashrc"), "made at login").unwrap();
    chown(machine.home("bob").join(".bashrc"), Some(3002), Some(3002)).unwrap();
    machine.restore(&[]).expect(0);
    assert_eq!(fs::read_to_string(machine.home("bob").join(".bashrc")).unwrap(), "made at login");
    assert_eq!(fs::read_to_string(machine.home("bob").join("work/notes")).unwrap(), "bob's notes");
}

#[test]
fn a_staging_folder_that_others_may_enter_is_not_used() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("bob", 2002)]);
    let outside = machine.program.path("outside");
    fs::create_dir(&outside).unwrap();
    let prepare: [&dyn Fn(); 3] = [
        &|| {
            fs::create_dir(machine.staging()).unwrap();
            fs::set_permissions(machine.staging(), PermissionsExt::from_mode(0o755)).unwrap();
        },
        &|| {
            fs::create_dir(machine.staging()).unwrap();
            fs::set_permissions(machine.staging(), PermissionsExt::from_mode(0o700)).unwrap();
            chown(machine.staging(), Some(2002), Some(2002)).unwrap();
        },
        &|| symlink(&outside, machine.staging()).unwrap(),
    ];
    for plant in prepare {
        plant();
        let told = machine.restore(&["--stage-users", "--json"]).expect(3);
        assert_eq!(machine.result(&told, "bob")["outcome"], "failed", "{}", told.out);
        assert!(fs::read_dir(&outside).unwrap().next().is_none());
        let planted = machine.staging();
        if planted.is_symlink() { fs::remove_file(planted) } else { fs::remove_dir_all(planted) }.unwrap();
    }
}

#[test]
fn a_wait_takes_what_it_staged_itself() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("bob", 2002)]);
    let mut command =
        machine.command(&["restore", "--all-homes", "--stage-users", "--wait-for-users=1h", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let told = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut told = std::io::BufRead::lines(told).map(Result::unwrap);
    assert!(told.any(|line| line.contains("waiting for 1 account")));
    let inode = fs::metadata(machine.staged("bob").join("work/notes")).unwrap().ino();
    machine.add("bob", 3002);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    machine.assert_back("bob", 3002);
    assert_eq!(fs::metadata(machine.home("bob").join("work/notes")).unwrap().ino(), inode);
    let out = String::from_utf8(output.stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    // What was staged before is not counted twice.
    assert_eq!((&last["files_restored"], &last["users_staged"]), (&2.into(), &0.into()), "{last}");
}

/// Until the run ends by itself or `is_time` says that it is time to kill it; whether it was killed.
fn killed_when(mut command: Command, is_time: impl Fn() -> bool) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !is_time() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let is_killed = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    is_killed
}

#[test]
fn staging_and_moving_that_are_killed_are_finished_by_the_next_run() {
    if !is_root() {
        return;
    }
    let machine = Machine::new();
    machine.add("bob", 2002);
    machine.plant("bob", 2002);
    let folder = machine.home("bob").join("work");
    for n in 0..400 {
        write_old(&folder.join(format!("f{n:03}")), noise(n, 40_000));
        chown(folder.join(format!("f{n:03}")), Some(2002), Some(2002)).unwrap();
    }
    set_mtime(&folder, LONG_AGO, 7);
    machine.program.run(&["init"]).expect(0);
    machine.save();
    let copy = machine.program.path("copy");
    copy_tree(&machine.home("bob"), &copy);
    machine.lose();
    let names = |folder: &Path| fs::read_dir(folder).map_or(0, Iterator::count);
    let staged = || {
        let states = fs::read_dir(machine.staging().join("bob")).ok();
        states.and_then(|mut states| Some(states.next()?.unwrap().path().join("work"))).unwrap_or_default()
    };
    let mut kills = 0;
    for least in [1, 100, 250] {
        let command = machine.command(&["restore", "--all-homes", "--stage-users", "-j", "1"]);
        kills += usize::from(killed_when(command, || names(&staged()) >= least));
    }
    machine.restore(&["--stage-users"]).expect(3);
    machine.add("bob", 2002);
    for least in [1, 100, 250] {
        let command = machine.command(&["restore", "--all-homes", "-j", "1"]);
        kills += usize::from(killed_when(command, || names(&folder) >= least));
    }
    assert!(kills > 0, "no run was killed before its end");
    machine.restore(&["--verify"]).expect(0);
    assert_same(&copy, &machine.home("bob"));
    assert!(!machine.staging().exists());
}
