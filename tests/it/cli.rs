//! The command line as scripts and people use it: the real program, in places of its own.

mod answers;
mod backup;
mod check;
mod copies;
mod exit_codes;
mod forget;
mod keys;
mod look;
mod places;
mod repairs;
mod restore;
mod restore_choice;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_homekeep");
/// Who runs the program where root's rights, or root's places, would be in the way.
const SOMEBODY: u32 = 65_533;

/// A folder with homes, and places for a repository, a key and a cache.
struct World {
    folder: TempDir,
    variables: Vec<(OsString, OsString)>,
    as_somebody: bool,
}

/// What the program answered.
struct Answer {
    code: i32,
    out: String,
    err: String,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for home in ["me", "homes/ann", "homes/bob"] {
            fs::create_dir_all(folder.path().join(home)).unwrap();
        }
        let world = Self { folder, variables: Vec::new(), as_somebody: false };
        for n in 0..10 {
            world.write(&format!("homes/ann/{n}"), &format!("ann's {n}"));
        }
        world.write("homes/bob/work", "bob's");
        world
    }

    /// The same with a repository.
    fn with_repository() -> Self {
        let world = Self::new();
        world.run(["init"]).expect(0);
        world
    }

    /// The program is run by someone who is not root, in a world that is theirs.
    fn of_somebody() -> Self {
        let mut world = Self::new();
        world.as_somebody = rustix::process::geteuid().is_root();
        world.give_away(Path::new(""));
        world
    }

    fn give_away(&self, path: &Path) {
        let path = self.path(path);
        if !self.as_somebody {
            return;
        }
        chown(&path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        if path.is_dir() {
            for entry in fs::read_dir(&path).unwrap() {
                self.give_away(&entry.unwrap().path());
            }
        }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        self.give_away(Path::new(name));
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.variables.push((name.into(), value.as_ref().into()));
    }

    /// The program without any flag, in an environment with nothing but a home.
    fn bare(&self) -> Command {
        let mut command = Command::new(self.program());
        command.env_clear().env("HOME", self.path("me")).env("PATH", "/usr/bin:/bin").env("TZ", "UTC");
        command.envs(self.variables.iter().cloned()).current_dir(self.folder.path());
        command.stdin(Stdio::null());
        if self.as_somebody {
            command.uid(SOMEBODY).gid(SOMEBODY);
        }
        command
    }

    /// Where whoever runs it can reach it.
    fn program(&self) -> PathBuf {
        let copy = self.path("homekeep");
        if self.as_somebody && !copy.exists() {
            fs::copy(PROGRAM, &copy).unwrap();
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        }
        if self.as_somebody { copy } else { PROGRAM.into() }
    }

    /// The program with this world's places in front.
    fn command(&self) -> Command {
        let mut command = self.bare();
        command.arg("--repo").arg(self.path("repo")).arg("--key-file").arg(self.path("key"));
        command.arg("--cache-dir").arg(self.path("cache"));
        command
    }

    fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Answer {
        answer(self.command().args(arguments))
    }

    fn run_bare(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Answer {
        answer(self.bare().args(arguments))
    }

    fn backup(&self, arguments: &[&str]) -> Answer {
        self.run(["backup", "--homes", "homes"].iter().chain(arguments))
    }

    /// The commits in the repository.
    fn commits(&self) -> Vec<PathBuf> {
        let days = fs::read_dir(self.path("repo/snapshots")).into_iter().flatten();
        let in_day = |day: fs::DirEntry| fs::read_dir(day.path()).unwrap();
        days.flat_map(|day| in_day(day.unwrap())).map(|commit| commit.unwrap().path()).collect()
    }

    fn snapshots(&self, arguments: &[&str]) -> Vec<Value> {
        let answer = self.run(["snapshots", "--json"].iter().chain(arguments)).expect(0);
        serde_json::from_str(&answer.out).unwrap()
    }
}

fn answer(command: &mut Command) -> Answer {
    // A test that starts a process while another copies the program lets the child hold the copy
    // open for a moment, and what is open for writing cannot be run.
    let output = loop {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            output => break output.unwrap(),
        }
    };
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Answer {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    /// The objects on standard output.
    fn objects(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn summary(&self) -> Value {
        let objects = self.objects();
        let mut summaries = objects.into_iter().filter(|object| object["message_type"] == "summary");
        let summary = summaries.next().unwrap();
        assert_eq!(summaries.next(), None);
        summary
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
