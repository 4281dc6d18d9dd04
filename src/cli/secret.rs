//! Where the key or passphrase comes from. Knows files, commands, variables and the terminal, not
//! what the secret opens.
//!
//! Of what is named, a flag comes before the environment, and that before the configuration file;
//! then the default key file; then, on a terminal, a question.

use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use zeroize::Zeroizing;

use super::args::SecretArguments;
use super::config::RepositoryConfig;
use super::error::CliError;
use super::locate::{Origin, Variables};
use super::output::Output;
use crate::keys::{KeyError, KeyFile, KeyFileError, Secret, random_bytes};

/// A longer passphrase file is some other file.
const MAX_PASSPHRASE_LEN: usize = 64 << 10;

/// Something that gives a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A key file, and whether someone named it.
    KeyFile(PathBuf, Origin),
    /// A file that holds a passphrase.
    PasswordFile(PathBuf),
    /// A shell command that prints one.
    PasswordCommand(String),
    /// A passphrase in the environment.
    Password(Zeroizing<Vec<u8>>),
    /// A question on the terminal.
    Prompt,
}

impl SecretSource {
    /// The file that has the secret: it must not be saved beside what it protects.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::KeyFile(path, _) | Self::PasswordFile(path) => Some(path),
            Self::PasswordCommand(_) | Self::Password(_) | Self::Prompt => None,
        }
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The file with the passphrase cannot be read.
    #[error("cannot read the passphrase from {}", .path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The command cannot be run.
    #[error("cannot run the password command")]
    Command(#[source] io::Error),
    /// The command ran and failed.
    #[error("the password command failed ({0})")]
    CommandFailed(ExitStatus),
    /// There is nothing in what should hold a passphrase.
    #[error("the passphrase is empty")]
    Empty,
    /// The terminal gave none.
    #[error("cannot read a passphrase from the terminal")]
    Prompt(#[source] io::Error),
    /// It was typed in two ways.
    #[error("the two passphrases differ")]
    Differ,
    /// Nothing is named, and nobody can be asked.
    #[error("there is no key: name one with --key-file or --password-file")]
    Nothing,
    /// The same of the repository that is copied from.
    #[error(
        "there is no key to the repository to copy from: name one with --from-key-file or --from-password-file"
    )]
    NothingForSource,
    /// The system gives no randomness.
    #[error(transparent)]
    Random(KeyError),
}

impl SecretSource {
    /// The source that counts. Several flags are a mistake; of several variables the first counts, in the
    /// order of the help.
    pub fn find(
        flags: &SecretArguments,
        config: &RepositoryConfig,
        default_key_file: Option<&Path>,
        variables: Variables<'_>,
    ) -> Result<Self, CliError> {
        let path = |name| variables(name).map(PathBuf::from);
        let command = variables("HOMEKEEP_PASSWORD_COMMAND").map(|text| text.to_string_lossy().into_owned());
        let password =
            variables("HOMEKEEP_PASSWORD").map(|text| Self::Password(Zeroizing::new(text.into_vec())));
        let mut from_flags = named(&flags.key_file, &flags.password_file, &flags.password_command);
        let from_environment = named(&path("HOMEKEEP_KEY_FILE"), &path("HOMEKEEP_PASSWORD_FILE"), &command);
        let from_config = named(&config.key_file, &config.password_file, &config.password_command);
        if from_flags.len() > 1 {
            let message = "give one of --key-file, --password-file and --password-command";
            return Err(CliError::Usage(message.into()));
        }
        let found = from_flags.pop();
        let found = found.or_else(|| from_environment.into_iter().chain(password).chain(from_config).next());
        Ok(match (found, default_key_file) {
            (Some(source), _) => source,
            (None, Some(path)) => Self::KeyFile(path.into(), Origin::Default),
            (None, None) => Self::Prompt,
        })
    }

    /// The secret of a repository that exists.
    pub fn read(&self, output: &Output) -> Result<Secret, SecretError> {
        match self {
            Self::KeyFile(path, origin) => match KeyFile::read(path) {
                Ok(file) => Ok(checked(path, file, output)),
                Err(KeyFileError::Missing(_)) if *origin == Origin::Default && can_ask() => {
                    ask(&format!("There is no key file {}. Passphrase: ", path.display()))
                }
                Err(error) => Err(error.into()),
            },
            Self::PasswordFile(path) => passphrase_file(path),
            Self::PasswordCommand(command) => passphrase_command(command),
            Self::Password(text) => passphrase(text.clone()),
            Self::Prompt if can_ask() => ask("Passphrase: "),
            Self::Prompt => Err(SecretError::Nothing),
        }
    }

    /// The secret for something new: a key file that is missing is made, a passphrase that is asked for is
    /// asked for twice. Also returns the key file that was made.
    pub fn read_or_create(&self, output: &Output) -> Result<(Secret, Option<PathBuf>), SecretError> {
        match self {
            Self::KeyFile(path, _) => match KeyFile::read(path) {
                Ok(file) => Ok((checked(path, file, output), None)),
                Err(KeyFileError::Missing(_)) => {
                    let secret = Zeroizing::new(random_bytes().map_err(SecretError::Random)?);
                    KeyFile::create(path, &secret)?;
                    Ok((Secret::KeyFile(secret), Some(path.clone())))
                }
                Err(error) => Err(error.into()),
            },
            Self::Prompt if can_ask() => Ok((ask_twice()?, None)),
            source => Ok((source.read(output)?, None)),
        }
    }
}

