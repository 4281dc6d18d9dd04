//! The format's exact bytes: whatever stands in `tests/vectors/format-1.json` is what this program
//! writes and reads. docs/format.md quotes the file, and the Python reader checks it as well.
//!
//! `cargo test --test it -- --ignored write_the_vectors` writes it anew. That is for a new version of the
//! format only: bytes that are written differently cannot be read by the programs that are out there.

use homekeep::codec::{
    ChunkId, Chunker, ChunkerParameters, Codec, Compressor, Decompressor, Hash, MasterKey, RepositoryKeys,
    SnapshotId,
};
use homekeep::format::{
    Attention, Attributes, BlockKind, ChunkEntry, CommitName, Content, ContentList, Descriptor, Entry,
    EntryKind, Extent, Header, HistoryPoint, HistoryRecord, HomeRecord, HomeSize, Owner, Page, PageIndex,
    SegmentKind, SegmentWriter, Slot, SnapshotRecord, StoreSize, Toc, TocBlock, Trailer, TreeObject,
    VaultItem, Xattr, flags,
};
use homekeep::keys::{Cost, KeyFile, Secret, open_slot, seal_slot};
use serde_json::{Value, json};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/format-1.json");
const PURPOSES: [&str; 8] = [
    "chunk id",
    "tree id",
    "gear table",
    "segment",
    "segment salt",
    "descriptor",
    "hard link group",
    "vault",
];
const PASSPHRASE: &str = "correct horse battery staple";
const RANDOM: [u8; 32] = [0x77; 32];

#[test]
fn what_is_written_is_what_the_vectors_say() {
    let vectors = read_vectors();
    for (name, expected) in written().as_object().unwrap() {
        assert_eq!(&vectors[name], expected, "{name}");
    }
}

#[test]
fn every_key_is_the_one_that_its_purpose_names() {
    let vectors = read_vectors();
    let key = |purpose: &str| <[u8; 32]>::try_from(unhex(&vectors["derived_keys"][purpose])).unwrap();
    for purpose in PURPOSES {
        let context = format!("homekeep 2026-11-24 format 1 {purpose}");
        assert_eq!(key(purpose), blake3::derive_key(&context, &master().0), "{purpose}");
    }
    let keyed = |purpose: &str, bytes: &[u8]| *blake3::keyed_hash(&key(purpose), bytes).as_bytes();
    let keys = keys();
    assert_eq!(keys.chunk_id(b"x").0, keyed("chunk id", b"x"));
    assert_eq!(keys.tree_id(b"x").0, keyed("tree id", b"x"));
    assert_eq!(keys.gear_table()[0].to_le_bytes(), keyed("gear table", b"")[..8]);
    assert_eq!(
        keys.segment_cipher(2, &[3; 32]).1[..],
        xof(&key("segment"), &[&[2][..], &[3; 32]].concat())[32..]
    );
    assert_eq!(
        keys.segment_salt(&RANDOM, [].iter(), b"r"),
        keyed("segment salt", &[&RANDOM[..], b"r"].concat())
    );
    assert_eq!(keys.descriptor_tag(b"x"), keyed("descriptor", b"x"));
    let inode = [&1_u64.to_le_bytes()[..], &2_u64.to_le_bytes(), &(-3_i128).to_le_bytes()].concat();
    assert_eq!(*keys.vault_secret(), key("vault"));
    assert_eq!(keys.link_group(1, 2, -3), keyed("hard link group", &inode)[..16]);
}

#[test]
fn what_the_vectors_say_is_what_is_read() {
    let vectors = read_vectors();
    let bytes = |name: &str| unhex(&vectors[name]["bytes"]);
    assert_eq!(TreeObject::from_bytes(&bytes("page")), Ok(TreeObject::Page(page())));
    assert_eq!(TreeObject::from_bytes(&bytes("page_index")), Ok(TreeObject::Index(page_index())));
    assert_eq!(ContentList::from_bytes(&bytes("content_list")), Ok(content_list()));
    assert_eq!(SnapshotRecord::from_bytes(&bytes("record")), Ok(record()));
    assert_eq!(HistoryRecord::from_bytes(&bytes("history")), Ok(history()));
    assert_eq!(Descriptor::from_bytes(&bytes("descriptor")), Ok(descriptor()));
    assert!(Descriptor::is_authentic(&bytes("descriptor"), &keys()));
    for (name, secret) in [("slot_key_file", key_file_secret()), ("slot_passphrase", passphrase())] {
        let slot = Slot::from_bytes(&bytes(name)).unwrap();
        assert_eq!(open_slot(&slot, &secret).unwrap().0, master().0);
    }
}

