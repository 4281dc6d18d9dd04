//! The newest state of each home, and what it was some time before: by the snapshots that count, by those that are
//! forgotten and not yet gone, and by what is known of the past. Reads as few records as it can.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::UsageError;
use crate::codec::{ChunkId, SnapshotId};
use crate::engine::select::newest_first;
use crate::format::{Attention, EntryKind, HomeRecord};
use crate::index::Summary;
use crate::repo::{History, Repository};

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
    pub before: Vec<Option<Before>>,
}

/// A home some time ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// When that was seen.
    pub time: Timestamp,
    /// Bytes of file content.
    pub bytes: u64,
}

/// What tells of the past, besides the snapshots that count.
#[derive(Debug, Default)]
pub struct Earlier {
    /// Snapshots that are forgotten, and not yet gone.
    pub forgotten: Vec<Summary>,
    /// Sizes that were kept.
    pub history: History,
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

/// Which snapshots hold the states of a home, by their places.
struct Picks {
    state: State,
    /// The newest state.
    normal: Option<usize>,
    /// The newest in which it had shrunk, if it never was normal.
    shrunk: Option<usize>,
    /// The state at each moment.
    before: Vec<Option<(Timestamp, usize)>>,
}

/// Every home that the snapshots speak of, by source and name, with its state now and at `moments`.
pub fn states(
    repository: &Repository,
    summaries: &[Summary],
    earlier: &Earlier,
    now: Timestamp,
    moments: &[Timestamp],
) -> Result<Vec<State>, UsageError> {
    let mut order = newest_first(summaries, now);
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
    let forgotten = if moments.is_empty() { Vec::new() } else { newest_first(&earlier.forgotten, now) };
    for (at, (time, summary)) in (order.len()..).zip(&forgotten) {
        let normal = summary.homes.iter().filter(|mention| mention.attention == Attention::Normal);
        for mention in normal {
            if let Some(place) = places.get(&(&summary.source[..], mention.user)) {
                homes[*place].note(at, *time, moments);
            }
        }
    }
    order.extend(forgotten);
    fill(repository, &order, &mut homes)?;
    let mut states: Vec<State> = homes.into_iter().map(|home| home.state).collect();
    states.sort_unstable_by(|a, b| (&a.source, &a.user).cmp(&(&b.source, &b.user)));
    recall(&earlier.history, moments, &mut states);
    Ok(states)
}

/// Where nothing newer is known, states at `moments` are those that were kept.
fn recall(history: &History, moments: &[Timestamp], states: &mut [State]) {
    for (slot, moment) in moments.iter().enumerate() {
        for (time_ms, source, homes) in history.points().rev() {
            let time = Timestamp::from_millisecond(time_ms).unwrap_or(Timestamp::MIN);
            if time > *moment {
                continue;
            }
            for home in homes {
                let found = states.binary_search_by(|state| {
                    (&state.source[..], &state.user[..]).cmp(&(source, &home.user[..]))
                });
                let Ok(found) = found else { continue };
                let before = &mut states[found].before[slot];
                if before.is_none_or(|known| known.time < time) {
                    *before = Some(Before { time, bytes: home.bytes });
                }
            }
        }
    }
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
        Self { state, normal: None, shrunk: None, before: vec![None; moments.len()] }
    }

    /// A snapshot that is older than all before it.
    fn meet(&mut self, at: usize, time: Timestamp, attention: Attention, moments: &[Timestamp]) {
        match attention {
            Attention::Normal => {
                self.normal.get_or_insert(at);
                self.note(at, time, moments);
            }
            Attention::Shrunk => drop(self.shrunk.get_or_insert(at)),
            Attention::Missing | Attention::Removed => return,
        }
        self.state.snapshots += 1;
    }

    /// A snapshot in which it was as it should be.
    fn note(&mut self, at: usize, time: Timestamp, moments: &[Timestamp]) {
        for (pick, moment) in self.before.iter_mut().zip(moments) {
            if time <= *moment && pick.is_none_or(|(known, _)| known < time) {
                *pick = Some((time, at));
            }
        }
    }

    /// The places of snapshots that are wanted, with 0 for the newest state and a moment's number and 1 for the others.
    fn wanted(&self) -> impl Iterator<Item = (usize, usize)> {
        let before = self.before.iter().map(|pick| pick.map(|(_, at)| at));
        let all = std::iter::once(self.normal.or(self.shrunk)).chain(before);
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
        let (time, summary) = order[at];
        let Some(snapshot) = repository.snapshot(&summary.hash)? else { continue };
        let records = &snapshot.record.homes;
        for (home, slot) in wanted {
            let state = &mut homes[home].state;
            let found = records.binary_search_by(|record| record.user.cmp(&state.user)).ok();
            let moment = found.map(|found| moment(summary, &records[found]));
            match slot.checked_sub(1) {
                None => state.newest = moment,
                Some(slot) => state.before[slot] = moment.map(|moment| Before { time, bytes: moment.bytes }),
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
