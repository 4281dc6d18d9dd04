//! The vault's part of a run: which secrets each home has, and bringing the users' documents up to date, beside the walk.
//!
//! The local index remembers, per home, which version of which item there was, and the stamp of the document that had all of
//! them. While the stamp is the same and no secret changed, nothing is read and nothing is asked but for the
//! list of stamps. Otherwise the secrets are read again, for only then can what is missing be put.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use zeroize::Zeroizing;

use super::BackupOptions;
use super::scan::{Home, lock};
use crate::engine::ProblemKind;
use crate::engine::chain::chain;
use crate::index::{HomeKey, IndexError, Seen, SeenSecrets, SeenWriter};
use crate::vault::{
    Found, Listing, Stamp, Updated, Vault, VaultError, Version, Written, item_of_path, path_of_item,
};

/// Documents that are written at the same time: a provider may take a while to answer.
const WORKERS: usize = 4;
/// Bytes of secrets that a home may have while they wait to be put. A document has room for far fewer.
const MAX_PENDING: usize = 4 << 20;
/// How often a document that others wrote over is brought up to date again.
const ROUNDS: u32 = 5;

/// What a home has of secrets, as far as the walk has come.
#[derive(Default)]
pub struct HomeSecrets {
    /// By directory, what the last run found.
    remembered: HashMap<Vec<u8>, Vec<(String, Version)>>,
    /// Directories with secrets are looked into although nothing changed in them.
    must_read: bool,
    found: BTreeMap<String, Found>,
    pending: usize,
}

impl HomeSecrets {
    fn new(remembered: &BTreeMap<String, Option<u64>>, must_read: bool) -> Self {
        let mut by_directory: HashMap<Vec<u8>, Vec<(String, Version)>> = HashMap::new();
        for (item, version) in remembered {
            let path = path_of_item(item);
            let directory = path.iter().rposition(|byte| *byte == b'/').map_or(&[][..], |at| &path[..at]);
            let items = by_directory.entry(directory.to_vec()).or_default();
            items.extend(version.map(|version| (item.clone(), Version(version))));
        }
        Self { remembered: by_directory, must_read, ..Self::default() }
    }

    /// Whether nothing is known of any secret, so that no directory has to be asked about.
    pub fn is_empty(&self) -> bool {
        self.remembered.is_empty()
    }

    /// Whether directories have to be looked into for the secrets they had.
    pub fn must_read(&self) -> bool {
        self.must_read
    }

    /// Whether a directory had secrets.
    pub fn had_in(&self, directory: &[u8]) -> bool {
        self.remembered.contains_key(directory)
    }

    /// Nothing changed in a directory: its secrets are what they were.
    pub fn keep(&mut self, directory: &[u8]) {
        for (item, version) in self.remembered.get(directory).into_iter().flatten() {
            self.found.insert(item.clone(), Found::Unread(*version));
        }
    }

    /// Takes a secret; false if the home has more than anyone keeps.
    pub fn add(
        &mut self,
        item: String,
        version: Version,
        value: Zeroizing<Vec<u8>>,
        is_by_rule: bool,
    ) -> bool {
        if self.pending + value.len() > MAX_PENDING {
            return false;
        }
        self.pending += value.len();
        self.found.insert(item, Found::Read { version, value, is_by_rule });
        true
    }

    /// What could not be looked at is taken for unchanged: a directory that cannot be read today is no reason to let go of
    /// keys.
    fn keep_unseen(&mut self) {
        for (item, version) in self.remembered.values().flatten() {
            self.found.entry(item.clone()).or_insert(Found::Unread(*version));
        }
    }
}

/// What a run did with secrets.
#[derive(Debug, Default)]
pub struct VaultReport {
    /// Secrets that were found.
    pub items: u64,
    /// Users whose document was written.
    pub written: u64,
    /// Why the vault could not be asked which documents it has; then nothing was put into it.
    pub unavailable: Option<VaultError>,
}

/// A home's secrets after its update: what to remember.
struct Done {
    items: BTreeMap<String, Option<u64>>,
    /// The stamp of the document that has them, as far as it is known.
    stamp: Option<Stamp>,
    written: Option<Written>,
}

/// The run.
pub struct VaultRun {
    vault: Arc<Vault>,
    source: String,
    /// Nothing is asked and nothing put.
    is_dry: bool,
    /// What the vault had when the run began; none if it could not be asked.
    listing: Option<Listing>,
    unavailable: Mutex<Option<VaultError>>,
    sender: Mutex<Option<Sender<Arc<Home>>>>,
    receiver: Receiver<Arc<Home>>,
    done: Mutex<Vec<(HomeKey, String, Done)>>,
}