#[test]
fn the_segment_of_the_vectors_opens_to_what_they_say() {
    let vectors = read_vectors();
    let vector = &vectors["segment"];
    let bytes = unhex(&vector["bytes"]);
    let name = vector["name"].as_str().unwrap().parse().unwrap();
    assert_eq!(CommitName::parse(&name).unwrap().hash, Hash::of(&bytes));
    let (header, toc, raw) = read_segment(&bytes);
    assert_eq!(vector["toc"], describe(&toc));
    assert_eq!(toc.record, Some(record().to_bytes()));
    assert_eq!(raw.iter().map(|raw| hex(raw)).collect::<Vec<_>>(), strings(&vector["blocks"]));
    // Compressors may differ from version to version, so the rest of a segment need not be equal.
    assert_eq!(header.to_bytes(), segment().0[..Header::LEN]);
}

#[test]
fn what_the_vectors_call_wrong_is_refused() {
    let vectors = read_vectors();
    for case in vectors["refused"].as_array().unwrap() {
        let bytes = unhex(&case["bytes"]);
        let is_read = match case["what"].as_str().unwrap() {
            "tree" => TreeObject::from_bytes(&bytes).is_ok(),
            "content list" => ContentList::from_bytes(&bytes).is_ok(),
            "record" => SnapshotRecord::from_bytes(&bytes).is_ok(),
            "slot" => Slot::from_bytes(&bytes).is_ok(),
            what => panic!("{what}"),
        };
        assert!(!is_read, "{case}");
    }
}

#[test]
fn the_page_quotes_the_vectors() {
    let page = include_str!("../../docs/format.md").replace(char::is_whitespace, "");
    let vectors = read_vectors();
    let mut quoted = vec![&vectors["chunk_id"]["id"], &vectors["tree_id"]["id"], &vectors["segment"]["name"]];
    quoted.extend(vectors["derived_keys"].as_object().unwrap().values());
    quoted.extend(vectors["gear_table"]["first_words"].as_array().unwrap());
    let objects = ["descriptor", "content_list", "page_index", "page", "record", "history"];
    for name in ["slot_key_file", "slot_passphrase"].into_iter().chain(objects) {
        quoted.push(&vectors[name]["bytes"]);
    }
    for text in quoted {
        assert!(page.contains(text.as_str().unwrap()), "docs/format.md lacks {text}");
    }
}

#[test]
#[ignore = "writes tests/vectors/format-1.json"]
fn write_the_vectors() {
    let mut vectors = written();
    let (bytes, toc) = segment();
    let (_, _, raw) = read_segment(&bytes);
    vectors["segment"] = json!({
        "random": hex(&RANDOM),
        "name": commit_name(&bytes),
        "toc": describe(&toc),
        "blocks": raw.iter().map(|raw| hex(raw)).collect::<Vec<_>>(),
        "bytes": hex(&bytes),
    });
    std::fs::write(PATH, format!("{vectors:#}\n")).unwrap();
}

