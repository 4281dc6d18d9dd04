//! The exit codes: the one table of them. Knows no error; `error` says which code each one has.

/// How the program ends. Scripts rely on the numbers: they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Done = 0,
    /// Something failed that has no code of its own.
    Failed = 1,
    /// The command line or the configuration makes no sense.
    Usage = 2,
    /// Done, but not everything is as it should be.
    Problems = 3,
    /// There is no repository.
    NoRepository = 10,
    /// Someone else is at it.
    Busy = 11,
    /// The key or passphrase is another one.
    WrongKey = 12,
    /// There is no key to try.
    NoKey = 13,
    /// An object of the repository is damaged or missing.
    Damaged = 14,
    /// What stands there belongs to another repository or another program.
    Foreign = 15,
    /// A newer program wrote it.
    Newer = 16,
    /// Someone asked to stop.
    Interrupted = 130,
    /// Nobody read the output to its end.
    PipeClosed = 141,
}

impl Exit {
    /// All of them, by code.
    pub const ALL: [Self; 13] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Problems,
        Self::NoRepository,
        Self::Busy,
        Self::WrongKey,
        Self::NoKey,
        Self::Damaged,
        Self::Foreign,
        Self::Newer,
        Self::Interrupted,
        Self::PipeClosed,
    ];

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, in a line.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "the command line or the configuration file cannot be understood",
            Self::Problems => {
                "done with problems: files unreadable, a home missing or shrunk, damage noticed, a snapshot not forgotten"
            }
            Self::NoRepository => "there is no repository at the place",
            Self::Busy => {
                "another backup or prune of this repository, or a copy into it, is running on this machine"
            }
            Self::WrongKey => "wrong passphrase or key file",
            Self::NoKey => "the key file or passphrase is missing, damaged or cannot be read",
            Self::Damaged => {
                "an object of the repository is damaged or missing, or something that was saved is lost"
            }
            Self::Foreign => "an object belongs to another repository, or to another program",
            Self::Newer => "the repository needs a newer homekeep",
            Self::Interrupted => "interrupted by a signal",
            Self::PipeClosed => "whoever read the output of `dump` stopped before its end",
        }
    }

    /// The table that `--help` shows.
    pub fn table() -> String {
        let rows = Self::ALL.map(|exit| format!("  {:>3}  {}\n", exit.code(), exit.meaning()));
        format!("Exit codes:\n{}", rows.concat())
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_each_has_a_line_in_the_table() {
        assert!(Exit::ALL.is_sorted_by(|a, b| a.code() < b.code()));
        assert_eq!(Exit::table().lines().count(), 1 + Exit::ALL.len());
        assert!(Exit::table().contains("\n  130  interrupted"));
    }
}