impl VaultRun {
    /// Asks the vault which documents it has, unless the run is dry; none if it is without a vault.
    pub fn begin(options: &BackupOptions) -> Option<Self> {
        let vault = options.vault.clone()?;
        let (listing, unavailable) = match vault.list() {
            _ if options.dry_run => (None, None),
            Ok(listing) => (Some(listing), None),
            Err(error) => (None, Some(error)),
        };
        let (sender, receiver) = unbounded();
        Some(Self {
            vault,
            source: options.source.clone(),
            is_dry: options.dry_run,
            listing,
            unavailable: Mutex::new(unavailable),
            sender: Mutex::new(Some(sender)),
            receiver,
            done: Mutex::default(),
        })
    }

    /// Where the documents are, and what opens them: what was remembered of another vault says nothing.
    fn place(&self) -> String {
        format!("{} {}", self.vault.provider().location(), self.vault.secret_id())
    }

    /// What is known of a home's secrets from the last run.
    pub fn remembered(&self, user: &[u8], seen: &Seen) -> Result<HomeSecrets, IndexError> {
        let Some(row) = seen.secrets(&self.source, user)? else { return Ok(HomeSecrets::default()) };
        let items: BTreeMap<String, Option<u64>> = serde_json::from_slice(&row.items).unwrap_or_default();
        let stamp = self.listing.as_ref().and_then(|listing| listing.get(&item_of_path(user)));
        let is_same = row.place == self.place()
            && !row.stamp.is_empty()
            && stamp.is_some_and(|stamp| stamp.tag == row.stamp)
            && items.values().all(Option::is_some);
        // Without secrets there need not be a document.
        let is_known = is_same || (items.is_empty() && row.place == self.place());
        // A vault that cannot be asked now is no reason to read again what it had.
        let is_pending = items.values().any(Option::is_none);
        Ok(HomeSecrets::new(&items, !is_known && (self.listing.is_some() || is_pending)))
    }

    /// The version that a content is.
    pub fn version(&self, user: &[u8], item: &str, content: &[u8]) -> Version {
        self.vault.version(&item_of_path(user), item, content)
    }

    /// A home is walked: its document can be brought up to date.
    pub fn hand_over(&self, home: &Arc<Home>) {
        if let Some(sender) = lock(&self.sender).as_ref().filter(|_| !self.is_dry) {
            // Nobody listens any more only if a worker panicked, which the scope reports.
            let _ = sender.send(Arc::clone(home));
        }
    }

    /// No home is to come.
    pub fn close(&self) {
        lock(&self.sender).take();
    }

