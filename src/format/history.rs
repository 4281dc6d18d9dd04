//! What homes and the store came to at moments of the past whose snapshots are gone: sizes, and nothing that a
//! restore could use. It stands in the table of contents of a segment of kind `History`, below `history/`.

use minicbor::{Decoder, Encoder};

use super::cbor::{self, Cbor, FormatError, INFALLIBLE};
use super::commit::SnapshotRecord;
use super::tree::is_component;

/// The version of the record that this program reads and writes.
const VERSION: u64 = 1;

/// Moments of the past.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryRecord {
    /// What snapshots said of homes, ascending by time and source, none twice.
    pub points: Vec<HistoryPoint>,
    /// What the whole store came to, ascending by time, none twice.
    pub stores: Vec<StoreSize>,
}

/// What a snapshot said of the homes that were as they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPoint {
    /// When it was taken: milliseconds since 1970.
    pub time_ms: i64,
    /// The logical machine.
    pub source: String,
    /// The homes, ascending by user, none twice.
    pub homes: Vec<HomeSize>,
}

/// A home's size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeSize {
    /// The user: the name of the home's directory.
    pub user: Vec<u8>,
    /// Regular files.
    pub files: u64,
    /// Bytes of file content; a hard-linked file counts once for each name.
    pub bytes: u64,
}

/// The store's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreSize {
    /// When: milliseconds since 1970.
    pub time_ms: i64,
    /// Bytes of all segments and commits that were to stay.
    pub bytes: u64,
}

impl HistoryRecord {
    /// The record's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        Cbor::to_bytes(self)
    }

    /// Reads a record; refuses anything that [`HistoryRecord::to_bytes`] would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        Cbor::from_bytes(bytes)
    }
}

impl HistoryPoint {
    /// At least as many bytes as the point takes in a record.
    pub fn encoded_len(&self) -> usize {
        const HEADS: usize = 32;
        let homes = self.homes.iter().map(|home| HEADS + home.user.len());
        HEADS + self.source.len() + homes.sum::<usize>()
    }
}

impl Cbor for HistoryRecord {
    const WHAT: &'static str = "history record";
    const VERSION: Option<u64> = Some(VERSION);

    /// `[1, [[time, source, [[user, files, bytes], …]], …], [[time, bytes], …]]`.
    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        to.array(3).expect(INFALLIBLE).u64(VERSION).expect(INFALLIBLE);
        to.array(self.points.len() as u64).expect(INFALLIBLE);
        for point in &self.points {
            to.array(3).expect(INFALLIBLE).i64(point.time_ms).expect(INFALLIBLE);
            to.str(&point.source).expect(INFALLIBLE).array(point.homes.len() as u64).expect(INFALLIBLE);
            for home in &point.homes {
                to.array(3).expect(INFALLIBLE).bytes(&home.user).expect(INFALLIBLE);
                to.u64(home.files).expect(INFALLIBLE).u64(home.bytes).expect(INFALLIBLE);
            }
        }
        to.array(self.stores.len() as u64).expect(INFALLIBLE);
        for store in &self.stores {
            to.array(2).expect(INFALLIBLE).i64(store.time_ms).expect(INFALLIBLE);
            to.u64(store.bytes).expect(INFALLIBLE);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 3)?;
        if from.u64()? != VERSION {
            return Err(cbor::message("another version"));
        }
        let count = cbor::array(from)?;
        let points = cbor::items(from, count, read_point)?;
        let is_ascending =
            |a: &HistoryPoint, b: &HistoryPoint| (a.time_ms, &a.source) < (b.time_ms, &b.source);
        if !points.is_sorted_by(is_ascending) {
            return Err(cbor::message("points out of order"));
        }
        let count = cbor::array(from)?;
        let stores = cbor::items(from, count, |from| {
            cbor::array_of(from, 2)?;
            Ok(StoreSize { time_ms: from.i64()?, bytes: from.u64()? })
        })?;
        if !stores.is_sorted_by(|a, b| a.time_ms < b.time_ms) {
            return Err(cbor::message("sizes of the store out of order"));
        }
        Ok(Self { points, stores })
    }
}

fn read_point(from: &mut Decoder<'_>) -> Result<HistoryPoint, minicbor::decode::Error> {
    cbor::array_of(from, 3)?;
    let time_ms = from.i64()?;
    let source = cbor::text(from, SnapshotRecord::MAX_TEXT_LEN)?;
    let count = cbor::array(from)?;
    let homes = cbor::items(from, count, |from| {
        cbor::array_of(from, 3)?;
        let user = from.bytes()?;
        if !is_component(user) {
            return Err(cbor::message("a user whose name is no name of a directory"));
        }
        Ok(HomeSize { user: user.to_vec(), files: from.u64()?, bytes: from.u64()? })
    })?;
    if !homes.is_sorted_by(|a, b| a.user < b.user) {
        return Err(cbor::message("homes out of order"));
    }
    Ok(HistoryPoint { time_ms, source, homes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(user: &str, bytes: u64) -> HomeSize {
        HomeSize { user: user.into(), files: 1, bytes }
    }

    fn record() -> HistoryRecord {
        let point = |time_ms, source: &str, homes| HistoryPoint { time_ms, source: source.into(), homes };
        let homes = vec![home("ann", 0), home("bob", u64::MAX)];
        let points = vec![point(-1, "lab", homes.clone()), point(5, "lab", homes), point(5, "pool", vec![])];
        let stores = vec![StoreSize { time_ms: 5, bytes: 7 }, StoreSize { time_ms: 6, bytes: 7 }];
        HistoryRecord { points, stores }
    }

    #[test]
    fn a_record_reads_back() {
        for record in [record(), HistoryRecord::default()] {
            assert_eq!(HistoryRecord::from_bytes(&record.to_bytes()), Ok(record));
        }
    }

    #[test]
    fn disorder_and_names_that_are_none_are_refused() {
        type Change = fn(&mut HistoryRecord);
        let changes: [Change; 8] = [
            |record| record.points.swap(0, 1),
            |record| record.points.swap(1, 2),
            |record| record.points[0].time_ms = 5,
            |record| record.points[0].homes.swap(0, 1),
            |record| record.points[0].homes[0].user = b"bob".to_vec(),
            |record| record.points[0].homes[0].user = b"../ann".to_vec(),
            |record| record.stores.swap(0, 1),
            |record| record.stores[0].time_ms = 6,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = record();
            change(&mut changed);
            assert!(HistoryRecord::from_bytes(&changed.to_bytes()).is_err(), "{number}");
        }
    }

    #[test]
    fn a_point_takes_no_more_than_its_length_says() {
        for point in record().points {
            let record = HistoryRecord { points: vec![point.clone()], stores: vec![] };
            assert!(record.to_bytes().len() <= point.encoded_len() + 16);
        }
    }
}
