//! The snapshot record: what one run over the homes left behind. It stands in the table of contents
//! of the commit segment that is written last, and its existence is the snapshot's.

use minicbor::{Decoder, Encoder};

use super::cbor::{self, Cbor, FormatError, INFALLIBLE};
use super::gc::ShortHash;
use super::hints::{self, Bounds, Hint};
use super::tree::Entry;
use crate::codec::{Hash, SnapshotId};

/// The version of the record that this program reads and writes.
const VERSION: u64 = 1;
/// The hint that says how much of the snapshot was lost after it was taken.
const LOST_HINT: u64 = 1;
/// What a record takes of hints.
const HINT_BOUNDS: Bounds = Bounds { count: 64, bytes: 1 << 20 };

/// Whether a home in a snapshot can be taken for the user's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Attention {
    /// The user's home as it is.
    Normal = 0,
    /// Far smaller than the last normal state: perhaps a new machine's empty home. Restores look
    /// behind it, and retention keeps the state before it, until someone confirms.
    Shrunk = 1,
    /// Gone without a word; there is no tree. The state before is still the user's.
    Missing = 2,
    /// An admin confirmed that the home is gone for good.
    Removed = 3,
}

/// One home in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeRecord {
    /// The user: the name of the home's directory.
    pub user: Vec<u8>,
    /// Where it was.
    pub path: Vec<u8>,
    /// The home's own directory, with the tree below it. None when the home is not there.
    pub root: Option<Entry>,
    /// Regular files.
    pub files: u64,
    /// Directories, the home's own included.
    pub directories: u64,
    /// Bytes of file content; a hard-linked file counts once for each name.
    pub bytes: u64,
    /// Bytes of file content that this run stored anew, before compression.
    pub bytes_new: u64,
    /// Files and directories that could not be saved as they are.
    pub problems: u64,
    /// Whether this is the user's state.
    pub attention: Attention,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// Stays when the snapshot is superseded.
    pub id: SnapshotId,
    /// Supersessions so far.
    pub supersession: u32,
    /// When the run began: milliseconds since 1970.
    pub time_ms: i64,
    /// When the commit was made: milliseconds since 1970.
    pub finished_ms: i64,
    /// The logical machine that the homes belong to.
    pub source: String,
    /// The host that made the snapshot.
    pub host: String,
    /// Program and version.
    pub program: String,
    /// Free words.
    pub tags: Vec<String>,
    /// Every home of the run, by user.
    pub homes: Vec<HomeRecord>,
    /// The commits whose trees this one inherited from.
    pub parents: Vec<Hash>,
    /// The gc records the run had seen when it committed.
    pub gc_seen: Vec<String>,
    /// Leading bytes of the hash of every segment needed, inherited ones included; sorted.
    pub deps: Vec<ShortHash>,
    /// What later programs add and others may ignore; ascending keys.
    pub hints: Vec<Hint>,
}

impl SnapshotRecord {
    /// No text in a record has more bytes: source, host, program, a tag, a gc record's name.
    pub const MAX_TEXT_LEN: usize = 256;
    /// No record has more tags.
    pub const MAX_TAGS: usize = 64;
    /// No record names more gc records.
    pub const MAX_GC_SEEN: usize = 4096;

