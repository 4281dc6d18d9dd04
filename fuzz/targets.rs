//! The bodies of all fuzz targets: bytes in, a panic when a promise is broken. libFuzzer calls them
//! through `fuzz_targets/`, and ordinary tests over the saved corpus through `tests/it/fuzz_corpus.rs`.
//!
//! The promises: no bytes make a decoder panic or ask for memory without bound; what decodes encodes to
//! the same bytes; cuts cover what is cut, within their bounds, however much is seen at once.

use homekeep::codec::{
    Chunker, ChunkerParameters, Codec, Decompressor, Domain, Hash, MasterKey, Opener, RepositoryKeys,
};
use homekeep::format::{
    CommitName, ContentList, Descriptor, Entry, GcRecord, Header, HistoryRecord, MAX_BLOCK_LEN, ObjectName,
    Slot, SnapshotRecord, Toc, Trailer, TreeObject,
};
use homekeep::keys::{parse_key, render_key};
use homekeep::vault::Document;

/// What a target does with bytes.
type Body = fn(&[u8]);

/// Every target, by the name of its folder in `corpus/` and of its file in `fuzz_targets/`.
pub const ALL: [(&str, Body); 18] = [
    ("commit_name", commit_name),
    ("content_list", content_list),
    ("cuts", cuts),
    ("descriptor", descriptor),
    ("entry", entry),
    ("gc_record", gc_record),
    ("history_record", history_record),
    ("key_file", key_file),
    ("object_name", object_name),
    ("segment", segment),
    ("segment_header", segment_header),
    ("segment_trailer", segment_trailer),
    ("slot", slot),
    ("snapshot_record", snapshot_record),
    ("toc", toc),
    ("tree", tree),
    ("unpack", unpack),
    ("vault_document", vault_document),
];

/// Runs the target of this name.
pub fn run(name: &str, bytes: &[u8]) {
    let (_, body) = ALL.iter().find(|(found, _)| *found == name).expect("a target of this name");
    body(bytes);
}

/// The keys of everything sealed here: a fuzzer cannot guess a tag, so it is given what is inside.
pub fn keys() -> RepositoryKeys {
    RepositoryKeys::derive(&MasterKey(std::array::from_fn(|n| n as u8)))
}

fn descriptor(bytes: &[u8]) {
    let keys = keys();
    let is_authentic = Descriptor::is_authentic(bytes, &keys);
    if let Ok(descriptor) = Descriptor::from_bytes(bytes) {
        let encoded = descriptor.to_bytes(&keys);
        assert_eq!(encoded.len(), bytes.len());
        assert_eq!(encoded[..bytes.len() - 32], bytes[..bytes.len() - 32]);
        assert_eq!(is_authentic, encoded == bytes);
        Chunker::new(descriptor.chunker, keys.gear_table());
    }
}

fn slot(bytes: &[u8]) {
    if let Ok(slot) = Slot::from_bytes(bytes) {
        assert_eq!(slot.to_bytes(), bytes);
        assert_eq!(slot.associated_data().len(), bytes.len());
    }
}

fn key_file(bytes: &[u8]) {
    if let Ok(secret) = parse_key(bytes) {
        assert_eq!(parse_key(render_key(&secret).as_bytes()), Ok(secret));
    }
}

/// Whose document the corpus has.
pub const USER: &str = "ann@example.org";

fn vault_document(bytes: &[u8]) {
    let Ok(mut document) = Document::from_json(USER, bytes) else { return };
    let text = document.to_json();
    assert_eq!(Document::from_json(USER, &text).as_ref(), Ok(&document));
    // Room is made without end or panic, and what is in use stays.
    let in_use: Vec<_> = document.items.values().flat_map(|item| item.now.values().copied()).collect();
    document.fit(text.len() / 2);
    let kept: Vec<_> = document.items.values().flat_map(|item| item.versions.keys().copied()).collect();
    assert!(in_use.iter().all(|version| kept.contains(version)));
}

fn object_name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = text.parse::<ObjectName>() {
        assert_eq!(name.as_str(), text);
        assert!(!text.starts_with('/') && !text.split('/').any(|part| matches!(part, "" | "." | "..")));
        if let Some(hash) = name.promised_hash() {
            assert!(text.ends_with(&hash.to_hex()));
        }
        if let Some(id) = name.forgotten_snapshot() {
            assert!(text.starts_with(&format!("forgotten/{id}")));
        }
    }
}

