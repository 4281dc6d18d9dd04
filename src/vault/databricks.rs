//! A provider in the secret scopes of a Databricks workspace (Secrets API 2.0): one secret per user, 1 000 to a scope,
//! further scopes as they are needed. Knows which calls an operation takes, and what their failures mean to a person.

mod access;
mod api;
mod client;
mod environment;
mod fault;
mod host;
mod pace;
mod placement;
mod profile;
mod token;
mod transport;
mod wanted;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::environment::Environment;
pub use self::pace::Patience;

use self::access::Access;
use self::api::{ScopeListed, SecretListed};
use self::client::{CallError, Client};
use self::fault::{Fault, Meaning};
use self::placement::{Copy, Family, Placement};
use self::wanted::Wanted;
use super::names::{self, Decoded};
use super::provider::{Grant, Listing, Provider, ProviderError, Stamp, Written};

/// The longest key.
const MAX_KEY_LEN: usize = 128;
/// The most bytes of a secret: the documentation's 128 KB in the narrowest sense.
const MAX_LEN: usize = 128_000;
/// How often a put looks for another place, when those that it had are gone.
const MAX_MOVES: usize = 8;

/// Which workspace, which scopes, and how fast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabricksSettings {
    /// The name of the first scope, and the beginning of the others' names.
    pub scope: String,
    /// The profile in `~/.databrickscfg`; where none is named, the environment counts, then the default profile.
    pub profile: Option<String>,
    /// The workspace's address, where neither the profile nor `DATABRICKS_HOST` says it.
    pub host: Option<String>,
    /// Who manages scopes that are created, besides the one who creates them: `users`, where the workspace's plan
    /// demands it.
    pub initial_manage_principal: Option<String>,
    /// The most calls in a second, of all threads together.
    pub calls_per_second: u32,
}

/// Documents as secrets of a workspace.
#[derive(Debug)]
pub struct DatabricksProvider {
    client: Client,
    family: Family,
    initial_manage_principal: Option<String>,
    known: Mutex<Known>,
    /// Held by whoever lists or makes scopes, so that threads do not do it all at once.
    exploring: Mutex<()>,
}

/// What was found out.
#[derive(Debug, Default)]
struct Known {
    /// How often all scopes were listed.
    listings: u64,
    placement: Placement,
    /// Whose a key with a hash is.
    hashed: HashMap<String, String>,
    /// Copies that were handed out to be merged, by key.
    handed_out: HashMap<String, Vec<Copy>>,
}

type Listed = BTreeMap<u32, (ScopeListed, Vec<SecretListed>)>;