    /// The record's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        Cbor::to_bytes(self)
    }

    /// Reads a record; refuses anything that [`SnapshotRecord::to_bytes`] would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        Cbor::from_bytes(bytes)
    }

    /// Reads a record that was found to be sound before, and of its homes only those of users who are wanted: to pass over the
    /// others costs little.
    pub fn from_bytes_of(bytes: &[u8], is_wanted: &dyn Fn(&[u8]) -> bool) -> Result<Self, FormatError> {
        cbor::check_version(bytes, Self::WHAT, VERSION)?;
        let decoded = Self::decode_of(&mut Decoder::new(bytes), is_wanted);
        decoded.map_err(|error| FormatError::malformed(Self::WHAT, error))
    }

    fn decode_of(
        from: &mut Decoder<'_>,
        is_wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 14)?;
        if from.u64()? != VERSION {
            return Err(cbor::message("another version"));
        }
        Ok(Self {
            id: SnapshotId(cbor::bytes_of(from)?),
            supersession: from.u32()?,
            time_ms: from.i64()?,
            finished_ms: from.i64()?,
            source: read_text(from)?,
            host: read_text(from)?,
            program: read_text(from)?,
            tags: read_texts(from, Self::MAX_TAGS)?,
            homes: read_homes(from, is_wanted)?,
            parents: read_parents(from)?,
            gc_seen: read_texts(from, Self::MAX_GC_SEEN)?,
            deps: read_deps(from)?,
            hints: read_hints(from)?,
        })
    }

    /// Files, directories and parts of listings that were in the snapshot once, and were left out when it was
    /// copied or repaired because they could not be read any more.
    pub fn lost(&self) -> u64 {
        let hint = self.hints.iter().find(|(key, _)| *key == LOST_HINT);
        hint.and_then(|(_, value)| value[..].try_into().ok()).map_or(0, u64::from_le_bytes)
    }

    /// Says how much was lost.
    pub fn set_lost(&mut self, lost: u64) {
        self.hints.retain(|(key, _)| *key != LOST_HINT);
        if lost > 0 {
            let place = self.hints.partition_point(|(key, _)| *key < LOST_HINT);
            self.hints.insert(place, (LOST_HINT, lost.to_le_bytes().to_vec()));
        }
    }
}

fn strings(to: &mut Encoder<Vec<u8>>, texts: &[String]) {
    to.array(texts.len() as u64).expect(INFALLIBLE);
    for text in texts {
        to.str(text).expect(INFALLIBLE);
    }
}

fn read_text(from: &mut Decoder<'_>) -> Result<String, minicbor::decode::Error> {
    cbor::text(from, SnapshotRecord::MAX_TEXT_LEN)
}

fn read_texts(from: &mut Decoder<'_>, max: usize) -> Result<Vec<String>, minicbor::decode::Error> {
    let count = cbor::array(from)?;
    if count > max as u64 {
        return Err(cbor::message(&format!("{count} texts where {max} may be")));
    }
    cbor::items(from, count, read_text)
}

pub(super) fn deps(to: &mut Encoder<Vec<u8>>, deps: &[ShortHash]) {
    to.bytes_len(8 * deps.len() as u64).expect(INFALLIBLE);
    to.writer_mut().extend(deps.iter().flatten());
}

fn read_parents(from: &mut Decoder<'_>) -> Result<Vec<Hash>, minicbor::decode::Error> {
    match from.bytes()?.as_chunks() {
        (parents, []) => Ok(parents.iter().copied().map(Hash).collect()),
        _ => Err(cbor::message("parents of odd length")),
    }
}

pub(super) fn read_deps(from: &mut Decoder<'_>) -> Result<Vec<ShortHash>, minicbor::decode::Error> {
    match from.bytes()?.as_chunks() {
        (deps, []) if deps.is_sorted_by(|a, b| a < b) => Ok(deps.to_vec()),
        _ => Err(cbor::message("deps of odd length or out of order")),
    }
}

fn read_homes(
    from: &mut Decoder<'_>,
    is_wanted: &dyn Fn(&[u8]) -> bool,
) -> Result<Vec<HomeRecord>, minicbor::decode::Error> {
    let count = cbor::array(from)?;
    let mut homes = Vec::new();
    cbor::items(from, count, |from| {
        let mut ahead = from.probe();
        cbor::array(&mut ahead)?;
        match is_wanted(ahead.bytes()?) {
            true => homes.push(HomeRecord::decode(from)?),
            false => from.skip()?,
        }
        Ok(())
    })?;
    if !homes.is_sorted_by(|a, b| a.user < b.user) {
        return Err(cbor::message("homes out of order"));
    }
    Ok(homes)
}

fn read_hints(from: &mut Decoder<'_>) -> Result<Vec<Hint>, minicbor::decode::Error> {
    let mut hints = Vec::new();
    for _ in 0..cbor::map(from)? {
        let key = from.u64()?;
        hints::decode_next(key, from, &HINT_BOUNDS, &mut hints)?;
    }
    Ok(hints)
}

impl Cbor for SnapshotRecord {
    const WHAT: &'static str = "snapshot record";
    const VERSION: Option<u64> = Some(VERSION);

