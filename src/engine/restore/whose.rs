//! Whose a home is, by the account that has to exist before it comes back. Knows what the snapshot says, and
//! asks this machine's accounts.

use std::sync::Arc;

use super::{RestoreOptions, RestoreSource};
use crate::files::accounts::{self, Account};
use crate::files::owners::{
    Ids, LookupFailure, OwnerMatch, Owners, number_holder, required_account, resolve,
};
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

/// Whom the home itself belongs to here. Whether it comes back at all was decided before: a number without a
/// name is theirs then.
pub fn home_ids(source: &RestoreSource, options: &RestoreOptions, owners: &Owners) -> Ids {
    let owner = &source.home.owner;
    let by = |owner_match| resolve(owner, &options.owner_map, owners, owner_match).ids;
    let ids = by(options.owner_match);
    if options.owner_match != OwnerMatch::NameOrFreeNumber {
        return ids;
    }
    let number = by(OwnerMatch::Name);
    let is_own_group = owner.group.is_empty() && owners.name_of_gid(number.gid).as_bytes() == source.user;
    Ids {
        uid: if owner.user.is_empty() { number.uid } else { ids.uid },
        gid: if is_own_group { number.gid } else { ids.gid },
    }
}

/// Whether an entry belongs to whom the home belongs to, where both are numbers alone.
pub fn is_home_owner(owner: &Owner, source: &RestoreSource) -> bool {
    let home = &source.home.owner;
    owner.user.is_empty()
        && (owner.uid, owner.gid, &owner.group) == (home.uid, home.gid, &home.group)
        && home.user.is_empty()
}

/// Whether root stands in for the user or the group of a home.
pub fn is_substitute(here: Ids, owner: &Owner) -> bool {
    (here.uid == 0 && owner.uid != 0) || (here.gid == 0 && owner.gid != 0)
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