/// Everything whose bytes do not depend on a compressor.
fn written() -> Value {
    let words = keys().gear_table();
    let table: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let slot =
        |secret| seal_slot(&master(), &secret, [0x55; 32], Cost::FLOOR, 1_764_000_000, "vector").unwrap();
    json!({
        "master_key": hex(&master().0),
        "derived_keys": derived_keys(),
        "key_file": { "secret": hex(&[0xa5; 32]), "text": key_file_text() },
        "slot_key_file": { "secret": hex(&[0xa5; 32]), "bytes": hex(&slot(key_file_secret()).to_bytes()) },
        "slot_passphrase": { "passphrase": PASSPHRASE, "bytes": hex(&slot(passphrase()).to_bytes()) },
        "descriptor": { "bytes": hex(&descriptor().to_bytes(&keys())) },
        "chunk_id": { "bytes": hex(b"homekeep"), "id": keys().chunk_id(b"homekeep").to_hex() },
        "tree_id": { "bytes": hex(b"homekeep"), "id": keys().tree_id(b"homekeep").to_hex() },
        "link_group": { "device": 1, "inode": 2, "changed_ns": -3, "group": hex(&keys().link_group(1, 2, -3)) },
        "gear_table": {
            "first_words": words[..4].iter().map(|w| format!("{w:016x}")).collect::<Vec<_>>(),
            "hash": Hash::of(&table).to_hex(),
        },
        "cuts": cuts(),
        "content_list": named(&content_list().to_bytes()),
        "page": named(&page().to_bytes()),
        "page_index": named(&page_index().to_bytes()),
        "record": { "bytes": hex(&record().to_bytes()) },
        "history": { "bytes": hex(&history().to_bytes()) },
        "refused": refused(),
    })
}

fn named(bytes: &[u8]) -> Value {
    json!({ "id": keys().tree_id(bytes).to_hex(), "bytes": hex(bytes) })
}

fn derived_keys() -> Value {
    let key =
        |purpose: &&str| blake3::derive_key(&format!("homekeep 2026-11-24 format 1 {purpose}"), &master().0);
    PURPOSES.iter().map(|purpose| (purpose.to_string(), Value::from(hex(&key(purpose))))).collect()
}

