//! The files in `examples/databricks`, run as they are against a workspace and volumes on this machine: what a notebook
//! has of Databricks (`dbutils`) is stood in for, and so are the paths that it names.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::databricks::server::Server;
use crate::support::PROGRAM;
use crate::support::let_times_settle;
use crate::support::program::{Ended, Program, ended};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/databricks");
/// What a notebook finds on a cluster.
const STAND_IN: &str = r#"
import os, sys
class Context:
    def apiUrl(self): return self
    def apiToken(self): return Token()
    def get(self): return os.environ["STAND_IN_URL"]
class Token:
    def get(self): return os.environ["STAND_IN_TOKEN"]
class Notebook:
    def getContext(self): return Context()
class EntryPoint:
    def getDbutils(self): return self
    def notebook(self): return Notebook()
class Dbutils:
    class notebook: entry_point = EntryPoint()
    class secrets:
        @staticmethod
        def get(scope, key):
            assert (scope, key) == ("homekeep-key", "key"), (scope, key)
            return open(os.environ["STAND_IN_KEY"]).read()
dbutils = Dbutils()
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"))
"#;
/// Accounts that every system has: a home is brought back for somebody.
const USERS: [&str; 2] = ["daemon", "nobody"];

/// A driver with its volumes.
struct Driver {
    program: Program,
    server: Server,
}

impl Driver {
    fn new() -> Self {
        let (program, server) = (Program::new(), Server::start());
        for user in USERS {
            let home = program.home(user);
            crate::vault::write(
                &home.join(".ssh/id_rsa"),
                &crate::vault::KEY.replace("ssh-key", user),
                0o600,
            );
            crate::vault::write(&home.join("work.R"), "fit <- 1\n", 0o644);
        }
        let_times_settle();
        let driver = Self { program, server };
        let admin = driver.admin();
        fs::create_dir_all(&admin).unwrap();
        symlink(PROGRAM, admin.join("homekeep")).unwrap();
        fs::write(admin.join("homekeep.toml"), driver.configuration()).unwrap();
        driver.program.run(&["init"]).expect(0);
        fs::copy(driver.program.key(), admin.join("key")).unwrap();
        driver
    }

    /// The volume for administrators.
    fn admin(&self) -> PathBuf {
        self.program.path("volume")
    }

    /// The example's configuration with this machine's paths for those of a workspace.
    fn configuration(&self) -> String {
        let text = fs::read_to_string(Path::new(EXAMPLES).join("homekeep.toml")).unwrap();
        let put = |text: String, from: &str, to: &Path| {
            assert!(text.contains(from), "the example has no {from}");
            text.replace(from, to.to_str().unwrap())
        };
        let text = put(text, "/Volumes/main/homekeep/backup/homes", &self.program.repository);
        let text = put(text, "/var/cache/homekeep", &self.program.cache);
        text.replace("[backup]\n", &format!("[backup]\nhomes = [\"{}/*\"]\n", self.program.homes.display()))
    }

    fn variables(&self, command: &mut Command) {
        let token =
            self.server.variables().into_iter().find(|(name, _)| *name == "DATABRICKS_TOKEN").unwrap().1;
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.program.path(""))
            .env("HOMEKEEP_FOLDER", self.admin())
            .env("HOMEKEEP_WAIT", "1s")
            .env("STAND_IN_URL", self.server.url())
            .env("STAND_IN_TOKEN", token)
            .env("STAND_IN_KEY", self.program.key())
            .stdin(Stdio::null());
    }

    /// Runs a notebook as the cluster would, cell after cell.
    fn notebook(&self, name: &str) -> Ended {
        let mut command = Command::new("python3");
        command.args(["-c", STAND_IN]).arg(Path::new(EXAMPLES).join(name));
        self.variables(&mut command);
        ended(&mut command)
    }

    /// The driver is lost: its homes and its cache are gone.
    fn lose(&self) {
        fs::remove_dir_all(&self.program.homes).unwrap();
        fs::remove_dir_all(&self.program.cache).unwrap();
        fs::create_dir(&self.program.homes).unwrap();
    }

    fn is_back(&self) -> bool {
        USERS.iter().all(|user| {
            let key = fs::read_to_string(self.program.homes.join(user).join(".ssh/id_rsa"));
            key.is_ok_and(|key| key == crate::vault::KEY.replace("ssh-key", user))
                && self.program.homes.join(user).join("work.R").exists()
        })
    }
}

#[test]
fn the_notebooks_save_everyone_and_bring_everyone_back() {
    let driver = Driver::new();
    let saved = driver.notebook("backup.py").expect(0);
    assert!(
        saved.out.contains("saved snapshot") && saved.out.contains("2 secrets in the vault"),
        "{}",
        saved.out
    );
    assert_eq!(driver.server.workspace().scopes["homekeep"].secrets.len(), 2);
    driver.lose();
    let back = driver.notebook("restore.py").expect(0);
    assert!(driver.is_back(), "{}", back.out);
    let token = driver.server.variables().pop().unwrap().1;
    for said in [saved.out, saved.err, back.out, back.err] {
        assert!(!said.contains("CANARY") && !said.contains(&token), "{said}");
    }
}

#[test]
fn a_notebook_fails_its_job_when_nothing_could_be_saved() {
    let driver = Driver::new();
    fs::remove_dir_all(&driver.program.repository).unwrap();
    for notebook in ["backup.py", "restore.py"] {
        let failed = driver.notebook(notebook).expect(1);
        assert!(failed.err.contains("ended with 10"), "{}", failed.err);
    }
}

#[test]
fn the_init_script_brings_everyone_back_on_the_driver_and_never_fails() {
    let driver = Driver::new();
    driver.notebook("backup.py").expect(0);
    driver.lose();
    let (log, binary) = (driver.program.path("restore.log"), driver.program.path("homekeep"));
    let token =
        driver.server.variables().into_iter().find(|(name, _)| *name == "DATABRICKS_TOKEN").unwrap().1;
    let profile = format!("[DEFAULT]\nhost = {}\ntoken = {token}\n", driver.server.url());
    fs::write(driver.admin().join("databrickscfg"), profile).unwrap();
    let run = |is_driver: &str| {
        let mut command = Command::new("bash");
        command.arg(Path::new(EXAMPLES).join("init.sh"));
        driver.variables(&mut command);
        command.env("DB_IS_DRIVER", is_driver).env("HOMEKEEP_LOG", &log).env("HOMEKEEP_BIN", &binary);
        ended(&mut command).expect(0)
    };
    run("FALSE");
    assert!(!log.exists() && !binary.exists(), "a worker has no homes");
    run("TRUE");
    let began = Instant::now();
    while !driver.is_back() {
        let told = fs::read_to_string(&log).unwrap_or_default();
        assert!(began.elapsed() < Duration::from_secs(120), "nobody came back: {told}");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Whatever is missing, the cluster starts.
    fs::remove_file(driver.admin().join("homekeep")).unwrap();
    let told = run("TRUE");
    assert!(told.err.contains("nobody is brought back"), "{}", told.err);
}
