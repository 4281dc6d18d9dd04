//! How homes and the store grew, as points in time: of every snapshot that is there, forgotten or not, and of what was
//! kept of those that are gone.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::UsageError;
use crate::engine::select::{Filter, newest_first};
use crate::format::Attention;
use crate::index::Summary;
use crate::repo::{History, Repository};

/// All homes that are asked for at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrowthPoint {
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Bytes of the files in them.
    pub bytes: u64,
    /// Bytes of file content that were new then; not known of snapshots that are gone.
    pub bytes_new: Option<u64>,
}

/// The store at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorePoint {
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Bytes of all segments and commits, without what a prune had deleted.
    pub bytes: u64,
}

/// How it grew, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grown {
    /// The homes.
    pub homes: Vec<GrowthPoint>,
    /// The store.
    pub store: Vec<StorePoint>,
    /// Objects with sizes of the past that cannot be read; what they had is missing.
    pub unreadable: u64,
}

/// What is known of one source at one moment.
struct Sighting<'s> {
    time_ms: i64,
    source: &'s str,
    homes: Homes<'s>,
    bytes_new: Option<u64>,
}

enum Homes<'s> {
    /// How many were there, and what they came to together.
    Together(u64, u64),
    /// Each with its bytes; none for one that is gone for good.
    Each(Vec<(&'s [u8], Option<u64>)>),
}

/// Says how homes that `filter` accepts by user and source, and the store, grew until `now`.
pub fn growth(repository: &Repository, filter: &Filter, now: Timestamp) -> Result<Grown, UsageError> {
    let mut past = repository.past()?;
    // What several prunes have written is thinned only when it is merged.
    past.history.thin(now);
    let mut summaries = repository.summaries()?;
    summaries.extend(repository.forgotten_summaries()?);
    let is_of_source = |source: &str| filter.sources.is_empty() || filter.sources.iter().any(|s| s == source);
    summaries.retain(|summary| is_of_source(&summary.source));
    let now_ms = now.as_millisecond();
    let kept =
        past.history.points().filter(|(time_ms, source, _)| *time_ms <= now_ms && is_of_source(source));
    let seen: HashSet<(i64, &str)> = summaries.iter().map(|s| (s.time_ms, &s.source[..])).collect();
    let mut sightings: Vec<Sighting<'_>> = Vec::new();
    for (time_ms, source, homes) in kept.filter(|(time_ms, source, _)| !seen.contains(&(*time_ms, source))) {
        let homes = homes.iter().filter(|home| filter.accepts_user(&home.user));
        let homes = match filter.users.is_empty() {
            true => Homes::Together(
                homes.clone().count() as u64,
                homes.map(|home| home.bytes).fold(0, u64::saturating_add),
            ),
            false => Homes::Each(homes.map(|home| (&home.user[..], Some(home.bytes))).collect()),
        };
        sightings.push(Sighting { time_ms, source, homes, bytes_new: None });
    }
    for (time, summary) in newest_first(&summaries, now) {
        let (homes, bytes_new) = match filter.users.is_empty() {
            true => {
                (Homes::Together(summary.homes.present(), summary.totals.bytes), summary.totals.bytes_new)
            }
            false => of_some(repository, summary, filter)?,
        };
        let (time_ms, source) = (time.as_millisecond(), &summary.source[..]);
        sightings.push(Sighting { time_ms, source, homes, bytes_new: Some(bytes_new) });
    }
    // Who asks for some homes does not ask when there was nothing of them.
    sightings.retain(|sighting| !matches!(&sighting.homes, Homes::Each(homes) if homes.is_empty()));
    sightings.sort_by_key(|sighting| sighting.time_ms);
    let homes = points(&sightings);
    Ok(Grown { homes, store: stores(&past.history, now_ms), unreadable: past.unreadable.len() as u64 })
}

fn stores(history: &History, now_ms: i64) -> Vec<StorePoint> {
    let stores = history.stores().map(|(time_ms, bytes)| StorePoint { time_ms, bytes });
    stores.filter(|point| point.time_ms <= now_ms).collect()
}

/// What a snapshot says of some users, and how much of it was new.
fn of_some<'s>(
    repository: &Repository,
    summary: &'s Summary,
    filter: &Filter,
) -> Result<(Homes<'s>, u64), UsageError> {
    let mut wanted = summary.homes.iter().filter(|mention| filter.accepts_user(summary.homes.name(mention)));
    let (mut each, mut bytes_new) = (Vec::new(), 0);
    // Most records need not be read if most snapshots do not have these users.
    let snapshot = if wanted.next().is_some() { repository.snapshot(&summary.hash)? } else { None };
    let homes = snapshot.iter().flat_map(|snapshot| &snapshot.record.homes);
    for home in homes.filter(|home| filter.accepts_user(&home.user)) {
        let users = summary.homes.users();
        let Some(user) = users.number(&home.user).and_then(|number| users.name(number)) else { continue };
        match home.attention {
            Attention::Normal => each.push((user, Some(home.bytes))),
            Attention::Removed => each.push((user, None)),
            // What the home was before is still the user's.
            Attention::Shrunk | Attention::Missing => {}
        }
        bytes_new += home.bytes_new;
    }
    Ok((Homes::Each(each), bytes_new))
}

impl Homes<'_> {
    fn count(&self) -> u64 {
        match self {
            Self::Together(count, _) => *count,
            Self::Each(each) => each.len() as u64,
        }
    }
}

/// A point for each sighting, with what is known then of all sources. Sightings are oldest first.
fn points(sightings: &[Sighting<'_>]) -> Vec<GrowthPoint> {
    let mut together: BTreeMap<&str, u64> = BTreeMap::new();
    let mut each: BTreeMap<(&str, &[u8]), u64> = BTreeMap::new();
    let mut points = Vec::with_capacity(sightings.len());
    for (sighting, is_whole) in sightings.iter().zip(whole(sightings)) {
        match &sighting.homes {
            Homes::Together(_, bytes) if is_whole => drop(together.insert(sighting.source, *bytes)),
            Homes::Together(..) => drop(together.entry(sighting.source).or_default()),
            Homes::Each(homes) => {
                for (user, bytes) in homes {
                    match bytes {
                        Some(bytes) => drop(each.insert((sighting.source, user), *bytes)),
                        None => drop(each.remove(&(sighting.source, *user))),
                    }
                }
            }
        }
        let bytes =
            together.values().chain(each.values()).fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
        points.push(GrowthPoint { time_ms: sighting.time_ms, bytes, bytes_new: sighting.bytes_new });
    }
    points
}

/// Which sightings are of all homes of their source: not one that has fewer than half of the homes that the one before had
/// and some later one has again. Someone saved a few homes by name then.
fn whole<'s>(sightings: &[Sighting<'s>]) -> Vec<bool> {
    let mut most_later: BTreeMap<&'s str, u64> = BTreeMap::new();
    let mut later = Vec::with_capacity(sightings.len());
    for sighting in sightings.iter().rev() {
        let most = most_later.entry(sighting.source).or_default();
        later.push(*most);
        *most = sighting.homes.count().max(*most);
    }
    let mut before: BTreeMap<&'s str, u64> = BTreeMap::new();
    let mut is_whole = Vec::with_capacity(sightings.len());
    for (sighting, later) in sightings.iter().zip(later.into_iter().rev()) {
        let before = before.entry(sighting.source).or_default();
        let homes = sighting.homes.count();
        let counts = homes.saturating_mul(2) >= later.min(*before);
        is_whole.push(counts);
        if counts {
            *before = homes;
        }
    }
    is_whole
}