/// Lengths of the chunks of the first bytes of BLAKE3's extended output for empty input.
fn cuts() -> Vec<Value> {
    let mut noise = vec![0; 1 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let cut = |(min, average, max, input_len): (u32, u32, u32, usize)| {
        let chunker = Chunker::new(ChunkerParameters { min, average, max }, keys().gear_table());
        let (mut lengths, mut rest) = (vec![], &noise[..input_len]);
        while !rest.is_empty() {
            lengths.push(chunker.cut(rest));
            rest = &rest[chunker.cut(rest)..];
        }
        json!({ "min": min, "average": average, "max": max, "input_len": input_len, "lengths": lengths })
    };
    let cases = [
        (65_536, 262_144, 1_048_576, 1_048_576),
        (4_096, 16_384, 65_536, 1_048_576),
        (1_024, 4_096, 8_192, 100_001),
        (2_048, 32_768, 36_000, 333_333),
        (1_024, 4_096, 8_192, 1_024),
        (1_024, 4_096, 8_192, 1_025),
    ];
    cases.map(cut).to_vec()
}

fn refused() -> Vec<Value> {
    [refused_trees(), refused_hints(), refused_lists(), refused_texts()].concat()
}

fn case(what: &str, why: &str, bytes: &[u8]) -> Value {
    json!({ "what": what, "why": why, "bytes": hex(bytes) })
}

fn refused_trees() -> Vec<Value> {
    let spoiled = |bytes: &mut dyn FnMut(&mut Page)| {
        let mut page = page();
        bytes(&mut page);
        page.to_bytes()
    };
    vec![
        case("tree", "neither a page nor an index", &[0x83, 3, 0x80, 0x80]),
        case("tree", "something behind the page", &[0x83, 0, 0x80, 0x80, 0]),
        case("tree", "an array of no declared length", &[0x83, 0, 0x9f, 0xff, 0x80]),
        case("tree", "a number that is longer than it must be", &[0x83, 0x18, 0, 0x80, 0x80]),
        case("tree", "an owner that no entry uses", &[0x83, 0, 0x84, 0, 0, 0x60, 0x60, 0x80]),
        case("tree", "a name with a slash", &spoiled(&mut |p| p.entries[0].name = b"a/b".to_vec())),
        case(
            "tree",
            "the name of the directory above",
            &spoiled(&mut |p| p.entries[0].name = b"..".to_vec()),
        ),
        case("tree", "names out of order", &spoiled(&mut |p| p.entries.swap(0, 1))),
        case("tree", "a name twice", &spoiled(&mut |p| p.entries[1].name = p.entries[0].name.clone())),
        case("tree", "mode of more than 12 bits", &spoiled(&mut |p| p.entries[0].mode = 0o10000)),
        case(
            "tree",
            "a second of more than 10^9 nanoseconds",
            &spoiled(&mut |p| p.entries[0].mtime_ns = 1_000_000_000),
        ),
        case("tree", "an unknown flag", &spoiled(&mut |p| p.entries[0].attributes.flags = 1 << 31)),
        case(
            "tree",
            "an index of one page",
            &PageIndex { pages: page_index().pages[..1].to_vec() }.to_bytes(),
        ),
    ]
}

/// Hints are ignored only as far as they are hints, in order, and few.
fn refused_hints() -> Vec<Value> {
    let entry = |why, hints: Vec<(u64, Vec<u8>)>| {
        let attributes = Attributes { hints, ..Attributes::default() };
        let page = Page { entries: vec![entry("a", EntryKind::Fifo, 0o600, attributes)] };
        case("tree", why, &page.to_bytes())
    };
    let in_record = |why, hints| case("record", why, &SnapshotRecord { hints, ..record() }.to_bytes());
    vec![
        entry("an attribute below the hints", vec![(127, b"hint".to_vec())]),
        entry("hints of an entry out of order", vec![(129, vec![]), (128, vec![])]),
        entry("a hint of an entry twice", vec![(128, vec![]), (128, vec![])]),
        entry("17 hints of an entry", (128..145).map(|key| (key, vec![])).collect()),
        entry("more than 4 KiB of hints of an entry", vec![(128, vec![0; 4096]), (129, vec![0])]),
        in_record("hints of a record out of order", vec![(2, vec![]), (1, vec![])]),
        in_record("65 hints of a record", (0..65).map(|key| (key, vec![])).collect()),
    ]
}

fn refused_texts() -> Vec<Value> {
    let spoiled = |why, spoil: fn(&mut SnapshotRecord)| {
        let mut record = record();
        spoil(&mut record);
        case("record", why, &record.to_bytes())
    };
    let slot = seal_slot(&master(), &key_file_secret(), [0x55; 32], Cost::FLOOR, 0, &"x".repeat(257));
    vec![
        spoiled("a source of 257 bytes", |r| r.source = "x".repeat(257)),
        spoiled("a host of 257 bytes", |r| r.host = "x".repeat(257)),
        spoiled("a program of 257 bytes", |r| r.program = "x".repeat(257)),
        spoiled("a tag of 257 bytes", |r| r.tags = vec!["x".repeat(257)]),
        spoiled("65 tags", |r| r.tags = vec![String::new(); 65]),
        spoiled("a gc record's name of 257 bytes", |r| r.gc_seen = vec!["x".repeat(257)]),
        spoiled("4097 gc records", |r| r.gc_seen = vec![String::new(); 4097]),
        case("slot", "a label of 257 bytes", &slot.unwrap().to_bytes()),
    ]
}

fn refused_lists() -> Vec<Value> {
    vec![
        case("content list", "an extent of no bytes", &[0x82, 2, 0x83, 0, 0x40, 0x81, 0]),
        case("content list", "data without an id", &[0x82, 2, 0x83, 0, 0x40, 0x81, 1]),
        case("content list", "a hole among lists", &[0x82, 2, 0x83, 1, 0x40, 0x81, 0x20]),
        case("content list", "deeper than eight", &[0x82, 2, 0x83, 9, 0x40, 0x80]),
    ]
}

fn master() -> MasterKey {
    MasterKey(std::array::from_fn(|n| n as u8))
}

fn keys() -> RepositoryKeys {
    RepositoryKeys::derive(&master())
}

fn key_file_secret() -> Secret {
    Secret::KeyFile([0xa5; 32].into())
}

fn passphrase() -> Secret {
    Secret::Passphrase(PASSPHRASE.as_bytes().to_vec().into())
}

fn key_file_text() -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    KeyFile::create(&path, &[0xa5; 32]).unwrap();
    assert_eq!(*KeyFile::read(&path).unwrap().secret, [0xa5; 32]);
    std::fs::read_to_string(path).unwrap()
}