    /// `[1, id, supersession, time, finished, source, host, program, tags, homes, parents, gc seen,
    /// deps, hints]`.
    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        to.array(14).expect(INFALLIBLE).u64(VERSION).expect(INFALLIBLE);
        to.bytes(self.id.as_bytes()).expect(INFALLIBLE).u32(self.supersession).expect(INFALLIBLE);
        to.i64(self.time_ms).expect(INFALLIBLE).i64(self.finished_ms).expect(INFALLIBLE);
        to.str(&self.source).expect(INFALLIBLE).str(&self.host).expect(INFALLIBLE);
        to.str(&self.program).expect(INFALLIBLE);
        strings(to, &self.tags);
        to.array(self.homes.len() as u64).expect(INFALLIBLE);
        for home in &self.homes {
            home.encode(to);
        }
        to.bytes_len(32 * self.parents.len() as u64).expect(INFALLIBLE);
        for parent in &self.parents {
            to.writer_mut().extend_from_slice(parent.as_bytes());
        }
        strings(to, &self.gc_seen);
        deps(to, &self.deps);
        to.map(self.hints.len() as u64).expect(INFALLIBLE);
        hints::encode(&self.hints, to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        Self::decode_of(from, &|_| true)
    }
}

impl Cbor for HomeRecord {
    const WHAT: &'static str = "home record";

