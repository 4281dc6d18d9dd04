//! Which accounts this machine has right now, and making new ones. Asks each time; remembers nothing.

mod create;

use std::path::PathBuf;

use nix::unistd::User;

use super::owners::{Ids, LookupFailure, is_no_account};

pub use create::{CreateError, NewAccount, check_name};

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number and that of its primary group.
    pub ids: Ids,
    /// Where its home is.
    pub home: PathBuf,
}

/// The account of this name, if there is one.
pub fn find(name: &str) -> Result<Option<Account>, LookupFailure> {
    match User::from_name(name) {
        Ok(user) => Ok(user.map(|user| Account {
            ids: Ids { uid: user.uid.as_raw(), gid: user.gid.as_raw() },
            home: user.dir,
        })),
        Err(errno) if is_no_account(errno) => Ok(None),
        Err(errno) => Err(LookupFailure::of_user(name, errno)),
    }
}
