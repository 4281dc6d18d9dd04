//! Owners as entries hold them, one shared value for each pair of user and group.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use nix::unistd::{Uid, User};

use super::live_sqlite::Account;
use super::owners::Owners;
use crate::format::Owner;

/// Turns numbers into owners, from many threads at once.
#[derive(Default)]
pub struct OwnerCache {
    names: Owners,
    owners: RwLock<HashMap<(u32, u32), Arc<Owner>>>,
}

impl OwnerCache {
    /// The owner with these numbers; the names are this machine's.
    pub fn owner(&self, uid: u32, gid: u32) -> Arc<Owner> {
        let known = self.owners.read().unwrap_or_else(PoisonError::into_inner).get(&(uid, gid)).cloned();
        known.unwrap_or_else(|| {
            let (user, group) =
                (self.names.name_of_uid(uid).to_string(), self.names.name_of_gid(gid).to_string());
            let owner = Arc::new(Owner { uid, gid, user, group });
            let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(owners.entry((uid, gid)).or_insert(owner))
        })
    }

    /// As whom to act for a user: with the primary group, or the file's where the user has no account.
    pub fn account(&self, uid: u32, gid: u32) -> Account {
        let primary = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.gid.as_raw());
        Account { uid, gid: primary.unwrap_or(gid) }
    }
}
