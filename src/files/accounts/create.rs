//! Makes an account for somebody whom a snapshot knows, with the system's own programs. Everything about them
//! comes from a repository: no word of it is an option, a path that leads elsewhere, or text for a shell, and
//! nobody gets rights over what this machine had before.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::unistd::{Gid, Group, Uid, User};
use rustix::process::geteuid;

use super::{Account, LookupFailure, find};
use crate::format::Owner;

/// Below are the accounts of the system itself.
const FIRST_NUMBER: u32 = 1000;
/// `nobody`, the number that means none in 16 bits, and what means "leave it" to the kernel.
const NO_NUMBERS: [u32; 3] = [65_534, 65_535, u32::MAX];
/// The group that all users share where each has none of their own.
const SHARED_GROUP: &str = "users";
/// Where the system's programs are.
const FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];
/// How these programs say that they do not like a name or a number.
const BAD_ARGUMENT: i32 = 3;
/// Longest name that any part of the system takes.
const NAME_MAX: usize = 255;

/// An account to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewAccount<'a> {
    /// What it is to be called.
    pub name: &'a str,
    /// Numbers and group on the machine that was saved; taken if they are free and no system account's.
    pub was: &'a Owner,
    /// Its home. It is not made.
    pub home: &'a Path,
}

/// Why an account was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Whoever runs this may not.
    #[error("only root can create users")]
    NotRoot,
    /// The name is none for an account.
    #[error("{name:?} is no name for an account: {why}")]
    Name {
        /// The name.
        name: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// The home cannot be written down.
    #[error("{0:?} cannot be the home of an account")]
    Home(PathBuf),
    /// The system has no such program.
    #[error(
        "there is no {0} in /usr/sbin or /sbin: install the package that has it (`passwd` or `shadow-utils`)"
    )]
    NoProgram(&'static str),
    /// It cannot be started.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// It did not do it.
    #[error("{program} failed: {said}")]
    Refused {
        /// The program.
        program: &'static str,
        /// What it said, or how it ended.
        said: String,
    },
    /// The accounts cannot be asked.
    #[error(transparent)]
    Lookup(#[from] LookupFailure),
}

impl NewAccount<'_> {
    /// Makes it, with a locked password, and a group of its own unless the group it had is there.
    pub fn create(&self) -> Result<Account, CreateError> {
        if !geteuid().is_root() {
            return Err(CreateError::NotRoot);
        }
        check_name(self.name).map_err(|why| CreateError::Name { name: self.name.into(), why })?;
        // Two homes may be one account's.
        if let Some(account) = find(self.name)? {
            return Ok(account);
        }
        check_home(self.home)?;
        let useradd = program("useradd")?;
        let group = self.group()?;
        let number = self.has_free_number().then_some(self.was.uid);
        let output = match self.add(&useradd, number, &group, false)? {
            // Older programs know no such option, and take such names without it.
            refused if refused.status.code() == Some(BAD_ARGUMENT) => {
                self.add(&useradd, number, &group, true)?
            }
            output => output,
        };
        checked("useradd", &output)?;
        find(self.name)?.ok_or_else(|| CreateError::Refused {
            program: "useradd",
            said: "it reported success, and the account is not there".into(),
        })
    }

    /// Whether the number it had is free: such accounts are to be made before those that take any.
    pub fn has_free_number(&self) -> bool {
        is_usable(self.was.uid)
            && User::from_uid(Uid::from_raw(self.was.uid)).is_ok_and(|user| user.is_none())
    }

    fn add(
        &self,
        useradd: &Path,
        number: Option<u32>,
        group: &PrimaryGroup,
        is_bad_name: bool,
    ) -> Result<Output, CreateError> {
        let mut words: Vec<OsString> = vec!["--no-create-home".into(), "--home-dir".into(), self.home.into()];
        if let Some(number) = number {
            words.extend(["--uid".into(), number.to_string().into()]);
        }
        match group {
            PrimaryGroup::Here(gid) => {
                words.extend(["--no-user-group".into(), "--gid".into(), gid.to_string().into()]);
            }
            PrimaryGroup::OfItsOwn => words.push("--user-group".into()),
        }
        words.extend(is_bad_name.then(|| "--badname".into()));
        words.extend(["--".into(), self.name.into()]);
        run("useradd", useradd, &words)
    }

    /// The primary group. A group of the system is nobody's to join because a snapshot says so.
    fn group(&self) -> Result<PrimaryGroup, CreateError> {
        let recorded = Some(self.was.group.as_str()).filter(|group| check_name(group).is_ok());
        let is_shared = |group: &Group| group.gid.as_raw() >= FIRST_NUMBER || group.name == SHARED_GROUP;
        for name in recorded.into_iter().chain([self.name]) {
            match Group::from_name(name) {
                Ok(Some(group)) if is_shared(&group) => return Ok(PrimaryGroup::Here(group.gid.as_raw())),
                Ok(Some(_)) => {}
                Ok(None) => return self.make_group(name),
                Err(errno) => return Err(LookupFailure::of_user(name, errno).into()),
            }
        }
        let said = format!("{:?} is a group of the system, which nobody joins by being restored", self.name);
        Err(CreateError::Refused { program: "groupadd", said })
    }

    fn make_group(&self, name: &str) -> Result<PrimaryGroup, CreateError> {
        let groupadd = program("groupadd")?;
        let gid = self.was.gid;
        let is_free =
            is_usable(gid) && Group::from_gid(Gid::from_raw(gid)).is_ok_and(|group| group.is_none());
        let mut words: Vec<OsString> = Vec::new();
        if is_free {
            words.extend(["--gid".into(), gid.to_string().into()]);
        }
        words.extend(["--".into(), name.into()]);
        let output = run("groupadd", &groupadd, &words)?;
        if output.status.code() == Some(BAD_ARGUMENT) {
            // Names that only useradd can be talked into.
            return Ok(PrimaryGroup::OfItsOwn);
        }
        checked("groupadd", &output)?;
        match Group::from_name(name) {
            Ok(Some(group)) => Ok(PrimaryGroup::Here(group.gid.as_raw())),
            _ => Ok(PrimaryGroup::OfItsOwn),
        }
    }
}

