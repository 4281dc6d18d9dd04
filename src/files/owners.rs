//! Names and numbers of users and groups, and whom a restored entry belongs to. Knows this
//! machine's accounts, not its files.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User};

use crate::format::Owner;

/// A user and a group by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ids {
    /// Numeric user id.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
}

/// This machine's accounts, from wherever it has them (files, LDAP, SSSD), asked once for each
/// name and number. That there is no such account is remembered too: a missing name that a
/// million files have costs one question.
///
/// A lookup that fails is answered as "none" for as long as this value lives and kept in
/// [`Owners::failures`], so that "no such user" and "could not ask" stay different things.
pub struct Owners {
    user_names: Answers<u32, Arc<str>>,
    group_names: Answers<u32, Arc<str>>,
    user_ids: Answers<String, u32>,
    group_ids: Answers<String, u32>,
    no_name: Arc<str>,
    failures: Mutex<Vec<LookupFailure>>,
}

impl Owners {
    /// Nothing is asked yet.
    pub fn new() -> Self {
        Self {
            user_names: Answers::default(),
            group_names: Answers::default(),
            user_ids: Answers::default(),
            group_ids: Answers::default(),
            no_name: Arc::from(""),
            failures: Mutex::default(),
        }
    }

    /// The user's name; empty if there is none.
    pub fn name_of_uid(&self, uid: u32) -> Arc<str> {
        let ask = || Ok(User::from_uid(Uid::from_raw(uid))?.map(|user| user.name.into()));
        self.answer(&self.user_names, &uid, "user", ask).unwrap_or_else(|| self.no_name.clone())
    }

    /// The group's name; empty if there is none.
    pub fn name_of_gid(&self, gid: u32) -> Arc<str> {
        let ask = || Ok(Group::from_gid(Gid::from_raw(gid))?.map(|group| group.name.into()));
        self.answer(&self.group_names, &gid, "group", ask).unwrap_or_else(|| self.no_name.clone())
    }

    /// The user of this name, if there is one.
    pub fn uid_of(&self, name: &str) -> Option<u32> {
        let ask = || Ok(User::from_name(name)?.map(|user| user.uid.as_raw()));
        self.answer(&self.user_ids, name, "user", ask)
    }

    /// The group of this name, if there is one.
    pub fn gid_of(&self, name: &str) -> Option<u32> {
        let ask = || Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()));
        self.answer(&self.group_ids, name, "group", ask)
    }

    /// The lookups that failed until now, each once.
    pub fn failures(&self) -> Vec<LookupFailure> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answer<K, Q, V>(
        &self,
        answers: &Answers<K, V>,
        question: &Q,
        account: &'static str,
        ask: impl FnOnce() -> Result<Option<V>, Errno>,
    ) -> Option<V>
    where
        K: Hash + Eq + Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + fmt::Display + ?Sized,
        V: Clone,
    {
        let failed = |errno| {
            let failure = LookupFailure { account, key: question.to_string(), errno };
            self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
        };
        answers.find_or_ask(question, ask, failed)
    }
}

impl Default for Owners {
    fn default() -> Self {
        Self::new()
    }
}

/// The system's accounts could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot look up the {account} {key}")]
pub struct LookupFailure {
    account: &'static str,
    key: String,
    #[source]
    errno: Errno,
}

impl LookupFailure {
    pub(super) fn of_user(name: &str, errno: Errno) -> Self {
        Self { account: "user", key: name.into(), errno }
    }
}

/// getpwnam_r(3): how services say that there is no such account.
pub(super) fn is_no_account(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM)
}

/// Answers to one kind of question.
struct Answers<K, V>(RwLock<HashMap<K, Option<V>>>);

impl<K, V> Default for Answers<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Hash + Eq, V: Clone> Answers<K, V> {
    /// `ask` runs without the lock: a slow account server delays only those who wait for this
    /// very answer. Threads that ask the same at once may each ask; one answer is kept.
    fn find_or_ask<Q>(
        &self,
        question: &Q,
        ask: impl FnOnce() -> Result<Option<V>, Errno>,
        failed: impl FnOnce(Errno),
    ) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(question) {
            return known.clone();
        }
        let (answer, failure) = match ask() {
            Ok(answer) => (answer, None),
            Err(errno) if is_no_account(errno) => (None, None),
            Err(errno) => (None, Some(errno)),
        };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = known.get(question) {
            return earlier.clone();
        }
        known.insert(question.to_owned(), answer.clone());
        drop(known);
        if let Some(errno) = failure {
            failed(errno);
        }
        answer
    }
}

/// An account as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Account {
    Name(String),
    Number(u32),
}

impl Account {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.contains(['\0', '=']) {
            return None;
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            // Minus one is no account: to the kernel it means "leave the owner as it is".
            return text.parse().ok().filter(|number| *number != u32::MAX).map(Self::Number);
        }
        Some(Self::Name(text.to_owned()))
    }
}

