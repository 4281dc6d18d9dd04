//! `restore --all-homes` with real accounts: everyone back on a fresh machine, whatever its account database says.
//! Each machine has an `/etc` of its own, in a mount namespace that ends with each run, so that the one that runs
//! the tests keeps its accounts.

mod accounts;
mod best_effort;
mod failures;
mod first_login;
mod secrets;
mod staged;
mod waiting;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::program::{Ended, Program, ended};
use crate::support::{LONG_AGO, is_root, run, set_mtime, write_old};

/// Enters a mount namespace in which the first argument is `/etc`, and nothing is written to the logs.
const ENTER: &str = "mount --bind \"$1\" /etc && mount -t tmpfs none /var/log && shift && exec \"$@\"";

/// The program, homes, and a machine's accounts.
struct Machine {
    program: Program,
    etc: PathBuf,
}

impl Machine {
    /// A machine with the accounts that every system has.
    fn new() -> Self {
        let program = Program::new();
        fs::set_permissions(program.path(""), PermissionsExt::from_mode(0o755)).unwrap();
        let machine = Self { etc: program.path("etc"), program };
        machine.forget_accounts();
        machine
    }

    /// As on a machine that was just set up.
    fn forget_accounts(&self) {
        fs::remove_dir_all(&self.etc).ok();
        let mut copy = Command::new("cp");
        copy.args(["-a", "/etc"]).arg(&self.etc);
        run(copy, "coreutils");
        // People who have accounts on the machine that runs the tests have none here.
        for file in ["passwd", "group"] {
            let path = self.etc.join(file);
            let text = fs::read_to_string(&path).unwrap();
            let number = |line: &str| line.split(':').nth(2).and_then(|number| number.parse::<u32>().ok());
            let is_system = |line: &&str| number(line).is_some_and(|n| n < 1000 || n == 65_534);
            let kept: String = text.lines().filter(is_system).map(|line| format!("{line}\n")).collect();
            fs::write(path, kept).unwrap();
        }
        for file in ["shadow", "gshadow", "subuid", "subgid"] {
            let path = self.etc.join(file);
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let known = fs::read_to_string(self.etc.join("passwd")).unwrap()
                + &fs::read_to_string(self.etc.join("group")).unwrap();
            let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
            let is_known = |line: &&str| known.lines().any(|other| name(other) == name(line));
            let kept: String = text.lines().filter(is_known).map(|line| format!("{line}\n")).collect();
            fs::write(path, kept).unwrap();
        }
    }

    /// Adds an account and its group, by a line in each file.
    fn add(&self, name: &str, number: u32) {
        let append = |file: &str, line: String| {
            let path = self.etc.join(file);
            let text = fs::read_to_string(&path).unwrap() + &line;
            // In one step: somebody may be reading.
            fs::write(path.with_extension("new"), text).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        };
        let home = self.home(name);
        append("group", format!("{name}:x:{number}:\n"));
        append("passwd", format!("{name}:x:{number}:{number}::{}:/bin/sh\n", home.display()));
    }

    fn home(&self, user: &str) -> PathBuf {
        self.program.homes.join(user)
    }

    /// A home with some files, all of them this number's.
    fn plant(&self, user: &str, number: u32) {
        let home = self.program.home(user);
        fs::create_dir(home.join("work")).unwrap();
        write_old(&home.join("work/notes"), format!("{user}'s notes"));
        write_old(&home.join(".bashrc"), format!("# {user}'s own"));
        for path in ["work/notes", "work", ".bashrc", ""] {
            chown(home.join(path), Some(number), Some(number)).unwrap();
            set_mtime(&home.join(path), LONG_AGO, 7);
        }
        fs::set_permissions(&home, PermissionsExt::from_mode(0o750)).unwrap();
    }

    /// A machine with accounts and homes of these users, saved, and then lost with all that was on it.
    fn lost(users: &[(&str, u32)]) -> Self {
        let machine = Self::new();
        for (user, number) in users {
            machine.add(user, *number);
            machine.plant(user, *number);
        }
        machine.program.run(&["init"]).expect(0);
        machine.save();
        machine.lose();
        machine
    }

    fn save(&self) {
        let homes = self.program.homes.to_str().unwrap();
        self.run(&["backup", "--homes", homes, "--source", "cluster"]).expect(0);
    }

    fn lose(&self) {
        for home in fs::read_dir(&self.program.homes).unwrap() {
            fs::remove_dir_all(home.unwrap().path()).unwrap();
        }
        self.forget_accounts();
        fs::remove_dir_all(&self.program.cache).ok();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let etc = self.etc.to_str().unwrap();
        let enter = ["unshare", "-m", "--propagation", "private", "sh", "-c", ENTER, "sh", etc];
        self.program.command_under(&enter, arguments)
    }

    /// Runs the program with the accounts of this machine.
    fn run(&self, arguments: &[&str]) -> Ended {
        ended(&mut self.command(arguments))
    }

    /// Brings everyone back to where they were.
    fn restore(&self, arguments: &[&str]) -> Ended {
        self.run(&[&["restore", "--all-homes"], arguments].concat())
    }

    /// What is said of this user in JSON.
    fn result(&self, ended: &Ended, user: &str) -> Value {
        let mut results = objects(ended).into_iter().filter(|o| o["message_type"] == "home_result");
        results.find(|result| result["user"] == user).unwrap_or_else(|| panic!("{user}: {}", ended.out))
    }