fn descriptor() -> Descriptor {
    Descriptor {
        repository_id: [0x11; 16],
        chunker: ChunkerParameters { min: 65_536, average: 262_144, max: 1_048_576 },
        block_len: 2_097_152,
        features: vec![],
    }
}

fn content_list() -> ContentList {
    let data = |byte, length| Extent::Data { id: ChunkId([byte; 32]), length };
    ContentList(Content {
        depth: 0,
        extents: vec![data(0xaa, 300), Extent::Hole { length: 4096 }, data(0xbb, 5)],
    })
}

fn page_index() -> PageIndex {
    PageIndex { pages: vec![(ChunkId([0xcc; 32]), 200), (ChunkId([0xdd; 32]), 313)] }
}

/// One entry of every kind, and all that an entry can have.
fn page() -> Page {
    let text = Content {
        depth: 0,
        extents: vec![Extent::Data { id: keys().chunk_id(TEXT), length: TEXT.len() as u64 }],
    };
    let everything = Attributes {
        xattrs: vec![Xattr { name: b"user.comment".to_vec(), value: b"hi".to_vec() }],
        link_group: Some([0x22; 16]),
        flags: flags::CHANGED | 1 << 40,
        vault: None,
        hints: vec![(128, b"hint".to_vec())],
    };
    let secret = Attributes {
        vault: Some(VaultItem { item: ".ssh/id_rsa".into(), version: 3 }),
        ..Attributes::default()
    };
    let none = Attributes::default;
    let entries = vec![
        entry("directory", EntryKind::Directory(ChunkId([0x33; 32])), 0o755, none()),
        entry("fifo", EntryKind::Fifo, 0o600, none()),
        entry("file", EntryKind::File(text), 0o4755, everything),
        entry("holes", EntryKind::File(content_list().0), 0o644, none()),
        entry("id_rsa", EntryKind::File(Content::default()), 0o600, secret),
        entry("link", EntryKind::Symlink(b"file".to_vec()), 0o777, none()),
        entry("null", EntryKind::CharDevice(0x103), 0o666, none()),
    ];
    Page { entries }
}

fn entry(name: &str, kind: EntryKind, mode: u16, attributes: Attributes) -> Entry {
    let owner = match name {
        "null" => Owner::default(),
        _ => Owner { uid: 1000, gid: 100, user: "ann".into(), group: "users".into() },
    };
    let (mtime_s, mtime_ns) = if name == "fifo" { (-1, 999_999_999) } else { (1_764_000_000, 123_456_789) };
    Entry { name: name.into(), kind, mode, owner: owner.into(), mtime_s, mtime_ns, attributes }
}

fn history() -> HistoryRecord {
    let home = |user: &str, files, bytes| HomeSize { user: user.into(), files, bytes };
    let homes = vec![home("ann", 365, 27_904), home("bob", 0, 0)];
    let point = |time_ms, homes| HistoryPoint { time_ms, source: "lab".into(), homes };
    let points = vec![point(-1, vec![]), point(1_795_505_142_123, homes)];
    HistoryRecord { points, stores: vec![StoreSize { time_ms: 1_795_505_143_000, bytes: 1 << 40 }] }
}

fn record() -> SnapshotRecord {
    let tree = keys().tree_id(&page().to_bytes());
    let root = Entry {
        owner: Owner { uid: 1000, gid: 100, user: "ann".into(), group: "users".into() }.into(),
        ..entry("ann", EntryKind::Directory(tree), 0o750, Attributes::default())
    };
    let home = HomeRecord {
        user: b"ann".to_vec(),
        path: b"/home/ann".to_vec(),
        root: Some(root),
        files: 3,
        directories: 2,
        bytes: 4_461,
        bytes_new: 365,
        problems: 0,
        attention: Attention::Normal,
    };
    let gone = HomeRecord {
        user: b"bob".to_vec(),
        path: b"/home/bob".to_vec(),
        root: None,
        files: 0,
        directories: 0,
        bytes: 0,
        bytes_new: 0,
        problems: 1,
        attention: Attention::Missing,
    };
    SnapshotRecord {
        id: SnapshotId([0xab; 16]),
        supersession: 2,
        time_ms: 1_795_505_142_123,
        finished_ms: 1_795_505_143_000,
        source: "lab".into(),
        host: "node-1".into(),
        program: "homekeep 0.1.0".into(),
        tags: vec!["nightly".into()],
        homes: vec![home, gone],
        parents: vec![Hash([0x44; 32])],
        gc_seen: vec![],
        deps: vec![[0x44; 8], [0x66; 8]],
        hints: vec![(7, b"hint".to_vec())],
    }
}