/// Which accounts of the backup stand for which accounts here, as given with `--owner-map`:
/// `alice=bob,1001=2001,@staff=@users`. Names or numbers (digits only); `@` marks groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnerMap {
    users: HashMap<Account, Account>,
    groups: HashMap<Account, Account>,
}

/// Why a text is no [`OwnerMap`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseOwnerMapError {
    /// A pair is not `OLD=NEW`.
    #[error("{0:?} is not OLD=NEW, where both are users (alice, 1001) or both are groups (@staff, @50)")]
    Pair(String),
    /// The same account is mapped twice.
    #[error("{0:?} is mapped twice")]
    Twice(String),
}

impl FromStr for OwnerMap {
    type Err = ParseOwnerMapError;

    fn from_str(text: &str) -> Result<Self, ParseOwnerMapError> {
        let mut map = Self::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            map.add(pair)?;
        }
        Ok(map)
    }
}

impl OwnerMap {
    fn add(&mut self, pair: &str) -> Result<(), ParseOwnerMapError> {
        let malformed = || ParseOwnerMapError::Pair(pair.to_owned());
        let (old, new) = pair.split_once('=').ok_or_else(malformed)?;
        let (accounts, old_name, new_name) = match (old.strip_prefix('@'), new.strip_prefix('@')) {
            (Some(old), Some(new)) => (&mut self.groups, old, new),
            (None, None) => (&mut self.users, old, new),
            _ => return Err(malformed()),
        };
        let old_account = Account::parse(old_name).ok_or_else(malformed)?;
        let new_account = Account::parse(new_name).ok_or_else(malformed)?;
        match accounts.insert(old_account, new_account) {
            None => Ok(()),
            Some(_) => Err(ParseOwnerMapError::Twice(old.to_owned())),
        }
    }
}

/// What decides when names and numbers disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OwnerMatch {
    /// The account of that name here; the number only if there is none.
    #[default]
    Name,
    /// The number, whatever names say. `--numeric-ids`.
    Number,
    /// The account of that name here; the number only if there is none and the number is nobody's here.
    /// Else it is root's: on a machine whose numbers were given out anew, a stranger must not get it.
    NameOrFreeNumber,
}

/// Whom an entry belongs to here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedOwner {
    /// User and group.
    pub ids: Ids,
    /// Where the number had to stand in for a name; at most one for the user and one for the group.
    pub notes: Vec<OwnerNote>,
    /// Whether root stands in for the user or the group: what it may do with the rights of its owner is then
    /// nobody's to give.
    pub is_substitute: bool,
}

/// An account that does not exist here; its number from the backup was taken, or root's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OwnerNote {
    /// A user.
    User(MissingAccount),
    /// A group.
    Group(MissingAccount),
}

/// The account that was looked for, and what its number means here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MissingAccount {
    /// The name that nobody has here.
    pub name: String,
    /// Its number on the machine that was saved.
    pub number: u32,
    /// Whose number that is here; empty if nobody's.
    pub belongs_to: Arc<str>,
    /// Whether the number was taken; else root stands in.
    pub is_taken: bool,
}

impl OwnerNote {
    /// Whether the snapshot has no name, only a number.
    pub fn is_of_a_number(&self) -> bool {
        let (Self::User(missing) | Self::Group(missing)) = self;
        missing.name.is_empty()
    }
}

impl fmt::Display for OwnerNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (account, MissingAccount { name, number, belongs_to, is_taken }) = match self {
            Self::User(missing) => ("user", missing),
            Self::Group(missing) => ("group", missing),
        };
        if name.is_empty() {
            return write!(
                f,
                "the {account} {number} had no name on the machine that was saved, and is {belongs_to:?} here; \
                 root has it"
            );
        }
        if !is_taken {
            return write!(
                f,
                "no {account} {name:?} here, and its number {number} belongs to {belongs_to:?}; root has it"
            );
        }
        write!(f, "no {account} {name:?} here; its number {number} was used")?;
        if belongs_to.is_empty() { Ok(()) } else { write!(f, ", which belongs to {belongs_to:?} here") }
    }
}