    /// Starts the threads that write documents. They end when [`VaultRun::close`] was called and all is done.
    pub fn start<'scope>(&'scope self, scope: &'scope std::thread::Scope<'scope, '_>) {
        for _ in 0..WORKERS {
            scope.spawn(|| self.receiver.iter().for_each(|home| self.update(&home)));
        }
    }

    fn update(&self, home: &Home) {
        let mut secrets = lock(&home.secrets);
        let has_unread = lock(&home.problems).iter().any(|p| matches!(p.kind, ProblemKind::Unreadable(_)));
        if lock(&home.outcome).is_none() {
            return;
        }
        if has_unread {
            secrets.keep_unseen();
        }
        let user = item_of_path(&home.user);
        let before: BTreeMap<&str, Version> =
            secrets.remembered.values().flatten().map(|(item, version)| (item.as_str(), *version)).collect();
        let is_same = before.len() == secrets.found.len()
            && secrets.found.iter().all(|(item, found)| before.get(item.as_str()) == Some(&found.version()));
        let stamp = self.listing.as_ref().map(|listing| listing.get(&user).cloned());
        if is_same && !secrets.must_read {
            let done = Done { items: versions(&secrets.found), stamp: stamp.flatten(), written: None };
            lock(&self.done).push((home.rows, user, done));
            return;
        }
        let Some(stamp) = stamp else {
            for item in secrets.found.keys() {
                let kind = ProblemKind::Vault("the vault cannot be read".into());
                home.problem(path_of_item(item), kind);
            }
            // To be read, and put, by the next run.
            let items = secrets.found.keys().map(|item| (item.clone(), None)).collect();
            lock(&self.done).push((home.rows, user, Done { items, stamp: None, written: None }));
            return;
        };
        drop(secrets);
        let is_absent = stamp.is_none();
        self.bring_up_to_date(home, stamp, is_absent);
    }

    /// Puts what a home has into its user's document, which had this stamp, and takes down what came of it.
    fn bring_up_to_date(&self, home: &Home, stamp: Option<Stamp>, is_absent: bool) {
        let mut secrets = lock(&home.secrets);
        let user = item_of_path(&home.user);
        let mut done = Done { items: versions(&secrets.found), stamp, written: None };
        match self.vault.update(&user, &self.source, &secrets.found, is_absent) {
            Ok(Updated { written, too_large, missing, room_problem }) => {
                let why = room_problem.map(|error| error.to_string()).unwrap_or_default();
                let lost = too_large.iter().map(|item| (item, why.clone()));
                let unread = missing
                    .iter()
                    .map(|item| (item, "the vault lost it; the next backup puts it there again".to_string()));
                for (item, why) in lost.chain(unread) {
                    home.problem(path_of_item(item), ProblemKind::Vault(why));
                    done.items.insert(item.clone(), None);
                }
                done.written = written;
            }
            Err(error) => {
                let why = chain(&error);
                for item in secrets.found.keys() {
                    home.problem(path_of_item(item), ProblemKind::Vault(why.clone()));
                }
                done.items.values_mut().for_each(|version| *version = None);
            }
        }
        // Whether the document stayed as it was put shows at the end; until then its values may be needed again.
        if done.written.is_none() {
            secrets.found.clear();
        }
        lock(&self.done).push((home.rows, user, done));
    }

    /// What came of all homes. Documents that were put are listed: one that is not there, or that somebody else wrote over
    /// after it was read back, is brought up to date again.
    pub fn finish(self, homes: &[Arc<Home>]) -> (VaultReport, VaultMemory) {
        let mut again: Vec<Arc<Home>> = Vec::new();
        for round in 0..ROUNDS {
            again = self.overwritten(homes);
            if again.is_empty() {
                break;
            }
            let users: HashSet<HomeKey> = again.iter().map(|home| home.rows).collect();
            lock(&self.done).retain(|(home, ..)| !users.contains(home));
            // Others that write the same document are in the middle of it.
            std::thread::sleep(Duration::from_millis(50 << round));
            again.iter().for_each(|home| self.bring_up_to_date(home, None, false));
        }
        for home in &again {
            let kind = ProblemKind::Vault("the vault does not keep what is put into it".into());
            home.problem(Vec::new(), kind);
        }
        self.report()
    }

    /// The homes whose documents are not what was put.
    fn overwritten(&self, homes: &[Arc<Home>]) -> Vec<Arc<Home>> {
        let mut done = lock(&self.done);
        if !done.iter().any(|(_, _, done)| done.written.is_some()) {
            return Vec::new();
        }
        let Ok(listing) = self.vault.list() else { return Vec::new() };
        let mut overwritten = HashSet::new();
        for (home, user, done) in done.iter_mut() {
            let Some(written) = &done.written else { continue };
            let stamp = listing.get(user).cloned();
            match &stamp {
                None => drop(overwritten.insert(*home)),
                // Where nothing is known of what was put, it was read back.
                Some(stamp) if *written != Written::Unknown && !written.is(stamp) => {
                    overwritten.insert(*home);
                }
                Some(_) => {}
            }
            done.stamp = stamp.filter(|_| *written != Written::Unknown);
        }
        homes.iter().filter(|home| overwritten.contains(&home.rows)).cloned().collect()
    }

    fn report(self) -> (VaultReport, VaultMemory) {
        let place = self.place();
        let done = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut report = VaultReport {
            unavailable: self.unavailable.into_inner().unwrap_or_else(PoisonError::into_inner),
            ..VaultReport::default()
        };
        let mut rows = Vec::with_capacity(done.len());
        for (home, _, done) in done {
            report.items += done.items.values().flatten().count() as u64;
            report.written += u64::from(done.written.is_some());
            let stamp = done.stamp.map(|stamp| stamp.tag).unwrap_or_default();
            let items = serde_json::to_vec(&done.items).expect("a map of text can be written");
            rows.push((home, SeenSecrets { place: place.clone(), stamp, items }));
        }
        (report, VaultMemory(rows))
    }
}

/// What is in the vault of these, all of them.
fn versions(found: &BTreeMap<String, Found>) -> BTreeMap<String, Option<u64>> {
    found.iter().map(|(item, found)| (item.clone(), Some(found.version().0))).collect()
}

/// What the next run is to know of secrets.
#[derive(Default)]
pub struct VaultMemory(Vec<(HomeKey, SeenSecrets)>);

impl VaultMemory {
    /// Writes it into the local index.
    pub fn keep(&self, rows: &mut SeenWriter) -> Result<(), IndexError> {
        self.0.iter().try_for_each(|(home, row)| rows.put_secrets(*home, row))
    }
}