fn commit_name(bytes: &[u8]) {
    let Ok(Ok(name)) = std::str::from_utf8(bytes).map(str::parse::<ObjectName>) else { return };
    if let Ok(commit) = CommitName::parse(&name) {
        assert_eq!(commit.to_object_name(), name);
        assert_eq!(name.promised_hash(), Some(commit.hash));
    }
}

fn segment_header(bytes: &[u8]) {
    if let Ok(header) = Header::from_bytes(bytes) {
        assert_eq!(header.to_bytes()[..], bytes[..Header::LEN]);
        // Whether it opens or not: this must not panic.
        let _ = header.opener(&keys());
    }
}

/// The object's length, eight bytes, then its end.
fn segment_trailer(bytes: &[u8]) {
    let Some((length, end)) = bytes.split_first_chunk::<8>() else { return };
    let object_len = u64::from_le_bytes(*length);
    if let Ok(trailer) = Trailer::from_bytes(end, object_len) {
        assert!(trailer.toc_start >= Header::LEN as u64);
        assert_eq!(trailer.toc_start + u64::from(trailer.toc_len) + Trailer::LEN as u64, object_len);
    }
}

/// Where the table begins, eight bytes, then what is sealed as a table: lengths, frame, padding.
fn toc(bytes: &[u8]) {
    let Some((start, plain)) = bytes.split_first_chunk::<8>() else { return };
    let toc_start = u64::from_le_bytes(*start);
    let (header, opener) = header();
    let associated = [&header.to_bytes()[..], start].concat();
    let sealed = seal(&opener, Domain::Toc, &associated, plain);
    if let Ok(toc) = Toc::open(&header, &opener, toc_start, &sealed) {
        check_toc(&toc, toc_start);
    }
}

/// Blocks fill the segment, and none unpacks to more than a block may.
fn check_toc(toc: &Toc, toc_start: u64) {
    let mut at = Header::LEN as u64;
    for block in &toc.blocks {
        assert_eq!(block.start, at);
        at += u64::from(block.stored_len);
        let raw_len: u64 = block.chunks.iter().map(|chunk| u64::from(chunk.length)).sum();
        assert_eq!(u64::from(block.raw_len), raw_len);
        assert!(raw_len <= MAX_BLOCK_LEN as u64 && !block.chunks.is_empty());
    }
    assert_eq!(at, toc_start);
}

/// A whole object, from its head to its blocks.
fn segment(bytes: &[u8]) {
    let Ok(header) = Header::from_bytes(bytes) else { return };
    let Ok(opener) = header.opener(&keys()) else { return };
    let Ok(trailer) = Trailer::from_bytes(bytes, bytes.len() as u64) else { return };
    let sealed = &bytes[trailer.toc_start as usize..bytes.len() - Trailer::LEN];
    let Ok(toc) = Toc::open(&header, &opener, trailer.toc_start, sealed) else { return };
    check_toc(&toc, trailer.toc_start);
    let mut raw = Vec::new();
    let mut unpack = Decompressor::new().expect("zstd starts");
    for (number, block) in toc.blocks.iter().enumerate() {
        let stored = &bytes[block.start as usize..][..block.stored_len as usize];
        if block.open(&header, &opener, number as u32, stored, &mut unpack, &mut raw).is_ok() {
            assert_eq!(raw.len(), block.raw_len as usize);
        }
    }
}

/// The declared length, four bytes of which three count, the codec, then the packed bytes.
fn unpack(bytes: &[u8]) {
    let Some((head, packed)) = bytes.split_first_chunk::<4>() else { return };
    let declared = u32::from_le_bytes(*head) as usize % (MAX_BLOCK_LEN + 1);
    let codec = if head[3] & 0x80 == 0 { Codec::Zstd } else { Codec::Stored };
    let mut raw = Vec::new();
    let unpacked = Decompressor::new().expect("zstd starts").unpack_into(codec, packed, declared, &mut raw);
    if unpacked.is_ok() {
        assert_eq!(raw.len(), declared);
    }
    assert!(raw.capacity() <= declared.max(packed.len()) + 64);
}

fn tree(bytes: &[u8]) {
    let encoded = match TreeObject::from_bytes(bytes) {
        Ok(TreeObject::Page(page)) => page.to_bytes(),
        Ok(TreeObject::Index(index)) => index.to_bytes(),
        Err(_) => return,
    };
    assert_eq!(encoded, bytes);
}

fn content_list(bytes: &[u8]) {
    if let Ok(list) = ContentList::from_bytes(bytes) {
        assert_eq!(list.to_bytes(), bytes);
        assert!(list.0.size() <= i64::MAX as u64);
    }
}