/// Whom an entry that belonged to `owner` belongs to here: what `map` says; else the account of the
/// same name, unless numbers decide; else the account of the same number.
pub fn resolve(owner: &Owner, map: &OwnerMap, owners: &Owners, by: OwnerMatch) -> ResolvedOwner {
    let (uid, no_user) = resolve_one(&owner.user, owner.uid, &map.users, by, |name| owners.uid_of(name));
    let (gid, no_group) = resolve_one(&owner.group, owner.gid, &map.groups, by, |name| owners.gid_of(name));
    // A number without a name there that has one here means somebody else.
    let is_told = |name: &String, belongs_to: &str| !name.is_empty() || !belongs_to.is_empty();
    let missing = |name, number, belongs_to: Arc<str>| {
        let is_taken = by != OwnerMatch::NameOrFreeNumber || belongs_to.is_empty();
        MissingAccount { name, number, belongs_to, is_taken }
    };
    let no_user = no_user.map(|name| missing(name, uid, owners.name_of_uid(uid)));
    let no_group = no_group.map(|name| missing(name, gid, owners.name_of_gid(gid)));
    let no_user = no_user.filter(|missing| is_told(&missing.name, &missing.belongs_to));
    let no_group = no_group.filter(|missing| is_told(&missing.name, &missing.belongs_to));
    let or_root = |number, missing: &Option<MissingAccount>| match missing {
        Some(missing) if !missing.is_taken => 0,
        _ => number,
    };
    let ids = Ids { uid: or_root(uid, &no_user), gid: or_root(gid, &no_group) };
    let is_substitute = no_user.iter().chain(&no_group).any(|missing| !missing.is_taken);
    let notes = no_user.map(OwnerNote::User).into_iter().chain(no_group.map(OwnerNote::Group)).collect();
    ResolvedOwner { ids, notes, is_substitute }
}

/// Whose number the owner's is here, where the number is all that is known of them; none if it is nobody's.
pub fn number_holder(owner: &Owner, map: &OwnerMap, owners: &Owners) -> Option<Arc<str>> {
    let is_nameless = owner.user.is_empty() && mapped("", owner.uid, &map.users).is_none();
    Some(owners.name_of_uid(owner.uid)).filter(|holder| is_nameless && !holder.is_empty())
}

/// The account that has to exist here for `owner` to be more than a number: what `map` says, or the
/// recorded name. None where a number is all that there is.
pub fn required_account<'a>(owner: &'a Owner, map: &'a OwnerMap) -> Option<&'a str> {
    match mapped(&owner.user, owner.uid, &map.users) {
        Some(Account::Number(_)) => None,
        Some(Account::Name(name)) => Some(name),
        None => Some(owner.user.as_str()).filter(|name| !name.is_empty()),
    }
}

/// The number, and the name that was looked for in vain.
fn resolve_one(
    name: &str,
    number: u32,
    map: &HashMap<Account, Account>,
    by: OwnerMatch,
    number_of: impl Fn(&str) -> Option<u32>,
) -> (u32, Option<String>) {
    let wanted = match mapped(name, number, map) {
        Some(Account::Number(new)) => return (*new, None),
        Some(Account::Name(new)) => new.as_str(),
        None if by == OwnerMatch::Number => return (number, None),
        None => name,
    };
    match number_of(wanted) {
        // Zero is root's everywhere.
        _ if wanted.is_empty() && by == OwnerMatch::NameOrFreeNumber && number != 0 => {
            (number, Some(String::new()))
        }
        _ if wanted.is_empty() => (number, None),
        Some(here) => (here, None),
        None => (number, Some(wanted.to_owned())),
    }
}