const TEXT: &[u8] = b"to do, to do, to do, to do, to do, to do, to do, to do, to do, to do";

/// A commit with three blocks: text that is compressed, bytes that are not, and a page.
fn segment() -> (Vec<u8>, Toc) {
    let (keys, mut compressor) = (keys(), Compressor::new(3).unwrap());
    let chunk = |bytes: &[u8]| ChunkEntry { id: keys.chunk_id(bytes), length: bytes.len() as u32 };
    let page = page().to_bytes();
    let text = TEXT.repeat(2);
    let mut writer = SegmentWriter::new(SegmentKind::Commit);
    let packed = compressor.pack(&text).unwrap();
    assert_eq!(packed.codec, Codec::Zstd);
    writer.push(BlockKind::Data, packed, vec![chunk(TEXT), chunk(TEXT)]);
    let packed = compressor.pack(b"incompressible").unwrap();
    assert_eq!(packed.codec, Codec::Stored);
    writer.push(BlockKind::Data, packed, vec![chunk(b"incompressible")]);
    let tree = ChunkEntry { id: keys.tree_id(&page), length: page.len() as u32 };
    writer.push(BlockKind::Tree, compressor.pack(&page).unwrap(), vec![tree]);
    writer.finish(&keys, &RANDOM, Some(record().to_bytes())).unwrap()
}

fn commit_name(bytes: &[u8]) -> String {
    let record = record();
    let time = jiff::Timestamp::from_millisecond(record.time_ms).unwrap();
    let name = CommitName { time, id: record.id, supersession: record.supersession, hash: Hash::of(bytes) };
    name.to_object_name().to_string()
}

fn read_segment(bytes: &[u8]) -> (Header, Toc, Vec<Vec<u8>>) {
    let header = Header::from_bytes(bytes).unwrap();
    let opener = header.opener(&keys()).unwrap();
    let trailer = Trailer::from_bytes(bytes, bytes.len() as u64).unwrap();
    let sealed = &bytes[trailer.toc_start as usize..bytes.len() - Trailer::LEN];
    let toc = Toc::open(&header, &opener, trailer.toc_start, sealed).unwrap();
    let open = |(number, block): (usize, &TocBlock)| {
        let stored = &bytes[block.start as usize..][..block.stored_len as usize];
        let (mut unpack, mut raw) = (Decompressor::new().unwrap(), vec![]);
        block.open(&header, &opener, number as u32, stored, &mut unpack, &mut raw).unwrap();
        raw
    };
    let raw = toc.blocks.iter().enumerate().map(open).collect();
    (header, toc, raw)
}

fn describe(toc: &Toc) -> Value {
    let describe = |block: &TocBlock| {
        json!({
            "kind": block.kind as u8,
            "codec": block.codec as u8,
            "start": block.start,
            "stored_len": block.stored_len,
            "raw_len": block.raw_len,
            "chunks": block.chunks.iter().map(|c| json!([c.id.to_hex(), c.length])).collect::<Vec<_>>(),
        })
    };
    toc.blocks.iter().map(describe).collect()
}

fn xof(key: &[u8; 32], bytes: &[u8]) -> [u8; 64] {
    let mut output = [0; 64];
    blake3::Hasher::new_keyed(key).update(bytes).finalize_xof().fill(&mut output);
    output
}

fn read_vectors() -> Value {
    serde_json::from_slice(&std::fs::read(PATH).expect("tests/vectors/format-1.json is there")).unwrap()
}

fn strings(values: &Value) -> Vec<String> {
    values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().into()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