    /// `[user, path, root entry or null, files, directories, bytes, new bytes, problems, attention]`.
    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        to.array(9).expect(INFALLIBLE);
        to.bytes(&self.user).expect(INFALLIBLE).bytes(&self.path).expect(INFALLIBLE);
        match &self.root {
            Some(entry) => to.bytes(&entry.to_bytes()).expect(INFALLIBLE),
            None => to.null().expect(INFALLIBLE),
        };
        to.u64(self.files).expect(INFALLIBLE).u64(self.directories).expect(INFALLIBLE);
        to.u64(self.bytes).expect(INFALLIBLE).u64(self.bytes_new).expect(INFALLIBLE);
        to.u64(self.problems).expect(INFALLIBLE).u8(self.attention as u8).expect(INFALLIBLE);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 9)?;
        let (user, path) = (from.bytes()?.to_vec(), from.bytes()?.to_vec());
        let root = match from.datatype()? {
            minicbor::data::Type::Null => {
                from.null()?;
                None
            }
            _ => Some(Entry::from_bytes(from.bytes()?).map_err(|e| cbor::message(&e.to_string()))?),
        };
        let home = Self {
            user,
            path,
            root,
            files: from.u64()?,
            directories: from.u64()?,
            bytes: from.u64()?,
            bytes_new: from.u64()?,
            problems: from.u64()?,
            attention: match from.u8()? {
                0 => Attention::Normal,
                1 => Attention::Shrunk,
                2 => Attention::Missing,
                3 => Attention::Removed,
                _ => return Err(cbor::message("unknown attention")),
            },
        };
        let present = matches!(home.attention, Attention::Normal | Attention::Shrunk);
        let is_tree = home.root.as_ref().is_none_or(Entry::is_directory);
        // The name becomes a directory's name at restore.
        let sound = home.root.as_ref().is_none_or(|root| root.name == home.user);
        if home.user.is_empty()
            || home.user.iter().any(|b| matches!(b, 0 | b'/'))
            || home.user == b"."
            || home.user == b".."
        {
            return Err(cbor::message("a user's name leads elsewhere"));
        }
        if !is_tree || !sound || home.root.is_some() != present {
            return Err(cbor::message("a home without a tree, or a tree without a home"));
        }
        Ok(home)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Attributes, EntryKind, Owner};
    use super::*;
    use crate::codec::ChunkId;

    fn record() -> SnapshotRecord {
        let root = Entry {
            name: b"ann".to_vec(),
            kind: EntryKind::Directory(ChunkId([4; 32])),
            mode: 0o750,
            owner: Owner { uid: 1, gid: 2, user: "ann".into(), group: String::new() }.into(),
            mtime_s: 3,
            mtime_ns: 4,
            attributes: Attributes::default(),
        };
        let home = HomeRecord {
            user: b"ann".to_vec(),
            path: b"/home/ann".to_vec(),
            root: Some(root),
            files: 1,
            directories: 2,
            bytes: 3,
            bytes_new: 4,
            problems: 5,
            attention: Attention::Normal,
        };
        let gone =
            HomeRecord { user: b"bob".to_vec(), root: None, attention: Attention::Missing, ..home.clone() };
        SnapshotRecord {
            id: SnapshotId([7; 16]),
            supersession: 0,
            time_ms: 1_764_000_000_123,
            finished_ms: 1_764_000_001_000,
            source: "cluster".into(),
            host: "node".into(),
            program: "homekeep 0.1.0".into(),
            tags: vec!["nightly".into()],
            homes: vec![home, gone],
            parents: vec![Hash([8; 32])],
            gc_seen: vec!["gc/x".into()],
            deps: vec![[1; 8], [2; 8]],
            hints: vec![(0, vec![]), (300, vec![1, 2])],
        }
    }

    #[test]
    fn a_record_reads_back() {
        assert_eq!(SnapshotRecord::from_bytes(&record().to_bytes()), Ok(record()));
    }

    #[test]
    fn of_some_users_a_record_is_the_same_without_the_others() {
        let (bytes, whole) = (record().to_bytes(), record());
        for users in [&[][..], &[&b"ann"[..]], &[b"bob"], &[b"ann", b"bob"]] {
            let mut expected = whole.clone();
            expected.homes.retain(|home| users.contains(&&home.user[..]));
            let read = SnapshotRecord::from_bytes_of(&bytes, &|user| users.contains(&user));
            assert_eq!(read, Ok(expected), "{users:?}");
        }
        for end in 0..bytes.len() {
            assert!(SnapshotRecord::from_bytes_of(&bytes[..end], &|_| false).is_err(), "{end}");
        }
    }

    #[test]
    fn a_record_of_a_newer_program_is_not_called_damaged() {
        let mut bytes = record().to_bytes();
        bytes[1] = 2;
        let newer = FormatError::Version { what: "snapshot record", found: 2, known: 1 };
        assert_eq!(SnapshotRecord::from_bytes(&bytes), Err(newer));
    }

    #[test]
    fn records_that_contradict_themselves_are_refused() {
        let spoil: [fn(&mut SnapshotRecord); 13] = [
            |r| r.deps = vec![[2; 8], [1; 8]],
            |r| r.source = "x".repeat(257),
            |r| r.host = "x".repeat(257),
            |r| r.program = "x".repeat(257),
            |r| r.tags = vec!["x".repeat(257)],
            |r| r.tags = vec![String::new(); 65],
            |r| r.gc_seen = vec![String::new(); 4097],
            |r| r.hints = (0..65).map(|key| (key, vec![])).collect(),
            |r| r.hints = vec![(2, vec![]), (1, vec![])],
            |r| r.homes.reverse(),
            |r| r.homes[0].root = None,
            |r| r.homes[0].user = b"..".to_vec(),
            |r| r.homes[1].attention = Attention::Normal,
        ];
        for (n, spoil) in spoil.iter().enumerate() {
            let mut record = record();
            spoil(&mut record);
            assert!(SnapshotRecord::from_bytes(&record.to_bytes()).is_err(), "{n}");
        }
    }

    #[test]
    fn what_was_lost_stands_among_the_hints_and_nothing_says_nothing() {
        let mut record = record();
        assert_eq!(record.lost(), 0);
        record.set_lost(3);
        record.set_lost(5);
        let read = SnapshotRecord::from_bytes(&record.to_bytes()).unwrap();
        assert_eq!((read.lost(), read.hints.len()), (5, 3));
        record.set_lost(0);
        assert_eq!(record, self::record());
        record.hints = vec![(LOST_HINT, vec![1])];
        assert_eq!(record.lost(), 0);
    }

    #[test]
    fn what_a_record_may_have_is_read_to_the_last() {
        let full = SnapshotRecord {
            source: "x".repeat(256),
            tags: vec!["x".repeat(256); 64],
            gc_seen: vec!["x".repeat(256); 4096],
            hints: (0..64).map(|key| (key, vec![1; 16 << 10])).collect(),
            ..record()
        };
        assert_eq!(SnapshotRecord::from_bytes(&full.to_bytes()).as_ref(), Ok(&full));
        let mut more = full;
        more.hints[3].1.push(1);
        assert!(SnapshotRecord::from_bytes(&more.to_bytes()).is_err());
    }
}