impl DatabricksProvider {
    /// Calls nobody yet.
    pub fn new(
        settings: &DatabricksSettings,
        environment: &Environment,
        patience: Patience,
    ) -> Result<Self, ProviderError> {
        let wrong = ProviderError::Configuration;
        let family = Family::new(&settings.scope).map_err(wrong)?;
        if settings.calls_per_second == 0 {
            return Err(wrong("the vault's calls per second cannot be zero".into()));
        }
        let principal = settings.initial_manage_principal.clone();
        if principal.as_ref().is_some_and(|principal| principal != "users") {
            return Err(wrong("initial_manage_principal can only be users, or left out".into()));
        }
        let access = Access::find(settings.profile.as_deref(), settings.host.as_deref(), environment);
        let client = Client::new(access.map_err(wrong)?, environment, settings.calls_per_second, patience);
        Ok(Self {
            client: client.map_err(wrong)?,
            family,
            initial_manage_principal: principal,
            known: Mutex::default(),
            exploring: Mutex::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exploring(&self) -> MutexGuard<'_, ()> {
        self.exploring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The vault's own scopes, by number.
    fn scopes(&self) -> Result<BTreeMap<u32, ScopeListed>, ProviderError> {
        let scopes = api::list_scopes(&self.client).map_err(|e| self.failed(e, Wanted::ListScopes))?;
        Ok(scopes.into_iter().filter_map(|scope| Some((self.family.number(&scope.name)?, scope))).collect())
    }

    /// Lists all scopes: a call, and one for each of the vault's.
    fn explore(&self) -> Result<Listed, ProviderError> {
        let mut listed = Listed::new();
        for (number, scope) in self.scopes()? {
            match api::list_secrets(&self.client, &scope.name) {
                Ok(secrets) => {
                    listed.insert(number, (scope, secrets));
                }
                // It was deleted just now.
                Err(CallError::Refused(fault)) if fault.meaning() == Meaning::Absent => {}
                Err(error) => return Err(self.failed(error, Wanted::Read(&scope.name))),
            }
        }
        let mut known = self.known();
        known.placement.replace(&listed);
        known.listings += 1;
        Ok(listed)
    }

    /// Lists all scopes, unless that was done before, or by another thread since `seen` listings.
    fn explore_beyond(&self, seen: u64) -> Result<(), ProviderError> {
        let _exploring = self.exploring();
        if self.known().listings > seen {
            return Ok(());
        }
        self.explore().map(drop)
    }

    /// Where the copy that counts is, and how many listings say so.
    fn locate(&self, key: &str) -> Result<(Option<Copy>, u64), ProviderError> {
        self.explore_beyond(0)?;
        let known = self.known();
        Ok((known.placement.copies(key).first().cloned(), known.listings))
    }

    fn get_copy(&self, copy: &Copy, key: &str) -> Result<Option<Vec<u8>>, ProviderError> {
        let got = api::get_secret(&self.client, &copy.scope, key);
        got.map_err(|error| self.failed(error, Wanted::Read(&copy.scope)))
    }

    /// Where to put a secret: where it is, or a place of its own; and whether it is new there.
    fn place(&self, key: &str) -> Result<(Copy, bool), ProviderError> {
        self.explore_beyond(0)?;
        for _ in 0..MAX_MOVES {
            let seen = {
                let known = &mut *self.known();
                if let Some(copy) = known.placement.copies(key).first() {
                    if known.placement.is_read_only(copy.number) {
                        return Err(self.read_only(&copy.scope));
                    }
                    return Ok((copy.clone(), false));
                }
                if let Some(copy) = known.placement.reserve(key) {
                    return Ok((copy, true));
                }
                if let Some(scope) = known.placement.only_read_only() {
                    return Err(self.read_only(scope));
                }
                known.listings
            };
            self.grow(seen)?;
        }
        Err(self.unsettled())
    }

    /// Makes the next scope, if no other thread did or listed anew since `seen` listings. Another machine may have
    /// been faster: then what it has put there counts.
    fn grow(&self, seen: u64) -> Result<(), ProviderError> {
        let _exploring = self.exploring();
        let (number, has_room) = {
            let known = &mut *self.known();
            if known.listings > seen {
                return Ok(());
            }
            (known.placement.next_number(), known.placement.has_room())
        };
        if has_room {
            return Ok(());
        }
        let name = self.family.name(number);
        let is_ours = match api::create_scope(&self.client, &name, self.initial_manage_principal.as_deref()) {
            Ok(()) => true,
            Err(CallError::Refused(fault)) if fault.meaning() == Meaning::Exists => false,
            Err(error) => return Err(self.failed(error, Wanted::Create(&name))),
        };
        self.explore()?;
        if is_ours {
            // Where the listing is late.
            self.known().placement.add_scope(number, ScopeListed { name, is_read_only: false });
        }
        Ok(())
    }

    /// One try to put a secret where it belongs; none if it belongs elsewhere by now.
    fn put_once(&self, user: &str, key: &str, document: &[u8]) -> Result<Option<Written>, ProviderError> {
        let (copy, is_new) = self.place(key)?;
        let error = match api::put_secret(&self.client, &copy.scope, key, document) {
            Ok(answer) => {
                self.known().placement.was_put(key, copy.number);
                return Ok(Some(answer.within_ms.map_or(Written::Unknown, Written::Within)));
            }
            Err(error) => error,
        };
        let meaning = match &error {
            CallError::Refused(fault) => fault.meaning(),
            // It may have been put: the next try goes to the same place.
            _ => return Err(self.failed(error, Wanted::Write { user, scope: &copy.scope })),
        };
        let known = &mut *self.known();
        match meaning {
            Meaning::Limit => known.placement.found_full(key, copy.number),
            // The scope is gone.
            Meaning::Absent => {
                known.placement.forget(key, copy.number);
                known.listings = 0;
            }
            _ => {
                if is_new {
                    known.placement.forget(key, copy.number);
                }
                return Err(self.failed(error, Wanted::Write { user, scope: &copy.scope }));
            }
        }
        Ok(None)
    }

    /// Removes the older copies that were merged into what was put, where they are as they were then.
    fn remove_merged(&self, key: &str) -> Result<(), ProviderError> {
        let Some(merged) = self.known().handed_out.remove(key) else { return Ok(()) };
        for copy in merged {
            let failed = |error| self.failed(error, Wanted::Remove(&copy.scope));
            let now = api::list_secrets(&self.client, &copy.scope).map_err(failed)?;
            if now.iter().any(|secret| secret.key == key && secret.time_ms == copy.time_ms) {
                api::delete_secret(&self.client, &copy.scope, key).map_err(failed)?;
                self.known().placement.forget(key, copy.number);
            }
        }
        Ok(())
    }

    /// Whose a key is; none if it is no user's.
    fn user_of(&self, key: &str, copy: &Copy) -> Result<Option<String>, ProviderError> {
        match names::decode(key, MAX_KEY_LEN) {
            Some(Decoded::User(user)) => return Ok(Some(user)),
            None => return Ok(None),
            Some(Decoded::Hashed) => {}
        }
        if let Some(user) = self.known().hashed.get(key) {
            return Ok(Some(user.clone()));
        }
        let document = self.get_copy(copy, key)?;
        let user = document.and_then(|document| names::named_in(&document, key, MAX_KEY_LEN));
        if let Some(user) = &user {
            self.known().hashed.insert(key.to_owned(), user.clone());
        }
        Ok(user)
    }

    fn unsettled(&self) -> ProviderError {
        let reason = "scopes come and go faster than a secret can be put".to_owned();
        ProviderError::Unavailable { location: self.location(), reason }
    }

    fn read_only(&self, scope: &str) -> ProviderError {
        ProviderError::ReadOnly {
            location: self.location(),
            reason: format!(
                "the scope {scope} shows what an Azure Key Vault has, and Databricks only reads from it; name a scope that Databricks itself keeps, or one that does not exist yet"
            ),
        }
    }

    fn failed(&self, error: CallError, wanted: Wanted<'_>) -> ProviderError {
        let location = self.location();
        match error {
            CallError::Refused(fault) => self.refused(&fault, wanted),
            CallError::Passing(passing) => ProviderError::Unavailable { location, reason: passing.reason },
            CallError::Unavailable(reason) => ProviderError::Unavailable { location, reason },
            CallError::Senseless(reason) => ProviderError::Protocol { location, reason },
        }
    }

    fn refused(&self, fault: &Fault, wanted: Wanted<'_>) -> ProviderError {
        let (location, words) = (self.location(), fault.text());
        match fault.meaning() {
            Meaning::Limit => {
                ProviderError::Full { location, reason: format!("{words}. {}", wanted.at_limit()) }
            }
            Meaning::Denied => {
                ProviderError::Denied { location, reason: format!("{words}. {}", wanted.right()) }
            }
            Meaning::Unauthenticated => ProviderError::Denied {
                location,
                reason: format!(
                    "{words}. The token is not accepted: is it of this workspace, and not expired?"
                ),
            },
            Meaning::ReadOnly => match wanted {
                Wanted::Read(_) | Wanted::ListScopes => ProviderError::Denied { location, reason: words },
                Wanted::Write { scope, .. } | Wanted::Create(scope) | Wanted::Remove(scope) => {
                    self.read_only(scope)
                }
            },
            // What the API keeps for notebooks.
            Meaning::Refused if fault.code == "BAD_REQUEST" && matches!(wanted, Wanted::Read(_)) => {
                ProviderError::Denied {
                    location,
                    reason: format!(
                        "{words}. Some workspaces give secrets only to what runs on one of their clusters"
                    ),
                }
            }
            Meaning::Refused | Meaning::Absent | Meaning::Exists | Meaning::Passing => {
                ProviderError::Protocol { location, reason: format!("{}: {words}", wanted.text()) }
            }
        }
    }
}

impl Provider for DatabricksProvider {
    fn list(&self) -> Result<Listing, ProviderError> {
        let listed = {
            let _exploring = self.exploring();
            self.explore()?
        };
        // What this process knows better than a late listing is for placing, and not for telling.
        let mut fresh = Placement::default();
        fresh.replace(&listed);
        let mut listing = Listing::new();
        for (key, copy) in fresh.keys() {
            if let Some(user) = self.user_of(key, copy)? {
                listing.insert(user, stamp(copy));
            }
        }
        Ok(listing)
    }

    /// One call for whoever was in the last listing. Anybody else is looked for anew, for another machine may have
    /// put them since, and a put that follows must not overwrite what nobody has read.
    fn get(&self, user: &str) -> Result<Option<Vec<u8>>, ProviderError> {
        let key = names::encode(user, MAX_KEY_LEN);
        let is_first = self.known().listings == 0;
        let (copy, seen) = self.locate(&key)?;
        if copy.is_none() && is_first {
            return Ok(None);
        }
        if let Some(copy) = copy {
            if let Some(document) = self.get_copy(&copy, &key)? {
                return Ok(Some(document));
            }
            self.known().placement.forget(&key, copy.number);
        }
        self.explore_beyond(seen)?;
        match self.locate(&key)?.0 {
            Some(copy) => self.get_copy(&copy, &key),
            None => Ok(None),
        }
    }

    fn put(&self, user: &str, document: &[u8]) -> Result<Written, ProviderError> {
        let location = self.location();
        let bytes = api::stored_len(document);
        if bytes > MAX_LEN {
            return Err(ProviderError::TooLarge { user: user.to_owned(), bytes, limit: MAX_LEN, location });
        }
        names::check_document(user, document, MAX_KEY_LEN, &location)?;
        let key = names::encode(user, MAX_KEY_LEN);
        for _ in 0..MAX_MOVES {
            if let Some(written) = self.put_once(user, &key, document)? {
                self.remove_merged(&key)?;
                return Ok(written);
            }
        }
        Err(self.unsettled())
    }

    /// The copy that counts goes last, so that no older one ever stands in its place.
    fn delete(&self, user: &str) -> Result<(), ProviderError> {
        let key = names::encode(user, MAX_KEY_LEN);
        let seen = self.known().listings;
        self.explore_beyond(seen)?;
        let copies = self.known().placement.copies(&key).to_vec();
        for copy in copies.iter().rev() {
            if self.known().placement.is_read_only(copy.number) {
                return Err(self.read_only(&copy.scope));
            }
            api::delete_secret(&self.client, &copy.scope, &key)
                .map_err(|error| self.failed(error, Wanted::Remove(&copy.scope)))?;
            self.known().placement.forget(&key, copy.number);
        }
        Ok(())
    }

    fn older_copies(&self, user: &str) -> Result<Vec<Vec<u8>>, ProviderError> {
        let key = names::encode(user, MAX_KEY_LEN);
        self.explore_beyond(0)?;
        let copies: Vec<Copy> = self.known().placement.copies(&key).iter().skip(1).cloned().collect();
        let mut documents = Vec::new();
        for copy in &copies {
            documents.extend(self.get_copy(copy, &key)?);
        }
        if !copies.is_empty() {
            self.known().handed_out.insert(key, copies);
        }
        Ok(documents)
    }

    fn grants(&self) -> Result<Vec<Grant>, ProviderError> {
        let mut grants = Vec::new();
        for scope in self.scopes()?.into_values() {
            let items = api::list_acls(&self.client, &scope.name)
                .map_err(|error| self.failed(error, Wanted::Read(&scope.name)))?;
            grants.extend(items.into_iter().map(|item| Grant {
                place: scope.name.clone(),
                principal: item.principal,
                permission: item.permission,
            }));
        }
        grants.sort();
        Ok(grants)
    }

    fn max_len(&self) -> usize {
        MAX_LEN
    }

    fn location(&self) -> String {
        format!("the Databricks scope {:?} at {}", self.family.base(), self.client.host())
    }
}

/// A copy in another scope is another document, whatever its time.
fn stamp(copy: &Copy) -> Stamp {
    let tag = copy.time_ms.map_or_else(String::new, |time_ms| format!("{}-{time_ms}", copy.number));
    Stamp { tag, time_ms: copy.time_ms }
}
