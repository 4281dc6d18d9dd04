//! The newest state of each home, and what it was some time before. Reads as few records as it can.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::UsageError;
use crate::codec::{ChunkId, SnapshotId};
use crate::engine::select::newest_first;
use crate::format::{Attention, EntryKind, HomeRecord};
use crate::index::Summary;
use crate::repo::Repository;

/// What snapshots say of a home.
pub struct State {
    /// The logical machine.
    pub source: String,
    /// The user.
    pub user: Vec<u8>,
    /// What the newest snapshot says of it.
    pub attention: Attention,
    /// Snapshots that hold it.
    pub snapshots: u64,
    /// The newest state that counts.
    pub newest: Option<Moment>,
    /// The state at each of the moments that were asked for.
    pub before: Vec<Option<Moment>>,
}

/// A home in one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// When it was taken: milliseconds since 1970.
    pub time_ms: i64,
    /// The home's tree.
    pub tree: Option<ChunkId>,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Bytes of file content.
    pub bytes: u64,
    /// What could not be saved as it is.
    pub problems: u64,
}

/// Which snapshots hold the states of a home.
struct Picks {
    state: State,
    /// The newest state, then one for each moment.
    normal: Vec<Option<usize>>,
    /// The newest in which it had shrunk, if it never was normal.
    shrunk: Option<usize>,
}

/// Every home that the snapshots speak of, by source and name, with its state now and at `moments`.
pub fn states(
    repository: &Repository,
    summaries: &[Summary],
    now: Timestamp,
    moments: &[Timestamp],
) -> Result<Vec<State>, UsageError> {
    let order = newest_first(summaries, now);
    let mut places: HashMap<(&str, u32), usize> = HashMap::new();
    let mut homes: Vec<Picks> = Vec::new();
    for (at, (time, summary)) in order.iter().enumerate() {
        for mention in summary.homes.iter() {
            let place = *places.entry((&summary.source, mention.user)).or_insert_with(|| {
                homes.push(Picks::new(summary, summary.homes.name(&mention), mention.attention, moments));
                homes.len() - 1
            });
            homes[place].meet(at, *time, mention.attention, moments);
        }
    }
    fill(repository, &order, &mut homes)?;
    let mut states: Vec<State> = homes.into_iter().map(|home| home.state).collect();
    states.sort_unstable_by(|a, b| (&a.source, &a.user).cmp(&(&b.source, &b.user)));
    Ok(states)
}

/// The moments that growth is told over.
pub fn horizons(now: Timestamp) -> [Timestamp; 3] {
    [1, 7, 30].map(|days| now.saturating_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN))
}

impl Picks {
    fn new(summary: &Summary, user: &[u8], attention: Attention, moments: &[Timestamp]) -> Self {
        let before = vec![None; moments.len()];
        let (source, user) = (summary.source.clone(), user.to_vec());
        let state = State { source, user, attention, snapshots: 0, newest: None, before };
        Self { state, normal: vec![None; moments.len() + 1], shrunk: None }
    }

    /// A snapshot that is older than all before it.
    fn meet(&mut self, at: usize, time: Timestamp, attention: Attention, moments: &[Timestamp]) {
        match attention {
            Attention::Normal => {
                self.normal[0].get_or_insert(at);
                for (pick, moment) in self.normal[1..].iter_mut().zip(moments) {
                    if time <= *moment {
                        pick.get_or_insert(at);
                    }
                }
            }
            Attention::Shrunk => drop(self.shrunk.get_or_insert(at)),
            Attention::Missing | Attention::Removed => return,
        }
        self.state.snapshots += 1;
    }

    fn wanted(&self) -> impl Iterator<Item = (usize, usize)> {
        let newest = self.normal[0].or(self.shrunk);
        let all = std::iter::once(newest).chain(self.normal[1..].iter().copied());
        all.enumerate().filter_map(|(slot, at)| Some((at?, slot)))
    }
}

/// Reads each record that is wanted once.
fn fill(
    repository: &Repository,
    order: &[(Timestamp, &Summary)],
    homes: &mut [Picks],
) -> Result<(), UsageError> {
    let mut wanted: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (home, picks) in homes.iter().enumerate() {
        for (at, slot) in picks.wanted() {
            wanted.entry(at).or_default().push((home, slot));
        }
    }
    for (at, wanted) in wanted {
        let (_, summary) = order[at];
        let Some(snapshot) = repository.snapshot(&summary.hash)? else { continue };
        let records = &snapshot.record.homes;
        for (home, slot) in wanted {
            let state = &mut homes[home].state;
            let found = records.binary_search_by(|record| record.user.cmp(&state.user)).ok();
            let moment = found.map(|found| moment(summary, &records[found]));
            match slot.checked_sub(1) {
                None => state.newest = moment,
                Some(slot) => state.before[slot] = moment,
            }
        }
    }
    Ok(())
}

fn moment(summary: &Summary, home: &HomeRecord) -> Moment {
    let tree = home.root.as_ref().and_then(|root| match root.kind {
        EntryKind::Directory(tree) => Some(tree),
        _ => None,
    });
    Moment {
        snapshot: summary.id,
        time_ms: summary.time_ms,
        tree,
        files: home.files,
        directories: home.directories,
        bytes: home.bytes,
        problems: home.problems,
    }
}