/// The group that new files of the account belong to.
enum PrimaryGroup {
    Here(u32),
    OfItsOwn,
}

/// Which rule a name breaks: letters, digits and `_-.@+`, a letter, digit or `_` first, and not digits alone, which
/// would be read as a number.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match name.as_bytes() {
        [] => Err("it is empty"),
        bytes if bytes.len() > NAME_MAX => Err("it is too long"),
        [first, ..] if !is_plain(*first) => Err("it does not begin with a letter, a digit or `_`"),
        bytes if !bytes.iter().all(|byte| is_plain(*byte) || b"-.@+".contains(byte)) => {
            Err("it has other characters than letters, digits and `_-.@+`")
        }
        bytes if bytes.iter().all(u8::is_ascii_digit) => Err("it is a number"),
        _ => Ok(()),
    }
}

/// A line of the account database ends fields with colons.
fn check_home(home: &Path) -> Result<(), CreateError> {
    let bytes = home.as_os_str().as_bytes();
    let is_sound = home.is_absolute() && !bytes.iter().any(|byte| *byte == b':' || byte.is_ascii_control());
    if is_sound { Ok(()) } else { Err(CreateError::Home(home.into())) }
}

fn is_usable(number: u32) -> bool {
    number >= FIRST_NUMBER && !NO_NUMBERS.contains(&number)
}

fn program(name: &'static str) -> Result<PathBuf, CreateError> {
    let paths = FOLDERS.iter().map(|folder| Path::new(folder).join(name));
    paths.into_iter().find(|path| path.is_file()).ok_or(CreateError::NoProgram(name))
}

fn run(name: &'static str, path: &Path, words: &[impl AsRef<OsStr>]) -> Result<Output, CreateError> {
    let mut command = Command::new(path);
    command.args(words).env_clear().env("PATH", FOLDERS.join(":")).env("LC_ALL", "C");
    command.stdin(Stdio::null()).current_dir("/");
    command.output().map_err(|source| CreateError::Run { program: name, source })
}

fn checked(program: &'static str, output: &Output) -> Result<(), CreateError> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().replace('\n', "; ");
    let said = if said.is_empty() { output.status.to_string() } else { said };
    Err(CreateError::Refused { program, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_names_of_accounts() {
        for name in ["ann", "_x", "7up", "ann.b-c_d", "Ann@example.org", "a+b", &"n".repeat(255)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let long = "n".repeat(300);
        let wrong = [
            "", "-x", "--help", ".", "..", ".x", "@x", "+x", "a/b", "a b", "a:b", "a\nb", "a\0", "ä",
            "$(id)", "1001", "a,b", "a%b", "a!", &long,
        ];
        for name in wrong {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_home_is_one_field_of_a_line() {
        for home in ["/home/ann", "/home/a b", "/home/ä"] {
            assert!(check_home(home.as_ref()).is_ok(), "{home}");
        }
        for home in ["home", "", "/home/a:b", "/home/a\nroot::0:0"] {
            assert!(matches!(check_home(home.as_ref()), Err(CreateError::Home(_))), "{home:?}");
        }
    }

    #[test]
    fn numbers_of_the_system_are_never_taken() {
        for number in [0, 1, 999, 65_534, 65_535, u32::MAX] {
            assert!(!is_usable(number), "{number}");
        }
        assert!(is_usable(1000) && is_usable(2_000_000));
    }
}