    /// The line of an account in this machine's database.
    fn account(&self, name: &str) -> Option<Vec<String>> {
        let text = fs::read_to_string(self.etc.join("passwd")).unwrap();
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        text.lines().map(fields).find(|fields| fields[0] == name)
    }

    /// Fails unless a home is back as it was planted, with this number.
    #[track_caller]
    fn assert_back(&self, user: &str, number: u32) {
        let home = self.home(user);
        assert_eq!(fs::read_to_string(home.join("work/notes")).unwrap(), format!("{user}'s notes"));
        assert_eq!(fs::read_to_string(home.join(".bashrc")).unwrap(), format!("# {user}'s own"));
        for path in ["work/notes", "work", ".bashrc", ""] {
            assert_eq!(owner(&home.join(path)), (number, number), "{user} {path}");
        }
        let metadata = fs::metadata(&home).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (0o750, LONG_AGO), "{user}");
    }
}

fn owner(path: &Path) -> (u32, u32) {
    let metadata = path.symlink_metadata().unwrap();
    (metadata.uid(), metadata.gid())
}

fn objects(ended: &Ended) -> Vec<Value> {
    ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn summary(ended: &Ended) -> Value {
    let last = objects(ended).pop().unwrap();
    assert_eq!(last["message_type"], "summary", "{}", ended.out);
    last
}

#[test]
fn everyone_comes_back_by_name_though_the_numbers_are_other_ones() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001), ("bob", 2002)]);
    // Whoever came first got the first number.
    machine.add("bob", 2001);
    machine.add("ann", 3001);
    let told = machine.restore(&[]).expect(0);
    machine.assert_back("ann", 3001);
    machine.assert_back("bob", 2001);
    assert!(told.out.contains("restored 2 of 2 homes from source cluster: 4 files"), "{}", told.out);
    for user in ["ann", "bob"] {
        let line = told.out.lines().find(|line| line.starts_with(user)).unwrap();
        assert!(line.contains("restored"), "{line}");
    }
    // Again, and nothing is to be done.
    let again = summary(&machine.restore(&["--json"]).expect(0));
    assert_eq!((&again["files_restored"], &again["unchanged"]), (&0.into(), &4.into()), "{again}");
    assert_eq!((&again["users_restored"], &again["exit_code"]), (&2.into(), &0.into()), "{again}");
}

#[test]
fn everyone_comes_back_below_another_directory_too() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001)]);
    machine.add("ann", 3001);
    let target = machine.program.path("elsewhere");
    machine.restore(&["--target", target.to_str().unwrap(), "--dry-run"]).expect(0);
    assert!(!target.exists());
    machine.restore(&["--target", target.to_str().unwrap()]).expect(0);
    assert_eq!(owner(&target.join("ann/work/notes")), (3001, 3001));
    assert!(!machine.home("ann").exists());
}

#[test]
fn the_source_is_this_machines_or_the_only_one_or_must_be_named() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001)]);
    machine.add("ann", 2001);
    machine.add("zoe", 2009);
    machine.plant("zoe", 2009);
    let homes = machine.program.homes.to_str().unwrap();
    machine.run(&["backup", "--homes", homes, "--source", "other"]).expect(0);
    fs::remove_dir_all(machine.home("zoe")).unwrap();
    let refused = machine.restore(&[]).expect(2);
    assert!(refused.err.contains("homes of cluster, other"), "{}", refused.err);
    assert!(!machine.home("ann").exists() && !machine.home("zoe").exists());
    machine.restore(&["--source", "cluster"]).expect(0);
    assert!(machine.home("ann").exists() && !machine.home("zoe").exists());
    machine.restore(&["--source", "other", "--source", "cluster"]).expect(2);
    let mut own = machine.command(&["restore", "--all-homes"]);
    ended(own.env("DB_CLUSTER_NAME", "other")).expect(0);
    machine.assert_back("zoe", 2009);
}

#[test]
fn a_thousand_homes_come_back_each_to_its_owner() {
    if !is_root() {
        return;
    }
    let users: Vec<(String, u32)> = (0..1000).map(|n| (format!("user{n:03}"), 20_000 + n)).collect();
    let machine = Machine::new();
    let accounts = |base: u32| {
        let lines = |line: &dyn Fn(usize, &str) -> String| -> String {
            users.iter().enumerate().map(|(n, (user, _))| line(n, user)).collect()
        };
        let number = |n: usize| base + n as u32;
        let append = |file: &str, lines: String| {
            let path = machine.etc.join(file);
            fs::write(&path, fs::read_to_string(&path).unwrap() + &lines).unwrap();
        };
        append("group", lines(&|n, user| format!("{user}:x:{}:\n", number(n))));
        append("passwd", lines(&|n, user| format!("{user}:x:{0}:{0}::/nowhere:/bin/sh\n", number(n))));
    };
    accounts(20_000);
    users.iter().for_each(|(user, number)| machine.plant(user, *number));
    machine.program.run(&["init"]).expect(0);
    machine.save();
    machine.lose();
    accounts(20_500);
    let told = machine.restore(&["--json", "--quiet"]).expect(0);
    let summary = summary(&told);
    assert_eq!((&summary["users"], &summary["users_restored"]), (&1000.into(), &1000.into()), "{summary}");
    for (n, (user, _)) in users.iter().enumerate() {
        machine.assert_back(user, 20_500 + n as u32);
    }
}
