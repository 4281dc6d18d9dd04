//! Who uses what, what is shared, and how it grows: every byte of the store, by whom it is needed. The figures are
//! defined in docs/usage.md.
//!
//! Who holds which chunk is found out by walking trees, and kept beside the index. A backup does nothing for it: who
//! asks catches up, by walking what is new. When nothing changed since, figures are only read.

mod account;
mod breakdown;
mod charge;
mod error;
mod folders;
mod groups;
mod growth;
mod holders;
mod objects;
mod report;
mod scene;
mod snapshots;
mod states;
mod stock;
mod vaulted;
mod walk;

use jiff::Timestamp;

pub use breakdown::{AGES, Distinction, FileKind, KindUsage, PathUsage, by_kind, by_path};
pub use charge::Charged;
pub use error::UsageError;
pub use folders::by_folder;
pub use growth::{Grown, GrowthPoint, StorePoint, growth};
pub use report::{DamageCount, Freed, Growth, HomeState, StoreUsage, Stored, Sum, UsageReport, UserUsage};

pub use snapshots::{Contents, SnapshotUsage, by_snapshot, contents, freed_by};

use super::Meter;
use crate::codec::Hash;
use crate::index::{Holdings, IndexError};
use crate::repo::Repository;
use account::Account;
use holders::Holders;
use scene::Scene;
use states::{Earlier, State};
use stock::Stock;
use vaulted::Vaulted;

/// The name under which the account is kept.
const ACCOUNT: &str = "account";

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct UsageOptions {
    /// The time.
    pub now: Timestamp,
    /// A moment since which growth is told, too.
    pub since: Option<Timestamp>,
}

/// Says who uses what. The index must have been brought up to date; what is damaged is counted in the report.
pub fn usage(
    repository: &Repository,
    options: &UsageOptions,
    meter: &Meter,
) -> Result<UsageReport, UsageError> {
    let mut holdings = Holdings::open(repository.cache())?;
    match usage_with(repository, &mut holdings, options, meter) {
        Err(UsageError::Index(error)) if error.is_damage() => {
            holdings.reset()?;
            usage_with(repository, &mut holdings, options, meter)
        }
        result => result,
    }
}

fn usage_with(
    repository: &Repository,
    holdings: &mut Holdings,
    options: &UsageOptions,
    meter: &Meter,
) -> Result<UsageReport, UsageError> {
    let scene = Scene::look(repository)?;
    let mut moments = states::horizons(options.now).to_vec();
    moments.extend(options.since);
    let past = repository.past()?;
    let earlier = Earlier { forgotten: repository.forgotten_summaries()?, history: past.history };
    let states = states::states(repository, &scene.summaries, &earlier, options.now, &moments)?;
    let read_before = Meter::read(&meter.directories);
    let basis = basis(&scene, &states);
    let (account, vaulted) = match kept(holdings, &basis)? {
        Some(kept) => kept,
        None => take(repository, holdings, &scene, &states, &basis, meter)?,
    };
    let stored = account.by_name();
    let users = states.iter().zip(vaulted).map(|(state, vault_items)| {
        let stored = stored.get(&(&state.source[..], &state.user[..])).copied().unwrap_or_default();
        user(state, stored, vault_items)
    });
    Ok(UsageReport {
        taken_ms: options.now.as_millisecond(),
        snapshots: scene.summaries.len(),
        users: users.collect(),
        store: account.store,
        damage: DamageCount { history: past.unreadable.len() as u64, ..account.damage },
        trees_read: Meter::read(&meter.directories) - read_before,
    })
}

/// An account, and how many entries of each home's newest state are in the vault.
type Answer = (Account, Vec<u64>);

/// What an answer rests on: the scene, and which states are the newest, which the clock has a say in.
fn basis(scene: &Scene, states: &[State]) -> Hash {
    let trees = states.iter().filter_map(|state| state.newest?.tree);
    Hash::of(&[&scene.basis.0[..], trees.flat_map(|tree| tree.0).collect::<Vec<_>>().as_slice()].concat())
}

fn kept(holdings: &Holdings, basis: &Hash) -> Result<Option<Answer>, UsageError> {
    let bytes = holdings.answer(ACCOUNT, basis)?;
    let parse =
        |bytes: Vec<u8>| serde_json::from_slice(&bytes).map_err(|_| IndexError::Damaged("kept figures"));
    Ok(bytes.map(parse).transpose()?)
}

/// Finds everything out, and keeps it for the next time. Not so where something is damaged: who holds what hangs
/// on it is unknown.
fn take(
    repository: &Repository,
    holdings: &mut Holdings,
    scene: &Scene,
    states: &[State],
    basis: &Hash,
    meter: &Meter,
) -> Result<Answer, UsageError> {
    let mut stock = Stock::load(repository.catalog(), &scene.segments())?;
    let holders = Holders::find(repository, holdings, scene, &mut stock, meter)?;
    let account = Account::of(repository, scene, &stock, &holders)?;
    let (mut vaulted, mut reader) = (Vaulted::load(holdings)?, repository.reader()?);
    let trees = states.iter().map(|state| state.newest.and_then(|newest| newest.tree));
    let items = trees.map(|tree| tree.map_or(Ok(0), |tree| vaulted.count(&mut reader, &tree)));
    let answer = (account, items.collect::<Result<Vec<u64>, _>>()?);
    if holders.damage.is_none() {
        let (head, numbers) = holders.head(&stock);
        let entries = stock.entries().map(|(key, mark)| (key, numbers[mark as usize]));
        holdings.save(&head, entries, vaulted.entries(stock.keys()).into_iter())?;
        let bytes = serde_json::to_vec(&answer).map_err(|_| IndexError::Damaged("figures to keep"))?;
        holdings.keep_answer(ACCOUNT, basis, &bytes)?;
    }
    Ok(answer)
}

fn user(state: &State, stored: Stored, vault_items: u64) -> UserUsage {
    let grown = |slot: usize| {
        let (newest, before) = (state.newest?, (*state.before.get(slot)?)?);
        Some(newest.bytes.cast_signed().wrapping_sub(before.bytes.cast_signed()))
    };
    UserUsage {
        source: state.source.clone(),
        user: state.user.clone(),
        snapshots: state.snapshots,
        state: state.newest.map(|newest| HomeState {
            snapshot: newest.snapshot,
            time_ms: newest.time_ms,
            files: newest.files,
            directories: newest.directories,
            bytes: newest.bytes,
            problems: newest.problems,
            vault_items,
        }),
        attention: state.attention,
        stored,
        growth: Growth { day: grown(0), week: grown(1), month: grown(2), since: grown(3) },
    }
}

/// What each user's homes took when it was last found out on this machine, by source and name; nothing if it never
/// was. For who must not wait.
pub fn last_known(repository: &Repository) -> Result<Vec<(String, Vec<u8>, Stored)>, UsageError> {
    let bytes = Holdings::open(repository.cache())?.last_answer(ACCOUNT)?;
    let answer: Option<Answer> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(answer.map_or(Vec::new(), |(account, _)| account.users))
}
