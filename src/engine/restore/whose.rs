//! Whose a home is, by the account that has to exist before it comes back. Knows what the snapshot says, and
//! asks this machine's accounts.

use std::sync::Arc;

use super::{RestoreOptions, RestoreSource};
use crate::files::accounts::{self, Account};
use crate::files::owners::{LookupFailure, OwnerMatch, Owners, number_holder, required_account};
use crate::format::{EntryKind, Owner};
use crate::repo::{Reader, RepoError};

/// How a home's owner stands on this machine.
pub enum Standing {
    /// Numbers are all that counts, or all that is known.
    ByNumber,
    /// The account is there.
    Here(String, Account),
    /// It is not.
    Missing(Absent),
    /// The snapshot has no name for the number, and here it is this account's, which is not the home's namesake.
    Stranger(u32, Arc<str>),
    /// The accounts cannot be asked.
    Unknown(LookupFailure),
}

/// An account that is to be waited for, or made.
#[derive(Debug, Clone)]
pub struct Absent {
    /// Its name.
    pub name: String,
    /// What it was on the machine that was saved.
    pub owner: Arc<Owner>,
}

/// Finds out whose a home is and whether they have an account.
pub fn standing(
    source: &RestoreSource,
    options: &RestoreOptions,
    reader: &mut Reader,
) -> Result<Standing, RepoError> {
    if !options.owners || options.owner_match == OwnerMatch::Number {
        return Ok(Standing::ByNumber);
    }
    let owner = owner(source, reader)?;
    let Some(name) = required_account(&owner, &options.owner_map) else {
        return Ok(match number_holder(&owner, &options.owner_map, &Owners::new()) {
            Some(holder) if holder.as_bytes() != source.user => Standing::Stranger(owner.uid, holder),
            _ => Standing::ByNumber,
        });
    };
    Ok(match accounts::find(name) {
        Ok(Some(account)) => Standing::Here(name.to_owned(), account),
        Ok(None) => Standing::Missing(Absent { name: name.to_owned(), owner: Arc::clone(&owner) }),
        Err(failure) => Standing::Unknown(failure),
    })
}

/// The owner of the home. An administrator may have made the directory before its user came: one that is root's
/// is its namesake's if anything in it is.
fn owner(source: &RestoreSource, reader: &mut Reader) -> Result<Arc<Owner>, RepoError> {
    let own = &source.entry.owner;
    let EntryKind::Directory(tree) = source.entry.kind else { return Ok(Arc::clone(own)) };
    if own.uid != 0 && !own.user.is_empty() {
        return Ok(Arc::clone(own));
    }
    let mut namesake = None;
    let found = reader.entries(&tree, |_, entry| {
        if namesake.is_none() && entry.owner.uid != 0 && entry.owner.user.as_bytes() == source.user {
            namesake = Some(entry.owner);
        }
        Ok::<_, RepoError>(())
    });
    match found {
        // What is damaged is told when the home is restored.
        Err(error) if !error.is_damage() => Err(error),
        _ => Ok(namesake.unwrap_or_else(|| Arc::clone(own))),
    }
}
