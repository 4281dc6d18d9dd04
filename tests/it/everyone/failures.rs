//! One home that cannot come back, among others that do; and runs that are killed.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use super::{Machine, owner, summary};
use crate::support::{is_root, noise, write_old};

#[test]
fn a_place_that_cannot_be_used_costs_no_other_home() {
    if !is_root() {
        return;
    }
    let users = [("ann", 2001), ("bob", 2002), ("carol", 2003), ("dave", 2004)];
    let machine = Machine::lost(&users);
    users.iter().for_each(|(user, number)| machine.add(user, *number));
    let outside = machine.program.path("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, machine.home("bob")).unwrap();
    fs::write(machine.home("carol"), "a file").unwrap();
    for jobs in ["1", "4"] {
        let told = machine.restore(&["--json", "-j", jobs]).expect(3);
        for user in ["bob", "carol"] {
            let result = machine.result(&told, user);
            assert_eq!(result["outcome"], "failed");
            assert!(result["message"].as_str().unwrap().contains("is not a directory"), "{result}");
        }
        machine.assert_back("ann", 2001);
        machine.assert_back("dave", 2004);
        let summary = summary(&told);
        assert_eq!((&summary["users_failed"], &summary["exit_code"]), (&2.into(), &3.into()));
    }
    assert!(fs::read_dir(&outside).unwrap().next().is_none());
    assert_eq!(fs::read_to_string(machine.home("carol")).unwrap(), "a file");
}

#[test]
fn links_that_a_user_planted_lead_nowhere() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001)]);
    machine.add("ann", 3001);
    let outside = machine.program.path("outside");
    fs::create_dir(&outside).unwrap();
    write_old(&outside.join("notes"), "root's");
    fs::create_dir(machine.home("ann")).unwrap();
    symlink(&outside, machine.home("ann").join("work")).unwrap();
    symlink(outside.join("notes"), machine.home("ann").join(".bashrc")).unwrap();
    let told = machine.restore(&["--json", "--overwrite", "if-changed"]).expect(3);
    assert_eq!(machine.result(&told, "ann")["outcome"], "incomplete");
    assert_eq!(fs::read_to_string(outside.join("notes")).unwrap(), "root's");
    assert_eq!((owner(&outside), owner(&outside.join("notes"))), ((0, 0), (0, 0)));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn damaged_data_costs_the_files_it_is_in() {
    if !is_root() {
        return;
    }
    let machine = Machine::new();
    let users = [("ann", 2001), ("bob", 2002), ("carol", 2003)];
    for (user, number) in users {
        machine.add(user, number);
        machine.plant(user, number);
    }
    machine.program.run(&["init"]).expect(0);
    // More than rides in a commit, so that it lies in an object of its own.
    write_old(&machine.home("bob").join("big"), noise(1, 20 << 20));
    machine.save();
    machine.lose();
    users.iter().for_each(|(user, number)| machine.add(user, *number));
    for entry in walkdir::WalkDir::new(machine.program.repository.join("segments")) {
        let path = entry.unwrap().into_path();
        if path.is_file() {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 4;
            bytes[middle..middle + 4096].fill(0);
            fs::write(&path, bytes).unwrap();
        }
    }
    let told = machine.restore(&["--json"]).expect(3);
    assert_eq!(machine.result(&told, "bob")["outcome"], "incomplete", "{}", told.out);
    for (user, number) in [("ann", 2001), ("carol", 2003)] {
        assert_eq!(machine.result(&told, user)["outcome"], "restored");
        machine.assert_back(user, number);
    }
    assert_eq!(fs::read_to_string(machine.home("bob").join("work/notes")).unwrap(), "bob's notes");
    assert!(!machine.home("bob").join("big").exists());
}

#[test]
fn an_emptied_home_is_not_news() {
    if !is_root() {
        return;
    }
    let machine = Machine::new();
    machine.add("ann", 2001);
    machine.plant("ann", 2001);
    (0..20).for_each(|n| write_old(&machine.home("ann").join(format!("file{n}")), noise(n, 2000)));
    machine.program.run(&["init"]).expect(0);
    machine.save();
    machine.lose();
    machine.add("ann", 2001);
    // The new machine saves what it has before anyone restores.
    fs::create_dir(machine.home("ann")).unwrap();
    write_old(&machine.home("ann").join(".bashrc"), "fresh");
    machine.run(&["backup", "--homes", machine.program.homes.to_str().unwrap(), "--source", "cluster"]);
    let told = machine.restore(&["--overwrite", "always"]).expect(0);
    assert!(told.err.contains("far fewer files"), "{}", told.err);
    assert_eq!(fs::read(machine.home("ann").join("file7")).unwrap(), noise(7, 2000));
}

#[test]
fn a_run_that_was_killed_is_finished_by_the_next() {
    if !is_root() {
        return;
    }
    let users: Vec<(String, u32)> = (0..30).map(|n| (format!("user{n:02}"), 2000 + n)).collect();
    let machine = Machine::new();
    for (user, number) in &users {
        machine.add(user, *number);
        machine.plant(user, *number);
        let seed = u64::from(*number);
        (0..20).for_each(|n| write_old(&machine.home(user).join(format!("f{n}")), noise(seed + n, 50_000)));
    }
    users
        .iter()
        .for_each(|(user, _)| crate::support::set_mtime(&machine.home(user), crate::support::LONG_AGO, 7));
    machine.program.run(&["init"]).expect(0);
    machine.save();
    machine.lose();
    users.iter().for_each(|(user, number)| machine.add(user, 500 + number));
    let mut kills = 0;
    for moment in 1..8 {
        let mut command = machine.command(&["restore", "--all-homes", "-j", "2"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let awaited = machine.home(&users[moment * 4].0);
        while !awaited.exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills > 0, "no run was killed before its end");
    machine.restore(&["--verify"]).expect(0);
    for (user, number) in &users {
        machine.assert_back(user, 500 + number);
        for entry in walkdir::WalkDir::new(machine.home(user)) {
            let entry = entry.unwrap();
            assert_eq!(
                owner(entry.path()).0,
                if entry.file_name().as_encoded_bytes().starts_with(b"f") { 0 } else { 500 + number }
            );
            assert!(!entry.file_name().as_encoded_bytes().ends_with(b".part"), "{entry:?}");
        }
    }
}