fn entry(bytes: &[u8]) {
    if let Ok(entry) = Entry::from_bytes(bytes) {
        assert_eq!(entry.to_bytes(), bytes);
    }
}

fn gc_record(bytes: &[u8]) {
    if let Ok(record) = GcRecord::from_bytes(bytes) {
        assert_eq!(record.to_bytes(), bytes);
    }
}

fn history_record(bytes: &[u8]) {
    if let Ok(record) = HistoryRecord::from_bytes(bytes) {
        assert_eq!(record.to_bytes(), bytes);
    }
}

fn snapshot_record(bytes: &[u8]) {
    if let Ok(record) = SnapshotRecord::from_bytes(bytes) {
        assert_eq!(record.to_bytes(), bytes);
    }
}

/// Bytes that choose parameters and length, then a pattern that is repeated to that length.
fn cuts(bytes: &[u8]) {
    let Some(([choice, low, high], pattern)) = bytes.split_first_chunk::<3>() else { return };
    if pattern.is_empty() {
        return;
    }
    let parameters =
        [(1024, 4096, 8192), (2048, 4096, 5000), (1024, 16_384, 20_002), (65_534, 65_536, 65_538)];
    let (min, average, max) = parameters[usize::from(choice % 4)];
    let parameters = ChunkerParameters { min, average, max };
    let gear = keys().gear_table();
    let chunker = Chunker::new(parameters, gear);
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let data: Vec<u8> = pattern.iter().copied().cycle().take(length).collect();
    let lengths = cut_in_windows(&chunker, &data, data.len());
    assert_eq!(lengths.iter().sum::<usize>(), data.len());
    if let Some((_, whole)) = lengths.split_last() {
        assert!(whole.iter().all(|length| (min as usize..=max as usize).contains(length)));
    }
    assert_eq!(lengths, cut_in_windows(&chunker, &data, chunker.window()));
    assert_eq!(lengths, cut_in_windows(&chunker, &data, 2 * chunker.window() + 7));
    assert_eq!(lengths, cut_by_the_page(&parameters, &gear, &data));
}

/// The chunks' lengths when never more than `window` bytes are seen at once.
fn cut_in_windows(chunker: &Chunker, data: &[u8], window: usize) -> Vec<usize> {
    let (mut lengths, mut at) = (Vec::new(), 0);
    while at < data.len() {
        let length = chunker.cut(&data[at..data.len().min(at.saturating_add(window))]);
        assert!(length > 0);
        lengths.push(length);
        at += length;
    }
    lengths
}

/// The loop that docs/format.md gives, one byte at a time.
fn cut_by_the_page(parameters: &ChunkerParameters, gear: &[u64; 256], mut data: &[u8]) -> Vec<usize> {
    const MASKS: [u64; 7] = [
        0x0000_d900_0353_0000,
        0x0000_d901_0353_0000,
        0x0000_d903_0353_0000,
        0x0000_d903_1353_0000,
        0x0000_d90f_0353_0000,
        0x0000_d903_0353_7000,
        0x0000_d907_0353_7000,
    ];
    let bits = parameters.average.trailing_zeros() as usize - 11;
    let (small, large) = (MASKS[bits + 1], MASKS[bits - 1]);
    let (min, average, max) = (parameters.min as usize, parameters.average as usize, parameters.max as usize);
    let mut lengths = Vec::new();
    while !data.is_empty() {
        let end = data.len().min(max);
        let mut hash = 0_u64;
        let mut is_cut = |at: &usize| {
            hash = (hash << 1).wrapping_add(gear[usize::from(data[*at])]);
            hash & if *at < (end.min(average) & !1) { small } else { large } == 0
        };
        let length = if end <= min { end } else { (min..end & !1).find(&mut is_cut).unwrap_or(end) };
        lengths.push(length);
        data = &data[length..];
    }
    lengths
}

/// The head of a segment that the fixed keys open, and its cipher.
fn header() -> (Header, Opener) {
    let salt = Hash::of(b"salt").0;
    let (opener, commitment) = keys().segment_cipher(1, &salt);
    let mut bytes = b"HKSEGMT1\x01\0\0\0\0\0\0\0".to_vec();
    bytes.extend(salt);
    bytes.extend(commitment);
    (Header::from_bytes(&bytes).expect("a head is made of these"), opener)
}

fn seal(sealer: &Opener, domain: Domain, associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut sealed = plain.to_vec();
    let tag = sealer.seal(domain, 0, associated, &mut sealed);
    sealed.extend(tag);
    sealed
}