fn mapped<'a>(name: &str, number: u32, map: &'a HashMap<Account, Account>) -> Option<&'a Account> {
    // The usual case builds no keys.
    if map.is_empty() {
        return None;
    }
    map.get(&Account::Name(name.to_owned())).or_else(|| map.get(&Account::Number(number)))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn owner(user: &str, uid: u32, group: &str, gid: u32) -> Owner {
        Owner { uid, gid, user: user.into(), group: group.into() }
    }

    fn ids(owner: &Owner, map: &str, by: OwnerMatch) -> (u32, u32, usize) {
        let resolved = resolve(owner, &map.parse().unwrap(), &Owners::new(), by);
        (resolved.ids.uid, resolved.ids.gid, resolved.notes.len())
    }

    #[test]
    fn this_machines_accounts_are_found_both_ways() {
        let owners = Owners::new();
        assert_eq!(&*owners.name_of_uid(0), "root");
        assert_eq!(&*owners.name_of_gid(0), "root");
        assert_eq!((owners.uid_of("root"), owners.gid_of("root")), (Some(0), Some(0)));
        assert_eq!(&*owners.name_of_uid(4_000_000_001), "");
        assert_eq!(owners.uid_of("no such user, ever"), None);
        assert_eq!(owners.gid_of("zero\0byte"), None);
        assert_eq!(owners.failures(), []);
    }

    #[test]
    fn every_question_is_asked_once_also_when_the_answer_is_no() {
        let answers = Answers::<u32, u32>::default();
        let (asked, failed) = (Cell::new(0), Cell::new(0));
        let ask = |question: u32, answer: Result<Option<u32>, Errno>| {
            let ask = || {
                asked.set(asked.get() + 1);
                answer
            };
            answers.find_or_ask(&question, ask, |_| failed.set(failed.get() + 1))
        };
        for _ in 0..3 {
            assert_eq!(ask(1, Ok(Some(7))), Some(7));
            assert_eq!(ask(2, Ok(None)), None);
            assert_eq!(ask(3, Err(Errno::ENOENT)), None);
            assert_eq!(ask(4, Err(Errno::EIO)), None);
        }
        assert_eq!((asked.get(), failed.get()), (4, 1));
    }

    #[test]
    fn names_decide_and_numbers_are_the_fallback() {
        let root = owner("root", 1001, "root", 1002);
        assert_eq!(ids(&root, "", OwnerMatch::Name), (0, 0, 0));
        assert_eq!(ids(&root, "", OwnerMatch::Number), (1001, 1002, 0));
        assert_eq!(ids(&owner("", 1001, "", 1002), "", OwnerMatch::Name), (1001, 1002, 0));
        let unknown = owner("nobody-knows", 0, "root", 5);
        assert_eq!(ids(&unknown, "", OwnerMatch::Name), (0, 0, 1));
        let resolved = resolve(&unknown, &OwnerMap::default(), &Owners::new(), OwnerMatch::Name);
        let note = "no user \"nobody-knows\" here; its number 0 was used, which belongs to \"root\" here";
        assert_eq!(resolved.notes[0].to_string(), note);
    }

    #[test]
    fn a_number_that_is_somebodys_here_goes_to_root_when_strangers_must_not_get_it() {
        let by = OwnerMatch::NameOrFreeNumber;
        let resolved = |owner| resolve(&owner, &OwnerMap::default(), &Owners::new(), by);
        // Every machine has an account with the number 1, whatever it is called; nobody has the other.
        let taken = resolved(owner("nobody-knows", 1, "nobody-knows", 1));
        assert_eq!((taken.ids, taken.is_substitute), (Ids { uid: 0, gid: 0 }, true));
        let first = Owners::new().name_of_uid(1);
        let note =
            format!("no user \"nobody-knows\" here, and its number 1 belongs to {first:?}; root has it");
        assert_eq!(taken.notes[0].to_string(), note);
        let free = resolved(owner("nobody-knows", 4_000_000_001, "root", 5));
        assert_eq!((free.ids, free.is_substitute), (Ids { uid: 4_000_000_001, gid: 0 }, false));
        let nameless = resolved(owner("", 1, "", 1));
        assert_eq!((nameless.ids, nameless.notes.len()), (Ids { uid: 0, gid: 0 }, 2));
        let note = format!(
            "the user 1 had no name on the machine that was saved, and is {first:?} here; root has it"
        );
        assert_eq!(nameless.notes[0].to_string(), note);
        let nobodys = resolved(owner("", 4_000_000_001, "", 0));
        assert_eq!((nobodys.ids, nobodys.notes.len()), (Ids { uid: 4_000_000_001, gid: 0 }, 0));
    }

    #[test]
    fn the_account_that_must_exist_is_the_mapped_or_the_recorded_one() {
        let ann = owner("ann", 1001, "", 0);
        let required = |map: &str| required_account(&ann, &map.parse().unwrap()).map(str::to_owned);
        assert_eq!(required(""), Some("ann".into()));
        assert_eq!(required("ann=bob"), Some("bob".into()));
        assert_eq!(required("1001=5"), None);
        assert_eq!(required_account(&owner("", 1001, "", 0), &OwnerMap::default()), None);
    }

    #[test]
    fn the_map_stands_above_names_and_numbers() {
        let alice = owner("alice", 1001, "staff", 50);
        assert_eq!(ids(&alice, "alice=root, @staff=@root", OwnerMatch::Name), (0, 0, 0));
        assert_eq!(ids(&alice, "1001=2001,@50=@51", OwnerMatch::Number), (2001, 51, 0));
        assert_eq!(ids(&alice, "1001=2001,alice=2002,@staff=@7", OwnerMatch::Name), (2002, 7, 0));
        assert_eq!(ids(&alice, "staff=7,alice=nobody-knows,@staff=@7", OwnerMatch::Name), (1001, 7, 1));
        assert_eq!(ids(&owner("a@x.org", 1, "", 2), "a@x.org=3", OwnerMatch::Name), (3, 2, 0));
    }

    #[test]
    fn maps_that_say_nothing_sensible_are_refused() {
        for text in [
            "alice",
            "alice=",
            "=bob",
            "@staff=users",
            "staff=@users",
            "a=b=c",
            "1=4294967295",
            "1=4294967296",
        ] {
            assert!(matches!(text.parse::<OwnerMap>(), Err(ParseOwnerMapError::Pair(_))), "{text}");
        }
        assert_eq!("a=b,a=c".parse::<OwnerMap>(), Err(ParseOwnerMapError::Twice("a".into())));
        assert!("a=b,@a=@c".parse::<OwnerMap>().is_ok());
    }
}