/// The sources that are named, in the order in which they count.
fn named(
    key_file: &Option<PathBuf>,
    password_file: &Option<PathBuf>,
    password_command: &Option<String>,
) -> Vec<SecretSource> {
    let key_file = key_file.clone().map(|path| SecretSource::KeyFile(path, Origin::Named));
    let password_file = password_file.clone().map(SecretSource::PasswordFile);
    let password_command = password_command.clone().map(SecretSource::PasswordCommand);
    [key_file, password_file, password_command].into_iter().flatten().collect()
}

fn checked(path: &Path, file: KeyFile, output: &Output) -> Secret {
    if file.exposed {
        let path = path.display();
        output.warn(&format!("others on this machine can read the key file {path}: run `chmod 600 {path}`"));
    }
    Secret::KeyFile(file.secret)
}

/// The end of the last line is the editor's, not the passphrase's.
fn passphrase(mut text: Zeroizing<Vec<u8>>) -> Result<Secret, SecretError> {
    while text.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        text.pop();
    }
    if text.is_empty() { Err(SecretError::Empty) } else { Ok(Secret::Passphrase(text)) }
}

fn passphrase_file(path: &Path) -> Result<Secret, SecretError> {
    let error = |source| SecretError::PasswordFile { path: path.into(), source };
    let text = Zeroizing::new(std::fs::read(path).map_err(error)?);
    if text.len() > MAX_PASSPHRASE_LEN {
        return Err(error(io::Error::other("it is too long to hold a passphrase")));
    }
    passphrase(text)
}

fn passphrase_command(command: &str) -> Result<Secret, SecretError> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).stdin(Stdio::inherit()).stderr(Stdio::inherit());
    let answer = shell.output().map_err(SecretError::Command)?;
    let text = Zeroizing::new(answer.stdout);
    if answer.status.success() { passphrase(text) } else { Err(SecretError::CommandFailed(answer.status)) }
}

/// A prompt needs someone who sees it, and keys that are theirs.
fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn ask(question: &str) -> Result<Secret, SecretError> {
    let answer = rpassword::prompt_password(question).map_err(SecretError::Prompt)?;
    passphrase(Zeroizing::new(answer.into_bytes()))
}

fn ask_twice() -> Result<Secret, SecretError> {
    match (ask("New passphrase: ")?, ask("The same again: ")?) {
        (Secret::Passphrase(first), Secret::Passphrase(second)) if first == second => {
            Ok(Secret::Passphrase(first))
        }
        _ => Err(SecretError::Differ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(flags: &SecretArguments, config: &RepositoryConfig, set: &[(&str, &str)]) -> SecretSource {
        let variables = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into());
        SecretSource::find(flags, config, Some(Path::new("/default")), &variables).unwrap()
    }

    fn key_file(path: &str, origin: Origin) -> SecretSource {
        SecretSource::KeyFile(path.into(), origin)
    }

    #[test]
    fn a_flag_of_one_kind_comes_before_a_variable_of_another() {
        let config = RepositoryConfig { key_file: Some("/config".into()), ..RepositoryConfig::default() };
        let flags = SecretArguments { password_file: Some("/flag".into()), ..SecretArguments::default() };
        let none = SecretArguments::default();
        let set = [("HOMEKEEP_PASSWORD", "x"), ("HOMEKEEP_KEY_FILE", "/environment")];
        assert_eq!(find(&flags, &config, &set), SecretSource::PasswordFile("/flag".into()));
        assert_eq!(find(&none, &config, &set), key_file("/environment", Origin::Named));
        let password = SecretSource::Password(Zeroizing::new(b"x".to_vec()));
        assert_eq!(find(&none, &config, &set[..1]), password);
        assert_eq!(find(&none, &config, &[]), key_file("/config", Origin::Named));
        assert_eq!(find(&none, &RepositoryConfig::default(), &[]), key_file("/default", Origin::Default));
    }

    #[test]
    fn two_flags_are_a_mistake() {
        let flags = SecretArguments {
            key_file: Some("/a".into()),
            password_file: Some("/b".into()),
            ..SecretArguments::default()
        };
        let found = SecretSource::find(&flags, &RepositoryConfig::default(), None, &|_| None);
        assert!(matches!(found, Err(CliError::Usage(_))));
    }

    #[test]
    fn a_passphrase_ends_before_its_line_does() {
        for (text, expected) in [("a b\n", "a b"), ("a\r\n", "a"), (" a ", " a ")] {
            let Ok(Secret::Passphrase(secret)) = passphrase(Zeroizing::new(text.into())) else { panic!() };
            assert_eq!(*secret, expected.as_bytes());
        }
        assert!(matches!(passphrase(Zeroizing::new(b"\n".to_vec())), Err(SecretError::Empty)));
    }

    #[test]
    fn a_command_gives_the_passphrase_or_says_that_it_failed() {
        let Ok(Secret::Passphrase(secret)) = passphrase_command("printf 'x y'; echo") else { panic!() };
        assert_eq!(*secret, b"x y");
        assert!(matches!(passphrase_command("exit 3"), Err(SecretError::CommandFailed(_))));
    }
}
