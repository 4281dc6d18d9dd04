//! Sizes in memory: points in time of many objects as one set, thinned as they age, and cut into records.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::format::{
    Attention, HistoryPoint, HistoryRecord, HomeRecord, HomeSize, SnapshotRecord, StoreSize,
};

/// No record takes more bytes, unless a single point does.
const MAX_RECORD_LEN: usize = 16 << 20;
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// What is younger has a point an hour.
const HOURLY: SignedDuration = SignedDuration::from_hours(14 * 24);
/// What is younger has a point a day; everything else one a week.
const DAILY: SignedDuration = SignedDuration::from_hours(400 * 24);

/// What homes and the store came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    points: BTreeMap<(i64, String), Vec<HomeSize>>,
    stores: BTreeMap<i64, u64>,
}

impl History {
    /// Every point, oldest first: when it was taken in milliseconds since 1970, of which source, and the homes by user.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = (i64, &str, &[HomeSize])> {
        self.points.iter().map(|((time_ms, source), homes)| (*time_ms, &source[..], &homes[..]))
    }

    /// What the store came to, oldest first: milliseconds since 1970, and bytes.
    pub fn stores(&self) -> impl Iterator<Item = (i64, u64)> {
        self.stores.iter().map(|(time_ms, bytes)| (*time_ms, *bytes))
    }

    /// Adds what a snapshot says of the homes that were as they should be.
    pub fn add_snapshot(&mut self, record: &SnapshotRecord) {
        let homes = record.homes.iter().filter(|home| home.attention == Attention::Normal);
        let size =
            |home: &HomeRecord| HomeSize { user: home.user.clone(), files: home.files, bytes: home.bytes };
        self.add_point(record.time_ms, record.source.clone(), homes.map(size).collect());
    }

    /// Adds what the store comes to.
    pub fn add_store(&mut self, time: Timestamp, bytes: u64) {
        self.stores.insert(time.as_millisecond(), bytes);
    }

    /// Adds what a record has.
    pub(super) fn add_record(&mut self, record: HistoryRecord) {
        for point in record.points {
            self.add_point(point.time_ms, point.source, point.homes);
        }
        for store in record.stores {
            self.stores.entry(store.time_ms).or_insert(store.bytes);
        }
    }

    /// Adds what another one has.
    pub(super) fn merge(&mut self, other: Self) {
        for ((time_ms, source), homes) in other.points {
            self.add_point(time_ms, source, homes);
        }
        for (time_ms, bytes) in other.stores {
            self.stores.entry(time_ms).or_insert(bytes);
        }
    }

    /// Two points of one source and one millisecond are one, with the homes of both.
    fn add_point(&mut self, time_ms: i64, source: String, homes: Vec<HomeSize>) {
        if homes.is_empty() {
            return;
        }
        match self.points.entry((time_ms, source)) {
            Entry::Vacant(vacant) => drop(vacant.insert(homes)),
            Entry::Occupied(mut known) if *known.get() != homes => {
                let all = known.get_mut();
                all.extend(homes);
                // Stable: what was known comes first, and stays.
                all.sort_by(|a, b| a.user.cmp(&b.user));
                all.dedup_by(|later, first| later.user == first.user);
            }
            Entry::Occupied(_) => {}
        }
    }

    /// Leaves of each hour, day or week, depending on how long before `now` it was, the last size of each home and of the store.
    pub fn thin(&mut self, now: Timestamp) {
        let now_ms = now.as_millisecond();
        let mut seen: HashMap<String, (Span, HashSet<Vec<u8>>)> = HashMap::new();
        let mut superfluous = Vec::new();
        for ((time_ms, source), homes) in self.points.iter().rev() {
            let span = span(*time_ms, now_ms);
            let (last, users) = seen.entry(source.clone()).or_insert_with(|| (span, HashSet::new()));
            if *last != span {
                (*last, *users) = (span, HashSet::new());
            }
            let new: Vec<_> = homes.iter().filter(|home| !users.contains(&home.user)).collect();
            match new.is_empty() {
                true => superfluous.push((*time_ms, source.clone())),
                false => users.extend(new.into_iter().map(|home| home.user.clone())),
            }
        }
        superfluous.iter().for_each(|key| drop(self.points.remove(key)));
        let mut spans: HashSet<Span> = HashSet::new();
        let last = self.stores.iter().rev().filter(|(time_ms, _)| spans.insert(span(**time_ms, now_ms)));
        self.stores = last.map(|(time_ms, bytes)| (*time_ms, *bytes)).collect();
    }

    /// Records that are not too long, oldest points first.
    pub(super) fn into_records(self) -> Vec<HistoryRecord> {
        let stores = self.stores.into_iter().map(|(time_ms, bytes)| StoreSize { time_ms, bytes }).collect();
        let (mut records, mut length) = (vec![HistoryRecord { points: vec![], stores }], 0);
        for ((time_ms, source), homes) in self.points {
            let point = HistoryPoint { time_ms, source, homes };
            length += point.encoded_len();
            if length > MAX_RECORD_LEN {
                records.push(HistoryRecord::default());
                length = point.encoded_len();
            }
            records.last_mut().expect("there is one").points.push(point);
        }
        records.retain(|record| *record != HistoryRecord::default());
        records
    }
}

/// An hour, day or week.
type Span = (SignedDuration, i64);

fn span(time_ms: i64, now_ms: i64) -> Span {
    let age = SignedDuration::from_millis(now_ms.saturating_sub(time_ms));
    let width = match age {
        age if age <= HOURLY => HOUR,
        age if age <= DAILY => DAY,
        _ => WEEK,
    };
    (width, time_ms.div_euclid(width.as_millis() as i64))
}
