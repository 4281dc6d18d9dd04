//! Whom each entry of a home belongs to here, and what metadata it gets. Asks each owner once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::{RestoreOptions, RestoreSource};
use super::Context;
use crate::files::metadata::EntryMeta;
use crate::files::owners::{Ids, OwnerMatch, OwnerNote, Owners, resolve};
use crate::format::{Entry, Owner};

/// So many owners are remembered.
const REMEMBERED: usize = 4096;

/// An owner with their numbers here, unless owners do not come back, and whether root stands in for them.
type KnownOwner = (Arc<Owner>, Option<(Ids, bool)>);

/// The metadata of one home's entries.
pub struct EntryMetas<'a> {
    source: &'a RestoreSource,
    context: &'a Context<'a>,
    /// Whom the home belongs to.
    home: Ids,
    known: HashMap<usize, KnownOwner>,
    /// Owners that do not exist here.
    pub notes: BTreeSet<String>,
}

impl<'a> EntryMetas<'a> {
    pub fn new(source: &'a RestoreSource, context: &'a Context<'a>) -> Self {
        let home = home_ids(source, context.options, context.owners);
        Self { source, context, home, known: HashMap::new(), notes: BTreeSet::new() }
    }

    /// The metadata an entry gets here.
    pub fn of(&mut self, entry: &Entry) -> EntryMeta {
        let key = Arc::as_ptr(&entry.owner) as usize;
        let known =
            self.known.get(&key).filter(|(owner, _)| Arc::ptr_eq(owner, &entry.owner)).map(|(_, ids)| *ids);
        let ids = known.unwrap_or_else(|| {
            let ids = self.context.options.owners.then(|| self.resolve(&entry.owner));
            if self.known.len() > REMEMBERED {
                self.known.clear();
            }
            // Holding the owner keeps its address from being given to another.
            self.known.insert(key, (Arc::clone(&entry.owner), ids));
            ids
        });
        let (owner, is_root_instead) = (ids.map(|(ids, _)| ids), ids.is_some_and(|(_, is)| is));
        EntryMeta::new(entry, owner, self.home, self.context.options.setuid)
            .without_rights_if(is_root_instead)
    }

    fn resolve(&mut self, owner: &Owner) -> (Ids, bool) {
        let options = self.context.options;
        let resolved = resolve(owner, &options.owner_map, self.context.owners, options.owner_match);
        let is_home = is_home_owner(owner, self.source);
        let is_told = |note: &&OwnerNote| !is_home || !note.is_of_a_number();
        self.notes.extend(resolved.notes.iter().filter(is_told).map(ToString::to_string));
        match is_home {
            true => (self.home, is_substitute(self.home, owner)),
            false => (resolved.ids, resolved.is_substitute),
        }
    }
}

/// Whom the home itself belongs to here. Whether it comes back at all was decided before: a number without a
/// name is theirs then.
fn home_ids(source: &RestoreSource, options: &RestoreOptions, owners: &Owners) -> Ids {
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
fn is_home_owner(owner: &Owner, source: &RestoreSource) -> bool {
    let home = &source.home.owner;
    owner.user.is_empty()
        && (owner.uid, owner.gid, &owner.group) == (home.uid, home.gid, &home.group)
        && home.user.is_empty()
}

/// Whether root stands in for the user or the group of a home.
fn is_substitute(here: Ids, owner: &Owner) -> bool {
    (here.uid == 0 && owner.uid != 0) || (here.gid == 0 && owner.gid != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_stands_in_where_it_did_not_own_the_home() {
        let owner = |uid, gid| Owner { uid, gid, ..Owner::default() };
        let ids = |uid, gid| Ids { uid, gid };
        for (here, there, is_root_instead) in [
            (ids(0, 5), owner(7, 5), true),
            (ids(7, 0), owner(7, 5), true),
            (ids(0, 0), owner(7, 5), true),
            (ids(0, 5), owner(0, 5), false),
            (ids(7, 0), owner(7, 0), false),
            (ids(8, 6), owner(7, 5), false),
        ] {
            assert_eq!(is_substitute(here, &there), is_root_instead, "{here:?} {there:?}");
        }
    }
}
