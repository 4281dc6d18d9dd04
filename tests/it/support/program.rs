//! The real program with a repository, a key, a cache and homes of its own, in a folder that can be copied.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{PROGRAM, assert_same, copy_tree};

/// Places for everything that the program reads and writes.
pub struct Program {
    folder: TempDir,
    /// Where the homes are.
    pub homes: PathBuf,
    /// Where the repository is.
    pub repository: PathBuf,
    /// Where the index is.
    pub cache: PathBuf,
    variables: Vec<(&'static str, String)>,
}

/// How the program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Program {
    /// In memory where the system has a place for that: for tests that start the program hundreds of times.
    pub fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = |name: &str| folder.path().join(name);
        let (homes, repository, cache) = (path("homes"), path("repository"), path("cache"));
        fs::create_dir(&homes).unwrap();
        Self { homes, repository, cache, folder, variables: Vec::new() }
    }

    /// A copy of repository, key and cache. The homes are the same ones.
    pub fn copied(&self) -> Self {
        let copy = self.copied_without_repository();
        copy_if_there(&self.repository, &copy.repository);
        copy
    }

    /// A copy of key and cache. The homes are the same ones.
    pub fn copied_without_repository(&self) -> Self {
        let copy = Self { homes: self.homes.clone(), ..Self::new() };
        copy_if_there(&self.cache, &copy.cache);
        if self.key().exists() {
            fs::copy(self.key(), copy.key()).unwrap();
        }
        copy
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The key file.
    pub fn key(&self) -> PathBuf {
        self.path("key")
    }

    /// The home of a user, which is made if there is none.
    pub fn home(&self, user: &str) -> PathBuf {
        let home = self.homes.join(user);
        fs::create_dir_all(&home).unwrap();
        home
    }

    /// Sets a variable for every run from now on.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.retain(|(other, _)| *other != name);
        self.variables.push((name, value.into()));
    }

    /// The program with these arguments and nothing of the test's own environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_under(&[], arguments)
    }

    /// The same, started by another program such as a tracer.
    pub fn command_under(&self, starter: &[&str], arguments: &[&str]) -> Command {
        let line: Vec<_> = starter.iter().chain(&[PROGRAM]).collect();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).args(arguments);
        command.arg("--repo").arg(&self.repository).arg("--key-file").arg(self.key());
        command.arg("--cache-dir").arg(&self.cache);
        command.env_clear().env("HOME", self.path("")).env("PATH", "/usr/bin:/bin").env("TZ", "UTC");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        ended(&mut self.command(arguments))
    }

    /// Saves all homes.
    pub fn backup(&self, arguments: &[&str]) -> Ended {
        let homes = self.homes.to_str().unwrap();
        self.run(&[&["backup", "--homes", homes], arguments].concat())
    }

    /// Ids of all snapshots, oldest first.
    pub fn snapshots(&self) -> Vec<String> {
        let listed: Value = serde_json::from_str(&self.run(&["snapshots", "--json"]).expect(0).out).unwrap();
        listed.as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Fails unless a snapshot holds exactly what is in `expected`.
    #[track_caller]
    pub fn assert_restores(&self, snapshot: &str, expected: &Path) {
        let target = tempfile::tempdir_in(self.path("")).unwrap();
        self.run(&["restore", snapshot, "--target", target.path().to_str().unwrap()]).expect(0);
        // The folder of the homes has no place in a snapshot, and so no times of its own there.
        for user in fs::read_dir(expected).unwrap() {
            let user = user.unwrap().file_name();
            assert_same(&expected.join(&user), &target.path().join(&user));
        }
    }
}

impl Ended {
    /// Fails unless the program ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "out: {}\nerr: {}", self.out, self.err);
        self
    }
}

fn copy_if_there(from: &Path, to: &Path) {
    if from.exists() {
        copy_tree(from, to);
    }
}

/// Runs a command to its end.
pub fn ended(command: &mut Command) -> Ended {
    // Another test may be copying the program, and what is open for writing cannot be run.
    let output = loop {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            output => break output.unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program())),
        }
    };
    let Output { status, stdout, stderr } = output;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: status.code(), out: text(stdout), err: text(stderr) }
}
